"""Lines that a site puts around its pages: "Share this", "Log in", the rules of a forum.

    edges of kept documents -> (host, line) -> lines that many of the host's documents have -> cut

A line is cut where it is short, stands at the edge of a text (before its first line of prose or
after its last, with no code between), and stands at the edges of a large share of the documents of
its host, five of them at least. Prose and code are never cut, so no text becomes empty: one without
prose, such as a table or a poem, keeps all of its lines. Documents are counted when exact and near
copies are gone: an article that was captured three times is no template.
"""

from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

# A line of prose has more than one of these; a line that has neither may be cut.
LINE_CHARS_MAX = 100
LINE_WORDS_MAX = 14
EDGE_LINES_MAX = 40  # looked at on either side, from the outside
DOCUMENTS_MIN = 5  # of one host
SHARE_MIN = 0.3  # of the host's documents
_CODE_STARTS = (" ", "\t", "#", "//", "/*", "*/", "<", "$ ", ">>>", "import ", "def ", "{", "}")
_CODE_ENDS = (";", "{", "}", "*/", "\\")

# One row for each line at an edge of a document, and one with the line "" for the document.
EDGE = pa.schema([("host", pa.string()), ("line", pa.string())])
# One row for each line that is cut from the edges of a host's documents.
BOILERPLATE = pa.schema(
    [
        ("host", pa.string()),
        ("line", pa.string()),
        ("documents", pa.int64()),  # that have the line at an edge
        ("host_documents", pa.int64()),
    ]
)


class Cut(NamedTuple):
    """A text without boilerplate, and the lines that were cut, in their order."""

    text: str
    lines: list[str]


def edge_lines(text: str) -> list[str]:
    """The lines at both edges of a text that could be boilerplate, each once."""
    lines = text.split("\n")
    return list(dict.fromkeys(lines[at] for at in _edges(lines)))


def boilerplate(edges: pa.Table) -> pa.Table:
    """The lines to cut, from the EDGE rows of all documents of some hosts."""
    counted = edges.group_by(["host", "line"], use_threads=False).aggregate([([], "count_all")])
    is_document = pc.equal(counted["line"], "")
    hosts = counted.filter(is_document).select(["host", "count_all"])
    hosts = hosts.rename_columns(["host", "host_documents"])
    often = pc.greater_equal(counted["count_all"], DOCUMENTS_MIN)
    lines = counted.filter(pc.and_(pc.invert(is_document), often)).join(
        hosts, "host", use_threads=False
    )
    share = pc.divide(pc.cast(lines["count_all"], pa.float64()), lines["host_documents"])
    found = lines.filter(pc.greater_equal(share, SHARE_MIN))
    found = found.rename_columns(
        ["documents" if n == "count_all" else n for n in found.column_names]
    )
    order = [("host", "ascending"), ("line", "ascending")]
    return found.select(BOILERPLATE.names).cast(BOILERPLATE).sort_by(order)


def cut(text: str, lines_of_host: frozenset[str]) -> Cut:
    """The text without those of these lines that stand at its edges."""
    if not lines_of_host:
        return Cut(text, [])
    lines = text.split("\n")
    gone = {at for at in _edges(lines) if lines[at] in lines_of_host}
    if not gone:
        return Cut(text, [])
    kept = "\n".join(line for at, line in enumerate(lines) if at not in gone)
    return Cut(kept.strip("\n"), [lines[at] for at in sorted(gone)])


def _edges(lines: list[str]) -> Iterator[int]:
    """Where the lines are that may be cut: none, if no line is prose."""
    prose = [at for at, line in enumerate(lines) if _is_prose(line)]
    if not prose:
        return
    sides = (range(prose[0]), range(len(lines) - 1, prose[-1], -1))
    for side in sides:
        # Code between an edge and the prose belongs to the prose.
        for at in side[:EDGE_LINES_MAX]:
            if _is_code(lines[at]):
                break
            if lines[at]:
                yield at


def _is_prose(line: str) -> bool:
    return len(line) > LINE_CHARS_MAX or line.count(" ") >= LINE_WORDS_MAX


def _is_code(line: str) -> bool:
    return line.startswith(_CODE_STARTS) or line.endswith(_CODE_ENDS)
