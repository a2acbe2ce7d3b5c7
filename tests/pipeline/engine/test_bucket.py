"""The toy stage in a bucket: the digests of a disk, whatever is killed and whatever fails."""

import itertools
import multiprocessing
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import s3
import toy

from pipeline.engine import bucket
from pipeline.engine.bucket import Bucket
from pipeline.engine.build import Build
from pipeline.engine.leftovers import unnamed_files
from pipeline.engine.manifest import read_manifest
from pipeline.errors import BusyError, SettingsError, StageError, WebtextError
from pipeline.settings import EngineSettings

ENGINE = {"workers": 1, "buckets": 4, "free_disk_min_bytes": 0}
LABELS = ("a", "b", "c", "d")
_numbers = itertools.count()


class Toys:
    """Builds of the toy stage at one place, and the log of what was done."""

    def __init__(self, place: str | Path, folder: Path) -> None:
        self.place = place
        self.log = folder / f"log{next(_numbers)}"
        self.told = folder / "told"  # the error that ended a driver
        self.attempts = bucket.ATTEMPTS  # of a request of a driver
        self.engine: dict[str, Any] = {**ENGINE, "scratch": str(folder / "here")}

    def build(self, *labels: str, do: dict[str, str] | None = None, **more: Any) -> str:
        """Build in this process, inline; the digest. `redo` and so on go to the build."""
        asked = {name: more.pop(name) for name in ("redo", "replay") if name in more}
        stage = toy.stage(labels or LABELS, options=toy.Options(str(self.log), do or {}), **more)
        with Build(self.place, EngineSettings(**self.engine), quiet=True, **asked) as build:
            return build.run(stage).digest

    def start(self, dies: tuple[str, str] = ("", ""), **more: Any) -> Any:
        """Build in a process of its own; `dies` is the call of the store that kills it."""
        arguments = (self, dies, more)
        process = multiprocessing.get_context("spawn").Process(target=drive, args=arguments)
        process.start()
        return process

    def run(self, **more: Any) -> str:
        """Build in a process of its own, on Beam with workers, to its end; the digest."""
        process = self.start(**more)
        process.join()
        assert process.exitcode == 0
        manifest = read_manifest(self.store, "toy")
        assert manifest is not None
        return manifest.digest

    def done(self) -> Counter[str]:
        """What was done since the last call: "read" and so on, how often."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.write_text("")
        return Counter(line.split()[0] for line in lines)

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + 30
        while not self.log.exists() or text not in self.log.read_text():
            assert time.monotonic() < deadline, f"{text} did not come"
            time.sleep(0.05)

    @property
    def store(self) -> Bucket:
        """The bucket."""
        assert isinstance(self.place, str)
        return Bucket(self.place, Path(self.engine["scratch"]))


def drive(toys: Toys, dies: tuple[str, str], more: dict[str, Any]) -> None:
    """A driver; it dies as it calls this method of the store with a name that begins so."""
    os.setsid()
    bucket.ATTEMPTS = toys.attempts
    method, beginning = dies
    if method:
        real = getattr(Bucket, method)

        def dying(self: Bucket, name: Any, *rest: Any, **named: Any) -> Any:
            names = [name] if isinstance(name, str) else (name := list(name))
            if any(each.startswith(beginning) for each in names):
                os.kill(os.getpid(), signal.SIGKILL)
            return real(self, name, *rest, **named)

        setattr(Bucket, method, dying)
    try:
        toys.build(**more)
    except WebtextError as error:
        toys.told.write_text(f"{type(error).__name__}: {error}")
        os._exit(1)


@pytest.fixture
def toys(server, tmp_path) -> Toys:
    return Toys(server.uri(f"toys/{next(_numbers)}"), tmp_path)


@pytest.fixture(autouse=True)
def no_driver_is_left() -> Iterator[None]:
    yield
    for process in multiprocessing.active_children():
        process.kill()


def nothing_is_left(toys: Toys) -> None:
    """No file that nothing names, no lock, no run, nothing on this machine."""
    assert unnamed_files(toys.store) == []
    assert toys.store.entries("lock") == toys.store.entries("runs", below=True) == []
    assert not [p for p in Path(toys.engine["scratch"]).rglob("*") if p.is_file()]


def test_a_build_in_a_bucket_has_the_digest_of_one_on_a_disk_and_is_made_once(toys, digest):
    assert toys.run() == digest
    toys.done()
    assert toys.run() == digest
    assert toys.done() == {}
    nothing_is_left(toys)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [2, 7])
def test_other_workers_and_the_shuffle_give_the_same_digest(toys, digest, workers):
    toys.engine.update(workers=workers, exchange="shuffle")
    assert toys.run() == digest
    nothing_is_left(toys)


def test_a_manifest_names_the_files_and_they_are_what_it_says(toys, inline):
    toys.build()
    store = toys.store
    manifest = read_manifest(store, "toy")
    for file in manifest.all_files():
        assert store.stat(file.name).bytes == file.bytes
    rows = sum(store.table(part.table).num_rows for part in manifest.parts)
    assert rows == manifest.ledgers["posts"].rows_out
    assert [entry.name for entry in store.entries("toy")] == ["toy/manifest.json"]


def test_redo_makes_a_stage_again_and_one_part_more_takes_over_the_others(toys, digest):
    toys.build(keep=True)
    toys.done()
    assert toys.build(keep=True, redo=["toy"]) == digest
    assert toys.done()["read"] == 4
    toys.build(*LABELS, "e", keep=True)
    assert toys.done()["read"] == 1
    nothing_is_left(toys)


@pytest.mark.parametrize(
    ("dies", "reads", "groups"),
    [
        (("write_json", "steps/toy-read"), 0, 4),
        (("write_json", "steps/toy-group"), 0, 0),
        (("write_json", "toy/manifest"), 0, 0),
        (("remove", "parts/"), 0, 0),
        (("remove", "data/"), 0, 0),
    ],
)
def test_a_driver_killed_after_its_parts_leaves_them_to_the_next_run(
    toys, digest, dies, reads, groups
):
    driver = toys.start(dies)
    driver.join()
    assert driver.exitcode == -signal.SIGKILL
    toys.done()
    assert toys.build() == digest
    done = toys.done()
    assert (done["read"], done["group"]) == (reads, groups)
    assert toys.store.entries("lock") == []


@pytest.mark.parametrize("misdeed", ["kill the driver", "kill the driver before the record"])
def test_a_driver_killed_in_the_middle_of_a_part_loses_that_part_alone(toys, digest, misdeed):
    driver = toys.start(do={"d": misdeed})
    driver.join()
    assert driver.exitcode == -signal.SIGKILL
    committed = len(toys.store.entries("parts/toy-read"))
    toys.done()
    assert toys.build() == digest
    assert toys.done()["read"] == 4 - committed


def test_a_worker_that_dies_is_replaced(toys, digest):
    assert toys.run(do={"b": "die once"}) == digest
    nothing_is_left(toys)


def test_a_second_build_is_refused_and_another_prefix_is_not(toys, digest, server, tmp_path):
    driver = toys.start(do={"a": "sleep"})
    toys.wait_for("asleep")
    with pytest.raises(BusyError, match=f"process {driver.pid} on "):
        toys.build()
    assert Toys(f"{server.uri('toys/other')}", tmp_path).build() == digest
    os.kill(driver.pid, signal.SIGKILL)
    driver.join()


def test_a_failure_names_the_part_and_the_log_that_has_its_stack(toys, inline):
    with pytest.raises(
        StageError, match=r"toy: read, part b: KeyError.* s3://webtext/.*/log/"
    ) as e:
        toys.build(do={"b": "raise KeyError"})
    name = str(e.value).rpartition("log/")[2].split(")")[0]
    assert b"KeyError" in toys.store.read(f"log/{name}")


def test_a_build_in_a_bucket_has_no_folder(toys):
    build = Build(toys.place, EngineSettings(**toys.engine), quiet=True)
    with pytest.raises(SettingsError, match="is in a bucket"):
        build.folder


def test_how_many_requests_a_part_takes(server, tmp_path, inline):
    found = {}
    for parts in (4, 24):
        with s3.Proxy(server.port) as proxy:
            place = server.uri(f"requests/{parts}", proxy.port)
            toys = Toys(place, tmp_path)
            toys.build(*(f"p{n}" for n in range(parts)))
            found[parts] = proxy.count()
    # Rounded: the lock is renewed every ten seconds, however long this takes.
    each = {method: round((found[24][method] - found[4][method]) / 20) for method in found[24]}
    assert each == {"HEAD": 10, "PUT": 5, "GET": 3, "DELETE": 2, "POST": 0}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_store_that_fails_now_and_then_gives_the_same_digest_or_a_clear_error(
    server, tmp_path, digest, seed
):
    with s3.Proxy(server.port, share=0.05, seed=seed) as proxy:
        toys = Toys(server.uri(f"failing/{seed}", proxy.port), tmp_path)
        ended = None
        for _ in range(2):
            try:
                ended = toys.build()
                break
            except (StageError, SettingsError) as error:
                assert "Traceback" not in str(error)
        assert proxy.faults.total() - proxy.faults[""] > 3
    toys.place = server.uri(f"failing/{seed}")
    if ended is None:
        ended = toys.build()
    assert ended == digest
    assert toys.build() == digest


@pytest.mark.slow
@pytest.mark.parametrize("seed", [4, 5])
def test_workers_on_a_store_that_fails_often_end_with_the_same_digest_or_a_clear_error(
    server, tmp_path, digest, seed
):
    with s3.Proxy(server.port, share=0.15, seed=seed) as proxy:
        toys = Toys(server.uri(f"often/{seed}", proxy.port), tmp_path)
        toys.engine.update(workers=2)
        driver = toys.start()
        driver.join()
        assert driver.exitcode == 0 or toys.told.read_text().startswith(("Stage", "Settings"))
        assert proxy.faults.total() - proxy.faults[""] > 20
    toys.place = server.uri(f"often/{seed}")
    assert toys.run() == digest
    nothing_is_left(toys)


@pytest.mark.slow
def test_a_store_that_goes_away_ends_the_build_with_a_message_and_a_rerun_finishes(
    server, tmp_path, digest
):
    with s3.Proxy(server.port) as proxy:
        toys = Toys(server.uri("away", proxy.port), tmp_path)
        toys.attempts = 2
        driver = toys.start(do={"c": "finish slowly"})
        toys.wait_for("slow")
        proxy.all_with = "cut before"
        driver.join(240)
        assert driver.exitcode == 1
        assert re.match(
            r"StageError: toy.*What is done is kept; run the same", toys.told.read_text()
        )
    toys.place = server.uri("away")
    assert toys.build() == digest
