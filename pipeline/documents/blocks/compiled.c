/* The innermost loops of the extractor `combined`, for forest.py, words.py and names.py.

   Each has a twin there in numpy or Python, which is used where no compiler was at hand when the
   package was installed, and gives the same bits. Arrays come as buffers; their callers answer for
   the sizes. Only the stable ABI is used: one wheel serves every Python from 3.11 on. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdint.h>
#include <string.h>

enum { ROWS = 256 }; /* blocks at a time: what a tree asks of them stays in the cache */

/* ---- forest.py ---- */

/* add_forest(columns, features, thresholds, leaves, trees, depth, blocks, sums)
   sums [outputs, blocks] float64 += the leaves of each output's trees; columns are
   [features, blocks] float32. All blocks of a few go down a tree together: where one's next
   question waits for its last answer, the others' do not. */
static PyObject *
add_forest(PyObject *module, PyObject *args)
{
    Py_buffer columns, features, thresholds, leaves, sums;
    Py_ssize_t trees, depth, blocks;
    if (!PyArg_ParseTuple(args, "y*y*y*y*nnnw*", &columns, &features, &thresholds, &leaves, &trees,
                          &depth, &blocks, &sums))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t begin = 0; begin < blocks; begin += ROWS) {
        Py_ssize_t rows = blocks - begin < ROWS ? blocks - begin : ROWS;
        const float *values = (const float *)columns.buf + begin, *leaf = leaves.buf;
        for (Py_ssize_t tree = 0; tree < trees; tree++) {
            const int32_t *feature = features.buf;
            const float *threshold = thresholds.buf;
            int32_t place[ROWS];
            for (Py_ssize_t row = 0; row < rows; row++)
                place[row] = (int32_t)tree;
            for (Py_ssize_t level = 0; level < depth; level++) {
                for (Py_ssize_t row = 0; row < rows; row++) {
                    int32_t at = place[row];
                    place[row] = 2 * at + (values[feature[at] * blocks + row] > threshold[at]);
                }
                feature += trees << level;
                threshold += trees << level;
            }
            double *sum = (double *)sums.buf + tree * (sums.len / 8 / blocks) / trees * blocks;
            for (Py_ssize_t row = 0; row < rows; row++)
                sum[begin + row] += leaf[place[row]];
        }
    }
    Py_END_ALLOW_THREADS
    PyBuffer_Release(&columns);
    PyBuffer_Release(&features);
    PyBuffer_Release(&thresholds);
    PyBuffer_Release(&leaves);
    PyBuffer_Release(&sums);
    Py_RETURN_NONE;
}

/* ---- words.py ---- */

enum { WORD = 1, UPPER = 2, DIGIT = 4, COMMA = 8, DOT = 16, SEPARATOR = 32, SPACE = 64,
       MONEY = 128 };
enum { LINK = 1, BOLD = 2, HIDDEN = 4, ITALIC = 16, CARD = 32 };
enum { FIRST_WORDS = 30 }; /* of a block, that are looked for among known words */
/* The rows of `counts`: words._COUNTS. */
enum { WORDS, LINKS, BOLDS, ITALICS, HIDDENS, CARDS, CAPITALS, CHARS, COMMAS, DOTS, DIGITS,
       SEPARATORS, MONEYS, LAST, FIRST, GROUPS, WHOLE, COUNTS };

typedef struct {
    const uint64_t *words; /* sorted */
    const int64_t *masks;
    Py_ssize_t count;
} Known;

static int64_t
mask_of(uint64_t word, const Known *known)
{
    Py_ssize_t low = 0, high = known->count;
    while (low < high) {
        Py_ssize_t middle = (low + high) / 2;
        if (known->words[middle] < word)
            low = middle + 1;
        else
            high = middle;
    }
    return low < known->count && known->words[low] == word ? known->masks[low] : 0;
}

/* Add a word that has ended to what is counted of its block; gives back its number. */
static inline uint64_t
end_word(uint64_t sum, const uint64_t *power, const Known *known, int64_t *of)
{
    uint64_t word = (sum ^ (sum >> 29)) * UINT64_C(0x9E3779B97F4A7C15);
    int64_t place = of[WORDS] - 1;
    if (place < FIRST_WORDS)
        of[GROUPS] |= mask_of(word, known);
    of[WHOLE] = (int64_t)((uint64_t)of[WHOLE] + word * power[place & 63]);
    return word;
}

/* count_words(codes, classes, powers, known words, their masks, sizes, flags, starts, words, counts)
   codes are those of all pieces, [chars] uint32; sizes [pieces] int64 and flags [pieces] uint8 are
   the pieces'; starts [blocks + 1] int64 the first piece of each block. Fills words uint64 and
   counts [COUNTS, blocks] int64, and gives back how many words there are. */
