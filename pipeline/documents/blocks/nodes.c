/* A page's elements out of the markup that libxml2 writes of its tree, for segment.c.

   That markup is XML, which is quick to read: every element ends, `>` ends a tag and stands nowhere
   else, and values stand in double quotes. It is not well-formed, though: names are those that the
   page has, and may hold `<`, `"` and `=` (`<a<b =c="">`). To ask lxml for each element, its text
   and its attributes takes fifteen times as long. */

#include "blocks.h"

enum { TAGS_MAX = 256 };

/* Set once, when segment.py is imported: by name, sorted. */
static struct {
    int count, other; /* `other` is the number of a tag that is not among them */
    struct {
        char name[TAG_CHARS];
        size_t size;
        int number, is;
    } tags[TAGS_MAX];
} table;

/* know_tags(tags, other): a sorted list of (name, number, bits of what it is). */
PyObject *
know_tags(PyObject *module, PyObject *args)
{
    PyObject *tags;
    if (!PyArg_ParseTuple(args, "O!i", &PyList_Type, &tags, &table.other))
        return NULL;
    Py_ssize_t count = PyList_Size(tags);
    for (Py_ssize_t at = 0; at < count; at++) {
        const char *name;
        int number, is;
        if (!PyArg_ParseTuple(PyList_GetItem(tags, at), "sii", &name, &number, &is))
            return NULL;
        if (at == TAGS_MAX || strlen(name) >= TAG_CHARS)
            return PyErr_Format(PyExc_ValueError, "no place for the tag %s", name);
        table.tags[at].size = strlen(name);
        memcpy(table.tags[at].name, name, table.tags[at].size);
        table.tags[at].number = number;
        table.tags[at].is = is;
    }
    table.count = (int)count;
    Py_RETURN_NONE;
}

void
look_up_tag(const char *name, size_t size, int *tag, int *is)
{
    int low = 0, high = table.count;
    while (low < high) {
        int middle = (low + high) / 2;
        size_t known = table.tags[middle].size;
        int order = memcmp(table.tags[middle].name, name, known < size ? known : size);
        if (order == 0 && known == size) {
            *tag = table.tags[middle].number;
            *is = table.tags[middle].is;
            return;
        }
        if (order < 0 || (order == 0 && known < size))
            low = middle + 1;
        else
            high = middle;
    }
    *tag = table.other;
    *is = 0;
}

/* ---- text ---- */

