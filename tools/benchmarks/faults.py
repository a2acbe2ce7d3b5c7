"""Whole builds with random faults: each must end with the digests of an undisturbed one.

    python -m tools.benchmarks.faults [--cases 40] [--seed 1] [--runner local|dask]
        [--store disk|s3] [--json]

A case is a build from links to shards over the demo's web (three of four small, one large), with
one to three faults at moments drawn by its seed. Whatever ends a run is answered by the same
command; a damaged file that is named by the build, or by `status --verify`, by what the message
says. Then must hold: the rows, drops and digests of an undisturbed build, no row unaccounted for,
no file that nothing names after `clean --now`, and a clean `status --verify`. Exit code 1 if not.
With `--store s3` builds are in a bucket of moto's server, behind a proxy that fails now and then.
"""

import argparse
import json
import random
import re
import signal
import statistics
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tools.benchmarks.fault_kinds import (
    DASK,
    HELPED,
    HOLDS,
    LOCAL,
    STORE,
    Fault,
    disk_of_its_own,
    without_disk,
)
from tools.benchmarks.fault_processes import Cluster, end
from tools.benchmarks.fault_site import (
    SHARES,
    TIMEOUT_S,
    Broken,
    Site,
    Undisturbed,
    write_input,
)
from tools.benchmarks.fault_store import FaultyStore
from tools.benchmarks.measure import show
from tools.status import verify

FAULTS_MAX = 3
LARGE_SHARE = 0.25
MENDS_MAX = 2  # of a damaged file: what the build says, then what `status --verify` says
SHARE_OF_STEP = 0.9  # a fault comes in this share of a step's time


@dataclass(frozen=True)
class Moment:
    """A fault to come: its kind, the step in which, and after what share of the step's time."""

    kind: str
    step: int
    share: float


@dataclass
class Case:
    """One build, what was done to it, and how it ended: `broken` is "" where all held."""

    seed: int
    size: str
    moments: list[Moment]
    happened: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)  # by runs that failed, and by late processes
    reruns: int = 0
    mends: list[str] = field(default_factory=list)
    seconds: float = 0.0
    broken: str = ""