static PyObject *
count_words(PyObject *module, PyObject *args)
{
    Py_buffer given[8], words, counts;
    if (!PyArg_ParseTuple(args, "y*y*y*y*y*y*y*y*w*w*", &given[0], &given[1], &given[2], &given[3],
                          &given[4], &given[5], &given[6], &given[7], &words, &counts))
        return NULL;
    const uint32_t *code = given[0].buf;
    const uint8_t *class_of = given[1].buf;
    const uint64_t *power = given[2].buf;
    const Known known = {given[3].buf, given[4].buf, given[3].len / 8};
    const int64_t *size = given[5].buf, *start = given[7].buf;
    const uint8_t *flags = given[6].buf;
    uint64_t *word = words.buf;
    int64_t *count = counts.buf;
    uint32_t last_class = (uint32_t)given[1].len - 1;
    Py_ssize_t blocks = given[7].len / 8 - 1;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t block = 0; block < blocks; block++) {
        int64_t of[COUNTS] = {0};
        uint64_t sum = 0;
        int place = -1; /* in the word at hand; -1 outside of one */
        for (int64_t piece = start[block]; piece < start[block + 1]; piece++) {
            uint8_t flag = flags[piece];
            for (const uint32_t *end = code + size[piece]; code < end; code++) {
                uint8_t is = class_of[*code < last_class ? *code : last_class];
                if (is & WORD) {
                    if (place < 0) {
                        if (!of[WORDS]++)
                            of[FIRST] = *code;
                        of[LINKS] += (flag & LINK) != 0;
                        of[BOLDS] += (flag & BOLD) != 0;
                        of[ITALICS] += (flag & ITALIC) != 0;
                        of[HIDDENS] += (flag & HIDDEN) != 0;
                        of[CARDS] += (flag & CARD) != 0;
                        of[CAPITALS] += (is & UPPER) != 0;
                        sum = 0;
                    }
                    place++;
                    sum += (*code + ((is & UPPER) << 4)) * power[place & 63];
                }
                else if (place >= 0) {
                    *word++ = end_word(sum, power, &known, of);
                    place = -1;
                }
                if (!(is & SPACE)) {
                    of[CHARS]++;
                    of[LAST] = *code;
                }
                if (is & (COMMA | DOT | DIGIT | SEPARATOR | MONEY)) {
                    of[COMMAS] += (is & COMMA) != 0;
                    of[DOTS] += (is & DOT) != 0;
                    of[DIGITS] += (is & DIGIT) != 0;
                    of[SEPARATORS] += (is & SEPARATOR) != 0;
                    of[MONEYS] += (is & MONEY) != 0;
                }
            }
        }
        if (place >= 0)
            *word++ = end_word(sum, power, &known, of);
        for (int row = 0; row < COUNTS; row++)
            count[row * blocks + block] = of[row];
    }
    Py_END_ALLOW_THREADS
    Py_ssize_t found = word - (uint64_t *)words.buf;
    for (int number = 0; number < 8; number++)
        PyBuffer_Release(&given[number]);
    PyBuffer_Release(&words);
    PyBuffer_Release(&counts);
    return PyLong_FromSsize_t(found);
}

/* ---- names.py ---- */

enum { NAME_CHARS = 500, ENTRIES_MAX = 1024, ENTRY_CHARS = 32 };

typedef struct {
    char text[ENTRY_CHARS];
    size_t size;
    int64_t bits;
} Entry;

/* Set once, when names.py is imported. */
static struct {
    Entry words[ENTRIES_MAX], parts[ENTRIES_MAX]; /* sorted; parts stand anywhere in a word */
    int words_count, first[129];                  /* by its first sign, the first part with it */
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

/* know_names(words, parts): what read_name looks for, sorted lists of (ASCII text, bits). Bits
   below 0 leave a name to the twin. */
static PyObject *
know_names(PyObject *module, PyObject *args)
{
    PyObject *words, *parts;
    if (!PyArg_ParseTuple(args, "O!O!", &PyList_Type, &words, &PyList_Type, &parts))
        return NULL;
    int words_count = fill_entries(words, table.words);
    int parts_count = words_count < 0 ? -1 : fill_entries(parts, table.parts);
    if (parts_count < 0)
        return NULL;
    table.words_count = words_count;
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

static inline int
is_space(char sign)
{
    return sign == ' ' || (sign >= 9 && sign <= 13) || (sign >= 28 && sign <= 31);
}

/* read_name(value): what names._read_name gives back; None where only that can tell. */
static PyObject *
read_name(PyObject *module, PyObject *value)
{
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(value, &size);
    if (text == NULL) {
        PyErr_Clear(); /* half of a surrogate pair */
        Py_RETURN_NONE;
    }
    char small[NAME_CHARS], joined[NAME_CHARS], kinds[NAME_CHARS + 1];
    size_t kinds_size = 0, end = size < NAME_CHARS ? size : NAME_CHARS;
    int64_t mask = 0, signs = 0;
    for (size_t at = 0; at < end; at++) {
        if (text[at] & 0x80)
            Py_RETURN_NONE;
        small[at] = is_capital(text[at]) ? text[at] + 32 : text[at];
    }
    for (size_t at = 0; at < end;) {
        size_t begin = at, joined_size = 0;
        int has_capital = 0;
        if (is_space(text[at])) {
            at++;
            continue;
        }
        size_t kind = kinds_size ? kinds_size + 1 : 0;
        kinds[kinds_size] = ' ';
        size_t kind_end = kind;
        for (; at < end && !is_space(text[at]); at++) {
            has_capital |= text[at] != small[at];
            if (text[at] < '0' || text[at] > '9')
                kinds[kind_end++] = text[at];
            if (small[at] != '-')
                joined[joined_size++] = small[at];
        }
        if (kind_end > kind)
            kinds_size = kind_end;
        signs |= signs_of(small + begin, at - begin);
        mask |= has_capital ? bits_of_parts(text + begin, small + begin, at - begin)
                            : bits_of_runs(small + begin, small + at);
        if (has_capital || joined_size < at - begin) /* as one word, too */
            mask |= bits_of_runs(joined, joined + joined_size);
    }
    if (signs < 0)
        Py_RETURN_NONE;
    return Py_BuildValue("(Ls#i)", (long long)mask, kinds, (Py_ssize_t)kinds_size, (int)signs);
}

static PyMethodDef methods[] = {
    {"add_forest", add_forest, METH_VARARGS, NULL},
    {"count_words", count_words, METH_VARARGS, NULL},
    {"know_names", know_names, METH_VARARGS, NULL},
    {"read_name", read_name, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "compiled", NULL, 0, methods, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC
PyInit_compiled(void)
{
    return PyModuleDef_Init(&definition);
}
