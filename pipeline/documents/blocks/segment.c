/* The walk that cuts a page into blocks: segment._Walk, which has the reasons, in the same order.

   Longer than other files: what Python does with lists and objects is written out here. */

#include "blocks.h"

enum { LINK = 1, BOLD = 2, HIDDEN = 4, ALOUD = 8, ITALIC = 16, CARD = 32 }; /* page.py */
enum { COLLISIONS_MAX = 1000000 }; /* of kinds in their hash table; a page has some hundreds */
enum { HEADING_BREAKS_MAX = 3, COLSPAN_MAX = 50, COLSPAN_DIGITS_MAX = 3 };
/* The rows of what is said of elements and of blocks: page.Page, in its order. */
enum { TAGS, PARENTS, ENDS, DEPTHS, OWN, INHERITED, KINDS, SIGNS, BEGIN_BLOCKS, END_BLOCKS,
       OF_ELEMENTS };
enum { ELEMENTS, BREAKS, LINKS, INNER, OF_BLOCKS };

typedef struct {
    Span text;
    int flags;
} Piece;

typedef struct {
    int tag;
    size_t at, size; /* in Walk.names */
} Kind;

typedef struct {
    const Node *nodes;
    int with_hidden, unseen;
    int is_open, is_aloud;
    int failed; /* there is no memory, or Python raised an error */
    int64_t of_block[OF_BLOCKS];   /* of the block at hand */
    int64_t *element, *block;      /* [OF_ELEMENTS or OF_BLOCKS, room] */
    int64_t *starts;
    Py_ssize_t elements, elements_room, blocks, blocks_room, pieces, pieces_room;
    Piece *piece;
    Kind *kind;
    int *kind_at; /* a hash table of their numbers, -1 for none */
    Py_ssize_t kinds, slots, collisions;
    char *names;
    size_t names_size;
    char *value; /* of an attribute */
    Attributes said;
} Walk;

static const char space[] = " ";
static const Span SPACE = {space, space + 1};

/* ---- pieces, blocks and elements ---- */

static void
add(Walk *walk, Span text, int flags)
{
    if (walk->pieces == walk->pieces_room) {
        Py_ssize_t room = 2 * walk->pieces_room;
        Piece *more = realloc(walk->piece, room * sizeof *more);
        if (more == NULL) {
            walk->failed = 1;
            return;
        }
        walk->piece = more;
        walk->pieces_room = room;
    }
    if (!walk->is_open) {
        walk->is_open = 1;
        walk->starts[walk->blocks] = walk->pieces;
    }
    walk->piece[walk->pieces++] = (Piece){text, flags};
}

/* A block begins by nothing that is white space alone. */
static void
add_text(Walk *walk, Span text, int flags)
{
    if (text.at < text.end && (walk->is_open || !is_blank(text)))
        add(walk, text, flags);
}

static void
leave_out_aloud(Walk *walk)
{
    Py_ssize_t first = walk->starts[walk->blocks], kept = first;
    int is_seen = 0;
    for (Py_ssize_t at = first; at < walk->pieces; at++)
        is_seen |= !(walk->piece[at].flags & ALOUD) && !is_blank(walk->piece[at].text);
    if (is_seen) {
        for (Py_ssize_t at = first; at < walk->pieces; at++)
            if (!(walk->piece[at].flags & ALOUD))
                walk->piece[kept++] = walk->piece[at];
        walk->pieces = kept;
    }
    walk->is_aloud = 0;
}

static void
close_block(Walk *walk, Py_ssize_t element)
{
    if (walk->is_open) {
        if (walk->is_aloud)
            leave_out_aloud(walk);
        walk->of_block[ELEMENTS] = element;
        for (int row = 0; row < OF_BLOCKS; row++)
            walk->block[row * walk->blocks_room + walk->blocks] = walk->of_block[row];
        walk->blocks++;
        walk->is_open = 0;
        walk->of_block[BREAKS] = 0;
    }
    walk->of_block[INNER] = walk->of_block[LINKS] = 0;
}

