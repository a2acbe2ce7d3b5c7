"""Counts as tables."""

from collections import Counter as Plain

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import StageError
from pipeline.tokens import counts as module
from pipeline.tokens.counts import COUNTED, Counter, first_bytes, to_train_on


def table(counts: dict[bytes, int]) -> pa.Table:
    return pa.table([list(counts), list(counts.values())], schema=COUNTED)


def plain(counts: pa.Table) -> dict[bytes, int]:
    return dict(zip(counts["pretoken"].to_pylist(), counts["count"].to_pylist(), strict=True))


COUNTS = st.dictionaries(st.binary(max_size=3), st.integers(1, 2**50), max_size=9)


@given(st.lists(COUNTS, max_size=6), st.integers(0, 8))
def test_tables_are_added_up_exactly_and_sorted(tables, held):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ROWS_HELD", held)
        counter = Counter()
        wanted = Plain()
        for each in tables:
            counter.add(table(each))
            wanted.update(each)
        found = counter.table()
    assert plain(found) == wanted
    assert found["pretoken"].to_pylist() == sorted(wanted)


def test_counts_that_grow_are_added_up_ever_more_rarely(monkeypatch):
    sizes, add_up = [], module._summed
    monkeypatch.setattr(module, "ROWS_HELD", 8)
    monkeypatch.setattr(module, "_summed", lambda tables: sizes.append(1) or add_up(tables))
    counter = Counter()
    for number in range(500):
        counter.add(table({b"%d" % number: 1}))
    assert len(sizes) < 12
    assert counter.table().num_rows == 500


@pytest.mark.parametrize(
    ("text", "bytes_max", "first"),
    [("abc", 0, ""), ("abc", 3, "abc"), ("abc", 2, "ab"), ("a中b", 3, "a"), ("\ud800x", 3, "�")],
)
def test_first_bytes_of_a_text(text, bytes_max, first):
    assert first_bytes(text, bytes_max) == first


def test_what_is_trained_on_is_the_table_whatever_its_chunks():
    two = pa.concat_tables([table({b"a": 1, b"bc": 2}).slice(1), table({b"": 3, b"def": 4})])
    counts = to_train_on([two, table({b"g": 2**40})])
    assert counts.text.tobytes() == b"bcdefg"
    assert (counts.ends.tolist(), counts.counts.tolist()) == ([2, 2, 5, 6], [2, 3, 4, 2**40])


def test_too_many_pretokens_to_train_on_are_refused_with_what_to_set(monkeypatch):
    monkeypatch.setattr(module, "TEXT_BYTES_MAX", 5)
    with pytest.raises(StageError, match=r"raise tokenizer\.min_count"):
        to_train_on([table({b"abc": 1, b"def": 1})])
