/* The rules of readable.py, which says what they are, in compiled.c's module. */

#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* By the number of a tag: readable._FLAGS. */
enum { WHOLE = 1, FRAME = 2, PARAGRAPH = 4, HEADING = 8, FORM = 16, SHAKY = 32, ALLOWED = 64,
       DIV = 128, P = 256, ARTICLE = 512, MAIN = 1024 };
enum { PARAGRAPH_CHARS = 25, PAGE_CHARS = 250, MAIN_CHARS = 500, BESIDE_CHARS = 1000 };
#define ARTICLE_SHARE 0.25
#define MAIN_LINKS 0.15

typedef struct {
    Py_ssize_t elements, blocks;
    const int64_t *tag, *parent, *ends, *weight, *begin, *end; /* by element */
    const uint8_t *is_unlikely;
    const int64_t *element, *shown, *own_commas, *own_words, *own_links; /* by block */
    const double *points; /* by tag */
    const int64_t *flags;
    /* What is found, by element; `last` by parent, `sums` and `kept` by block. */
    int64_t *chars, *commas, *beside, *last, *sums;
    double *links, *scores, *given;
    uint8_t *is_leaf, *gone, *scored, *taken, *shaky, *inside, *kept;
} Rules;

static inline int64_t
outer(const Rules *r, int64_t at)
{
    return r->parent[at] > 0 ? r->parent[at] : 0;
}

static inline int
is_any(const Rules *r, int64_t at, int flags)
{
    return (r->flags[r->tag[at]] & flags) != 0;
}

/* Mark all that marked elements hold. */
static void
spread(const Rules *r, uint8_t *marks)
{
    int64_t reach = 0;
    for (int64_t at = 0; at < r->elements; at++) {
        if (marks[at] && r->ends[at] > reach)
            reach = r->ends[at];
        marks[at] = at < reach;
    }
}

/* Elements that lie in one whose name says that it is no text. */
static void
mark_unlikely(Rules *r)
{
    int64_t frame = r->elements; /* the next one */
    for (int64_t at = r->elements - 1; at >= 0; at--) {
        if (is_any(r, at, FRAME))
            frame = at;
        r->gone[at] = r->is_unlikely[at] && frame >= r->ends[at] && !is_any(r, at, WHOLE);
    }
    spread(r, r->gone);
}

/* What elements hold of the blocks that are seen: differences of sums over all before. */
static void
add_up(Rules *r)
{
    for (int64_t block = 0; block < r->blocks; block++) {
        const int64_t *before = r->sums + 4 * block;
        int64_t *sums = r->sums + 4 * (block + 1), is_seen = !r->gone[r->element[block]];
        sums[0] = before[0] + is_seen * (r->shown[block] + r->own_words[block]);
        sums[1] = before[1] + is_seen * r->own_commas[block];
        sums[2] = before[2] + is_seen * r->own_words[block];
        sums[3] = before[3] + is_seen * r->own_links[block];
    }
    for (int64_t at = 0; at < r->elements; at++) {
        const int64_t *from = r->sums + 4 * r->begin[at], *to = r->sums + 4 * r->end[at];
        int64_t words = to[2] - from[2];
        r->chars[at] = to[0] - from[0];
        r->commas[at] = to[1] - from[1];
        r->links[at] = (double)(to[3] - from[3]) / (double)(words > 1 ? words : 1);
    }
}

/* A paragraph gives points to what it lies in, and half to what is around that. */
static void
give(Rules *r, int64_t to, int64_t chars, int64_t commas)
{
    double part = (double)chars / 100, points = (double)(2 + commas) + (part < 3 ? part : 3);
    r->scores[to] += points;
    r->given[outer(r, to)] += points / 2;
    r->scored[to] = r->scored[outer(r, to)] = 1;
}

