/* What the attributes of an element say, for names.py and attributes.py. */

#include "blocks.h"

enum { ENTRIES_MAX = 1024, ENTRY_CHARS = 32 };

typedef struct {
    char text[ENTRY_CHARS];
    size_t size;
    int64_t bits;
} Entry;

/* Set once, when names.py is imported. */
static struct {
    Entry words[ENTRIES_MAX], parts[ENTRIES_MAX]; /* sorted; parts stand anywhere in a word */
    int words_count, first[129];                  /* by its first sign, the first part with it */
    PyObject *names;
} table;

/* Their number, or -1 where they are none that fit. */
static int
fill_entries(PyObject *items, Entry *entries)
{
    Py_ssize_t count = PyList_Size(items);
    for (Py_ssize_t number = 0; number < count; number++) {
        const char *text;
        long long bits;
        if (!PyArg_ParseTuple(PyList_GetItem(items, number), "sL", &text, &bits))
            return -1;
        if (number == ENTRIES_MAX || strlen(text) >= ENTRY_CHARS) {
            PyErr_Format(PyExc_ValueError, "no place for the name %s", text);
            return -1;
        }
        entries[number].size = strlen(text);
        memcpy(entries[number].text, text, entries[number].size);
        entries[number].bits = bits;
    }
    return (int)count;
}

/* know_names(words, parts, names): what is looked for in names, sorted lists of (ASCII text, bits).
   A part whose bits are below 0 leaves a name to the twin, which `names` asks and remembers. */
PyObject *
know_names(PyObject *module, PyObject *args)
{
    PyObject *words, *parts, *names;
    if (!PyArg_ParseTuple(args, "O!O!O", &PyList_Type, &words, &PyList_Type, &parts, &names))
        return NULL;
    int words_count = fill_entries(words, table.words);
    int parts_count = words_count < 0 ? -1 : fill_entries(parts, table.parts);
    if (parts_count < 0)
        return NULL;
    table.words_count = words_count;
    Py_INCREF(names);
    table.names = names;
    for (int sign = 0, part = 0; sign <= 128; sign++) {
        while (part < parts_count && table.parts[part].text[0] < sign)
            part++;
        table.first[sign] = part;
    }
    Py_RETURN_NONE;
}

