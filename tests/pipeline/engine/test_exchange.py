"""Exchange: equal keys meet, by any transport, for any number of parts, buckets and slices."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.engine import exchange
from pipeline.engine.digest import hex_digest, rows_digest
from pipeline.engine.exchange import BucketWriter, Exchange, from_bytes, read_batches, to_bytes
from pipeline.engine.store import Disk

SCHEMA = pa.schema([("id", pa.string()), ("n", pa.int64()), ("words", pa.list_(pa.string()))])
ROWS = st.lists(
    st.tuples(
        st.one_of(st.just("hot"), st.text(max_size=3)),
        st.one_of(st.none(), st.integers(0, 3)),
        st.lists(st.sampled_from("xyz"), max_size=2),
    ),
    max_size=40,
)


def table_of(rows) -> pa.Table:
    columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
    return pa.table(dict(zip(SCHEMA.names, columns, strict=True)), schema=SCHEMA)


def write_parts(folder: Path, rows, parts: int, buckets: int):
    """Rows dealt to map parts: (path, index) of each."""
    written = []
    for number in range(parts):
        path = folder / f"{number}.arrow"
        writer = BucketWriter(path, SCHEMA, Exchange("id"), buckets)
        mine = rows[number::parts]
        writer.write(table_of(mine[: len(mine) // 2]))
        writer.write(table_of(mine[len(mine) // 2 :]))
        written.append((path, writer.close()[0]))
    return written


def reduced(written, buckets: int, bytes_max: int, shuffled: bool = False) -> list[list[dict]]:
    """What a reducer sees: for every bucket and slice its rows, in order."""
    seen = []
    for bucket in range(buckets):

        def batches(bucket: int = bucket) -> Iterator[tuple[str, pa.RecordBatch]]:
            for path, index in reversed(written) if shuffled else written:
                where = index.get(str(bucket), [])
                for batch in read_batches(Disk(path.parent), path.name, where):
                    for one in from_bytes(to_bytes(batch)) if shuffled else [batch]:
                        yield "read", one

        size = sum(entry[2] for _, index in written for entry in index.get(str(bucket), []))
        for tables in exchange.slices(batches, {"read": SCHEMA}, "id", size, bytes_max):
            seen.append(tables["read"].to_pylist())
    return seen


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(ROWS, st.sampled_from([1, 2, 7]), st.sampled_from([1, 4, 16]))
def test_a_reducer_sees_the_same_rows_in_the_same_order_by_either_transport(
    tmp_path_factory, rows, parts, buckets
):
    folder = tmp_path_factory.mktemp("exchange")
    written = write_parts(folder, rows, parts, buckets)
    by_files = reduced(written, buckets, 1 << 30)
    assert by_files == reduced(written, buckets, 1 << 30, shuffled=True)
    assert by_files == reduced(write_parts(folder, rows, 1, buckets), buckets, 1 << 30)
    assert [[row["id"] for row in seen] for seen in by_files] == [
        sorted((row["id"] for row in seen), key=str.encode) for seen in by_files
    ]
    together = pa.Table.from_pylist([row for seen in by_files for row in seen], schema=SCHEMA)
    assert rows_digest(together) == rows_digest(table_of(rows))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(ROWS, st.sampled_from([60, 200, 1000]))
def test_a_bucket_that_outgrows_memory_comes_in_slices_and_no_key_in_two_of_them(
    tmp_path_factory, rows, bytes_max
):
    written = write_parts(tmp_path_factory.mktemp("exchange"), rows, 2, 2)
    whole = reduced(written, 2, 1 << 30)
    sliced = reduced(written, 2, bytes_max)
    keys = [{row["id"] for row in seen} for seen in sliced]
    assert sum(map(len, keys)) == len(set().union(*keys))
    key = str.encode
    assert sorted((row["id"] for seen in sliced for row in seen), key=key) == sorted(
        (row["id"] for seen in whole for row in seen), key=key
    )


def test_a_large_bucket_is_cut_into_slices_near_the_limit(tmp_path):
    rows = [(f"key {n}", n, ["x"]) for n in range(4000)]
    written = write_parts(tmp_path, rows, 1, 1)
    size = written[0][1]["0"][0][2]
    slices = reduced(written, 1, size // 5)
    assert len(slices) == 8
    assert max(map(len, slices)) < 4000 / 8 * 1.3


def test_an_integer_key_and_a_text_of_its_digits_meet_in_one_bucket():
    numbers = pa.chunked_array([pa.array([1, -5, 1 << 60])])
    texts = pa.chunked_array([pa.array(["1", "-5", str(1 << 60)])])
    assert (exchange.hash_keys(numbers) == exchange.hash_keys(texts)).all()


def test_rows_cut_to_buckets_in_several_flushes_are_all_there(tmp_path, monkeypatch):
    monkeypatch.setattr(exchange, "FLUSH_BYTES", 1000)
    rows = [(f"key {n}", n, []) for n in range(500)]
    ((path, index),) = write_parts(tmp_path, rows, 1, 4)
    assert max(map(len, index.values())) > 1
    store = Disk(path.parent)
    read = [batch for where in index.values() for batch in read_batches(store, path.name, where)]
    assert sum(batch.num_rows for batch in read) == 500


# The whole way, through builds


def test_parts_buckets_workers_and_transport_leave_no_trace_in_the_digest(toys, inline, tmp_path):
    import toy

    digests = set()
    for buckets, cut, slice_bytes in [(1, 1, 1 << 30), (4, 2, 1 << 30), (16, 4, 100)]:
        toys.folder = tmp_path / f"{buckets}"
        toys.engine |= {"buckets": buckets, "bucket_bytes_max": slice_bytes}
        digests.add(toys.run(pages_of(400, cut, toy)).digest)
    assert len(digests) == 1


def pages_of(rows: int, parts: int, toy):
    """The same rows in so many parts."""
    from dataclasses import replace
    from functools import partial

    from pipeline.engine.stage import Part, Step

    read, group = toy.stage().steps

    def plan() -> list[Part]:
        return [Part(n, f"{n}", f"{n} of {parts}", {"n": n}) for n in range(parts)]

    assert isinstance(read, Step)
    step = Step("read", 1, plan, partial(_deal, rows, parts), toy.SCHEMA, exchange=Exchange("id"))
    return toy.Stage("toy", "posts", (step, replace(group, inputs=(step,))))


def _deal(rows: int, parts: int, part, out) -> None:
    mine = [{"id": f"k{n % 50}", "n": n} for n in range(rows)][part.number :: parts]
    out.write_rows(mine)
    out.book("posts", rows_in=len(mine), rows_out=len(mine))


@pytest.mark.slow
def test_a_build_gives_the_same_rows_by_files_and_by_shuffle_for_any_number_of_workers(
    toys, tmp_path
):
    seen = {}
    for transport, workers in [("files", 1), ("files", 3), ("shuffle", 2)]:
        toys.folder = tmp_path / f"{transport}-{workers}"
        toys.engine |= {"exchange": transport, "workers": workers, "bucket_bytes_max": 300}
        output = toys.build(items=True)
        digests = [part.digest for part in output.parts]
        seen[transport, workers] = (output.digest, toys.rows(output), digests)
    assert len({repr(value) for value in seen.values()}) == 1


def test_a_bucket_without_rows_is_a_part_by_shuffle_too(toys):
    # One key in four buckets: three get no row, and Beam's shuffle never names them.
    import toy

    toys.engine |= {"exchange": "shuffle", "workers": 1}
    output = toys.build("a", rules=toy.Rules(rows=5, keys=1))
    assert [part.rows for part in output.parts].count(0) == 3
    assert len(toys.store.entries("parts/toy-group")) == 4
    tables = [toys.store.table(part.table) for part in output.parts]
    assert hex_digest(sum(map(rows_digest, tables))) == output.digest