/* The number of a tag with a class; `name` must have room in `names`. */
static int
kind_of(Walk *walk, int tag, const char *name, size_t size)
{
    uint64_t hash = 14695981039346656037U ^ (unsigned)tag; /* FNV-1a */
    for (size_t at = 0; at < size; at++)
        hash = (hash ^ (unsigned char)name[at]) * 1099511628211U;
    Py_ssize_t slot = (Py_ssize_t)((hash ^ hash >> 32) & (uint64_t)(walk->slots - 1));
    for (; walk->kind_at[slot] >= 0; slot = (slot + 1) & (walk->slots - 1), walk->collisions++) {
        const Kind *known = walk->kind + walk->kind_at[slot];
        if (known->tag == tag && known->size == size
            && memcmp(walk->names + known->at, name, size) == 0)
            return walk->kind_at[slot];
    }
    walk->kind[walk->kinds] = (Kind){tag, walk->names_size, size};
    memcpy(walk->names + walk->names_size, name, size);
    walk->names_size += size;
    walk->kind_at[slot] = (int)walk->kinds;
    return (int)walk->kinds++;
}

static Py_ssize_t
open_element(Walk *walk, int tag, int kind, int64_t mask, Py_ssize_t around, int signs)
{
    Py_ssize_t number = walk->elements++, room = walk->elements_room;
    int64_t *of = walk->element + number, *outer = walk->element + around;
    of[TAGS * room] = tag;
    of[PARENTS * room] = around;
    of[ENDS * room] = number + 1;
    of[DEPTHS * room] = outer[DEPTHS * room] + 1;
    of[OWN * room] = mask;
    of[INHERITED * room] = mask | outer[INHERITED * room];
    of[KINDS * room] = kind;
    of[SIGNS * room] = signs;
    of[BEGIN_BLOCKS * room] = walk->blocks;
    of[END_BLOCKS * room] = walk->blocks + 1;
    return number;
}

/* ---- what attributes say ---- */

/* The value of an attribute, "" where there is none, until the next is read. */
static const char *
read_value(const Walk *walk, const Node *node, const char *name)
{
    Span value;
    size_t size = 0;
    if (find_attribute(node->attributes, name, &value))
        size = write_plain(value, walk->value, value.end - value.at + 4);
    walk->value[size] = 0;
    return walk->value;
}

static int
is_space(char sign)
{
    return sign == ' ' || (sign >= 9 && sign <= 13);
}

/* display: none, in any case and with any white space. */
static int
says_not_shown(Span style)
{
    static const char words[] = "display:none";
    for (; style.at < style.end; ) {
        Span rest = style;
        const char *word = words;
        while (rest.at < rest.end && *word) {
            uint32_t code = next_code(&rest);
            int is_beside_colon = word > words && (*word == ':' || word[-1] == ':');
            if (code < 0x80 && is_beside_colon && is_space((char)code))
                continue;
            if ((code >= 'A' && code <= 'Z' ? code + 32 : code) != (uint32_t)*word)
                break;
            word++;
        }
        if (*word == 0)
            return 1;
        next_code(&style);
    }
    return 0;
}

static int
is_hidden(const Walk *walk, const Node *node, int marks)
{
    Span style;
    if (walk->with_hidden)
        return 0;
    return marks & HIDES
           || (find_attribute(node->attributes, "style", &style) && says_not_shown(style));
}

static int
is_anchor(const Walk *walk, const Node *link, int is_in_heading)
{
    Span address;
    return is_in_heading && find_attribute(link->attributes, "href", &address)
           && address.at < address.end && *address.at == '#';
}

static int
is_letter(char sign)
{
    return (sign >= 'a' && sign <= 'z') || (sign >= 'A' && sign <= 'Z')
           || (sign >= '0' && sign <= '9') || sign == '_';
}

