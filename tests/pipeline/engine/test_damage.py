"""A file that was damaged after it was written is named, or made again; its rows are never used."""

import os
import random
import shutil
from pathlib import Path

import pytest
import toy

from pipeline.engine import leftovers
from pipeline.engine.digest import file_digest
from pipeline.engine.parts import Part, read_record
from pipeline.engine.ranges import Bucket, BucketWriter, MapPart, places, read_range
from pipeline.engine.store import Disk
from pipeline.engine.writer import PartWriter
from pipeline.errors import StageError

ROWS = [{"id": f"{n % 7}", "n": n} for n in range(2000)]


def turn(path: Path, place: int) -> None:
    """Turn one bit."""
    data = bytearray(path.read_bytes())
    data[place] ^= 4
    path.write_bytes(data)


@pytest.fixture
def record(tmp_path):
    """A committed part, its store, and the name of its record."""
    store = Disk(tmp_path)
    out = PartWriter(store, "toy", "read", Part(0, "a", "a", fingerprint="0" * 32), toy.SCHEMA)
    out.write_rows(ROWS)
    out.book("posts", rows_in=2000, rows_out=2000)
    return store, out.commit(), f"parts/toy-read/{'0' * 32}.json"


def test_a_record_with_any_byte_turned_is_told_or_says_the_same(record):
    store, written, name = record
    sound = (store.folder / name).read_bytes()
    told = 0
    for place in random.Random(1).sample(range(len(sound)), 200):
        turn(store.folder / name, place)
        try:
            assert read_record(store, name) == written, sound[place - 5 : place + 5]
        except StageError as error:
            assert f"{name} is damaged" in str(error)
            told += 1
            assert list(leftovers.damaged_records(store)) == [str(error)]
        (store.folder / name).write_bytes(sound)
    assert told > 150


def test_a_table_with_any_byte_of_its_rows_turned_is_told(record):
    store, written, _ = record
    path = store.folder / written.table
    sound, rows = path.read_bytes(), store.table(written.table)
    told = 0
    for place in random.Random(1).sample(range(len(sound)), 100):
        turn(path, place)
        try:
            assert store.table(written.table) == rows
        except StageError as error:
            assert f"{written.table} is damaged" in str(error)
            assert "remove it, and run the same command" in str(error)
            told += 1
        path.write_bytes(sound)
    assert told > 50


def test_a_range_of_an_exchange_with_a_byte_turned_is_named_with_its_file(tmp_path):
    path = tmp_path / "table.arrow"
    out = BucketWriter(path, toy.SCHEMA, "id", 4)
    out.write(toy.pa.Table.from_pylist(ROWS, schema=toy.SCHEMA))
    part = MapPart(path.name, out.close()[0], "0", 2000)
    store, sound = Disk(tmp_path), path.read_bytes()
    found = [place for _, place in places(part, range(4), 4)]
    for byte in random.Random(1).sample(range(len(sound)), 50):
        turn(path, byte)
        (hit,) = (place for place in found if place.start <= byte < place.end)
        told = rf"table\.arrow is damaged \(bytes {hit.start} to {hit.end}\).*remove it"
        for read in (lambda p: list(read_range(store, p)), lambda _: joined(store, path, part)):
            with pytest.raises(StageError, match=told):
                read(hit)
        for place in set(found) - {hit}:
            list(read_range(store, place))
        path.write_bytes(sound)
    os.truncate(path, found[-1].end - 9)
    with pytest.raises(StageError, match=rf"bytes {found[-1].start} to {found[-1].end}"):
        list(read_range(store, found[-1]))
    path.write_bytes(sound)
    schemas = {"read": toy.SCHEMA}
    rows = Bucket(0, 1, "id", schemas).read(store, {"read": [part]})
    assert sum(batch.num_rows for _, batch in rows) == 2000


def joined(store: Disk, path: Path, part: MapPart) -> None:
    """Join a map part to a file of its own."""
    BucketWriter(path.with_name("joined.arrow"), toy.SCHEMA, "id", 4).join(store, part)


def test_a_side_file_with_a_byte_turned_is_told_before_it_is_used(tmp_path):
    store = Disk(tmp_path)
    sound, other = (store.scratch / name for name in ("sound", "other"))
    store.scratch.mkdir()
    for path in (sound, other):
        path.write_bytes(bytes(3 << 20))
    checksum = file_digest(sound)
    store.add(sound, "data/sound")
    store.add(other, "data/other")
    assert store.checked("data/sound", checksum) == tmp_path / "data" / "sound"
    turn(tmp_path / "data" / "other", 2 << 20)
    with pytest.raises(StageError, match=r"data/other is damaged.*remove it"):
        store.checked("data/other", checksum)


@pytest.mark.parametrize("how", [os.remove, lambda path: os.truncate(path, 9)])
def test_a_finished_part_whose_file_is_gone_or_cut_is_made_again(toys, digest, how):
    toys.build("a", "b", "c", keep=True)
    how(toys.folder / toys.manifest().record_of("read").parts[1].table)
    toys.done()
    assert toys.build("a", "b", "c", "d", keep=True).digest == digest
    assert toys.done()["read"] == 1 + 1
    assert toys.names_nothing_lost()


def test_a_published_file_that_is_gone_is_named_with_the_mend(toys, inline):
    output = toys.build()
    (toys.folder / output.parts[0].table).unlink()
    with pytest.raises(StageError, match=rf"{output.parts[0].table} is missing; --redo toy"):
        toys.build()
    assert toys.build(build={"redo": ["toy"]}).digest == output.digest


def test_a_damaged_manifest_is_told_and_its_mend_brings_the_stage_back(toys, inline):
    before = toys.build().digest
    turn(toys.folder / "toy" / "manifest.json", 200)
    with pytest.raises(StageError, match=r"toy/manifest\.json is damaged.*remove its folder"):
        toys.build()
    shutil.rmtree(toys.folder / "toy")
    assert toys.build().digest == before
    assert toys.names_nothing_lost()
