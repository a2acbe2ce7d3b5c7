"""A build under faults: its input, its driver and helpers, and what must be true of it.

Every process is started here, in a session of its own, and ended by its pid.
"""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from pipeline.engine import leftovers, names
from pipeline.engine.store import Disk, Store
from pipeline.engine.stores import open_store
from tools.benchmarks.fault_processes import ROOT, Cluster, end, is_forked, living
from tools.benchmarks.fault_store import FaultyStore
from tools.clean import clean
from tools.demo import captures, dumps, posts
from tools.demo.web import Web, add_sites
from tools.places import Place
from tools.status import status, verify

TIMEOUT_S = 300  # of one run of a build; idle it takes ten seconds
GONE_S = 20  # in which workers follow their driver
WARCS = 3
PASSING_LINKS = 1_100
# The sites of the demo, one in so many of their pages.
SHARES = {"small": 16, "large": 4}
SETTINGS = """\
[input]
dumps = ["RS_*"]
warcs = ["web-*.warc.gz"]

[engine]
workers = 2
buckets = 4
free_disk_min_bytes = 0

[links]
date_min = 2012-09-01
date_max = 2020-06-30

[tokenizer]
vocab_size = 2048
"""
STEP = re.compile(r"^\S+ \S+  (\w+: \w+): .*\(([\d.]+) s\)$", re.MULTILINE)
# What each stage's rows become for the next one.
CHAIN = ("links", "pages", "documents", "corpus", "shards")


class Broken(Exception):  # noqa: N818 (a promise that was not kept)
    """A promise of the build that was not kept."""


