"""A part is there with its sidecar, whole, or it is not there."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.engine import parts
from pipeline.engine.exchange import Exchange
from pipeline.engine.files import write_durably
from pipeline.engine.parts import Part, PartStopped, PartWriter, read_sidecars
from pipeline.errors import StageError
from pipeline.reasons import Reason

SCHEMA = pa.schema([("id", pa.string()), ("n", pa.int64())])


def writer(folder: Path, number: int = 3, **more) -> PartWriter:
    return PartWriter(folder, Part(number, f"part {number}", "d"), SCHEMA, **more)


def test_a_part_is_there_after_its_commit_and_nothing_else_is(tmp_path):
    out = writer(tmp_path)
    out.write_rows([{"id": "a", "n": 1}])
    out.file("more/notes.txt").write_text("hello")
    out.note("months", 2)
    out.heartbeat("a")
    assert not list(tmp_path.glob("part-*"))
    info = out.commit()
    (found,) = read_sidecars(tmp_path)
    assert found == info
    assert found.read().to_pylist() == [{"id": "a", "n": 1}]
    assert found.notes == {"months": 2}
    files = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert files == {
        "part-00003.parquet",
        ".meta/part-00003.json",
        ".meta/drops-00003.parquet",
        "more/notes.txt",
    }
    assert set(found.files) == files - {".meta/part-00003.json"}
    assert found.files["more/notes.txt"]["bytes"] == 5


def test_an_abandoned_part_leaves_nothing(tmp_path):
    for exchange in (None, Exchange("id")):
        out = writer(tmp_path, exchange=exchange, sampled_drops=True)
        out.write_rows([{"id": "a", "n": 1}])
        out.drop("posts", Reason.SELF_POST, id="x")
        out.file("more/notes.txt").write_text("hello")
        out.heartbeat()
        out.abandon()
        assert [p.name for p in tmp_path.rglob("*")] == [".aside"]


def test_a_part_that_cannot_be_closed_leaves_nothing_either(tmp_path):
    out = writer(tmp_path)
    out.write_rows([{"id": "a", "n": 1}])
    out._table._writer.close()
    out.abandon()
    assert [p.name for p in tmp_path.rglob("*")] == [".aside"]


def test_a_part_done_twice_is_the_same_part(tmp_path):
    infos = []
    for _ in range(2):
        out = writer(tmp_path)
        out.write_rows([{"id": "a", "n": 1}])
        infos.append(out.commit())
    assert infos[0].digest == infos[1].digest
    assert infos[0].files == infos[1].files
    assert len(read_sidecars(tmp_path)) == 1


def test_further_files_count_in_the_digest_by_name_and_content(tmp_path):
    def digest(name: str, text: str) -> str:
        out = writer(tmp_path)
        out.file(name).write_text(text)
        return out.commit().digest

    assert len({digest("a", "1"), digest("a", "2"), digest("b", "1")}) == 3


def test_a_file_named_like_the_table_counts_in_no_digest_and_is_not_taken_for_it(tmp_path):
    infos = []
    for number, content in enumerate(("hello", "bye")):
        out = writer(tmp_path / f"{number}")
        out.write_rows([{"id": "a", "n": 1}])
        out.file("part-00003.beside").write_text(content)
        infos.append(out.commit())
    assert infos[0].digest == infos[1].digest
    turned = replace(infos[0], files=dict(reversed(infos[0].files.items())))
    assert turned.read().to_pylist() == [{"id": "a", "n": 1}]


def test_the_sidecar_of_an_exchange_says_where_each_buckets_rows_lie(tmp_path):
    out = writer(tmp_path, exchange=Exchange("id"), buckets=4)
    out.write_rows([{"id": f"k{n}", "n": n} for n in range(100)])
    info = out.commit()
    assert info.path.name == "part-00003.arrow"
    assert sum(rows for bucket in info.buckets.values() for _, rows, _ in bucket) == 100
    assert json.loads((tmp_path / ".meta/part-00003.json").read_text())["buckets"] == info.buckets


def test_columns_are_taken_by_name_and_must_fit(tmp_path):
    out = writer(tmp_path)
    out.write(pa.table({"n": pa.array([1], pa.int32()), "more": ["x"], "id": ["a"]}))
    assert out.commit().read().to_pylist() == [{"id": "a", "n": 1}]
    with pytest.raises(KeyError):
        writer(tmp_path).write(pa.table({"id": ["a"]}))
    with pytest.raises(pa.ArrowInvalid):
        writer(tmp_path).write(pa.table({"id": ["a"], "n": ["many"]}))


def test_rows_are_written_in_row_groups_that_can_be_read_one_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "ROW_GROUP_BYTES", 1000)
    out = writer(tmp_path)
    for start in range(0, 1000, 10):
        out.write_rows([{"id": f"k{n}", "n": n} for n in range(start, start + 10)])
    file = pq.ParquetFile(out.commit().path)
    assert 5 < file.num_row_groups < 50
    assert file.read()["n"].to_pylist() == list(range(1000))


def test_a_ledger_that_does_not_add_up_commits_nothing(tmp_path):
    out = writer(tmp_path)
    out.book("posts", rows_in=3, rows_out=1)
    out.drop("posts", Reason.SELF_POST, id="x")
    with pytest.raises(StageError, match=r"part part 3, posts: 3 rows came in, but 2 are"):
        out.commit()
    out.abandon()
    assert not read_sidecars(tmp_path)
    assert not list(tmp_path.glob("part-*"))


def test_a_part_hears_that_it_should_stop_by_its_heartbeat(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "STOP_CHECK_S", 0)
    wishes = iter([False, False, True])
    out = writer(tmp_path, stopping=lambda: next(wishes))
    out.heartbeat()
    out.heartbeat()
    with pytest.raises(PartStopped):
        out.heartbeat()


def test_a_heartbeat_says_part_item_and_rows(tmp_path):
    out = writer(tmp_path)
    out.write_rows([{"id": "a", "n": 1}])
    out.heartbeat("byte 10")
    assert json.loads((tmp_path / ".aside/heartbeat-00003.json").read_text()) == {
        "part": "part 3",
        "item": "byte 10",
        "rows": 1,
    }
    out.abandon()


def test_only_steps_that_run_items_have_a_pool(tmp_path):
    with pytest.raises(AssertionError, match="has no pool"):
        writer(tmp_path).pool


def test_a_small_file_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "step.json"
    write_durably(path, "first")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(parts.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_durably(path, "second")
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]
