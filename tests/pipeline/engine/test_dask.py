"""The same program on a Dask cluster, started as people start one: a scheduler and two workers."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import toy

from pipeline.engine.build import Build
from pipeline.engine.control import Run
from pipeline.errors import InputError, SettingsError, StageError
from pipeline.settings import EngineSettings

pytest.importorskip("distributed")
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("dask")]
ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Cluster:
    """Processes of `dask scheduler` and `dask worker`, in a folder for what they write."""

    folder: Path
    workers: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def start(self) -> None:
        """Start the scheduler; it chooses its port."""
        self.scheduler = self._run("scheduler", "--host", "127.0.0.1", "--port", "0")
        found = self._read("scheduler", r"Scheduler at:\s+(tcp://127\.0\.0\.1:\d+)")
        self.address = found.group(1)

    def add_worker(self, **environment: str) -> None:
        """Start a worker under a nanny, as `dask worker` does by default."""
        words = ("worker", self.address, "--host", "127.0.0.1", "--nthreads", "1")
        number = len(self.workers)
        directory = ("--no-dashboard", "--local-directory", str(self.folder / f"space-{number}"))
        self.workers.append(self._run(*words, *directory, **environment))

    def close(self) -> None:
        """End all."""
        for process in (*self.workers, self.scheduler):
            process.terminate()
        for process in (*self.workers, self.scheduler):
            process.wait(20)

    def _run(self, *words: str, **environment: str) -> "subprocess.Popen[bytes]":
        path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        with (self.folder / f"{words[0]}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:]],
                env={**os.environ, "PYTHONPATH": path, **environment},
                stdout=log,
                stderr=log,
            )

    def _read(self, name: str, pattern: str) -> "re.Match[str]":
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            text = (self.folder / f"{name}.log").read_text()
            if found := re.search(pattern, text):
                return found
            time.sleep(0.05)
        raise AssertionError(text)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A scheduler with two workers."""
    made = Cluster(tmp_path_factory.mktemp("dask"))
    made.start()
    for _ in range(2):
        made.add_worker()
    yield made
    made.close()


@pytest.fixture
def on_dask(toys: Any, cluster: Cluster) -> Any:
    """A build folder for toys on the cluster."""
    toys.engine |= {"runner": "dask", "scheduler": cluster.address}
    return toys


@pytest.fixture(scope="module")
def local_digest(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """What the local runner gives."""

    @cache
    def digest(**stage: Any) -> str:
        settings = EngineSettings(workers=1, buckets=4, free_disk_min_bytes=0)
        with Build(tmp_path_factory.mktemp("local") / "build", settings, quiet=True) as build:
            return build.run(toy.stage(**stage)).digest

    return digest


@pytest.mark.parametrize("transport", ["files", "shuffle"])
def test_dask_gives_the_rows_of_the_local_runner(
    on_dask: Any, transport: str, local_digest: Callable[..., str]
) -> None:
    on_dask.engine["exchange"] = transport
    output = on_dask.build(items=True)
    assert output.digest == local_digest(items=True)
    assert on_dask.done() == {"read": 4, "done": 4, "group": 4, "items": 4}


def test_parts_are_at_work_side_by_side(on_dask: Any) -> None:
    # Each of two parts waits for the other one: alone, neither would end.
    on_dask.build("a", "b", do={"a": "meet b", "b": "meet a"})
    assert on_dask.done()["done"] == 2


def test_an_input_error_keeps_its_type_and_the_rest_is_resumed(on_dask: Any) -> None:
    with pytest.raises(InputError, match=r"dump\.zst, byte 10240"):
        on_dask.build(do={"d": "raise InputError"})
    committed = on_dask.committed()
    on_dask.done()
    on_dask.build()
    assert on_dask.done()["read"] == 4 - len(committed)


def test_a_worker_that_dies_in_a_part_is_replaced_and_the_part_done_again(on_dask: Any) -> None:
    on_dask.log.write_text("")
    assert on_dask.build("a", "b", do={"a": "die once"}).ledgers["posts"].rows_in == 40


def test_a_worker_with_other_versions_is_named_with_what_differs(on_dask: Any) -> None:
    with pytest.raises(StageError, match=r"a worker on .* has trafilatura \d\S*, the driver 0\.1"):
        on_dask.build(versions={"trafilatura": "0.1"})


def test_a_worker_that_does_not_see_the_build_is_told(
    on_dask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Run, "begin", lambda self, **facts: None)
    with pytest.raises(StageError, match="does not see the build in"):
        on_dask.build()


def test_a_scheduler_that_is_not_there_is_one_sentence(toys: Any) -> None:
    options = ("--dask_connection_timeout", "1")
    toys.engine |= {"runner": "dask", "scheduler": "tcp://127.0.0.1:9", "runner_options": options}
    with pytest.raises(StageError) as error:
        toys.build()
    assert "tcp://127.0.0.1:9" in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_dask_without_a_scheduler_says_how_to_start_one(toys: Any) -> None:
    toys.engine |= {"runner": "dask"}
    with pytest.raises(SettingsError, match="dask scheduler"):
        toys.build()


@pytest.mark.timeout(120)
def test_a_cluster_whose_workers_are_all_killed_goes_on_with_new_ones(
    toys: Any, tmp_path: Path, local_digest: Callable[..., str]
) -> None:
    made = Cluster(tmp_path)
    made.start()
    made.add_worker()
    toys.engine |= {"runner": "dask", "scheduler": made.address}
    try:
        os.kill(made.workers[0].pid, signal.SIGKILL)
        made.add_worker()
        assert toys.build().digest == local_digest()
    finally:
        made.close()
