"""Whatever a build is at when it is killed, the next run gives what an undisturbed one gives.

Kills come here at each operation that changes the store, in this process: the store does nothing
more from then on. (A real SIGKILL, with processes, is test_kill.py's.)
"""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import toy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.engine import store as store_module
from pipeline.engine import stores
from pipeline.engine.stage import Output
from pipeline.engine.store import Disk, Entry
from pipeline.errors import StageError


class Killed(BaseException):
    """Stands for SIGKILL."""


@dataclass
class Fate:
    """When the store's next user dies, and what it was at. `left`: operations until then."""

    left: int | None = None
    dead: bool = False
    operations: int = 0
    adding: str = ""  # the attempt at a part whose files are in the store, its record not yet

    def born(self, left: int | None = None) -> None:
        """A new process."""
        self.left, self.dead, self.operations, self.adding = left, False, 0, ""

    def happens(self) -> bool:
        """Whether the next operation does."""
        if self.dead:
            return False
        if self.operations == self.left:
            self.dead = True
            raise Killed
        self.operations += 1
        return True


FATE = Fate()


class Mortal(Disk):
    """A disk whose user dies at one of its operations. What a run says of itself is not counted."""

    def add(self, path: Path, name: str) -> None:
        if path.parent != self.scratch and not FATE.dead:  # a part's, not a small file of `write`
            FATE.adding = name.partition(".")[0]
        super().add(path, name)

    def _put(self, path: Path, name: str) -> None:
        if name.startswith("runs/") or FATE.happens():
            super()._put(path, name)

    def _put_new(self, path: Path, name: str) -> None:
        if FATE.happens():
            super()._put_new(path, name)
        if name.startswith("parts/") and not FATE.dead:
            FATE.adding = ""

    def remove(self, names: Iterable[str]) -> None:
        for name in names:
            if name.startswith("runs/") or (self.stat(name) and FATE.happens()):
                super().remove([name])

    def remove_folder(self, folder: str) -> None:
        if not FATE.dead:
            super().remove_folder(folder)

    def sweep(self) -> None:
        if not FATE.dead:
            super().sweep()

    def stat(self, name: str) -> Entry | None:
        if FATE.dead and name.endswith("/stop"):
            return Entry(name, 0, 0.0)  # the dead start no further part
        return super().stat(name)


@pytest.fixture
def mortal(monkeypatch, inline) -> None:
    """Builds in this process can be killed, and wait for no disk."""
    FATE.born()
    monkeypatch.setattr(stores, "Disk", Mortal)
    monkeypatch.setattr(store_module, "sync", lambda path: None)


def card(_, group) -> dict[str, bytes]:
    return {"README.md": str(sum(part.rows for part in group.parts)).encode()}


@dataclass(frozen=True)
class Run:
    """One run of a build."""

    labels: str = "ab"
    keys: int = 7
    keep: bool = False
    slow: str = ""  # the parts in which a row breaks its limits
    asked: str = ""  # "redo" or "replay"

    def on(self, toys) -> Output:
        """Do it."""
        do = dict.fromkeys(self.slow, "time out a row")
        asked = {self.asked: ["toy"]} if self.asked else {}
        toys.engine["buckets"] = 2
        rules = toy.Rules(keys=self.keys)
        return toys.build(
            *self.labels, rules=rules, keep=self.keep, do=do, finish=card, build=asked
        )

    def killed_on(self, toys, left: int) -> str | None:
        """Do it until it is killed: the attempt that was at work then. None: it was finished."""
        FATE.born(left)
        with suppress(Killed, StageError):
            self.on(toys)
        killed, adding = FATE.dead, FATE.adding
        FATE.born()
        return adding if killed else None


UNDISTURBED: dict[Run, str] = {}


def undisturbed(toys, run: Run) -> str:
    """What a run gives in a folder of its own."""
    if run not in UNDISTURBED:
        with TemporaryDirectory() as folder:
            UNDISTURBED[run] = run.on(toys.at(Path(folder))).digest
    return UNDISTURBED[run]


def sound(toys, adding: Iterable[str] = ()) -> bool:
    """Whether all that is named is there, and nothing else but what killed attempts left."""
    left = [name for name in toys.unnamed() if not name.startswith(tuple(a for a in adding if a))]
    assert left == []
    assert toys.names_nothing_lost()
    assert toys.store.entries("forget") == []
    return True


BEFORE = {
    # The runs before, the run that is killed, and the runs after it.
    "a first build": ([], Run(), Run()),
    "a first build that keeps a step": ([], Run(keep=True), Run(keep=True)),
    "another setting": ([Run()], Run(keys=3), Run(keys=3)),
    "another setting, then back": ([Run()], Run(keys=3), Run()),
    "another setting of a kept step": ([Run(keep=True)], Run(keys=3), Run(keep=True)),
    "one part more": ([Run(keep=True)], Run("abc", keep=True), Run("abc", keep=True)),
    "a redo": ([Run()], Run(asked="redo"), Run()),
    "a redo of a kept step": ([Run(keep=True)], Run(keep=True, asked="redo"), Run(keep=True)),
    "a replay": ([Run(slow="b")], Run(asked="replay"), Run(asked="replay")),
    "a replay of a kept step": (
        [Run(keep=True, slow="b")],
        Run(keep=True, asked="replay"),
        Run(keep=True, asked="replay"),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", BEFORE)
def test_a_kill_at_any_operation_costs_a_rerun_at_most_the_part_at_work(
    mortal, toys, tmp_path, name
):
    before, killed, after = BEFORE[name]
    kills = 0
    while True:
        toys = toys.at(tmp_path / f"{kills}")
        for run in before:
            run.on(toys)
        toys.done()
        adding = killed.killed_on(toys, kills)
        if adding is None:
            break
        assert after.on(toys).digest == undisturbed(toys, replace(after, asked="")), kills
        sound(toys, [adding])
        if killed.keys == after.keys:
            parts = len(killed.labels)
            done = toys.done()
            assert done["read"] + done["group"] <= parts + 2 + 1, kills
            assert done["read"] <= parts + 1, kills
        kills += 1
    assert kills > 20


RUNS = st.builds(
    Run,
    labels=st.sampled_from(["a", "ab", "ba", "abc"]),
    keys=st.sampled_from([3, 7]),
    keep=st.booleans(),
    slow=st.sampled_from(["", "b"]),
    asked=st.sampled_from(["", "", "redo", "replay"]),
)
KILLS = st.none() | st.integers(0, 60)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.tuples(RUNS, KILLS), min_size=1, max_size=4))
def test_any_runs_and_kills_end_with_the_rows_of_a_fresh_build(mortal, toys, runs):
    with TemporaryDirectory() as folder:
        toys = toys.at(Path(folder))
        adding = []
        for run, kill in runs:
            if kill is None:
                run.on(toys)
            else:
                adding.append(run.killed_on(toys, kill) or "")
        last = replace(runs[-1][0], slow="", asked="replay")
        last.on(toys)  # goes on, or replays
        assert last.on(toys).digest == undisturbed(toys, replace(last, asked="", keep=False))
        sound(toys, adding)
