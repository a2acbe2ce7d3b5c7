/* The tags of a page as it is written: as budgets.py counts them, and those that written.py asks
   for. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <string.h>

enum { TAGS_MAX = 128, TAG_CHARS = 16, ASKED_MAX = 32 };

/* Set once, when budgets.py is imported: tags that add another number of levels than one. */
static struct {
    char text[TAG_CHARS];
    size_t size;
    long levels;
} known[TAGS_MAX];
static Py_ssize_t known_count;

/* know_levels([(name in small letters, levels)]) */
PyObject *
know_levels(PyObject *module, PyObject *items)
{
    Py_ssize_t count = PyList_Size(items);
    if (count < 0)
        return NULL;
    if (count > TAGS_MAX)
        return PyErr_Format(PyExc_ValueError, "no place for %zd tags", count);
    known_count = 0;
    for (Py_ssize_t number = 0; number < count; number++) {
        const char *text;
        if (!PyArg_ParseTuple(PyList_GetItem(items, number), "sl", &text, &known[number].levels))
            return NULL;
        known[number].size = strlen(text);
        if (known[number].size > TAG_CHARS)
            return PyErr_Format(PyExc_ValueError, "no place for the tag %s", text);
        memcpy(known[number].text, text, known[number].size);
    }
    known_count = count;
    Py_RETURN_NONE;
}

/* A page as UTF-8; NULL where it has half of a surrogate pair. */
static const char *
utf8_of(PyObject *markup, const char **end)
{
    Py_ssize_t size;
    const char *begin = PyUnicode_AsUTF8AndSize(markup, &size);
    if (begin == NULL)
        PyErr_Clear();
    else
        *end = begin + size;
    return begin;
}

/* As \s has it, of ASCII. */
static inline int
is_space(unsigned char sign)
{
    return sign == ' ' || (sign >= '\t' && sign <= '\r') || (sign >= 0x1c && sign <= 0x1f);
}

static inline int
is_letter(unsigned char sign)
{
    return (unsigned char)((sign | 0x20) - 'a') < 26;
}

static long
levels_of(const char *small, size_t size)
{
    for (Py_ssize_t number = 0; number < known_count; number++)
        if (known[number].size == size && !memcmp(known[number].text, small, size))
            return known[number].levels;
    return 1;
}

/* Whether what stands before a "=" ends in colspan or rowspan; -1 where that is not of ASCII. */
static int
names_span(const char *begin, const char *sign)
{
    const char *of[] = {"colspan", "rowspan"};
    while (sign > begin && is_space(sign[-1]))
        sign--;
    if (sign > begin && sign[-1] & 0x80)
        return -1;
    for (int number = 0; number < 2 && sign - begin >= 7; number++) {
        int place = 0;
        while (place < 7 && (sign[place - 7] | 0x20) == of[number][place])
            place++;
        if (place == 7)
            return 1;
    }
    return 0;
}

/* Whether a name of its own stands before a "=", so that a quote after it opens its value: in
   `a= b="` it is a value itself, in `="` there is none. `begin` is where the last value ended. */
static int
opens_value(const char *begin, const char *sign)
{
    while (sign > begin && is_space(sign[-1]))
        sign--;
    const char *end = sign;
    while (sign > begin && !is_space(sign[-1]) && sign[-1] != '=' && sign[-1] != '/')
        sign--;
    if (sign == end || sign == begin || !is_space(sign[-1]))
        return 0;
    while (sign > begin && is_space(sign[-1]))
        sign--;
    return sign == begin || sign[-1] != '=';
}

/* scan_tags(markup, whether a tag that ends in a slash holds nothing)
   The greatest nesting, the most characters of a tag's attributes outside of quoted values, those of
   all tags inside and outside, how many cells of tables begin, and whether any may be wider or
   higher than one; None where a name is not of ASCII, or what stands beside a "=". */