def main(words: Sequence[str] | None = None) -> int:
    """Run the cases; 1 if any promise was broken."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1, help="of the first case; then one more each")
    parser.add_argument("--runner", choices=("local", "dask"), default="local")
    parser.add_argument("--store", choices=("disk", "s3"), default="disk")
    parser.add_argument("--kinds", nargs="*", help="draw from these alone")
    parser.add_argument("--keep", type=Path, help="a folder in which broken builds are kept")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(words)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # else builds would ignore it too
    possible = kinds_of(options.runner, options.store)
    kinds = sorted(options.kinds or possible)
    with ExitStack() as stack:
        base = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        base = base.absolute()
        base.mkdir(parents=True, exist_ok=True)
        stack.callback(setattr, tempfile, "tempdir", tempfile.tempdir)
        tempfile.tempdir = str(base)  # for what our own looks at a bucket leave
        bucket = stack.enter_context(FaultyStore()) if options.store == "s3" else None
        cluster = None
        if options.runner == "dask":
            cluster = stack.enter_context(Cluster(base / f"cluster-{options.seed}"))
        trial = Trial(base / f"input-{options.seed}", possible, cluster, bucket)
        cases = []
        with suppress(KeyboardInterrupt):  # the table is of those that were done
            for seed in range(options.seed, options.seed + options.cases):
                case = draw(seed, kinds, trial)
                cases.append(trial.run(base / f"case-{seed}", case, quiet=options.json))
    if options.json:
        print(json.dumps([asdict(case) for case in cases], indent=1))
    else:
        print()
        table(cases)
    return int(any(case.broken for case in cases))


def kinds_of(runner: str, store: str) -> dict[str, Fault]:
    """What may happen to such builds."""
    return {**(LOCAL if runner == "local" else DASK), **(STORE if store == "s3" else {})}


def draw(seed: int, kinds: Sequence[str], trial: "Trial") -> Case:
    """The case of a seed. Two faults may fall in one step."""
    rng = random.Random(seed)
    size = "large" if rng.random() < LARGE_SHARE else "small"
    steps = len(trial.undisturbed(size).steps)
    moments = [
        Moment(rng.choice(kinds), rng.randrange(steps), round(rng.random() * SHARE_OF_STEP, 2))
        for _ in range(rng.randint(1, FAULTS_MAX))
    ]
    return Case(seed, size, sorted(moments, key=lambda moment: (moment.step, moment.share)))


class Trial:
    """The inputs of each size, the undisturbed builds of them, and where all builds are made."""

    def __init__(
        self,
        folder: Path,
        kinds: Mapping[str, Fault],
        cluster: Cluster | None,
        bucket: FaultyStore | None,
    ) -> None:
        self._folder, self._kinds = folder, kinds
        self._cluster, self._bucket = cluster, bucket
        self._settings: dict[str, Path] = {}
        self._undisturbed: dict[str, Undisturbed] = {}

    def undisturbed(self, size: str) -> Undisturbed:
        """The undisturbed build of this size; it must be as the local one on a disk."""
        assert size in SHARES
        if size not in self._undisturbed:
            folder = self._folder / size
            self._settings[size] = settings = write_input(folder / "input", size)
            found = Site(settings, folder / "local").undisturbed()
            if self._cluster or self._bucket:
                site = Site(settings, folder / "there", self._cluster, self._bucket)
                there = site.undisturbed()
                if there.stages != found.stages:
                    raise SystemExit("there are other rows than of the local runner on a disk")
                found = there
            self._undisturbed[size] = found
        return self._undisturbed[size]

    def run(self, folder: Path, case: Case, *, quiet: bool) -> Case:
        """One case, on a disk of its own where that is to be full."""
        folder.mkdir()
        site = Site(
            self._settings[case.size],
            folder / "build",
            self._cluster,
            self._bucket,
            self.undisturbed(case.size),
        )
        started = time.monotonic()
        if any(moment.kind == "full disk" for moment in case.moments) and not disk_of_its_own(
            folder
        ):
            case.moments = [moment for moment in case.moments if moment.kind != "full disk"]
            case.happened.append("full disk left out: this user may not mount one")
        try:
            disturb(site, case, self._kinds)
        except Broken as broken:
            case.broken = str(broken)
        except Exception as error:  # noqa: BLE001 (a command of ours that breaks is what we look for)
            case.broken = traceback.format_exception(error)[-2].strip() + f" {error!r}"
        finally:
            site.close()
            case.seconds = round(time.monotonic() - started, 1)
        if not case.broken:
            without_disk(folder)
            site.remove()
            folder.rmdir()
        if self._cluster:
            self._cluster.mend()
        if not quiet:
            print(line(case), flush=True)
        return case


def disturb(site: Site, case: Case, kinds: Mapping[str, Fault]) -> None:
    """The build with its faults, to its end, and what must hold then."""
    rng = random.Random(case.seed)
    for moment in case.moments:
        if moment.kind in HELPED:
            words = [str(site.settings), *site.words_of_place(), "--seed", str(rng.random())]
            words += ["--stop", str(rng.randrange(HOLDS))] if moment.kind == "late commit" else []
            site.helper(*words, *(["--deaf"] if rng.random() < 0.5 else []))
    site.start()
    for moment in case.moments:
        where = site.like.steps[moment.step][0] if site.like else ""
        if not site.wait_for(moment.step, moment.share):
            if site.driver.poll() == 0:
                case.happened.append(f"{moment.kind}: the build was done before")
                continue
            go_on(site, case)
        told = kinds[moment.kind](site, rng)
        case.happened.append(f"{told} in {where} + {moment.share:.0%}")
        if site.driver.poll() not in (None, 0):
            go_on(site, case)
    while site.wait():
        go_on(site, case)
    let_late_ones_end(site, case)
    mend_what_verify_names(site, case)
    site.check()


def go_on(site: Site, case: Case) -> None:
    """The same command again, or first what the message of the run says."""
    code, last = site.wait(), site.last_line()
    told = "" if code < 0 else last.partition("webtext: ")[2]
    if told and code == 1:
        case.told.append(told)
    case.reruns += 1
    if case.reruns > len(case.moments) + MENDS_MAX * bool(site.damaged):
        raise Broken(f"{case.reruns - 1} reruns did not end it: {last}")
    site.words = ()
    if site.damaged and code == 1:
        mend(site, case, last)
    site.start()


def mend(site: Site, case: Case, message: str) -> None:
    """Do what a message about a damaged file says."""
    if "remove it, and run the same command" in message:
        told = [name for name in site.damaged if name in message]
        if not told:
            raise Broken(f"a sound file is to be removed: {message}")
        site.store.remove(told[:1])
        case.mends.append(f"removed {told[0]}")
    elif found := re.search(r"--redo (\w+)", message):
        site.words = ("--redo", found.group(1))
        case.mends.append(" ".join(site.words))


def mend_what_verify_names(site: Site, case: Case) -> None:
    """Damage in what is published is named there, and its stage made again."""
    if not site.damaged:
        return
    for named in verify(site.place).damaged:
        case.told.append(named)
        before, site.words = len(case.mends), ()
        mend(site, case, named)
        if len(case.mends) == before:
            raise Broken(f"no mend is told: {named}")
        site.start()
        while site.wait():
            go_on(site, case)


def let_late_ones_end(site: Site, case: Case) -> None:
    """Processes that were held in a part go on, after all was done without them."""
    for process in site.late:
        with suppress(ProcessLookupError):
            end(process.pid, signal.SIGCONT)
        output, _ = process.communicate(timeout=TIMEOUT_S)
        case.told.append(", ".join(output.strip().splitlines()))
        if "gave other rows" in output:
            raise Broken(output)
    if site.late:
        site.words = ()
        site.start()
        if site.wait():
            raise Broken(f"after a late commit: {site.last_line()}")


def line(case: Case) -> str:
    """One line a case."""
    verdict = f"BROKEN: {case.broken}" if case.broken else "held"
    rest = [f"{case.reruns} reruns", *case.mends] if case.reruns or case.mends else []
    told = [f"told: {text}" for text in case.told]
    return "; ".join(
        [
            f"seed {case.seed}, {case.size}, {case.seconds:.0f} s",
            *case.happened,
            *rest,
            *told,
            verdict,
        ]
    )


def table(cases: Sequence[Case]) -> None:
    """The cases by the kinds of their faults."""
    kinds = sorted({moment.kind for case in cases for moment in case.moments})
    rows = []
    for kind in kinds:
        of_kind = [case for case in cases if kind in {moment.kind for moment in case.moments}]
        faults = sum(moment.kind == kind for case in of_kind for moment in case.moments)
        rows.append(
            [
                kind,
                str(faults),
                str(len(of_kind)),
                str(sum(not case.reruns for case in of_kind)),
                str(sum(bool(case.mends) for case in of_kind)),
                f"{statistics.median(case.seconds for case in of_kind):.0f}",
                str(sum(bool(case.broken) for case in of_kind)),
            ]
        )
    show(["kind", "faults", "builds", "without a rerun", "by a mend", "median s", "broken"], rows)
    broken = sum(bool(case.broken) for case in cases)
    faults = sum(len(case.moments) for case in cases)
    print(f"\n{len(cases)} builds, {faults} faults, {broken} broken")


if __name__ == "__main__":
    raise SystemExit(main())
