"""A part is there with its record, whole, or it is not there."""

from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.engine import store as store_module
from pipeline.engine import writer as writer_module
from pipeline.engine.exchange import Exchange
from pipeline.engine.files import write_durably
from pipeline.engine.parts import Part, Record, read_record
from pipeline.engine.store import Disk
from pipeline.engine.writer import PartStopped, PartWriter
from pipeline.errors import StageError
from pipeline.reasons import Reason

SCHEMA = pa.schema([("id", pa.string()), ("n", pa.int64())])
FINGERPRINT = "0123456789abcdef" * 2
RECORD = f"parts/toy-read/{FINGERPRINT}.json"


@pytest.fixture
def disk(tmp_path) -> Disk:
    return Disk(tmp_path / "build")


def writer(disk: Disk, number: int = 3, **more) -> PartWriter:
    part = Part(number, f"part {number}", "d", fingerprint=FINGERPRINT)
    return PartWriter(disk, "toy", "read", part, SCHEMA, **more)


def committed(disk: Disk, ids: str = "a", **more) -> Record:
    out = writer(disk, **more)
    out.write_rows([{"id": id, "n": 1} for id in ids])
    return out.commit()


def files(disk: Disk) -> set[str]:
    return {str(p.relative_to(disk.folder)) for p in disk.folder.rglob("*") if p.is_file()}


def test_a_part_is_there_after_its_commit_and_nothing_else_is(disk):
    out = writer(disk)
    out.write_rows([{"id": "a", "n": 1}])
    out.file("notes.txt").write_text("hello")
    out.note("months", 2)
    out.heartbeat("a")
    assert not disk.entries("data")
    record = out.commit()
    found = read_record(disk, RECORD)
    assert found == record
    assert disk.table(found.table).to_pylist() == [{"id": "a", "n": 1}]
    assert found.notes == {"months": 2}
    assert set(found.files) == {"table", "drops", "notes.txt"}
    assert files(disk) == {RECORD, *(file.name for file in found.files.values())}
    assert all(file.name.startswith(f"data/{FINGERPRINT}-") for file in found.files.values())
    assert found.files["notes.txt"].bytes == 5


def test_an_abandoned_part_leaves_nothing(disk):
    for exchange in (None, Exchange("id")):
        out = writer(disk, exchange=exchange, sampled_drops=True)
        out.write_rows([{"id": "a", "n": 1}])
        out.drop("posts", Reason.SELF_POST, id="x")
        out.file("notes.txt").write_text("hello")
        out.heartbeat()
        out.abandon()
        assert not files(disk)
        assert not list(disk.scratch.iterdir())


def test_a_part_that_cannot_be_closed_leaves_nothing_either(disk):
    out = writer(disk)
    out.write_rows([{"id": "a", "n": 1}])
    out._table._writer.close()
    out.abandon()
    assert not files(disk)


def test_a_part_whose_files_do_not_all_fit_in_the_store_leaves_none_of_them(disk, monkeypatch):
    out = writer(disk)
    out.write_rows([{"id": "a", "n": 1}])
    add, added = disk.add, []

    def full(path, name) -> None:
        if added:
            raise OSError(28, "No space left on device")
        added.append(name)
        add(path, name)

    monkeypatch.setattr(disk, "add", full)
    with pytest.raises(OSError, match="No space"):
        out.commit()
    assert disk.stat(added[0])
    out.abandon()
    assert not files(disk)


# Two attempts at one part


def test_a_part_done_twice_is_the_same_part_and_the_second_adds_nothing(disk):
    first = committed(disk)
    there = files(disk)
    assert committed(disk) == first
    assert files(disk) == there


def test_two_attempts_at_the_same_time_both_commit_and_the_first_stands(disk):
    # Both in this process, so their pids are equal, as in two containers.
    one, other = writer(disk), writer(disk)
    assert one.scratch != other.scratch
    for out in (one, other):
        out.write_rows([{"id": "x", "n": 1}])
        out.book("posts", rows_in=1, rows_out=1)
        out.heartbeat()
    first = one.commit()
    assert other.commit() == first == read_record(disk, RECORD)
    assert disk.table(first.table).num_rows == 1
    assert files(disk) == {RECORD, *(file.name for file in first.files.values())}