/* segment._WIDTH */
static int
speaks_of_width(const char *name)
{
    static const char *const anywhere[] = {"small", "medium", "large", "mobile", "desktop",
                                           "tablet", "phone", "hidden", "visible"};
    static const char *const words[] = {"xs", "sm", "md", "lg"};
    for (size_t number = 0; number < sizeof anywhere / sizeof *anywhere; number++)
        if (strstr(name, anywhere[number]))
            return 1;
    for (const char *at = name; *at; at++)
        for (size_t number = 0; number < sizeof words / sizeof *words; number++)
            if (strncmp(at, words[number], 2) == 0 && !is_letter(at[2])
                && (at == name || !is_letter(at[-1])))
                return 1;
    return 0;
}

/* ---- rows of data ---- */

static int
columns_of(const Walk *walk, const Node *cell)
{
    const char *wide = read_value(walk, cell, "colspan");
    int columns = 0;
    for (const char *at = wide; *at; at++) {
        if (*at < '0' || *at > '9' || at - wide == COLSPAN_DIGITS_MAX)
            return 1;
        columns = 10 * columns + *at - '0';
    }
    return columns == 0 ? 1 : columns < COLSPAN_MAX ? columns : COLSPAN_MAX;
}

/* The texts inside of a cell, or of an element in it; blocks are apart by a space. */
static void
visit_cell(Walk *walk, int at, int flags)
{
    const Node *nodes = walk->nodes;
    add_text(walk, nodes[at].text, flags);
    for (int child = nodes[at].first; child; child = nodes[child].next) {
        const Node *node = nodes + child;
        if (!(node->is & IS_UNSEEN)) {
            if (!(node->is & IS_INLINE))
                add_text(walk, SPACE, flags);
            visit_cell(walk, child, node->is & IS_A ? flags | LINK : flags);
            if (!(node->is & IS_INLINE))
                add_text(walk, SPACE, flags);
        }
        add_text(walk, node->tail, flags);
    }
}

static const char mark[] = "\xEF\xB7\x91"; /* page.CELL_MARK */
static const Span MARK = {mark, mark + 3};

static int
is_mark(Span text)
{
    return text.end - text.at == 3 && memcmp(text.at, mark, 3) == 0;
}

/* A row of data as one block; none where no cell of it has text. */
static void
visit_row(Walk *walk, int row, Py_ssize_t table, int flags)
{
    int marks = 0;
    Py_ssize_t pieces = walk->pieces;
    for (int cell = 0; (cell = next_cell(walk->nodes, row, cell));) {
        for (; marks; marks--)
            add(walk, MARK, flags);
        visit_cell(walk, cell, flags);
        marks = columns_of(walk, walk->nodes + cell);
    }
    int is_said = 0;
    for (Py_ssize_t at = pieces; at < walk->pieces; at++)
        is_said |= !is_mark(walk->piece[at].text) && !is_blank(walk->piece[at].text);
    if (is_said) {
        int tag = walk->nodes[row].tag;
        close_block(walk, open_element(walk, tag, kind_of(walk, tag, "data", 4), 0, table, 0));
    }
    else {
        walk->pieces = pieces;
        walk->is_open = 0;
    }
}

/* ---- the walk ---- */

static int
are_inline(const Node *nodes, int around)
{
    for (int child = nodes[around].first; child; child = nodes[child].next)
        if (!(nodes[child].is & IS_INLINE))
            return 0;
    return 1;
}

static int
is_in_sentence(const Node *nodes, int around, int button)
{
    if (!(nodes[around].is & IS_OF_SENTENCES) || !are_inline(nodes, button))
        return 0;
    int before = nodes[button].before;
    return !is_blank(before ? nodes[before].tail : nodes[around].text)
           || !is_blank(nodes[button].tail);
}

/* Whether an element has no more line ends than a heading that was wrapped for a narrow screen. */
static int
has_few_breaks(const Node *nodes, int around)
{
    int breaks = 0;
    for (int at = around; at < nodes[around].end && breaks <= HEADING_BREAKS_MAX; at++)
        breaks += (nodes[at].is & IS_BREAK) != 0;
    return breaks <= HEADING_BREAKS_MAX;
}

