/* The innermost loops of the extractor `combined`, for forest.py, features.py, layout.py,
   page_types.py and words.py; nodes.c, segment.c, tables.c, names.c, readable.c and tags.c have
   more.

   Each has a twin there in numpy or Python, which is used where no compiler was at hand when the
   package was installed, and gives the same bits. Arrays come as buffers; their callers answer for
   the sizes. Only the stable ABI is used: one wheel serves every Python from 3.11 on. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdint.h>

/* ---- forest.py ---- */

enum { ROWS = 256, TOGETHER = 8 }; /* blocks whose features stay in the cache, and registers */

typedef struct {
    const int32_t *features;
    const float *thresholds, *leaves;
    Py_ssize_t trees, depth;
} Forest;

/* Adds the leaves of one tree to the sums of `count` blocks, which go down together: where one's
   next question waits for its last answer, the others' do not. `values` are [features, blocks]. */
static inline void
add_leaves(const Forest *forest, Py_ssize_t tree, const float *values, Py_ssize_t blocks,
           double *sums, int count)
{
    const int32_t *feature = forest->features;
    const float *threshold = forest->thresholds;
    size_t place[TOGETHER];
    for (int one = 0; one < count; one++)
        place[one] = tree;
    for (Py_ssize_t level = 0; level < forest->depth; level++) {
        for (int one = 0; one < count; one++) {
            size_t at = place[one];
            place[one] = 2 * at + (values[feature[at] * blocks + one] > threshold[at]);
        }
        feature += forest->trees << level;
        threshold += forest->trees << level;
    }
    for (int one = 0; one < count; one++)
        sums[one] += forest->leaves[place[one]];
}

/* add_forest(columns, features, thresholds, leaves, trees, depth, blocks, sums)
   sums [outputs, blocks] float64 += the leaves of each output's trees; columns are
   [features, blocks] float32. */
static PyObject *
add_forest(PyObject *module, PyObject *args)
{
    Py_buffer columns, features, thresholds, leaves, sums;
    Forest forest;
    Py_ssize_t blocks;
    if (!PyArg_ParseTuple(args, "y*y*y*y*nnnw*", &columns, &features, &thresholds, &leaves,
                          &forest.trees, &forest.depth, &blocks, &sums))
        return NULL;
    forest.features = features.buf;
    forest.thresholds = thresholds.buf;
    forest.leaves = leaves.buf;
    Py_ssize_t outputs = blocks ? sums.len / 8 / blocks : 0;
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t begin = 0; begin < blocks; begin += ROWS) {
        Py_ssize_t end = blocks - begin < ROWS ? blocks : begin + ROWS;
        for (Py_ssize_t tree = 0; tree < forest.trees; tree++) {
            const float *values = columns.buf;
            double *sum = (double *)sums.buf + tree * outputs / forest.trees * blocks;
            Py_ssize_t at = begin;
            for (; at + TOGETHER <= end; at += TOGETHER)
                add_leaves(&forest, tree, values + at, blocks, sum + at, TOGETHER);
            for (; at < end; at++)
                add_leaves(&forest, tree, values + at, blocks, sum + at, 1);
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

/* ---- features.py ---- */

/* spread_bits(values, rows): values are [blocks] int64; fills rows [bits, blocks] float32. */
static PyObject *
spread_bits(PyObject *module, PyObject *args)
{
    Py_buffer values, rows;
    if (!PyArg_ParseTuple(args, "y*w*", &values, &rows))
        return NULL;
    const int64_t *value = values.buf;
    float *row = rows.buf;
    Py_ssize_t blocks = values.len / 8, bits = blocks ? rows.len / 4 / blocks : 0;
    for (Py_ssize_t bit = 0; bit < bits; bit++, row += blocks)
        for (Py_ssize_t block = 0; block < blocks; block++)
            row[block] = (float)(value[block] >> bit & 1);
    PyBuffer_Release(&values);
    PyBuffer_Release(&rows);
    Py_RETURN_NONE;
}

/* ---- page_types.py ---- */

/* sum_rows(columns, weights, sums): columns are [rows, blocks] float32, weights [blocks] float64;
   fills sums [rows] float64, each from left to right. Four rows at a time: a sum waits for its last
   number. */
static PyObject *
sum_rows(PyObject *module, PyObject *args)
{
    Py_buffer columns, weights, sums;
    if (!PyArg_ParseTuple(args, "y*y*w*", &columns, &weights, &sums))
        return NULL;
    const double *weight = weights.buf;
    double *sum = sums.buf;
    Py_ssize_t rows = sums.len / 8, blocks = weights.len / 8;
    for (Py_ssize_t row = 0; row < rows; row += 4) {
        const float *of[4];
        double own[4] = {0};
        for (int one = 0; one < 4; one++)
            of[one] = (const float *)columns.buf + (row + one < rows ? row + one : row) * blocks;
        for (Py_ssize_t at = 0; at < blocks; at++)
            for (int one = 0; one < 4; one++)
                own[one] += (double)of[one][at] * weight[at];
        for (int one = 0; one < 4 && row + one < rows; one++)
            sum[row + one] = own[one];
    }
    PyBuffer_Release(&columns);
    PyBuffer_Release(&weights);
    PyBuffer_Release(&sums);
    Py_RETURN_NONE;
}

/* ---- layout.py ---- */

/* pass_down(parents, values, are_bits): int64 each; a value becomes the greatest of an element's and
   those of all around it, or has the bits of all. */
static PyObject *
pass_down(PyObject *module, PyObject *args)
{
    Py_buffer parents, values;
    int are_bits;
    if (!PyArg_ParseTuple(args, "y*w*p", &parents, &values, &are_bits))
        return NULL;
    const int64_t *parent = parents.buf;
    int64_t *value = values.buf;
    for (Py_ssize_t at = 1; at < values.len / 8; at++) {
        int64_t around = value[parent[at]];
        if (are_bits)
            value[at] |= around;
        else if (around > value[at])
            value[at] = around;
    }
    PyBuffer_Release(&parents);
    PyBuffer_Release(&values);
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

PyObject *know_names(PyObject *, PyObject *), *know_tags(PyObject *, PyObject *),
    *know_tables(PyObject *, PyObject *), *walk_blocks(PyObject *, PyObject *),
    *read_by_rules(PyObject *, PyObject *), *know_levels(PyObject *, PyObject *),
    *scan_tags(PyObject *, PyObject *), *find_tags(PyObject *, PyObject *);

static PyMethodDef methods[] = {
    {"add_forest", add_forest, METH_VARARGS, NULL},
    {"count_words", count_words, METH_VARARGS, NULL},
    {"spread_bits", spread_bits, METH_VARARGS, NULL},
    {"read_by_rules", read_by_rules, METH_VARARGS, NULL},
    {"sum_rows", sum_rows, METH_VARARGS, NULL},
    {"pass_down", pass_down, METH_VARARGS, NULL},
    {"know_names", know_names, METH_VARARGS, NULL},
    {"know_tags", know_tags, METH_VARARGS, NULL},
    {"know_tables", know_tables, METH_VARARGS, NULL},
    {"walk_blocks", walk_blocks, METH_VARARGS, NULL},
    {"know_levels", know_levels, METH_O, NULL},
    {"scan_tags", scan_tags, METH_VARARGS, NULL},
    {"find_tags", find_tags, METH_VARARGS, NULL},
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
