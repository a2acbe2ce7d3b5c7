"""Digests know content, and nothing else: not order, parts, paths or dates of files."""

import os
import signal
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine.digest import FileDigests, digest_of, hex_digest, rows_digest, sum_digests
from pipeline.engine.store import Disk
from pipeline.errors import Stopped

SCHEMA = pa.schema([("a", pa.string()), ("b", pa.float64()), ("c", pa.list_(pa.int64()))])
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "a": st.none() | st.text(max_size=3),
            "b": st.none() | st.floats(allow_nan=False),
            "c": st.none() | st.lists(st.integers(-9, 9), max_size=2),
        }
    ),
    max_size=9,
)


@given(st.lists(st.text(max_size=5) | st.binary(max_size=5).map(os.fsdecode), max_size=3))
def test_data_with_names_that_are_no_text_has_a_digest_of_its_own(names):
    assert digest_of(names) == digest_of(list(names))
    assert digest_of(names) != digest_of([*names, os.fsdecode(b"\xff")])


def digest(rows) -> str:
    return hex_digest(rows_digest(pa.Table.from_pylist(rows, schema=SCHEMA)))


@given(ROWS, st.randoms(), st.integers(0, 9))
def test_order_and_parts_leave_no_trace(rows, random, cut):
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert sum_digests([digest(shuffled[:cut]), digest(shuffled[cut:])]) == digest(rows)


@given(ROWS, ROWS)
def test_other_rows_have_another_digest(rows, others):
    assert (digest(rows) == digest(others)) == (plain(rows) == plain(others))


def plain(rows) -> list[str]:
    """Rows by their values alone, whatever the order of rows and columns; 0.0 is not -0.0."""
    return sorted(repr([row[name] for name in SCHEMA.names]) for row in rows)


def test_a_digest_stays_what_it_was():
    rows = [
        {"a": "é", "b": 0.5, "c": [1, 2]},
        {"a": None, "b": None, "c": None},
    ]
    assert digest(rows) == "44dd2eacb27ddaeb1db7757bba276660"
    assert digest([]) == "0" * 32


def test_times_are_digested_whatever_the_zone_of_the_machine(monkeypatch):
    table = pa.table({"t": pa.array([datetime(2017, 1, 1, tzinfo=UTC)], pa.timestamp("s", "UTC"))})
    before = rows_digest(table)
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    assert rows_digest(table) == before


@dataclass(frozen=True)
class Rules:
    karma_min: int = 3
    day: date = date(2017, 12, 31)
    blocked: frozenset[str] = frozenset(["b", "a", "c"])
    table: Path = Path("psl.dat")


def test_settings_are_digested_by_their_values():
    assert digest_of(Rules()) == digest_of(Rules(blocked=frozenset(["c", "a", "b"])))
    assert digest_of(Rules()) != digest_of(Rules(karma_min=4))
    assert digest_of(Rules()) != digest_of(Rules(day=date(2018, 1, 1)))
    assert digest_of([Rules(), {"x": 1, "y": 2}]) == digest_of([Rules(), {"y": 2, "x": 1}])


def test_what_has_no_stable_form_has_no_digest():
    with pytest.raises(TypeError, match="object has no digest"):
        digest_of({"rule": object()})


def test_a_file_is_read_again_only_when_it_changed(tmp_path, monkeypatch):
    from pipeline.engine import digest as module

    def remembered(path: Path) -> str:
        digests = FileDigests(Disk(tmp_path / "build"), "inputs.json")
        found = digests.digest(path)
        digests.save()
        return found

    path = tmp_path / "dump.zst"
    path.write_bytes(b"one")
    first = remembered(path)
    reads = []
    file_digest = module.file_digest
    monkeypatch.setattr(
        module, "file_digest", lambda p, heartbeat: reads.append(p) or file_digest(p)
    )
    assert remembered(path) == first
    assert reads == []
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    assert remembered(path) != first
    assert reads == [path]


def test_the_reading_of_a_large_file_hears_of_a_stop(tmp_path):
    path = tmp_path / "dump.zst"
    path.write_bytes(bytes(3 << 20))

    def stop() -> None:
        raise Stopped(signal.SIGINT)

    with pytest.raises(Stopped):
        FileDigests(Disk(tmp_path), "inputs.json", stop).digest(path)
    assert not (tmp_path / "inputs.json").exists()


def test_a_file_that_moves_keeps_its_digest(tmp_path):
    path = tmp_path / "dump.zst"
    path.write_bytes(b"one")
    digests = FileDigests(Disk(tmp_path), "inputs.json")
    before = digests.digest(path)
    assert digests.digest(path.rename(tmp_path / "moved.zst")) == before


def test_a_damaged_cache_of_digests_is_made_anew(tmp_path):
    path = tmp_path / "dump.zst"
    path.write_bytes(b"one")
    (tmp_path / "inputs.json").write_text('{"half')
    assert len(FileDigests(Disk(tmp_path), "inputs.json").digest(path)) == 32


def test_ten_thousand_small_files_are_written_down_together(tmp_path, monkeypatch):
    from pipeline.engine import digest as module

    class Counting(Disk):
        writes = 0

        def write_json(self, name, value, **more) -> None:
            self.writes += 1
            assert self.writes < 3  # each would be of all files so far
            super().write_json(name, value, **more)

    now = [0.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    paths = [tmp_path / f"{number}.warc" for number in range(10_000)]
    for path in paths:
        path.write_bytes(path.name.encode())
    store = Counting(tmp_path / "build")
    digests = FileDigests(store, "inputs.json")
    for path in paths:
        digests.digest(path)
        now[0] += 0.001  # as fast as a disk opens them
    digests.save()
    digests.save()
    assert store.writes == 2  # after five seconds, and at the end
    monkeypatch.setattr(module, "file_digest", None)  # no file is read again
    again = FileDigests(store, "inputs.json")
    assert len({again.digest(path) for path in paths}) == len(paths)