/* The code that an entity stands for: libxml2 writes five of them by name, others by number. */
static uint32_t
read_entity(Span *text)
{
    static const struct { const char *name; uint32_t code; } named[] = {
        {"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''},
    };
    size_t left = text->end - text->at;
    for (size_t number = 0; number < sizeof named / sizeof *named; number++) {
        size_t size = strlen(named[number].name);
        if (size <= left && memcmp(named[number].name, text->at, size) == 0) {
            text->at += size;
            return named[number].code;
        }
    }
    const char *at = text->at + 1;
    uint32_t code = 0;
    if (at < text->end && *at++ == '#') {
        uint32_t base = at < text->end && *at == 'x' ? 16 : 10;
        at += base == 16;
        for (; at < text->end && *at != ';' && code <= 0x10FFFF; at++) {
            uint32_t digit = *at <= '9' ? *at - '0' : (*at | 32) - 'a' + 10;
            code = code * base + digit;
        }
    }
    text->at = at < text->end ? at + 1 : at;
    return code;
}

uint32_t
next_code(Span *text)
{
    unsigned char first = *text->at;
    if (first == '&')
        return read_entity(text);
    text->at++;
    if (first < 0x80)
        return first;
    int more = first >= 0xF0 ? 3 : first >= 0xE0 ? 2 : 1;
    uint32_t code = first & (0x3F >> more);
    for (; more && text->at < text->end; more--)
        code = code << 6 | (*text->at++ & 0x3F);
    return code;
}

int
is_space_code(uint32_t code)
{
    if (code < 0x80)
        return code == ' ' || (code >= 9 && code <= 13) || (code >= 28 && code <= 31);
    return code == 0x85 || code == 0xA0 || code == 0x1680 || (code >= 0x2000 && code <= 0x200A)
           || code == 0x2028 || code == 0x2029 || code == 0x202F || code == 0x205F
           || code == 0x3000;
}

int
is_blank(Span text)
{
    while (text.at < text.end)
        if (!is_space_code(next_code(&text)))
            return 0;
    return 1;
}

int
next_text(Span *rest, Span *text)
{
    while (rest->at < rest->end && *rest->at == '<')
        rest->at = (const char *)memchr(rest->at, '>', rest->end - rest->at) + 1;
    text->at = rest->at;
    if (rest->at == rest->end)
        return 0;
    const char *tag = memchr(rest->at, '<', rest->end - rest->at);
    text->end = rest->at = tag ? tag : rest->end;
    return 1;
}

size_t
write_plain(Span text, char *into, size_t max)
{
    size_t size = 0;
    while (text.at < text.end && size + 4 <= max) {
        uint32_t code = next_code(&text);
        if (code < 0x80) {
            into[size++] = (char)code;
            continue;
        }
        int more = code >= 0x10000 ? 3 : code >= 0x800 ? 2 : 1;
        into[size++] = (char)((0xF0 << (3 - more) & 0xFF) | code >> 6 * more);
        while (more--)
            into[size++] = (char)(0x80 | (code >> 6 * more & 0x3F));
    }
    return size;
}

/* ---- attributes ---- */

/* The markup was looked through by read_nodes: quotes and signs are where they should be. */
int
next_attribute(Span *attributes, Span *name, Span *value)
{
    if (attributes->end - attributes->at < 4) /* ` a=""` */
        return 0;
    name->at = attributes->at + 1;
    name->end = memchr(name->at + 1, '=', attributes->end - name->at - 1);
    value->at = name->end + 2;
    value->end = memchr(value->at, '"', attributes->end - value->at);
    attributes->at = value->end + 1;
    return 1;
}

int
find_attribute(Span attributes, const char *name, Span *value)
{
    Span found;
    size_t size = strlen(name);
    while (next_attribute(&attributes, &found, value))
        if ((size_t)(found.end - found.at) == size && memcmp(found.at, name, size) == 0)
            return 1;
    return 0;
}

/* The end of ` a="x" b="y"`, where `>` or `/>` follows; NULL where it is none. */
static const char *
end_of_attributes(const char *at, const char *end)
{
    while (at < end && *at == ' ') {
        const char *sign = end - at > 2 ? memchr(at + 2, '=', end - at - 2) : NULL;
        if (sign == NULL || end - sign < 3 || sign[1] != '"')
            return NULL;
        const char *quote = memchr(sign + 2, '"', end - sign - 2);
        if (quote == NULL)
            return NULL;
        at = quote + 1;
    }
    return at;
}

/* ---- elements ---- */

/* Add the element whose start tag is `<name attributes` and ends at `close`. */
static int
begin(Node *node, const char *name, const char *close)
{
    const char *end = name;
    while (end < close && *end != ' ' && *end != '/')
        end++;
    memset(node, 0, sizeof *node);
    look_up_tag(name, end - name, &node->tag, &node->is);
    node->attributes.at = end;
    end = end_of_attributes(end, close);
    node->attributes.end = end;
    return end != NULL && end + (*end == '/') == close;
}

/* Whether the page has control characters, written as numbers: libxml2 writes U+FFFD for them, and
   that itself as it is. */
static int
has_controls(Span markup)
{
    static const char written[] = "&#xFFFD;";
    const size_t size = sizeof written - 1;
    for (const char *at = markup.at; (at = memchr(at, '&', markup.end - at)) != NULL; at++)
        if ((size_t)(markup.end - at) >= size && memcmp(at, written, size) == 0)
            return 1;
    return 0;
}

int
read_nodes(Span markup, Node **nodes)
{
    size_t tags = 0;
    if (has_controls(markup))
        return -1;
    for (const char *at = markup.at; (at = memchr(at, '<', markup.end - at)) != NULL; at++)
        tags++;
    *nodes = malloc((tags + 1) * sizeof **nodes);
    if (*nodes == NULL)
        return -2;
    int count = 0, open = -1;
    Span *text = NULL; /* what the text goes on with */
    const char *at = markup.at;
    while (at < markup.end) {
        const char *tag = memchr(at, '<', markup.end - at);
        const char *close = tag ? memchr(tag, '>', markup.end - tag) : NULL;
        if (close == NULL || close - tag < 2 || (tag > at && text == NULL))
            return -1;
        if (text != NULL) {
            text->at = at;
            text->end = tag;
        }
        at = close + 1;
        if (tag[1] == '/') {
            if (open < 0)
                return -1;
            Node *ended = *nodes + open;
            ended->inside.end = tag;
            ended->end = count;
            text = &ended->tail;
            open = open ? ended->parent : -1;
            if (open < 0)
                break;
            continue;
        }
        if (tag[1] == '!' || tag[1] == '?')
            return -1;
        Node *node = *nodes + count;
        if (!begin(node, tag + 1, close))
            return -1;
        if (open >= 0) {
            Node *around = *nodes + open;
            node->parent = open;
            if (around->first == 0)
                around->first = count;
            else {
                node->before = around->end; /* its last child, until it ends */
                (*nodes)[around->end].next = count;
            }
            around->end = count;
        }
        node->text.at = node->text.end = node->inside.at = node->inside.end = at;
        if (close[-1] == '/') {
            node->end = count + 1;
            text = &node->tail;
        }
        else {
            open = count;
            text = &node->text;
        }
        node->tail.at = node->tail.end = at;
        count++;
        if (open < 0)
            break;
    }
    return count && open < 0 && at == markup.end ? count : -1;
}
