import random

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.corpus.boilerplate import BOILERPLATE, EDGE, boilerplate, cut, edge_lines

PROSE = "This is a line of prose that tells of the sea and of the many ships that were lost in it."
MORE = "The other ships came home late, and nobody on the quay could say where they had been."


def edges(*texts: str, host: str = "a.example") -> pa.Table:
    rows = [{"host": host, "line": line} for text in texts for line in ["", *edge_lines(text)]]
    return pa.Table.from_pylist(rows, schema=EDGE)


def found(*texts: str) -> set[str]:
    return set(boilerplate(edges(*texts))["line"].to_pylist())


def page(number: int, *, top: str = "Log in", bottom: str = "Share this") -> str:
    return f"{top}\nTitle {number}\n{PROSE} {number}\n{MORE}\n{number} comments\n{bottom}"


def test_lines_around_the_prose_of_many_pages_are_cut() -> None:
    texts = [page(number) for number in range(5)]
    assert found(*texts) == {"Log in", "Share this"}
    gone = cut(texts[3], frozenset(found(*texts)))
    assert gone.lines == ["Log in", "Share this"]
    assert gone.text == f"Title 3\n{PROSE} 3\n{MORE}\n3 comments"


def test_four_documents_of_a_host_are_too_few() -> None:
    assert found(*(page(number) for number in range(4))) == set()


def test_five_of_many_documents_are_too_few() -> None:
    others = [page(number, top=f"Top {number}", bottom=f"End {number}") for number in range(20)]
    texts = [page(number) for number in range(5)] + others
    assert found(*texts) == set()
    assert found(*texts[:16]) == {"Log in", "Share this"}


def test_hosts_do_not_count_together() -> None:
    tables = [edges(page(n), host=f"{n}.example") for n in range(9)]
    assert boilerplate(pa.concat_tables(tables)).num_rows == 0


def test_counts_stand_beside_each_line() -> None:
    rows = boilerplate(edges(*(page(number) for number in range(6)))).to_pylist()
    assert rows[0] == {"host": "a.example", "line": "Log in", "documents": 6, "host_documents": 6}
    assert boilerplate(EDGE.empty_table()).schema == BOILERPLATE


@pytest.mark.parametrize(
    "text",
    [
        f"{PROSE}\nShare this\n{MORE}",  # between prose
        "Share this\nroses\nviolets",  # no prose: a poem, a list, a table
        f"{PROSE}\nint main() {{\nShare this\n}}",  # below the prose is code
    ],
)
def test_lines_between_prose_and_in_code_stay(text: str) -> None:
    assert cut(text, frozenset({"Share this"})) == (text, [])


def test_a_line_outside_the_code_goes_and_one_inside_stays() -> None:
    text = f"{PROSE}\nx = {{\nShare this\n}}\nShare this"
    assert cut(text, frozenset({"Share this"})).text == f"{PROSE}\nx = {{\nShare this\n}}"


lines = st.sampled_from(
    ["Log in", "Share this", "", "Title", PROSE, MORE, "x = {", "  indented", "}", "| a | b |"]
)
texts = st.lists(lines, min_size=1, max_size=9).map("\n".join).map(lambda text: text.strip("\n"))


@given(texts)
def test_no_prose_is_lost_and_no_text_becomes_empty(text: str) -> None:
    gone = cut(text, frozenset({"Log in", "Share this", "Title", PROSE, "x = {", "}", "| a | b |"}))
    kept = gone.text.split("\n")
    was = text.split("\n")
    for line in (PROSE, MORE, "x = {", "  indented", "}", ""):
        if line:
            assert kept.count(line) == was.count(line)
    assert bool(gone.text) == bool(text)
    assert len([*filter(None, was)]) == len([*filter(None, kept)]) + len(gone.lines)


@settings(max_examples=20)
@given(st.lists(texts, max_size=12), st.integers())
def test_the_order_of_documents_changes_nothing(documents: list[str], seed: int) -> None:
    shuffled = random.Random(seed).sample(documents, len(documents))
    assert boilerplate(edges(*documents)).equals(boilerplate(edges(*shuffled)))