PyObject *
scan_tags(PyObject *module, PyObject *args)
{
    PyObject *markup;
    int closes;
    if (!PyArg_ParseTuple(args, "Up", &markup, &closes))
        return NULL;
    const char *end, *at = utf8_of(markup, &end);
    if (at == NULL)
        Py_RETURN_NONE;
    long level = 0, deepest = 0;
    Py_ssize_t longest = 0, chars = 0, cells = 0;
    int spans = 0;
    while (at < end && (at = memchr(at, '<', end - at)) != NULL) {
        at++;
        int ends = at < end && *at == '/';
        const char *name = at + ends;
        if (name >= end || !is_letter(*name))
            continue;
        char small[TAG_CHARS];
        size_t length = 0;
        for (at = name; at < end && *at != '/' && *at != '>' && !is_space(*at); at++, length++) {
            if (*at & 0x80)
                Py_RETURN_NONE;
            if (length < TAG_CHARS)
                small[length] = *at >= 'A' && *at <= 'Z' ? *at | 0x20 : *at;
        }
        const char *begin = at, *after = at;
        Py_ssize_t own = 0, quoted = 0;
        for (; at < end && *at != '>'; at++) {
            own += (*at & 0xc0) != 0x80;
            if (*at != '=')
                continue;
            int is_span = names_span(begin, at);
            if (is_span < 0)
                Py_RETURN_NONE;
            spans |= is_span;
            const char *value = at + 1;
            while (value < end && is_space(*value))
                value++;
            if (value == end)
                continue;
            if (*value & 0x80)
                Py_RETURN_NONE;
            const char *quote =
                *value == '"' || *value == '\'' ? memchr(value + 1, *value, end - value - 1) : NULL;
            Py_ssize_t before = own;
            const char *sign = at;
            for (; quote && at < quote; at++) {
                own += (at[1] & 0xc0) != 0x80;
                is_span = at[1] == '=' ? names_span(begin, at + 1) : 0;
                if (is_span < 0)
                    Py_RETURN_NONE;
                spans |= is_span;
            }
            if (quote && opens_value(after, sign))
                quoted += own - before;
            if (quote)
                after = at + 1;
        }
        longest = own - quoted > longest ? own - quoted : longest;
        chars += own;
        if (length == 2 && small[0] == 't' && (small[1] == 'd' || small[1] == 'h') && !ends)
            cells++;
        if (closes && at > begin && at[-1] == '/')
            continue;
        long levels = length <= TAG_CHARS ? levels_of(small, length) : 1;
        level += ends ? -levels : levels;
        level = level > 0 ? level : 0;
        deepest = level > deepest ? level : deepest;
    }
    return Py_BuildValue("lnnni", deepest, longest, chars, cells, spans);
}

static int
begins_with_name(const char *at, const char *end, const char *name)
{
    for (; *name; at++, name++)
        if (at == end || (*at >= 'A' && *at <= 'Z' ? *at | 0x20 : *at) != *name)
            return 0;
    return at == end || *at == '/' || *at == '>' || is_space(*at);
}

/* find_tags(markup, names): those of `names`, a tuple in small letters, that some start tag has. None
   where the markup cannot be UTF-8. */
PyObject *
find_tags(PyObject *module, PyObject *args)
{
    PyObject *markup, *names, *found = NULL;
    Py_ssize_t count;
    const char *asked[ASKED_MAX];
    if (!PyArg_ParseTuple(args, "UO!", &markup, &PyTuple_Type, &names))
        return NULL;
    if ((count = PyTuple_Size(names)) > ASKED_MAX)
        return PyErr_Format(PyExc_ValueError, "no place for %zd tags", count);
    for (Py_ssize_t number = 0; number < count; number++)
        if (!(asked[number] = PyUnicode_AsUTF8AndSize(PyTuple_GetItem(names, number), NULL)))
            return NULL;
    const char *end, *at = utf8_of(markup, &end);
    if (at == NULL)
        Py_RETURN_NONE;
    char seen[ASKED_MAX] = {0};
    while (at < end && (at = memchr(at, '<', end - at)) != NULL)
        if (++at < end && is_letter(*at))
            for (Py_ssize_t number = 0; number < count; number++)
                seen[number] |= begins_with_name(at, end, asked[number]);
    found = PyFrozenSet_New(NULL);
    for (Py_ssize_t number = 0; found && number < count; number++)
        if (seen[number] && PySet_Add(found, PyTuple_GetItem(names, number)) < 0)
            Py_CLEAR(found);
    return found;
}
