import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import StageError
from pipeline.tokens import layout
from pipeline.tokens.layout import lay_out

DOCUMENT = st.tuples(
    st.sampled_from(["train", "train", "train", "val"]), st.integers(0, 40), st.integers(0, 300)
)


def table(rows: list[tuple[str, int, int]]) -> pa.Table:
    split, order, tokens = zip(*rows, strict=True) if rows else ((), (), ())
    return pa.table(
        {
            "split": pa.array(split, pa.string()),
            "order": pa.array(order, pa.int64()),
            "tokens": pa.array(tokens, pa.int64()),
            "text_bytes": pa.array([4 * n for n in tokens], pa.int64()),
        }
    )


@given(st.lists(DOCUMENT, max_size=40), st.integers(1, 2000))
def test_every_document_is_in_exactly_one_shard(rows, tokens_max):
    shards = lay_out(table(rows), tokens_max)
    for split, order, _ in rows:
        hits = [s for s in shards if s.split == split and s.order_min <= order <= s.order_max]
        assert len(hits) == 1
    assert sum(s.documents for s in shards) == len(rows)
    assert sum(s.tokens for s in shards) == sum(n + 1 for _, _, n in rows)
    assert sum(s.text_bytes for s in shards) == sum(4 * n for _, _, n in rows)
    assert all(s.documents for s in shards)


@given(st.lists(DOCUMENT, max_size=40), st.integers(1, 2000), st.randoms())
def test_the_layout_does_not_depend_on_the_order_of_documents(rows, tokens_max, random):
    shuffled = random.sample(rows, len(rows))
    assert lay_out(table(shuffled), tokens_max) == lay_out(table(rows), tokens_max)


@given(st.lists(DOCUMENT, max_size=40), st.integers(1, 2000))
def test_two_training_documents_make_two_train_files(rows, tokens_max):
    shards = lay_out(table(rows), tokens_max)
    if len({order for split, order, _ in rows if split == "train"}) > 1:
        assert sum(s.split == "train" for s in shards) >= 2


def test_files_are_of_nearly_equal_size_and_as_many_as_the_limit_asks_for():
    rows = [("train", order, 99) for order in range(1000)] + [("val", 5, 99), ("val", 6, 99)]
    shards = lay_out(table(rows), 30_000)
    assert [(s.name, s.tokens) for s in shards] == [
        ("train_000000", 25_000),
        ("train_000001", 25_000),
        ("train_000002", 25_000),
        ("train_000003", 25_000),
        ("val_000000", 200),
    ]
    assert [s.first_document for s in shards] == [0, 250, 500, 750, 0]


def test_one_huge_document_leaves_the_other_files_something():
    rows = [("train", 0, 10), ("train", 1, 10_000), ("train", 2, 10), ("train", 3, 10)]
    assert [s.documents for s in lay_out(table(rows), 2_600)] == [1, 1, 1, 1]


def test_documents_of_equal_order_stay_together():
    rows = [("train", 7, 50)] * 5 + [("train", 8, 1)]
    assert [s.documents for s in lay_out(table(rows), 60)] == [5, 1]


def test_a_file_that_llmc_could_not_seek_in_is_refused(monkeypatch):
    monkeypatch.setattr(layout, "TOKENS_LIMIT", 1000)
    with pytest.raises(StageError, match="shard_tokens_max"):
        lay_out(table([("train", 0, 500), ("train", 1, 2000)]), 10_000)