static int64_t
bits_of(const char *word, size_t size)
{
    int low = 0, high = table.words_count;
    while (low < high) {
        int middle = (low + high) / 2;
        const Entry *entry = table.words + middle;
        int order = memcmp(entry->text, word, entry->size < size ? entry->size : size);
        if (order == 0 && entry->size == size)
            return entry->bits;
        if (order < 0 || (order == 0 && entry->size < size))
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
}

static inline int is_small(char sign) { return sign >= 'a' && sign <= 'z'; }
static inline int is_capital(char sign) { return sign >= 'A' && sign <= 'Z'; }

/* The bits of all runs of small letters. */
static int64_t
bits_of_runs(const char *at, const char *end)
{
    int64_t mask = 0;
    while (at < end) {
        const char *begin = at;
        while (at < end && is_small(*at))
            at++;
        if (at > begin)
            mask |= bits_of(begin, at - begin);
        at++;
    }
    return mask;
}

/* Those of all parts, which end where a capital follows, too; `small` is the word in lower case. */
static int64_t
bits_of_parts(const char *word, const char *small, size_t size)
{
    int64_t mask = 0;
    for (size_t at = 0; at < size;) {
        size_t begin = at;
        while (at < size && is_capital(word[at]))
            at++;
        if (at < size && is_small(word[at])) {
            if (at > begin + 1) /* the last capital of several is the next part's first */
                at--;
            else
                while (at < size && is_small(word[at]))
                    at++;
        }
        if (at > begin)
            mask |= bits_of(small + begin, at - begin);
        else
            at++;
    }
    return mask;
}

/* What is said anywhere in a word. */
static int64_t
signs_of(const char *small, size_t size)
{
    int64_t signs = 0;
    for (size_t at = 0; at < size; at++) {
        int sign = small[at];
        for (int number = table.first[sign]; number < table.first[sign + 1]; number++) {
            const Entry *part = table.parts + number;
            if (part->size <= size - at && memcmp(part->text, small + at, part->size) == 0)
                signs |= part->bits;
        }
    }
    return signs;
}

typedef struct {
    int64_t mask;
    int signs;
    size_t kind_size;
    char *kind; /* of KIND_CHARS */
} Name;

/* What names._read_name reads; 0 where only that can tell. */
static int
read_name(const char *text, size_t size, Name *name)
{
    char small[NAME_CHARS], joined[NAME_CHARS];
    int64_t signs = 0;
    size_t kinds_size = 0, end = size < NAME_CHARS ? size : NAME_CHARS;
    name->mask = 0;
    for (size_t at = 0; at < end; at++) {
        if (text[at] & 0x80)
            return 0;
        small[at] = is_capital(text[at]) ? text[at] + 32 : text[at];
    }
    for (size_t at = 0; at < end;) {
        size_t begin = at, joined_size = 0;
        size_t kind = kinds_size ? kinds_size + 1 : 0, kind_end = kind;
        int has_capital = 0;
        if (is_space_code(text[at])) {
            at++;
            continue;
        }
        name->kind[kinds_size] = ' ';
        for (; at < end && !is_space_code(text[at]); at++) {
            has_capital |= text[at] != small[at];
            if (text[at] < '0' || text[at] > '9')
                name->kind[kind_end++] = text[at];
            if (small[at] != '-')
                joined[joined_size++] = small[at];
        }
        if (kind_end > kind)
            kinds_size = kind_end;
        signs |= signs_of(small + begin, at - begin);
        name->mask |= has_capital ? bits_of_parts(text + begin, small + begin, at - begin)
                                  : bits_of_runs(small + begin, small + at);
        if (has_capital || joined_size < at - begin) /* as one word, too */
            name->mask |= bits_of_runs(joined, joined + joined_size);
    }
    name->kind_size = kinds_size;
    name->signs = (int)signs;
    return signs >= 0;
}

/* ---- attributes.py ---- */

enum { CONSENT = 16, READ_ALOUD = 32, OF_READABILITY = 15 }; /* signs of names.py */

static int
is_named(Span span, const char *name)
{
    size_t size = span.end - span.at;
    return strlen(name) == size && memcmp(name, span.at, size) == 0;
}

/* A mark for each attribute that is asked for; -1 for those that are names alone. */
static int
mark_of(Span name)
{
    static const struct { const char *name; int mark; } marks[] = {
        {"class", -1}, {"id", -1}, {"itemprop", -1}, {"role", ROLE},
        {"href", HREF}, {"style", STYLE}, {"hidden", HIDES}, {"open", OPEN},
    };
    for (size_t number = 0; number < sizeof marks / sizeof *marks; number++)
        if (is_named(name, marks[number].name))
            return marks[number].mark;
    return 0;
}

/* The name that a value is as the twin reads it. */
static int
ask_twin(Span value, Name *name)
{
    size_t max = value.end - value.at + 4;
    char *text = malloc(max);
    if (text == NULL)
        return PyErr_NoMemory() != NULL;
    PyObject *asked = PyUnicode_DecodeUTF8(text, write_plain(value, text, max), "replace");
    free(text);
    PyObject *found = asked ? PyObject_GetItem(table.names, asked) : NULL;
    PyObject *words;
    long long mask = 0;
    const char *kind = NULL;
    Py_ssize_t size = 0;
    if (found && PyArg_ParseTuple(found, "LUi", &mask, &words, &name->signs))
        kind = PyUnicode_AsUTF8AndSize(words, &size);
    int is_read = kind != NULL;
    name->mask = mask;
    name->kind_size = size < KIND_CHARS ? size : KIND_CHARS;
    if (is_read)
        memcpy(name->kind, kind, name->kind_size);
    Py_XDECREF(found);
    Py_XDECREF(asked);
    return is_read;
}

int
read_attributes(Span attributes, Attributes *said)
{
    Span key, value;
    char text[NAME_CHARS + 4], other[KIND_CHARS];
    said->mask = said->signs = said->marks = 0;
    said->kind_size = 0;
    while (next_attribute(&attributes, &key, &value)) {
        int mark = mark_of(key);
        if (mark != -1 && mark != ROLE) {
            said->marks |= mark;
            continue;
        }
        int is_class = is_named(key, "class"), is_id = is_named(key, "id");
        Name name = {0, 0, 0, is_class ? said->kind : other};
        if (!read_name(text, write_plain(value, text, sizeof text), &name)
            && !ask_twin(value, &name))
            return 0;
        said->mask |= name.mask;
        said->marks |= mark == ROLE ? ROLE : 0;
        said->marks |= name.signs & READ_ALOUD ? SPOKEN : 0;
        if (is_class)
            said->kind_size = name.kind_size;
        if (is_class || is_id)
            said->signs |= (name.signs & OF_READABILITY) << (is_id ? 4 : 0);
        if (name.signs & CONSENT)
            said->marks |= is_class ? CONSENTS : is_id ? CONSENTS_BY_ID : 0;
    }
    return 1;
}
