"""The same program on a Dask cluster, started as people start one: a scheduler and two workers."""

import gc
import multiprocessing
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import toy
from processes import children_of, is_alive
from steps import run_here, write_files

from pipeline.engine import stage_run, workers
from pipeline.engine.build import Build
from pipeline.engine.cluster import here
from pipeline.engine.control import Run
from pipeline.engine.digest import file_digest
from pipeline.engine.progress import Progress
from pipeline.errors import InputError, SettingsError, StageError
from pipeline.settings import EngineSettings, ShardsSettings, TokenizerSettings
from pipeline.tokens import counts_stage, texts_stage
from pipeline.tokens.stage import tokenizer_stage

distributed = pytest.importorskip("distributed")
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("dask")]
ROOT = Path(__file__).resolve().parents[3]


@dataclass
class Cluster:
    """Processes of `dask scheduler` and `dask worker`, in a folder for what they write."""

    folder: Path
    workers: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def start(self, **environment: str) -> None:
        """Start the scheduler; it chooses its port."""
        words = ("scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        (self.folder / "scheduler.log").unlink(missing_ok=True)
        self.scheduler = self._run(*words, **environment)
        found = self._read("scheduler", r"Scheduler at:\s+(tcp://127\.0\.0\.1:\d+)")
        self.address = found.group(1)

    def add_worker(self, *more: str, threads: int = 1, **environment: str) -> None:
        """Start a worker under a nanny, as `dask worker` does by default."""
        words = ("worker", self.address, "--host", "127.0.0.1", "--nthreads", str(threads), *more)
        number = len(self.workers)
        directory = ("--no-dashboard", "--local-directory", str(self.folder / f"space-{number}"))
        self.workers.append(self._run(*words, *directory, **environment))

    @contextmanager
    def added_when(self, true: Callable[[], bool]) -> Iterator[None]:
        """Meanwhile a worker is added once something is true."""

        def add() -> None:
            wait_until(true, 120)
            self.add_worker()

        thread = threading.Thread(target=add)
        thread.start()
        yield
        thread.join()

    def close(self) -> None:
        """End all; a worker, and its pool, go with the nanny that started it."""
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait(20)

    def _run(self, *words: str, **environment: str) -> "subprocess.Popen[bytes]":
        path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        with (self.folder / f"{words[0]}.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:]],
                env={**os.environ, "PYTHONPATH": path, **environment},
                stdout=log,
                stderr=log,
                cwd=self.folder,  # Python would import from here first
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


def test_a_tokenizer_made_on_a_cluster_is_that_of_one_process(
    on_dask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts_stage, "SMALL_BYTES", 1)  # each file is a part
    monkeypatch.setattr(counts_stage, "ROWS_HELD", 50)  # so there are buckets
    texts = [" ".join(f"w{n * k % 97}" for k in range(50)) for n in range(80)]
    corpus = texts_stage.texts_stage(write_files(tmp_path / "in", texts, 4), file_digest)
    rules = TokenizerSettings(vocab_size=300)
    tokenizer = tokenizer_stage(rules, ShardsSettings(), file_digest)
    on_dask.run(corpus)
    made = on_dask.run(tokenizer)
    assert len(list(on_dask.store.entries("parts/tokenizer-count"))) == 4
    assert len(list(on_dask.store.entries("parts/tokenizer-sum"))) > 1
    here = run_here(corpus, {}, tmp_path / "here")
    assert run_here(tokenizer, {"corpus": here}, tmp_path / "here").digest == made.digest


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


def test_a_version_that_is_of_no_library_is_not_asked_of_workers(on_dask: Any) -> None:
    assert on_dask.build(versions={"model": "b90f73e7", "lxml": version("lxml")}).parts


def test_a_worker_that_does_not_see_the_build_is_told(
    on_dask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for method in ("begin", "tell"):  # who tells how far a run is, shows it too
        monkeypatch.setattr(Run, method, lambda self, *facts: None)
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


def test_the_driver_of_a_cluster_has_no_worker_processes(on_dask: Any) -> None:
    stage = toy.stage(("a",), options=toy.Options(str(on_dask.log)), items=True)
    with Build(on_dask.folder, EngineSettings(**on_dask.engine), quiet=True) as build:
        build.run(stage)
        assert multiprocessing.active_children() == []


@pytest.mark.parametrize(
    ("name", "found"), [("python", "2.7"), ("webtext", "0.0.1"), ("apache-beam", "2.1")]
)
def test_a_scheduler_that_is_not_as_the_driver_is_named_with_host_difference_and_mend(
    on_dask: Any, monkeypatch: pytest.MonkeyPatch, name: str, found: str
) -> None:
    monkeypatch.setattr(stage_run, "here", lambda: {**here(), name: found})
    with pytest.raises(StageError) as error:
        on_dask.build()
    assert str(error.value).startswith(f"the Dask scheduler on {socket.gethostname()} has {name} ")
    assert f"the driver {found}; install the same on all machines" in str(error.value)


# What befalls a cluster of one's own

# What a driver writes for people: what stopped it, and plain lines of progress.
TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
OURS = re.compile(rf"$|StageError: |Stopped: |stopping; |{TIME}  (toy: |no worker at )")
# A worker that imports Beam on a busy machine may say nothing for some seconds.
BEAM_FIRST = ("--preload", "pipeline.engine.runner")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Cluster]:
    """A scheduler that a test may end."""
    made = Cluster(tmp_path)
    made.start()
    yield made
    made.close()


@pytest.fixture
def on_own(killable: Any, own: Cluster) -> Any:
    """A build folder for toys on that cluster, whose drivers may be killed."""
    killable.engine |= {"runner": "dask", "scheduler": own.address}
    return killable


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def pool_of(worker: int, number: int) -> list[int]:
    """The processes of a worker's pool, once they are all there."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        commands = {pid: Path(f"/proc/{pid}/cmdline") for pid in children_of(worker)}
        servers = [pid for pid, c in commands.items() if b"forkserver" in c.read_bytes()]
        found = [pid for server in servers for pid in children_of(server)]
        if len(found) == number:
            return found
        time.sleep(0.05)
    raise AssertionError(f"{worker} has {found}, not {number} processes")


def wait_until(true: Callable[[], bool], timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)


def asleep(toys: Any) -> int:
    """The process in which a part is asleep."""
    return int(toys.wait_for("asleep", 60).split()[-1])


def test_a_scheduler_that_dies_is_one_message_and_a_rerun_on_a_new_one_goes_on(
    on_own: Any, own: Cluster, local_digest: Callable[..., str]
) -> None:
    own.add_worker()
    driver = on_own.start(do={"c": "sleep"})
    asleep(on_own)
    own.scheduler.kill()
    assert on_own.wait(driver) == 1
    told = on_own.stderr.read_text().splitlines()
    assert [line for line in told if "StageError" in line] == told[-1:]
    assert f"the Dask scheduler at {own.address} is gone" in told[-1]
    assert "start scheduler and workers" in told[-1]
    assert [line for line in told if not OURS.match(line)] == []
    committed = on_own.committed()
    assert "c" not in committed
    own.close()
    own.workers.clear()
    own.start()
    own.add_worker()
    on_own.done()
    on_own.engine["scheduler"] = own.address
    assert on_own.build().digest == local_digest()
    assert on_own.done()["read"] == 4 - len(committed)


def test_a_worker_killed_among_its_items_takes_its_pool_along_and_the_part_is_done_elsewhere(
    on_own: Any, own: Cluster, local_digest: Callable[..., str]
) -> None:
    own.add_worker()
    driver = on_own.start(items=True, do={"bucket 0": "hang in the pool once"})
    worker = asleep(on_own)
    pool = pool_of(worker, 1)
    own.add_worker()
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, pool)), 5)
    assert on_own.wait(driver) == 0
    assert on_own.manifest().digest == local_digest(items=True)
    assert on_own.unnamed() == []


def test_a_worker_of_four_threads_does_four_parts_in_processes_of_its_own_and_hears_ctrl_c(
    on_own: Any, own: Cluster
) -> None:
    on_own.engine["workers"] = 0
    own.add_worker("--memory-limit", "16GiB", threads=4)
    driver = on_own.start(do=dict.fromkeys("abcd", "sleep"))
    wait_until(lambda: on_own.log.exists() and on_own.log.read_text().count("asleep") == 4, 60)
    parts = {int(line.split()[-1]) for line in on_own.log.read_text().splitlines() if "asl" in line}
    assert len(parts) == 4
    (server,) = {parent(part) for part in parts}
    assert parent(parent(server)) == own.workers[0].pid
    os.kill(driver, signal.SIGINT)
    assert on_own.wait(driver) == 130
    assert [line for line in on_own.stderr.read_text().splitlines() if not OURS.match(line)] == []
    on_own.build()  # the workers are free again


def test_a_pool_has_as_many_processes_as_the_memory_of_its_worker_allows(
    on_own: Any, own: Cluster
) -> None:
    on_own.engine |= {"workers": 0, "worker_memory_bytes": 1 << 30}
    own.add_worker("--memory-limit", "2.5GiB", threads=4)
    driver = on_own.start(items=True, do={"bucket 0": "hang in the pool"})
    assert len(pool_of(asleep(on_own), 2)) == 2
    os.kill(driver, signal.SIGINT)
    assert on_own.wait(driver) == 130


def test_a_worker_with_less_memory_than_a_page_may_take_is_refused(
    on_own: Any, own: Cluster
) -> None:
    own.add_worker("--memory-limit", "1GiB")
    with pytest.raises(StageError, match=r"has 1024 MiB of memory.* 2048 MiB; start workers with"):
        on_own.build()


def test_a_build_without_workers_says_so_and_goes_on_when_one_comes(
    on_own: Any, own: Cluster, local_digest: Callable[..., str]
) -> None:
    driver = on_own.start()
    line = rf"^{TIME}  no worker at {own.address} since .*`dask worker {own.address}`"

    def is_said() -> bool:
        told = on_own.stderr.read_text() if on_own.stderr.exists() else ""
        return bool(re.search(line, told, re.MULTILINE))

    wait_until(is_said, 60)
    own.add_worker()
    assert on_own.wait(driver) == 0
    assert on_own.manifest().digest == local_digest()
    assert len(re.findall("no worker", on_own.stderr.read_text())) == 1


def test_a_build_that_waited_in_vain_for_workers_ends_with_the_mend(
    on_own: Any, own: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "WAIT_S", 2.0)
    with pytest.raises(StageError, match=f"no worker for .*`dask worker {own.address}`, and run"):
        on_own.build()


NO_WEBTEXT = "a worker on .* cannot import webtext .ImportError: none here.; install it there"


@pytest.fixture
def elsewhere(tmp_path: Path) -> dict[str, str]:
    """The environment of a worker that cannot import webtext."""
    package = tmp_path / "elsewhere" / "pipeline" / "__init__.py"
    package.parent.mkdir(parents=True)
    package.write_text("raise ImportError('none here')")
    return {"PYTHONPATH": str(package.parents[1])}


def test_a_worker_that_cannot_import_webtext_is_told_before_the_first_part(
    on_own: Any, own: Cluster, elsewhere: dict[str, str]
) -> None:
    own.add_worker()
    own.add_worker(**elsewhere)
    with distributed.Client(own.address) as client:
        client.wait_for_workers(2, timeout=60)
    with pytest.raises(StageError, match=NO_WEBTEXT):
        on_own.build()
    assert on_own.done() == {}


def test_a_worker_that_joins_later_and_cannot_import_webtext_ends_the_build_by_name(
    on_own: Any, own: Cluster, elsewhere: dict[str, str]
) -> None:
    own.add_worker()
    driver = on_own.start(labels=["a"], do={"a": "sleep"})
    asleep(on_own)
    own.add_worker(**elsewhere)
    assert on_own.wait(driver) == 1
    assert re.search(f"StageError: {NO_WEBTEXT}", on_own.stderr.read_text())


def test_a_worker_that_ends_over_its_first_part_is_told_and_the_part_is_done_elsewhere(
    on_own: Any, own: Cluster, elsewhere: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        workers.DaskWorkers, "_ask", lambda self, new, *_: dict.fromkeys(new, OSError())
    )
    monkeypatch.setattr(workers.DaskWorkers, "_check_scheduler", lambda *_: None)
    lines: list[str] = []
    monkeypatch.setattr(Progress, "say", lambda self, line: lines.append(line))
    own.add_worker(**elsewhere)
    with distributed.Client(own.address) as client:
        client.wait_for_workers(1, timeout=60)
    with own.added_when(lambda: any("came and went" in line for line in lines)):
        on_own.build("a")
    assert on_own.done()["done"] == 1


def test_a_scheduler_that_cannot_import_webtext_is_told(
    on_own: Any, own: Cluster, elsewhere: dict[str, str]
) -> None:
    own.close()
    own.start(**elsewhere)
    on_own.engine["scheduler"] = own.address
    with pytest.raises(StageError, match=r"the Dask scheduler on .* cannot import webtext"):
        on_own.build()


def test_ctrl_c_ends_a_build_that_waits_for_workers(on_own: Any) -> None:
    driver = on_own.start()
    wait_until(lambda: on_own.store.folders("runs") != [], 60)
    time.sleep(2)
    os.kill(driver, signal.SIGINT)
    assert on_own.wait(driver) == 130


def test_parts_of_a_killed_driver_stop_when_the_next_build_begins(
    on_own: Any, own: Cluster, local_digest: Callable[..., str]
) -> None:
    own.add_worker()  # one thread: the next build gets it only if the old part lets go of it
    driver = on_own.start(do={"a": "sleep"})
    asleep(on_own)
    os.kill(driver, signal.SIGKILL)
    assert on_own.wait(driver) == -signal.SIGKILL
    assert on_own.build().digest == local_digest()
    assert on_own.unnamed() == []


def test_a_late_commit_by_a_worker_that_the_scheduler_gave_up_does_no_harm(
    on_own: Any, own: Cluster
) -> None:
    own.close()
    own.start(DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL="4s")
    on_own.engine |= {"scheduler": own.address, "workers": 0}
    own.add_worker("--no-nanny", *BEAM_FIRST, threads=2)  # a nanny would kill what was given up
    driver = on_own.start(labels=["a", "b"], do={"a": "finish slowly", "b": "wait for a twice"})
    late = int(on_own.wait_for("slow", 60).split()[-1])
    for pid in (own.workers[0].pid, late):
        os.kill(pid, signal.SIGSTOP)
    own.add_worker(*BEAM_FIRST, threads=2)
    on_own.wait_for("done a", 60)
    os.kill(late, signal.SIGCONT)
    assert on_own.wait(driver) == 0
    assert on_own.log.read_text().count("done a\n") == 2
    assert on_own.names_nothing_lost()
    assert on_own.unnamed() == []


def test_twenty_steps_leave_no_thread_and_no_client(on_dask: Any) -> None:
    settings = EngineSettings(**on_dask.engine)
    before = set(threading.enumerate())
    with Build(on_dask.folder, settings, quiet=True) as build:
        for number in range(10):
            stage = toy.stage(("a",), options=toy.Options(str(on_dask.log)))
            build.run(replace(stage, name=f"toy{number}"))
            gc.collect()
            assert len(distributed.Client._instances) == 1  # the build's own
    # A client waits for its thread's end for ten seconds, which on a busy machine may be too short.
    wait_until(lambda: set(threading.enumerate()) <= before)
    gc.collect()
    assert list(distributed.Client._instances) == []


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
