"""Processes by their session, and a Dask cluster on loopback, started as people start one."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WORKERS = 2
START_S = 120


class Cluster:
    """A scheduler and two workers under their nannies. Use as a context manager."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._started = 0
        self._scheduler: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []
        self.address = ""

    def __enter__(self) -> "Cluster":
        self.mend()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        """The scheduler."""
        assert self._scheduler is not None
        return self._scheduler

    def children(self, worker: "subprocess.Popen[bytes]") -> list[int]:
        """The worker under its nanny and those of its pool; the nanny itself where it has none."""
        found = [pid for pid in living(worker.pid) if pid != worker.pid]
        work = [pid for pid in found if b"spawn_main" in command_of(pid) or is_forked(pid)]
        return work or [worker.pid]

    def mend(self) -> None:
        """Start what is missing, and wait until the workers are there."""
        if self._scheduler is None or self._scheduler.poll() is not None:
            self.kill()
            self._scheduler = self._run("scheduler", "--host", "127.0.0.1", "--port", "0")
            self.address = self._read(r"Scheduler at:\s+(tcp://127\.0\.0\.1:\d+)")
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        while len(self.workers) < WORKERS:
            space = self._folder / f"space-{self._started}"
            words = ("worker", self.address, "--host", "127.0.0.1", "--nthreads", "1")
            more = ("--no-dashboard", "--local-directory", str(space))
            self.workers.append(self._run(*words, *more))
            self._read(r"Registered to:\s+(tcp://127\.0\.0\.1:\d+)")

    def kill(self) -> None:
        """SIGKILL for all."""
        for process in (*self.workers, self._scheduler):
            if process:
                self.kill_one(process)
        self._scheduler, self.workers = None, []

    def kill_one(self, process: "subprocess.Popen[bytes]") -> None:
        """SIGKILL for a process of the cluster and its children."""
        while found := living(process.pid):
            for pid in found:
                end(pid)
            time.sleep(0.02)
        process.wait(20)

    def _run(self, *words: str) -> "subprocess.Popen[bytes]":
        self._started += 1
        self._log = self._folder / f"{self._started}.log"
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", f"distributed.cli.dask_{words[0]}", *words[1:]],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _read(self, pattern: str) -> str:
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            if found := re.search(pattern, self._log.read_text()):
                return found.group(1)
            time.sleep(0.05)
        raise SystemExit(f"the cluster does not start: {self._log.read_text()[-400:]}")


def end(pid: int, how: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal; a process that is gone is fine."""
    try:
        os.kill(pid, how)
    except ProcessLookupError:
        return


def living(session: int) -> list[int]:
    """The living processes of a session."""
    return [pid for pid, state in _states(session) if state != "Z"]


def is_forked(pid: int) -> bool:
    """Whether it is a worker of a pool: both it and its parent have the fork server's command."""
    return all(b"forkserver" in command_of(process) for process in (pid, _parent_of(pid)))


def _parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def is_stopped(pid: int) -> bool:
    """Whether SIGSTOP holds a process that leads its session."""
    return (pid, "T") in _states(pid)


def _states(session: int) -> Iterator[tuple[int, str]]:
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == session:
            yield int(path.parent.name), fields[0]


def command_of(pid: int) -> bytes:
    """The command line of a process, empty where it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""
