"""Who may build where: locks, folders that cannot be written, formats, disk space."""

import errno
import json
import os
import resource
import shutil

import pytest

from pipeline.engine.build import Build
from pipeline.engine.store import Disk
from pipeline.errors import BusyError, SettingsError, StageError
from pipeline.settings import EngineSettings


def test_a_second_build_in_a_folder_is_refused_and_told_who_holds_it(killable):
    driver = killable.start(labels=["a"], do={"a": "sleep"})
    killable.wait_for("asleep")
    with pytest.raises(BusyError, match=f"process {driver} on .*toy_driver"):
        killable.build("a")
    os.kill(driver, 9)
    killable.wait(driver)


def test_the_lock_of_a_dead_process_is_not_in_the_way(toys, inline):
    toys.folder.mkdir()
    holder = {"pid": 1, "host": "elsewhere", "command": "webtext build"}
    (toys.folder / "lock").write_text(json.dumps(holder))
    assert toys.build("a").parts


def test_the_lock_is_free_after_a_failure(toys, inline):
    with pytest.raises(StageError):
        toys.build("a", do={"a": "raise KeyError"})
    assert toys.build("a").parts


def test_the_lock_is_free_after_a_start_that_failed(toys, inline):
    toys.engine["free_disk_min_bytes"] = 1 << 60
    with pytest.raises(StageError) as error:
        toys.build("a")
    toys.engine["free_disk_min_bytes"] = 0
    assert toys.build("a").parts
    assert "engine.free_disk_min_bytes" in str(error.value)  # it still holds the failed build


def test_a_full_disk_is_noticed_before_each_part_and_what_is_done_is_kept(
    toys, inline, monkeypatch
):
    usage, calls = shutil.disk_usage(toys.folder.parent), []

    def filling(path):
        calls.append(path)
        return usage._replace(free=10 << 20 if len(calls) < 5 else 0)

    toys.engine["free_disk_min_bytes"] = 1 << 20
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", filling)
        with pytest.raises(StageError, match=r"only 0 MiB are free .* to go on"):
            toys.build()
    assert toys.done()["read"] == 2  # the build and the step look too
    toys.build()
    assert toys.done()["read"] == 2


@pytest.mark.parametrize("in_worker", [True, False])
def test_a_write_that_fails_names_the_part_and_the_next_run_goes_on(toys, request, in_worker):
    # RLIMIT_FSIZE stands in for a full disk: both fail in the middle of a write.
    if not in_worker:
        request.getfixturevalue("inline")
    toys.engine["workers"] = 1
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        with pytest.raises(StageError, match=r"toy: read, part c: .*File too large.* to go on"):
            toys.build(do={"c": "fill the disk"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(toys.folder.rglob("*.bin"))
    assert toys.unnamed() == []
    read = toys.done()["done"]
    request.getfixturevalue("inline")
    toys.build()
    assert toys.done()["read"] == 4 - read


def test_a_failure_is_told_also_where_the_disk_cannot_take_its_note(toys, inline, monkeypatch):
    def full(self, name, value, **more):
        if name.startswith("runs/") and "failures" in name:
            raise OSError(errno.ENOSPC, "No space left on device")
        write_json(self, name, value, **more)

    write_json = Disk.write_json
    with monkeypatch.context() as patch:
        patch.setattr(Disk, "write_json", full)
        with pytest.raises(StageError, match="part b: KeyError"):
            toys.build(do={"b": "raise KeyError"})
    assert toys.done()["read"] == 2  # the others heard of it
    assert toys.build().ledgers["posts"].rows_in == 80


def test_a_disk_that_fills_up_under_the_driver_is_told_as_such(toys, inline, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.engine.publish.write_manifest", full)
        with pytest.raises(StageError, match=r"toy: .*No space left on device.* to go on"):
            toys.build()
    toys.done()
    toys.build()
    assert toys.done() == {}


def test_a_folder_that_cannot_be_made_is_refused_by_name(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match=r"cannot build in .*file/build: .*Not a directory"):
        Build(tmp_path / "file" / "build").__enter__()


def test_a_stage_of_another_format_is_refused(toys, inline):
    toys.build("a")
    path = toys.folder / "toy" / "manifest.json"
    path.write_text(json.dumps({"format": 99}))
    with pytest.raises(StageError, match=r"has format 99, this webtext reads format 4"):
        toys.build("a")


def test_a_build_of_another_format_is_refused_before_any_of_its_parts_is_read(toys, inline):
    toys.build("a")
    path = toys.folder / "build.json"
    path.write_text(json.dumps({"format": 0}))
    with pytest.raises(StageError, match=r"was made in format 0, this webtext reads format 4"):
        toys.build("a", "b")


def test_a_damaged_manifest_is_named(toys, inline):
    toys.build("a")
    (toys.folder / "toy" / "manifest.json").write_text('{"format": 1,')
    with pytest.raises(StageError, match=r"manifest.json is damaged"):
        toys.build("a")


def test_a_folder_that_is_no_stage_is_never_replaced(toys, inline):
    (toys.folder / "toy").mkdir(parents=True)
    (toys.folder / "toy" / "thesis.txt").write_text("my own")
    with pytest.raises(StageError, match="is in the way"):
        toys.build("a")
    assert (toys.folder / "toy" / "thesis.txt").read_text() == "my own"


def test_a_build_can_move(toys, inline, tmp_path):
    digest = toys.build("a", "b", keep=True).digest
    toys.done()
    toys.folder = toys.folder.rename(tmp_path / "elsewhere")
    assert toys.build("a", "b", keep=True).digest == digest
    assert not toys.done()
    toys.build("a", "b", "c", keep=True)
    assert toys.done()["read"] == 1


def test_a_stage_before_that_is_missing_is_named(tmp_path):
    settings = EngineSettings(free_disk_min_bytes=0)
    with (
        Build(tmp_path, settings, quiet=True) as build,
        pytest.raises(StageError, match="no stage links"),
    ):
        build.output("links")