def test_two_attempts_that_both_find_no_record_leave_one_whose_files_are_there(disk, monkeypatch):
    one, other = writer(disk), writer(disk)
    for out in (one, other):
        out.write_rows([{"id": "x", "n": 1}])
    write_json = disk.write_json

    def late(name, value, **more) -> None:  # the other commits in the middle of this commit
        if name == RECORD:
            monkeypatch.undo()
            other.commit()
        write_json(name, value, **more)

    monkeypatch.setattr(disk, "write_json", late)
    one.commit()
    record = read_record(disk, RECORD)
    assert disk.table(record.table).to_pylist() == [{"id": "x", "n": 1}]
    assert all(disk.stat(file.name).bytes == file.bytes for file in record.files.values())


def test_of_two_attempts_at_once_with_other_rows_the_later_one_stops_the_build(disk, monkeypatch):
    one, other = writer(disk), writer(disk)
    one.write_rows([{"id": "x", "n": 1}])
    other.write_rows([{"id": "y", "n": 1}])
    write, first = disk.write, []

    def late(name, data, **more) -> None:  # at the last instant before the record is written
        if name == RECORD:
            monkeypatch.undo()
            first.append(other.commit())
        write(name, data, **more)

    monkeypatch.setattr(disk, "write", late)
    with pytest.raises(StageError, match="gave other rows than an earlier"):
        one.commit()
    one.abandon()
    assert read_record(disk, RECORD) == first[0]
    assert files(disk) == {RECORD, *(file.name for file in first[0].files.values())}


def test_an_attempt_that_gives_other_rows_stops_the_build_and_the_first_stays(disk):
    first = committed(disk, "x")
    out = writer(disk)
    out.write_rows([{"id": "y", "n": 1}])
    with pytest.raises(StageError, match=r"toy: read, part part 3 gave other rows than an earlier"):
        out.commit()
    out.abandon()
    assert read_record(disk, RECORD) == first
    assert files(disk) == {RECORD, *(file.name for file in first.files.values())}


@pytest.mark.parametrize("ending", ["parquet", "drops.parquet", "notes.txt"])
def test_a_part_whose_file_vanished_before_its_commit_is_refused(disk, ending):
    # Another run swept the scratch folder; or a stage named a file that it never wrote.
    out = writer(disk)
    out.write_rows([{"id": "a", "n": 1}])
    out.file("notes.txt").write_text("hello")
    (out.scratch / ending).unlink()
    if ending == "notes.txt":
        with pytest.raises(StageError, match=r"part part 3: .*notes\.txt is gone before"):
            out.commit()
    else:
        with pytest.raises((StageError, OSError), match=ending):
            out.commit()
    out.abandon()
    assert not files(disk)


def test_a_commit_refuses_when_a_file_vanished_from_the_store(disk, monkeypatch):
    out = writer(disk)
    out.write_rows([{"id": "a", "n": 1}])
    add = disk.add
    monkeypatch.setattr(disk, "add", lambda path, name: (add(path, name), disk.remove([name])))
    with pytest.raises(StageError, match=r"part 3: data/.*\.parquet is not in .* run the same"):
        out.commit()
    out.abandon()
    assert not files(disk)


def test_a_second_attempt_says_so_when_the_first_ones_files_are_gone(disk):
    record = committed(disk)
    disk.remove([record.table])
    with pytest.raises(StageError, match=rf"{record.table} is not in .*; remove {RECORD} if"):
        committed(disk)


# What a record says


def test_further_files_count_in_the_digest_by_name_and_content(tmp_path):
    def digest(name: str, text: str) -> str:
        out = writer(Disk(tmp_path / f"{name}-{text}"))
        out.file(name).write_text(text)
        return out.commit().digest

    assert len({digest("a", "1"), digest("a", "2"), digest("b", "1")}) == 3


def test_a_side_file_counts_in_no_digest_and_is_not_taken_for_the_table(tmp_path):
    found = []
    for content in ("hello", "bye"):
        disk = Disk(tmp_path / content)
        out = writer(disk)
        out.write_rows([{"id": "a", "n": 1}])
        out.file("part-00003.beside", side=True).write_text(content)
        found.append(out.commit())
    assert found[0].digest == found[1].digest
    assert found[0].own_files() == {}
    turned = replace(found[1], files=dict(reversed(found[1].files.items())))
    assert disk.table(turned.table).to_pylist() == [{"id": "a", "n": 1}]


