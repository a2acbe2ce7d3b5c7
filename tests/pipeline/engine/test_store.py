"""A build on a disk: folders that are links, other disks, odd names."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.engine.store import Disk

pytestmark = pytest.mark.usefixtures("inline")
MEMORY = Path("/dev/shm")


@pytest.fixture(params=["beside", "another disk"])
def elsewhere(request, tmp_path) -> Iterator[Path]:
    """A folder to which a link can go."""
    if request.param == "beside":
        folder = tmp_path / "elsewhere"
        folder.mkdir()
        yield folder
        return
    if not MEMORY.is_dir() or MEMORY.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no other disk here")
    with tempfile.TemporaryDirectory(dir=MEMORY) as name:
        yield Path(name)


@pytest.mark.parametrize("name", ["toy", "data", "parts", "scratch"])
def test_a_folder_that_is_a_link_keeps_its_data_and_later_runs_work(toys, elsewhere, digest, name):
    toys.folder.mkdir()
    link = toys.folder / name
    link.symlink_to(elsewhere)
    toys.build("a", "b")
    changed = toys.build(finish=lambda *_: {"README.md": b"card"})
    assert changed.digest == digest
    toys.done()
    inodes = {path: path.stat().st_ino for path in elsewhere.rglob("*") if path.is_file()}
    assert toys.build(finish=lambda *_: {"README.md": b"card"}).digest == digest
    assert toys.done() == {}
    # Nor is anything copied once more.
    assert {path: path.stat().st_ino for path in elsewhere.rglob("*") if path.is_file()} == inodes
    again = toys.build(build={"redo": ["toy"]}, finish=lambda *_: {"README.md": b"card"})
    assert again.digest == digest
    assert link.is_symlink()
    assert toys.names_nothing_lost()
    assert toys.unnamed() == []
    assert bool(list(elsewhere.iterdir())) == (name != "scratch")
    assert sum(map(len, toys.rows(again))) == again.ledgers["posts"].rows_out


def test_a_file_that_is_half_copied_to_another_disk_is_in_nobodys_way(toys, elsewhere, digest):
    toys.folder.mkdir()
    (toys.folder / "toy").symlink_to(elsewhere)
    half = elsewhere / f".{'0' * 32}.aside"
    half.write_bytes(b"half")
    assert toys.build().digest == digest
    other_disk = elsewhere.stat().st_dev != toys.folder.stat().st_dev
    assert half.exists() != other_disk


@pytest.mark.parametrize("name", ["a [b] c", "*?", "été", "a#b%20c"])
def test_the_builds_folder_may_have_any_name(toys, digest, tmp_path, name):
    toys.folder = tmp_path / name / "build [1]"
    assert toys.build(keep=True).digest == digest
    toys.done()
    assert toys.build(keep=True).digest == digest
    assert toys.done() == {}
    assert toys.build("a", build={"redo": ["toy"]}).ledgers["posts"].rows_in == 20
    assert toys.names_nothing_lost()
    assert toys.unnamed() == []


def test_a_list_misses_only_the_file_that_went_as_it_was_made(tmp_path, monkeypatch):
    disk = Disk(tmp_path)
    for name in "abc":
        disk.write(f"runs/{name}", b"x")
    scandir = os.scandir

    class Vanishing:
        def __init__(self, folder) -> None:
            self._entries = scandir(folder)

        def __enter__(self):
            return self

        def __exit__(self, *_) -> None:
            self._entries.close()

        def __iter__(self):
            for entry in self._entries:
                if entry.name == "b":
                    Path(entry.path).unlink()
                yield entry

    monkeypatch.setattr(os, "scandir", Vanishing)
    assert [entry.name for entry in disk.entries("runs")] == ["runs/a", "runs/c"]


def test_a_folder_that_another_process_fills_meanwhile_stops_nobody(tmp_path, monkeypatch):
    # A worker of a run that is over still writes as the next run sweeps.
    disk = Disk(tmp_path)
    disk.write("runs/old/heartbeats/a.json", b"{}")
    rmdir = Path.rmdir

    def late(self) -> None:
        if self.name == "heartbeats":
            (self / "b.json").write_text("{}")
        rmdir(self)

    monkeypatch.setattr(Path, "rmdir", late)
    disk.remove_folder("runs")
    monkeypatch.undo()
    disk.remove_folder("runs")
    assert not (tmp_path / "runs").exists()


def test_a_build_that_was_copied_without_its_times_is_whole(toys, digest, tmp_path):
    toys.build()
    toys.folder = shutil.copytree(toys.folder, tmp_path / "copy", copy_function=shutil.copyfile)
    toys.done()
    assert toys.build().digest == digest
    assert toys.done() == {}
    assert toys.names_nothing_lost()