static void visit_block(Walk *, int, Py_ssize_t, int);
static void visit_inline(Walk *, int, Py_ssize_t, int, int);

static int
goes_on(const Walk *walk)
{
    return !walk->failed && walk->collisions <= COLLISIONS_MAX;
}

/* Read what is inside of an element; `number` is the block element around it. */
static void
visit(Walk *walk, int around, Py_ssize_t number, int flags, int is_in_heading)
{
    const Node *nodes = walk->nodes;
    int is_wrapped = -1; /* not asked yet: a page may have a hundred thousand line ends */
    add_text(walk, nodes[around].text, flags);
    for (int child = nodes[around].first; child && goes_on(walk); child = nodes[child].next) {
        int is = nodes[child].is;
        if (is & IS_BREAK && is_in_heading && is_wrapped < 0)
            is_wrapped = has_few_breaks(nodes, around);
        if (is & IS_INLINE || (is & IS_BUTTON && is_in_sentence(nodes, around, child)))
            visit_inline(walk, child, number, flags, is_in_heading);
        else if (is & IS_BREAK
                 && (is_wrapped == 1
                     || speaks_of_width(read_value(walk, nodes + child, "class")))) {
            if (walk->is_open)
                add(walk, SPACE, flags);
        }
        else if (!(is & walk->unseen)) {
            if (walk->is_open)
                close_block(walk, number);
            if (is & IS_BREAK)
                walk->of_block[BREAKS]++;
            else
                visit_block(walk, child, number, flags);
        }
        add_text(walk, nodes[child].tail, flags);
    }
}

static void
visit_inline(Walk *walk, int at, Py_ssize_t number, int flags, int is_in_heading)
{
    const Node *node = walk->nodes + at;
    if (!read_attributes(node->attributes, &walk->said)) {
        walk->failed = 1;
        return;
    }
    int marks = walk->said.marks;
    int64_t mask = walk->said.mask;
    if (marks & HREF && node->is & IS_A && !is_anchor(walk, node, is_in_heading)) {
        flags |= LINK;
        walk->of_block[LINKS]++;
    }
    if (marks & (STYLE | HIDES) && is_hidden(walk, node, marks))
        return;
    if (marks & SPOKEN) {
        flags |= ALOUD;
        walk->is_aloud = 1;
    }
    flags |= node->is & IS_BOLD ? BOLD : node->is & IS_ITALIC ? ITALIC : 0;
    visit(walk, at, number, flags, is_in_heading);
    walk->of_block[INNER] |= mask;
}

/* Read an element that begins and ends a line. */
static void
visit_block(Walk *walk, int at, Py_ssize_t around, int flags)
{
    const Node *node = walk->nodes + at;
    const Attributes *said = &walk->said;
    if (!read_attributes(node->attributes, &walk->said)) {
        walk->failed = 1;
        return;
    }
    int is = node->is, tag = node->tag, marks = said->marks;
    if (marks & CONSENTS_BY_ID || (marks & CONSENTS && !(is & IS_BODY)))
        return;
    if (flags & LINK)
        flags |= CARD;
    if (marks & ROLE) {
        const char *role = read_value(walk, node, "role");
        int is_dialog = strcmp(role, "dialog") == 0 || strcmp(role, "alertdialog") == 0;
        if (is_dialog && !walk->with_hidden)
            flags |= HIDDEN;
        else if (strcmp(role, "heading") == 0 && are_inline(walk->nodes, at)) {
            Span level;
            char name[TAG_CHARS] = "h";
            int has_level = find_attribute(node->attributes, "aria-level", &level);
            const char *number = has_level ? read_value(walk, node, "aria-level") : "2";
            strncat(name, number, sizeof name - 2);
            look_up_tag(name, strlen(name), &tag, &is);
        }
    }
    if (marks & (STYLE | HIDES) && is_hidden(walk, node, marks))
        flags |= HIDDEN;
    if (is & IS_DIALOG && !(marks & OPEN) && !walk->with_hidden)
        flags |= HIDDEN;
    int kind = kind_of(walk, tag, said->kind, said->kind_size);
    Py_ssize_t number = open_element(walk, tag, kind, said->mask, around, said->signs);
    if (is & IS_TABLE && is_of_data(walk->nodes, at)) {
        for (int row = at + 1; row < node->end; row++)
            if (walk->nodes[row].is & IS_ROW)
                visit_row(walk, row, number, flags);
    }
    else {
        visit(walk, at, number, flags, (is & IS_HEADING) != 0);
        if (walk->is_open)
            close_block(walk, number);
    }
    walk->element[ENDS * walk->elements_room + number] = walk->elements;
    walk->element[END_BLOCKS * walk->elements_room + number] = walk->blocks;
}