@pytest.mark.parametrize("name", ["table", "drops", "parquet", "drops.parquet", "more/notes.txt"])
def test_a_name_that_would_cover_the_engines_own_file_is_refused(disk, name):
    with pytest.raises(AssertionError, match="cannot be called"):
        writer(disk).file(name)


def test_a_file_may_be_asked_for_twice(disk):
    out = writer(disk)
    assert out.file("notes.txt") == out.file("notes.txt")


def test_the_record_of_an_exchange_says_where_each_buckets_rows_lie(disk):
    out = writer(disk, exchange=Exchange("id"), buckets=4)
    out.write_rows([{"id": f"k{n}", "n": n} for n in range(100)])
    record = out.commit()
    assert record.table.endswith(".arrow")
    lengths = list(map(int, record.ranges.split()))
    assert len(lengths) == 4
    assert sum(lengths) == record.table_bytes
    assert disk.read_json(RECORD)["ranges"] == record.ranges


def test_columns_are_taken_by_name_and_must_fit(disk):
    out = writer(disk)
    out.write(pa.table({"n": pa.array([1], pa.int32()), "more": ["x"], "id": ["a"]}))
    assert disk.table(out.commit().table).to_pylist() == [{"id": "a", "n": 1}]
    with pytest.raises(KeyError):
        writer(disk).write(pa.table({"id": ["a"]}))
    with pytest.raises(pa.ArrowInvalid):
        writer(disk).write(pa.table({"id": ["a"], "n": ["many"]}))


def test_rows_are_written_in_row_groups_that_can_be_read_one_at_a_time(disk, monkeypatch):
    monkeypatch.setattr(writer_module, "ROW_GROUP_BYTES", 1000)
    out = writer(disk)
    for start in range(0, 1000, 10):
        out.write_rows([{"id": f"k{n}", "n": n} for n in range(start, start + 10)])
    record = out.commit()
    with disk.parquet(record.table) as file:
        groups = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
        assert 5 < len(groups) < 50
        assert groups == [rows for rows, _ in record.row_groups]
        assert file.read()["n"].to_pylist() == list(range(1000))
    assert isinstance(file, pq.ParquetFile)


def test_a_ledger_that_does_not_add_up_commits_nothing(disk):
    out = writer(disk)
    out.book("posts", rows_in=3, rows_out=1)
    out.drop("posts", Reason.SELF_POST, id="x")
    with pytest.raises(StageError, match=r"part part 3, posts: 3 rows came in, but 2 are"):
        out.commit()
    out.abandon()
    assert not files(disk)


def test_a_part_hears_that_it_should_stop_by_its_heartbeat(disk, monkeypatch):
    monkeypatch.setattr(disk, "patience_s", 0)
    requests = iter([False, False, True])
    out = writer(disk, stopping=lambda: next(requests))
    out.heartbeat()
    out.heartbeat()
    with pytest.raises(PartStopped):
        out.heartbeat()


def test_a_heartbeat_says_part_item_and_rows(disk):
    out = writer(disk, run="r")
    out.write_rows([{"id": "a", "n": 1}])
    out.heartbeat("byte 10")
    (entry,) = disk.entries("runs/r/heartbeats")
    assert disk.read_json(entry.name) == {"part": "part 3", "item": "byte 10", "rows": 1}
    out.abandon()
    assert disk.entries("runs/r/heartbeats") == []


def test_only_steps_that_run_items_have_a_pool(disk):
    with pytest.raises(AssertionError, match="has no pool"):
        writer(disk).pool


def full(*_):
    raise OSError(28, "No space left on device")


def test_a_small_file_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "build.json"
    write_durably(path, "first")
    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_durably(path, "second")
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_of_the_store_is_there_whole_or_not_at_all(disk, monkeypatch):
    disk.write("steps/a.json", b"first")
    monkeypatch.setattr(store_module, "sync", full)
    with pytest.raises(OSError, match="No space"):
        disk.write("steps/a.json", b"second")
    assert disk.read("steps/a.json") == b"first"
    assert files(disk) == {"steps/a.json"}