static void
score(Rules *r)
{
    size_t count = r->elements;
    memset(r->scores, 0, count * sizeof *r->scores);
    memset(r->given, 0, count * sizeof *r->given);
    memset(r->scored, 0, count);
    for (int64_t at = 0; at < r->elements; at++)
        if (is_any(r, at, PARAGRAPH) || (is_any(r, at, DIV) && r->is_leaf[at]))
            if (r->chars[at] >= PARAGRAPH_CHARS && !r->gone[at])
                give(r, outer(r, at), r->chars[at], r->commas[at]);
    for (int64_t block = 0; block < r->blocks; block++) {
        int64_t at = r->element[block], chars = r->shown[block] + r->own_words[block];
        if (is_any(r, at, DIV) && !r->is_leaf[at] && chars >= PARAGRAPH_CHARS && !r->gone[at])
            give(r, at, chars, r->own_commas[block]);
    }
    for (int64_t at = 0; at < r->elements; at++)
        r->scores[at] = (r->scores[at] + r->given[at] + (double)r->weight[at] +
                         r->points[r->tag[at]]) * (1 - r->links[at]);
}

/* The element with most points, an article in it, or the `main` around it; -1 for none. */
static int64_t
find_best(const Rules *r)
{
    int64_t best = -1, article = -1;
    for (int64_t at = 0; at < r->elements; at++)
        if (r->scored[at] && (best < 0 || r->scores[at] > r->scores[best]))
            best = at;
    if (best < 0)
        return best;
    for (int64_t at = best; at < r->ends[best]; at++)
        if (r->scored[at] && is_any(r, at, ARTICLE) && r->chars[at] >= PAGE_CHARS &&
            r->scores[at] >= ARTICLE_SHARE * r->scores[best] &&
            (article < 0 || r->scores[at] > r->scores[article]))
            article = at;
    best = article < 0 ? best : article;
    int64_t around = best, whole = best;
    for (; around >= 0 && !is_any(r, around, ARTICLE); around = r->parent[around])
        if (whole == best && around != best && is_any(r, around, MAIN))
            whole = around;
    int64_t enough = 2 * r->chars[best] > MAIN_CHARS ? 2 * r->chars[best] : MAIN_CHARS;
    return around < 0 && r->chars[whole] >= enough && r->links[whole] <= MAIN_LINKS ? whole : best;
}

/* The best element, good ones beside it, and elsewhere in its frame those of its tag. */
static void
take(Rules *r, int64_t best)
{
    double least = 0.2 * r->scores[best] > 10 ? 0.2 * r->scores[best] : 10;
    int64_t frame = r->parent[best];
    while (frame > 0 && !is_any(r, frame, ARTICLE | MAIN))
        frame = r->parent[frame];
    frame = frame > 0 ? frame : 0;
    for (int64_t at = 0; at < r->elements; at++) {
        int is_good = r->scored[at] && r->scores[at] >= least;
        int is_prose = is_any(r, at, P) && r->chars[at] > 80 && r->links[at] < 0.25;
        int is_like_it = is_good && r->links[at] <= 0.2 && r->tag[at] == r->tag[best] &&
                         r->weight[at] > 0 && r->weight[best] > 0;
        int is_around = at <= best && r->ends[at] > best;
        r->taken[at] = at == best ||
                       (r->parent[at] == r->parent[best] && (is_good || is_prose)) ||
                       (is_like_it && !is_around && at >= frame && at < r->ends[frame]);
    }
    spread(r, r->taken);
    for (int64_t at = 0; at < r->elements; at++)
        r->taken[at] &= !r->gone[at];
}

/* The characters of the nearest siblings that have any, before and after. */
static void
look_beside(Rules *r)
{
    int64_t count = r->elements;
    memset(r->beside, 0, count * sizeof *r->beside);
    for (int step = 1; step >= -1; step -= 2) {
        memset(r->last, 0, (count + 1) * sizeof *r->last);
        for (int64_t at = step > 0 ? 0 : count - 1; at >= 0 && at < count; at += step) {
            int64_t *last = r->last + r->parent[at] + 1;
            r->beside[at] += *last;
            if (r->chars[at] > 0)
                *last = r->chars[at];
        }
    }
}

