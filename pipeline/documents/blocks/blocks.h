/* What nodes.c, tables.c and names.c give to segment.c. */

#ifndef BLOCKS_H
#define BLOCKS_H

/* No formats with "#": built by Python 3.13 or later they fail on 3.11. */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* ---- nodes.c ---- */

/* A part of the markup: text as libxml2 writes it, tags, or attributes. */
typedef struct {
    const char *at, *end;
} Span;

/* What a tag is, a bit each: segment._KINDS_OF_TAGS. */
enum { IS_INLINE = 1, IS_UNSEEN = 2, IS_HIDDEN_AT_FIRST = 4, IS_HEADING = 8, IS_OF_SENTENCES = 16,
       IS_CELL_BLOCK = 32, IS_A = 64, IS_BOLD = 128, IS_ITALIC = 256, IS_BREAK = 512,
       IS_BUTTON = 1024, IS_TABLE = 2048, IS_ROW = 4096, IS_CELL = 8192, IS_NAME_CELL = 16384,
       IS_CODE = 32768, IS_DIALOG = 65536, IS_BODY = 131072 };

/* An element, in the order of the page. Others are named by their numbers: its first child and the
   siblings after and before it, where 0, the root, says that there is none. */
typedef struct {
    int is, tag;                   /* by know_tags */
    int parent, first, next, before;
    int end;                       /* the first element after all that it holds */
    Span attributes, text, inside; /* `text` stands before the first child, `inside` is all */
    Span tail;
} Node;

/* The elements of markup that libxml2 wrote as XML. Gives back how many there are, -1 where it is
   none of that kind, -2 where there is no memory; `*nodes` is the caller's to free. */
int read_nodes(Span markup, Node **nodes);

enum { TAG_CHARS = 16 }; /* fewer has each tag that is looked up */

/* The tag's number and what it is. */
void look_up_tag(const char *name, size_t size, int *tag, int *is);

/* The next code point of text, with entities read; `text` must not be empty. */
uint32_t next_code(Span *text);

int is_space_code(uint32_t code);

/* Whether there is nothing but white space, as str.isspace says. */
int is_blank(Span text);

/* The next text in a part of the markup that may hold tags; 0 at its end. */
int next_text(Span *rest, Span *text);

/* The value of an attribute; 0 where the element has none of that name. */
int find_attribute(Span attributes, const char *name, Span *value);

/* The next attribute; 0 at the end. */
int next_attribute(Span *attributes, Span *name, Span *value);

/* Write text as UTF-8, `max` bytes of it at most, and give back how many. */
size_t write_plain(Span text, char *into, size_t max);

/* ---- tables.c ---- */

/* Whether a table is one of data: tables.data_rows. */
int is_of_data(const Node *nodes, int table);

/* The next child of a row that is a cell; 0 where there is none. `cell` is the last, or 0. */
int next_cell(const Node *nodes, int row, int cell);

/* ---- names.c ---- */

enum { HREF = 1, STYLE = 2, HIDES = 4, OPEN = 8, ROLE = 16, SPOKEN = 32, CONSENTS = 64,
       CONSENTS_BY_ID = 128 }; /* attributes.py */

enum { NAME_CHARS = 500, KIND_CHARS = 4 * NAME_CHARS }; /* letters, and bytes of them */

typedef struct {
    int64_t mask;
    int signs, marks;
    size_t kind_size;
    char kind[KIND_CHARS];
} Attributes;

/* attributes.read_attributes; 0 where an error of Python is set. */
int read_attributes(Span attributes, Attributes *said);

#endif
