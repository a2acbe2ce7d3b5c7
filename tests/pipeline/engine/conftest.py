"""Toy builds in this process, and drivers in processes of their own that can be killed."""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import toy

from pipeline.engine.build import Build
from pipeline.engine.leftovers import unnamed_files
from pipeline.engine.manifest import Manifest, read_journal, read_manifest
from pipeline.engine.parts import read_record
from pipeline.engine.stage import Output, Stage
from pipeline.engine.store import Disk
from pipeline.settings import EngineSettings

ROOT = Path(__file__).resolve().parents[3]
ENGINE = {"workers": 2, "buckets": 4, "free_disk_min_bytes": 0}


@dataclass
class Toys:
    """Builds of toy stages in one folder, and the log of what was done."""

    folder: Path
    log: Path
    drivers: "Drivers | None" = None
    engine: dict[str, Any] = field(default_factory=lambda: dict(ENGINE))

    def at(self, folder: Path) -> "Toys":
        """The same in another folder."""
        folder.mkdir(exist_ok=True)
        return replace(self, folder=folder / "build", log=folder / "log")

    def build(self, *labels: str, build: dict[str, Any] | None = None, **stage: Any) -> Output:
        """Build the toy stage in this process."""
        do = stage.pop("do", {})
        options = toy.Options(str(self.log), do)
        return self.run(toy.stage(labels or ("a", "b", "c", "d"), options=options, **stage), build)

    def run(self, stage: Stage, build: dict[str, Any] | None = None) -> Output:
        """Build any stage in this process."""
        settings = EngineSettings(**self.engine)
        with Build(self.folder, settings, quiet=True, **(build or {})) as the_build:
            return the_build.run(stage)

    def done(self) -> Counter[str]:
        """What was done since the last call: "read" and so on, how often."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        self.log.write_text("")
        return Counter(line.split()[0] for line in lines)

    def start(self, kill: str = "", **stage: Any) -> int:
        """Start a driver in a process of its own; its pid."""
        assert self.drivers is not None
        stage.setdefault("labels", ["a", "b", "c", "d"])
        stage["log"] = str(self.log)
        run = {
            "folder": str(self.folder),
            "stderr": str(self.stderr),
            "kill": kill,
            "engine": self.engine,
            "stage": stage,
        }
        return self.drivers.ask({"run": run})

    def wait(self, pid: int) -> int:
        """Wait for a driver: its exit code, or the negative signal that ended it."""
        assert self.drivers is not None
        return self.drivers.ask({"wait": pid})

    def committed(self) -> set[str]:
        """The labels of the parts of the step `read` that are committed."""
        records = [read_record(self.store, e.name) for e in self.store.entries("parts/toy-read")]
        return {record.label for record in records if record}

    def manifest(self) -> Manifest:
        """The published toy."""
        found = read_manifest(self.store, "toy")
        assert found is not None
        return found

    def rows(self, output: Output) -> list[list[dict[str, Any]]]:
        """The rows of each part."""
        return [output.store.table(record.table).to_pylist() for record in output.parts]

    def unnamed(self) -> list[str]:
        """The files of data/ that no manifest, record or journal names."""
        return [entry.name for entry in unnamed_files(self.store)]

    def names_nothing_lost(self) -> bool:
        """Whether all that a manifest, record or journal names is there, and people see no more."""
        store = self.store
        records = [name for folder in store.folders("parts") for name in store.entries(folder)]
        found = [read_record(store, entry.name) for entry in records]
        for entry in store.entries("steps"):
            journal = read_journal(store, entry.name)
            found += journal.parts if journal else []
        found += self.manifest().all_parts
        files = [file for record in found if record for file in record.files.values()]
        files += self.manifest().all_files()
        view = {*self.manifest().view(), "toy/manifest.json"}
        shown = {entry.name for entry in store.entries("toy", below=True)}
        return all(store.stat(file.name) for file in files) and shown == view

    @property
    def store(self) -> Disk:
        """The build's store."""
        return Disk(self.folder)

    @property
    def stderr(self) -> Path:
        """What drivers wrote for people."""
        return self.folder.with_suffix(".stderr")

    def wait_for(self, text: str, timeout_s: float = 20) -> str:
        """Wait until the log has a line with this text; the line."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            lines = self.log.read_text().splitlines() if self.log.exists() else []
            for line in lines:
                if text in line:
                    return line
            time.sleep(0.02)
        raise AssertionError(f"{text!r} did not come in {timeout_s} s; the log has {lines}")


class Drivers:
    """The process that forks drivers."""

    def __init__(self) -> None:
        path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "toy_driver.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONPATH": path},
        )

    def ask(self, request: dict[str, Any]) -> int:
        """One request, one answer."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End it."""
        self._process.communicate(timeout=10)


@pytest.fixture(scope="session")
def drivers() -> Iterator[Drivers]:
    """Forks drivers for the whole session."""
    found = Drivers()
    yield found
    found.close()


@pytest.fixture
def toys(tmp_path: Path) -> Toys:
    """A build folder for toys."""
    return Toys(tmp_path / "build", tmp_path / "log")


@pytest.fixture
def digest(tmp_path: Path, inline: None) -> str:
    """What an undisturbed build of the toy gives."""
    return Toys(tmp_path / "undisturbed", tmp_path / "undisturbed.log").build().digest


@pytest.fixture
def killable(toys: Toys, drivers: Drivers) -> Toys:
    """A build folder for toys whose drivers are processes of their own."""
    toys.drivers = drivers
    toys.engine["workers"] = 1  # each takes half a second to start
    return toys


def living(group: int) -> list[int]:
    """The living processes of a driver's group."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


@pytest.fixture
def all_gone() -> Callable[[int], bool]:
    """Whether no process of a driver's group is left two seconds after it ended."""

    def gone(group: int) -> bool:
        deadline = time.monotonic() + 2
        while living(group) and time.monotonic() < deadline:
            time.sleep(0.02)
        return not living(group)

    return gone