def environment() -> dict[str, str]:
    """That of all processes of a build, with an object store's credentials where there is one."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def write_input(folder: Path, size: str) -> Path:
    """Dumps, WARC files and settings of this size; the settings' path."""
    folder.mkdir(parents=True)
    share = SHARES[size]
    web = Web()
    add_sites(web, share)
    for number in range(WARCS):
        captures.write_warc(
            folder / f"web-{number}.warc.gz", web.captures[number::WARCS], stored=False
        )
    targets = [*web.targets, *posts.passing_links(PASSING_LINKS // share)]
    dumps.write_dumps(folder, posts.plan(targets))
    settings = folder / "webtext.toml"
    settings.write_text(SETTINGS, encoding="utf-8")
    return settings


@dataclass(frozen=True)
class Undisturbed:
    """What a build gives to which nothing happens: its stages, and its steps with their seconds."""

    stages: dict[str, Any]
    steps: list[tuple[str, float]]


@dataclass
class Site:
    """One build: where it is, who is at work on it, and what was told.

    `folder` is the build's; of one in a bucket, what lies on this machine.
    """

    settings: Path
    folder: Path
    cluster: Cluster | None = None
    bucket: FaultyStore | None = None
    like: Undisturbed | None = None
    runs: int = 0
    words: tuple[str, ...] = ()  # of the next run, by a mend
    damaged: list[str] = field(default_factory=list)  # names of the store
    helpers: list["subprocess.Popen[str]"] = field(default_factory=list)  # of faults to come
    late: list["subprocess.Popen[str]"] = field(default_factory=list)  # at work, or held, in a part

    @property
    def name(self) -> str:
        """The build's own name in a bucket."""
        return "/".join(self.folder.parts[-3:])

    @property
    def place(self) -> Place:
        """Where the build is, for those who look at it."""
        return self.bucket.past_proxy(self.name) if self.bucket else self.folder

    @property
    def store(self) -> Store:
        """The build's store, past the proxy."""
        return open_store(self.place, str(self.folder.with_name("looks")))

    def words_of_place(self) -> list[str]:
        """Where a command of a build is told to make it."""
        if self.bucket:
            scratch = ["--engine.scratch", str(self.folder)]
            return ["--out", self.bucket.place(self.name), *scratch]
        return ["--out", str(self.folder)]

    # Processes

    def start(self) -> None:
        """Start a run."""
        self.runs += 1
        with self.told.open("wb") as log:
            self.driver = subprocess.Popen(
                self.command(),
                stdout=subprocess.DEVNULL,
                stderr=log,
                env=environment(),
                start_new_session=True,
            )

    def command(self) -> list[str]:
        """The words of a run."""
        words = [sys.executable, "-P", "-m", "tools.entry", "build", str(self.settings)]
        words += ["--to", "shards", *self.words_of_place(), *self.words]
        if self.cluster:
            words += ["--engine.runner", "dask", "--engine.scheduler", self.cluster.address]
        return words

    @property
    def told(self) -> Path:
        """What the present run tells."""
        return self.folder.with_name(f"{self.folder.name}-run-{self.runs}.log")

    def helper(self, *words: str) -> "subprocess.Popen[str]":
        """A process that waits for a line, then does a part at work: fault_twice.py."""
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tools.benchmarks.fault_twice", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(),
            start_new_session=True,
            text=True,
        )
        self.helpers.append(process)
        return process

    def workers(self) -> list[int]:
        """The driver's worker processes."""
        return [pid for pid in living(self.driver.pid) if is_forked(pid)]

    def kill(self) -> None:
        """SIGKILL for all processes of the build."""
        while found := living(self.driver.pid):
            for pid in found:
                end(pid)
            time.sleep(0.02)
        self.driver.wait(GONE_S)

    def close(self) -> None:
        """End all that is left."""
        if self.runs:
            self.kill()
        for process in self.helpers:
            for pid in living(process.pid):
                end(pid)
            process.communicate(timeout=GONE_S)

    # Waiting

    def wait(self) -> int:
        """Wait for the run: its exit code. Broken where it hangs, or leaves processes behind."""
        try:
            code = self.driver.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            raise Broken(f"hung for {TIMEOUT_S} s after: {self.last_line()}") from None
        until(lambda: not living(self.driver.pid), GONE_S, "processes outlive their driver")
        text = self.told.read_text(errors="replace")
        if "Traceback (most recent call last)" in text:
            raise Broken(f"a traceback for people: {text[text.index('Traceback') :][-400:]!r}")
        return code

    def reached(self, step: int) -> bool:
        """Whether the build is at this step of the undisturbed one, or past it."""
        if step == 0 or self.like is None:
            return "build: " in self.told.read_text()
        place = {name: number for number, (name, _) in enumerate(self.like.steps)}
        done = (place.get(name, 0) for name, _ in self.steps())
        return max(done, default=-1) >= step - 1

    def wait_for(self, step: int, share: float) -> bool:
        """Wait until a share of this step's time has passed; False if the run ended before."""
        deadline = time.monotonic() + TIMEOUT_S
        while not self.reached(step):
            if self.driver.poll() is not None:
                return False
            if time.monotonic() > deadline:
                raise Broken(f"hung for {TIMEOUT_S} s after: {self.last_line()}")
            time.sleep(0.01)
        if self.like is not None:
            time.sleep(share * self.like.steps[step][1])
        return self.driver.poll() is None

    def steps(self) -> list[tuple[str, float]]:
        """The steps that all runs finished, with their seconds."""
        found = []
        for number in range(1, self.runs + 1):
            path = self.folder.with_name(f"{self.folder.name}-run-{number}.log")
            found += STEP.findall(path.read_text(errors="replace"))
        return [(name, float(seconds)) for name, seconds in found]

    def last_line(self) -> str:
        """What the run said last."""
        lines = self.told.read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    # What must be true at the end

    def check(self) -> None:
        """Broken unless the build is as an undisturbed one, whole, and without leftovers."""
        found = status(self.place)["stages"]
        if lost := rows_unaccounted_for(found):
            raise Broken(f"{lost} rows are unaccounted for")
        if self.like and found != self.like.stages:
            wrong = [name for name, stage in self.like.stages.items() if found.get(name) != stage]
            raise Broken(f"other rows than an undisturbed build: {', '.join(wrong)}")
        if lines := verify(self.place).damaged:
            raise Broken(f"status --verify: {lines[0]}")
        clean(self.place, now=True)
        if left := self.left_over():
            raise Broken(f"left after clean --now: {', '.join(left[:3])}")

    def left_over(self) -> list[str]:
        """Files of data/ that nothing names, and what only a build at work has."""
        store = self.store
        found = [entry.name for entry in leftovers.unnamed_files(store)]
        found += [e.name for e in store.entries(names.DATA) if not leftovers.is_ours(e)]
        folders = [names.SCRATCH, names.RUNS, names.FORGET]
        for folder in folders if isinstance(store, Disk) else [*folders, names.LOCK]:
            found += [entry.name for entry in store.entries(folder, below=True)]
        if self.bucket:
            found += [str(path) for path in self.folder.rglob("*") if path.is_file()]
        return found

    def undisturbed(self) -> Undisturbed:
        """Build with no fault."""
        self.start()
        if self.wait():
            raise SystemExit(f"the undisturbed build failed: {self.last_line()}")
        self.check()
        return Undisturbed(status(self.place)["stages"], self.steps())

    def remove(self) -> None:
        """Remove the folder and the logs."""
        for path in (self.folder, *self.folder.parent.glob(f"{self.folder.name}-[0-9]*")):
            shutil.rmtree(path, ignore_errors=True)
        shutil.rmtree(self.folder.with_name("looks"), ignore_errors=True)
        if self.bucket:
            self.bucket.remove(self.name)
        for path in self.folder.parent.glob(f"{self.folder.name}-run-*.log"):
            path.unlink()


def rows_unaccounted_for(stages: dict[str, Any]) -> int:
    """Rows that a stage was given, or sent, and that are in no ledger."""
    lost = 0
    for stage in stages.values():
        told = stage["rows_out"] + stage["merged"] + sum(stage["drops"].values())
        lost += abs(stage["rows_in"] - told)
    for one, other in pairwise(CHAIN):
        if one in stages and other in stages:
            lost += abs(stages[one]["rows_out"] - stages[other]["rows_in"])
    return lost


def until(true: Callable[[], object], timeout_s: float, otherwise: str) -> None:
    """Wait until it is true; Broken if it never is."""
    deadline = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > deadline:
            raise Broken(otherwise)
        time.sleep(0.02)