/* The root is `html`, whatever its attributes are. */
static void
walk_page(Walk *walk)
{
    static const char name[] = "html";
    int tag, is;
    look_up_tag(name, strlen(name), &tag, &is);
    for (int row = 0; row < OF_ELEMENTS; row++)
        walk->element[row * walk->elements_room] = 0;
    walk->element[TAGS * walk->elements_room] = tag;
    walk->element[PARENTS * walk->elements_room] = -1;
    walk->elements = 1;
    kind_of(walk, tag, "", 0);
    visit(walk, 0, 0, 0, 0);
    close_block(walk, 0);
    walk->element[ENDS * walk->elements_room] = walk->elements;
    walk->element[END_BLOCKS * walk->elements_room] = walk->blocks;
}

/* ---- from Python and back ---- */

/* Room for all that a walk over so many elements, and so much markup, can find. */
static int
begin_walk(Walk *walk, int count, size_t size)
{
    walk->elements_room = (Py_ssize_t)count + 2;
    walk->blocks_room = 2 * (Py_ssize_t)count + 4; /* each begins by a text, or a tail */
    walk->pieces_room = walk->blocks_room;
    for (walk->slots = 16; walk->slots < 2 * count + 4;)
        walk->slots *= 2;
    walk->element = malloc(OF_ELEMENTS * walk->elements_room * sizeof *walk->element);
    walk->block = malloc(OF_BLOCKS * walk->blocks_room * sizeof *walk->block);
    walk->starts = malloc(walk->blocks_room * sizeof *walk->starts);
    walk->piece = malloc(walk->pieces_room * sizeof *walk->piece);
    walk->kind = malloc((count + 2) * sizeof *walk->kind);
    walk->kind_at = malloc(walk->slots * sizeof *walk->kind_at);
    walk->names = malloc(size + 8); /* a kind is no longer than the class it is from */
    walk->value = malloc(size + 8);
    if (!walk->element || !walk->block || !walk->starts || !walk->piece || !walk->kind
        || !walk->kind_at || !walk->names || !walk->value)
        return 0;
    memset(walk->kind_at, -1, walk->slots * sizeof *walk->kind_at);
    return 1;
}

static void
end_walk(Walk *walk)
{
    free(walk->element);
    free(walk->block);
    free(walk->starts);
    free(walk->piece);
    free(walk->kind);
    free(walk->kind_at);
    free(walk->names);
    free(walk->value);
}

/* Rows of which only the first `used` of `room` numbers are there. */
static PyObject *
rows_of(const int64_t *values, int rows, Py_ssize_t room, Py_ssize_t used)
{
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, rows * used * sizeof *values);
    char *into = bytes ? PyBytes_AsString(bytes) : NULL;
    for (int row = 0; into && row < rows; row++)
        memcpy(into + row * used * sizeof *values, values + row * room, used * sizeof *values);
    return bytes;
}

static PyObject *
kinds_of(const Walk *walk)
{
    PyObject *kinds = PyList_New(walk->kinds);
    for (Py_ssize_t number = 0; kinds && number < walk->kinds; number++) {
        const Kind *kind = walk->kind + number;
        PyObject *text = PyUnicode_FromStringAndSize(walk->names + kind->at, kind->size);
        PyObject *one = Py_BuildValue("(iN)", kind->tag, text);
        if (one == NULL || PyList_SetItem(kinds, number, one) < 0)
            Py_CLEAR(kinds);
    }
    return kinds;
}

