from collections import Counter

import pyarrow as pa
import pytest

from pipeline.corpus.boilerplate import BOILERPLATE
from pipeline.corpus.edit import HostLines, edit, told
from pipeline.records import CORPUS

PROSE = (
    "The ships that went out in the morning came home late, and nobody could say why this was so."
)


@pytest.fixture
def host_lines() -> HostLines:
    rows = [
        {"host": host, "line": line, "documents": 5, "host_documents": 6}
        for host, line in (("a.example", "Log in"), ("a.example", "Share"), ("b.example", "Menu"))
    ]
    tables = [pa.Table.from_pylist(some, schema=BOILERPLATE) for some in (rows[:2], rows[2:])]
    return HostLines(tables)


def rows(*texts: tuple[str, str]) -> pa.Table:
    blank = {field.name: "" for field in CORPUS if field.type == pa.string()}
    found = [
        {**blank, "id": str(i), "host": host, "url": f"http://{host}/{i}", "text": text}
        for i, (host, text) in enumerate(texts)
    ]
    return pa.Table.from_pylist(found, schema=CORPUS)


def test_each_host_has_lines_of_its_own(host_lines: HostLines) -> None:
    assert host_lines.of(pa.chunked_array([["a.example", "c.example"]])) == {
        "a.example": frozenset({"Log in", "Share"})
    }


def test_lines_are_cut_first_and_what_is_left_is_masked(host_lines: HostLines) -> None:
    text = f"Log in\n{PROSE} Ask ann@mail.org.\nMenu\nShare"
    edited = edit(rows(("a.example", text), ("c.example", text)), host_lines, pii=True)
    one, other = edited.rows.to_pylist()
    assert one["text"] == f"{PROSE} Ask <EMAIL>.\nMenu"
    assert other["text"] == f"Log in\n{PROSE} Ask <EMAIL>.\nMenu\nShare"
    assert (one["lines_cut"], one["emails_masked"], one["text_chars"]) == (2, 1, len(one["text"]))
    assert [(line.id, line.line) for line in edited.cut] == [("0", "Log in"), ("0", "Share")]
    assert edited.sums["chars_cut"] == len("Log in\n\nShare")
    assert edited.rows.schema == CORPUS


def test_what_was_done_is_told_and_nothing_else(host_lines: HostLines) -> None:
    text = f"Log in\n{PROSE} Ask ann@mail.org, bob@mail.org."
    cut, masked = told(edit(rows(("a.example", text)), host_lines, pii=True).sums)
    assert cut.endswith("of their host: 1 (characters: 7, documents: 1)")
    assert masked == (
        "Masked: e-mail addresses 2 (documents: 1), IP addresses 0 (documents: 0), "
        "telephone numbers 0 (documents: 0)"
    )
    assert told(edit(rows(("a.example", text)), None, pii=False).sums) == []
    assert told(Counter()) == []