/* Drop lists of links, short pieces, headings that are links, and forms. */
static void
clean(Rules *r)
{
    int has_saved = 0;
    look_beside(r);
    for (int64_t at = 0; at < r->elements; at++) {
        int is_bad = (double)r->weight[at] + (r->scored[at] ? r->scores[at] : 0) < 0;
        int is_thin = r->chars[at] < PARAGRAPH_CHARS ||
                      r->links[at] > (r->weight[at] < 25 ? 0.2 : 0.5);
        r->shaky[at] = r->taken[at] && is_any(r, at, SHAKY) &&
                       (is_bad || (r->commas[at] < 10 && is_thin));
        r->inside[at] = r->shaky[at] && !is_bad && r->beside[at] > BESIDE_CHARS;
        has_saved |= r->inside[at];
        if (r->inside[at])
            r->shaky[at] = 0;
    }
    if (has_saved)
        spread(r, r->inside);
    for (int64_t at = 0; at < r->elements; at++) {
        int is_gone = is_any(r, at, FORM) ||
                      (is_any(r, at, HEADING) && (r->weight[at] < 0 || r->links[at] > 0.33));
        int is_shaky = r->shaky[at] && !(has_saved && r->inside[at] && is_any(r, at, ALLOWED));
        r->shaky[at] = r->taken[at] && (is_gone || is_shaky);
    }
    spread(r, r->shaky);
    for (int64_t at = 0; at < r->elements; at++)
        r->taken[at] &= !r->shaky[at];
}

/* The blocks that are kept of a page without the elements that are gone; gives back their size. */
static int64_t
keep(Rules *r)
{
    int64_t size = 0;
    add_up(r);
    score(r);
    int64_t best = find_best(r);
    if (best >= 0) {
        take(r, best);
        clean(r);
    }
    for (int64_t block = 0; block < r->blocks; block++) {
        int64_t at = r->element[block];
        r->kept[block] = best >= 0 && r->taken[at] && !r->gone[at];
        size += r->kept[block] ? r->shown[block] : 0;
    }
    return size;
}

/* read_by_rules(tag, parent, ends, weight, begin, end, is_unlikely, element, chars, commas, words,
   link words, points of tags, flags of tags, kept): as in layout.Layout and words.BlockWords;
   fills kept [blocks] bool. */
PyObject *
read_by_rules(PyObject *module, PyObject *args)
{
    enum { GIVEN = 15 };
    Py_buffer b[GIVEN];
    if (!PyArg_ParseTuple(args, "y*y*y*y*y*y*y*y*y*y*y*y*y*y*w*", &b[0], &b[1], &b[2], &b[3],
                          &b[4], &b[5], &b[6], &b[7], &b[8], &b[9], &b[10], &b[11], &b[12],
                          &b[13], &b[14]))
        return NULL;
    Py_ssize_t elements = b[0].len / 8, blocks = b[14].len;
    int64_t *numbers = malloc((elements * 4 + 1 + 4 * (blocks + 1)) * sizeof *numbers);
    double *reals = malloc(elements * 3 * sizeof *reals);
    uint8_t *marks = malloc(elements * 6);
    if (numbers && reals && marks) {
        Rules r = {
            elements, blocks, b[0].buf, b[1].buf, b[2].buf, b[3].buf, b[4].buf, b[5].buf,
            b[6].buf, b[7].buf, b[8].buf, b[9].buf, b[10].buf, b[11].buf, b[12].buf, b[13].buf,
            numbers, numbers + elements, numbers + 2 * elements, numbers + 3 * elements,
            numbers + 4 * elements + 1,
            reals, reals + elements, reals + 2 * elements,
            marks, marks + elements, marks + 2 * elements, marks + 3 * elements,
            marks + 4 * elements, marks + 5 * elements, b[14].buf,
        };
        memset(r.sums, 0, 4 * sizeof *r.sums);
        memset(r.is_leaf, 1, elements);
        for (int64_t at = 1; at < elements; at++)
            r.is_leaf[outer(&r, at)] = 0;
        mark_unlikely(&r);
        if (keep(&r) < PAGE_CHARS) {
            memset(r.gone, 0, elements);
            keep(&r);
        }
    }
    int is_done = numbers && reals && marks;
    free(numbers);
    free(reals);
    free(marks);
    for (int number = 0; number < GIVEN; number++)
        PyBuffer_Release(&b[number]);
    if (!is_done)
        return PyErr_NoMemory();
    Py_RETURN_NONE;
}