/* The pieces as codes of their letters, sizes and flags; and how many words are shown. */
static PyObject *
texts_of(const Walk *walk, Py_ssize_t *words)
{
    Py_ssize_t bytes = 0, many = 0;
    for (Py_ssize_t at = 0; at < walk->pieces; at++)
        bytes += walk->piece[at].text.end - walk->piece[at].text.at;
    PyObject *sizes = PyBytes_FromStringAndSize(NULL, walk->pieces * sizeof(int64_t));
    PyObject *flags = PyBytes_FromStringAndSize(NULL, walk->pieces), *letters = NULL;
    uint32_t *codes = malloc(bytes * sizeof *codes + 1);
    *words = 0;
    if (sizes && flags && codes) {
        int64_t *size = (int64_t *)PyBytes_AsString(sizes);
        char *flag = PyBytes_AsString(flags);
        for (Py_ssize_t at = 0; at < walk->pieces; at++) {
            Span text = walk->piece[at].text;
            Py_ssize_t before = many;
            int is_in_word = 0, is_shown = !(walk->piece[at].flags & HIDDEN);
            while (text.at < text.end) {
                uint32_t code = codes[many++] = next_code(&text);
                int is_seen = !is_space_code(code);
                *words += is_shown && is_seen && !is_in_word;
                is_in_word = is_seen;
            }
            size[at] = many - before;
            flag[at] = (char)walk->piece[at].flags;
        }
        letters = PyBytes_FromStringAndSize((const char *)codes, many * sizeof *codes);
    }
    else if (!codes)
        PyErr_NoMemory();
    free(codes);
    return Py_BuildValue("(NNN)", letters, sizes, flags);
}

static PyObject *
found(Walk *walk)
{
    Py_ssize_t words;
    walk->starts[walk->blocks] = walk->pieces;
    PyObject *texts = texts_of(walk, &words);
    if (texts == NULL)
        return NULL;
    PyObject *elements = rows_of(walk->element, OF_ELEMENTS, walk->elements_room, walk->elements);
    PyObject *blocks = rows_of(walk->block, OF_BLOCKS, walk->blocks_room, walk->blocks);
    PyObject *starts = rows_of(walk->starts, 1, 0, walk->blocks + 1);
    return Py_BuildValue("(NNNNNn)", elements, blocks, starts, texts, kinds_of(walk), words);
}

/* walk_blocks(markup, with_hidden): of a tree that libxml2 wrote as XML what page.Page asks for,
   and how many words are shown. None of markup that is read by the twin alone. */
PyObject *
walk_blocks(PyObject *module, PyObject *args)
{
    Py_buffer markup;
    Node *nodes = NULL;
    Walk walk = {0};
    PyObject *result = NULL;
    if (!PyArg_ParseTuple(args, "y*p", &markup, &walk.with_hidden))
        return NULL;
    const char *text = markup.buf;
    int count = read_nodes((Span){text, text + markup.len}, &nodes);
    if (count == -1)
        result = Py_NewRef(Py_None);
    else if (count < 0 || !begin_walk(&walk, count, markup.len))
        PyErr_NoMemory();
    else {
        walk.nodes = nodes;
        walk.unseen = walk.with_hidden ? IS_UNSEEN : IS_UNSEEN | IS_HIDDEN_AT_FIRST;
        walk_page(&walk);
        if (walk.collisions > COLLISIONS_MAX) /* the classes were chosen so */
            result = Py_NewRef(Py_None);
        else if (!walk.failed)
            result = found(&walk);
        else if (!PyErr_Occurred())
            PyErr_NoMemory();
    }
    end_walk(&walk);
    free(nodes);
    PyBuffer_Release(&markup);
    return result;
}
