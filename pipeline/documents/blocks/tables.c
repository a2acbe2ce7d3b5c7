/* Which tables hold data: tables.py, which has the reasons. */

#include "blocks.h"

/* Set once, when tables.py is imported: what makes a table one of data. */
static struct {
    long cell_chars, large_cells;
    double column_share, long_share, headed_long_share;
} limits;

/* know_tables(cell chars, large cells, share of columns, of long cells, of those with names) */
PyObject *
know_tables(PyObject *module, PyObject *args)
{
    if (!PyArg_ParseTuple(args, "llddd", &limits.cell_chars, &limits.large_cells,
                          &limits.column_share, &limits.long_share, &limits.headed_long_share))
        return NULL;
    Py_RETURN_NONE;
}

static int
has_text(Span inside)
{
    Span text;
    while (next_text(&inside, &text))
        if (!is_blank(text))
            return 1;
    return 0;
}

int
next_cell(const Node *nodes, int row, int cell)
{
    cell = cell ? nodes[cell].next : nodes[row].first;
    while (cell && !(nodes[cell].is & IS_CELL))
        cell = nodes[cell].next;
    return cell;
}

static int
count_cells(const Node *nodes, int row, int only_filled)
{
    int count = 0;
    for (int cell = 0; (cell = next_cell(nodes, row, cell));)
        count += !only_filled || has_text(nodes[cell].inside);
    return count;
}

static int
is_short(const Node *nodes, int cell, int blocks_max)
{
    long chars = 0, blocks = 0;
    int is_in_word = 0, was_word = 0;
    Span rest = nodes[cell].inside, text;
    while (next_text(&rest, &text))
        while (text.at < text.end) {
            int is_seen = !is_space_code(next_code(&text));
            chars += is_seen + (is_seen && !is_in_word && was_word); /* and a space before */
            was_word |= is_seen;
            is_in_word = is_seen;
        }
    if (chars > limits.cell_chars)
        return 0;
    for (int at = cell; at < nodes[cell].end; at++) {
        Span code = nodes[at].text;
        if (nodes[at].is & IS_CODE && memchr(code.at, '\n', code.end - code.at))
            return 0;
    }
    for (int child = nodes[cell].first; child; child = nodes[child].next)
        blocks += nodes[child].is & IS_CELL_BLOCK && has_text(nodes[child].inside);
    return blocks <= blocks_max;
}

/* Whether rows of one length have names above them, or each at its start. */
static int
is_headed(const Node *nodes, int table)
{
    int length = 0, rows = 0, all_begin = 1, first_is_names = 1;
    for (int row = table + 1; row < nodes[table].end; row++) {
        int cells = nodes[row].is & IS_ROW ? count_cells(nodes, row, 0) : 0;
        if (cells < 2)
            continue;
        if (rows && cells != length)
            return 0;
        length = cells;
        int first = next_cell(nodes, row, 0), second = next_cell(nodes, row, first);
        all_begin &= nodes[first].is & IS_NAME_CELL && !(nodes[second].is & IS_NAME_CELL);
        if (!rows++)
            for (int cell = 0; (cell = next_cell(nodes, row, cell));)
                first_is_names &= (nodes[cell].is & IS_NAME_CELL) != 0;
    }
    return rows && (all_begin || (rows > 1 && first_is_names));
}

int
is_of_data(const Node *nodes, int table)
{
    int wide = 0, filled = 0, columns = 0;
    long cells = 0, many_long = 0;
    for (int at = table + 1; at < nodes[table].end; at++) {
        if (nodes[at].is & IS_TABLE)
            return 0;
        wide += nodes[at].is & IS_ROW && count_cells(nodes, at, 0) >= 2;
    }
    int headed = is_headed(nodes, table), enough = headed ? 1 : 2;
    if (wide < enough)
        return 0;
    for (int at = table + 1; at < nodes[table].end; at++)
        if (nodes[at].is & IS_ROW) {
            int count = count_cells(nodes, at, 1);
            filled += count > 0;
            columns += count >= 2;
        }
    if (filled < enough || columns < limits.column_share * filled)
        return 0;
    for (int at = table + 1; at < nodes[table].end; at++)
        if (nodes[at].is & IS_ROW)
            for (int cell = 0; (cell = next_cell(nodes, at, cell));)
                if (has_text(nodes[cell].inside)) {
                    cells++;
                    many_long += !is_short(nodes, cell, headed ? 2 : 1);
                }
    double share = cells >= limits.large_cells ? limits.long_share : 0;
    double named = headed ? limits.headed_long_share : 0;
    return many_long <= (share > named ? share : named) * cells;
}
