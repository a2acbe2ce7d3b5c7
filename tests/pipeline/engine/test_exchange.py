"""Exchange: equal keys meet, by any transport, for any number of parts, buckets and slices."""

import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
import s3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.engine import exchange, ranges
from pipeline.engine.cache import Cache
from pipeline.engine.digest import hex_digest, rows_digest
from pipeline.engine.exchange import Exchange
from pipeline.engine.ranges import Bucket, BucketWriter, MapPart, places
from pipeline.engine.store import Disk
from pipeline.engine.stores import open_store

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


def write_parts(folder: Path, rows, parts: int, buckets: int) -> list[MapPart]:
    """Rows dealt to map parts."""
    written = []
    for number in range(parts):
        path = folder / f"{parts}-{buckets}-{number}.arrow"
        writer = BucketWriter(path, SCHEMA, "id", buckets)
        mine = rows[number::parts]
        writer.write(table_of(mine[: len(mine) // 2]))
        writer.write(table_of(mine[len(mine) // 2 :]))
        written.append(MapPart(path.name, writer.close()[0], "0", len(mine)))
    return written


def joined(folder: Path, written: list[MapPart], groups: int, buckets: int) -> list[MapPart]:
    """Map parts dealt to so many groups, each joined to one."""
    found = []
    for number in range(groups):
        path = folder / f"joined-{groups}-{buckets}-{number}.arrow"
        writer = BucketWriter(path, SCHEMA, "id", buckets)
        for part in written[number::groups]:
            writer.join(Disk(folder), part)
        found.append(MapPart(path.name, writer.close()[0], "0", 0))
    return found


def reduced(folder: Path, written, buckets: int, bytes_max: int = 1 << 30) -> list[list[dict]]:
    """What a reducer sees: for every bucket and slice its rows, in order."""
    seen, schemas = [], {"read": SCHEMA}
    for number in range(buckets):
        batches = Bucket(number, buckets, "id", schemas).read(Disk(folder), {"read": written})
        for tables in exchange.slices(batches, schemas, "id", bytes_max, folder):
            seen.append(tables["read"].to_pylist())
    assert not list(folder.glob("cut*"))
    return seen


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    ROWS,
    st.integers(1, 7),
    st.sampled_from([1, 4, 16]),
    st.sampled_from([1, 4, 16]),
    st.integers(1, 4),
    st.sampled_from([1, 100, 1 << 30]),
)
def test_a_reducer_sees_the_same_rows_for_any_parts_buckets_of_a_file_groups_and_flushes(
    tmp_path_factory, rows, parts, held, buckets, groups, flush_bytes
):
    folder = tmp_path_factory.mktemp("exchange")
    whole = reduced(folder, write_parts(folder, rows, 1, buckets), buckets)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranges, "FLUSH_BYTES", flush_bytes)
        written = write_parts(folder, rows, parts, held)
    assert reduced(folder, written, buckets) == whole
    fewer = min(held, buckets)
    assert reduced(folder, joined(folder, written, groups, fewer), buckets) == whole
    assert [[row["id"] for row in seen] for seen in whole] == [
        sorted((row["id"] for row in seen), key=str.encode) for seen in whole
    ]
    together = pa.Table.from_pylist([row for seen in whole for row in seen], schema=SCHEMA)
    assert rows_digest(together) == rows_digest(table_of(rows))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(ROWS, st.sampled_from([1, 60, 200, 1000]), st.sampled_from([1, 100, 1 << 20]))
def test_a_bucket_that_outgrows_memory_comes_in_slices_and_no_key_in_two_of_them(
    tmp_path_factory, rows, bytes_max, cut_bytes
):
    folder = tmp_path_factory.mktemp("exchange")
    written = write_parts(folder, rows, 2, 2)
    whole = reduced(folder, written, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exchange, "CUT_BYTES", cut_bytes)
        sliced = reduced(folder, written, 2, bytes_max)
    keys = [{row["id"] for row in seen} for seen in sliced]
    assert sum(map(len, keys)) == len(set().union(*keys))
    found = sorted((row for seen in sliced for row in seen), key=repr)
    assert found == sorted((row for seen in whole for row in seen), key=repr)


def test_a_large_bucket_is_cut_and_so_is_a_cut_that_is_still_too_large(tmp_path):
    rows = [(f"key {n}", n, ["x"]) for n in range(4000)]
    written = write_parts(tmp_path, rows, 1, 1)
    bytes_of_all = table_of(rows).nbytes
    sizes = {share: len(reduced(tmp_path, written, 1, bytes_of_all // share)) for share in (1, 5)}
    assert sizes == {1: 1, 5: 16}
    assert len(reduced(tmp_path, written, 1, bytes_of_all // 50)) > 200


def test_a_bucket_that_is_cut_is_read_once(tmp_path, monkeypatch):
    written = write_parts(tmp_path, [(f"key {n}", n, []) for n in range(4000)], 3, 2)
    opened, real = [], Disk.map
    monkeypatch.setattr(Disk, "map", lambda self, name: opened.append(name) or real(self, name))
    assert len(reduced(tmp_path, written, 2, 1000)) > 100
    assert len(opened) == 3 * 2


def test_an_integer_key_and_a_text_of_its_digits_meet_in_one_bucket():
    numbers = pa.chunked_array([pa.array([1, -5, 1 << 60])])
    texts = pa.chunked_array([pa.array(["1", "-5", str(1 << 60)])])
    assert (exchange.hash_keys(numbers) == exchange.hash_keys(texts)).all()


def test_a_bucket_is_one_range_however_often_rows_were_flushed(tmp_path, monkeypatch):
    monkeypatch.setattr(ranges, "FLUSH_BYTES", 1000)
    (part,) = write_parts(tmp_path, [(f"key {n}", n, []) for n in range(500)], 1, 4)
    found = dict(places(part, range(4), 4))
    assert [found[n].end for n in range(3)] == [found[n].start for n in range(1, 4)]
    assert found[3].end == (tmp_path / part.table).stat().st_size
    assert max(len(list(ranges.read_range(Disk(tmp_path), place))) for place in found.values()) > 1


def test_in_a_bucket_of_s3_a_range_takes_two_requests_and_so_does_a_map_part_that_is_joined(
    server, tmp_path, monkeypatch
):
    written = write_parts(tmp_path, [(f"key {n}", n, []) for n in range(4000)], 2, 16)
    with s3.Proxy(server.port) as proxy:
        store = open_store(server.uri("ranges", proxy.port), str(tmp_path / "here"))
        store.scratch.mkdir(parents=True)
        for part in written:
            shutil.copy(tmp_path / part.table, store.scratch / part.table)
            store.add(store.scratch / part.table, part.table)
        proxy.count()
        BucketWriter(tmp_path / "joined.arrow", SCHEMA, "id", 16).join(store, written[0])
        assert proxy.count() == {"HEAD": 1, "GET": 1}
        bucket, read = Bucket(3, 16, "id", {"read": SCHEMA}), {"read": written}
        with monkeypatch.context() as patch:
            patch.setattr(Cache, "has_room", lambda *_: False)
            assert len(list(bucket.read(store, read))) == 2
            assert proxy.count() == {"HEAD": 2, "GET": 2}
        # Where there is room for copies, so does a map part, for all buckets of a machine.
        for number in range(16):
            list(replace(bucket, number=number).read(store, read))
        assert proxy.count() == {"HEAD": 2, "GET": 2}


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
