"""A build: a folder in which stages are made, resumed and published.

    build/links/           part-*.parquet  manifest.json  .meta/            a published stage
    build/.work/links-read-1f3c…/                                           a step at work, or kept
    build/.work/inputs.json                                                 digests of input files
    build/lock  build/log.jsonl

A step is done in its own work folder, named by its fingerprint; the last step's folder becomes the
stage's by one rename, when its manifest is written. So no stale part of another plan can stand
beside the new ones, and a kill at any instant loses at most the parts at work.
"""

import json
import os
import shutil
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, is_dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.engine import ledger as ledgers_of
from pipeline.engine.control import Signals, StopFlag, check_disk, locked
from pipeline.engine.digest import FileDigests, digest_of, sum_digests
from pipeline.engine.drops import read_drops
from pipeline.engine.ledger import Ledger, Ledgers
from pipeline.engine.manifest import (
    DEAR_S,
    FORMAT,
    Manifest,
    StepRecord,
    read_manifest,
    versions_only,
)
from pipeline.engine.parts import PartInfo, read_sidecars, remove_tree, sidecar_path, write_durably
from pipeline.engine.progress import Log, Progress
from pipeline.engine.stage import (
    AnyStep,
    Output,
    Part,
    ReduceStep,
    Stage,
    Step,
    identity,
    stage_ledger,
)
from pipeline.engine.task import Task
from pipeline.errors import StageError
from pipeline.reasons import Reason
from pipeline.settings import EngineSettings

DISK_PATIENCE_S = 2.0


class Build:
    """A build folder with its lock, signals, log and runner. Use as a context manager.

    `redo` names stages that may be made anew although they were dear, `keep_versions` accepts
    results of other library versions.
    """

    def __init__(
        self,
        folder: Path,
        engine: EngineSettings | None = None,
        *,
        redo: Iterable[str] = (),
        keep_versions: bool = False,
        quiet: bool = False,
    ) -> None:
        self.folder = folder.absolute()
        self.engine = engine or EngineSettings()
        self.redo = frozenset(redo)
        self.keep_versions = keep_versions
        self.gates: list[str] = []  # quality gates that failed in this run
        self.work = self.folder / ".work"
        self.progress = Progress(quiet=quiet)
        self.log = Log(self.folder / "log.jsonl")
        self.files = FileDigests(self.work / "inputs.json")
        self._stack = ExitStack()

    def __enter__(self) -> "Build":
        self._stack.enter_context(locked(self.folder))
        self.work.mkdir(exist_ok=True)
        check_disk(self.folder, self.engine.free_disk_min_bytes)
        self._signals = self._stack.enter_context(Signals(StopFlag(self.work / "stop")))
        self._runner: Any = None
        self.log.write("run", engine=self.engine.runner, pid=os.getpid())
        return self

    def __exit__(self, kind: object, error: BaseException | None, stack: object) -> None:
        if error is not None:
            self.log.write("end", error=f"{type(error).__name__}: {error}")
        self._stack.close()

    @property
    def signal_received(self) -> int | None:
        """The signal that asked this build to stop, if one did."""
        return self._signals.received

    def check_signals(self) -> None:
        """Raise Stopped if a signal came."""
        self._signals.check()

    def run(self, stage: Stage) -> Output:
        """Make the stage, or what is missing of it, and publish it; its output if it is there."""
        return _StageRun(self, stage).output()

    def output(self, name: str) -> Output:
        """A published stage as an input of the next."""
        manifest = read_manifest(self.folder / name)
        if manifest is None:
            raise StageError(f"{self.folder} has no stage {name}; run webtext build first")
        return published(self.folder / name, manifest)

    def run_parts(self, task: Task, parts: list[Part]) -> None:
        """Do a step's missing parts; raises what the first failed part raised, or Stopped."""
        check_disk(self.folder, self.engine.free_disk_min_bytes, DISK_PATIENCE_S)
        if self._runner is None:
            from pipeline.engine.runner import Runner  # Beam takes a second to import

            self._runner = self._stack.enter_context(Runner(self.engine))
        crash: list[BaseException] = []

        def drive() -> None:
            try:
                self._runner.run(task, parts)
            except BaseException as error:  # noqa: BLE001 (raised in the main thread below)
                crash.append(error)

        # Beam runs in a thread of its own, so that the main thread hears signals; it is always
        # joined before the lock is let go.
        thread = threading.Thread(target=drive, name="runner")
        thread.start()
        while thread.is_alive():
            thread.join(0.1)
            self.progress.update(task.folder)
        for label, error, stack in task.faults():
            self.log.write("fault", step=task.label, part=label, error=str(error), stack=stack)
        self.check_signals()
        for label, error, _ in task.faults():
            if isinstance(error, RuntimeError):
                raise StageError(
                    f"{task.label}, part {label}: {error} (the stack is in log.jsonl)"
                ) from error
            raise error
        if crash:
            raise StageError(f"{task.label}: the runner failed: {crash[0]}") from crash[0]


def published(folder: Path, manifest: Manifest) -> Output:
    """A published stage's output; its ledger also under the name its rows have for the next."""
    by_unit = dict(manifest.ledgers)
    if manifest.gives != manifest.unit:
        kept = by_unit.pop(manifest.unit)
        by_unit[manifest.gives] = Ledger(kept.rows_out, kept.rows_out)
    return Output(manifest.stage, folder, manifest.digest, by_unit, read_sidecars(folder))


@dataclass(frozen=True)
class _Planned:
    parts: list[Part]
    fingerprints: dict[int, str]
    fingerprint: str


class _StageRun:
    """One stage in one run: what is there, what is missing, in which order it is made."""

    def __init__(self, build: Build, stage: Stage) -> None:
        self.build, self.stage = build, stage
        self.folder = build.folder / stage.name
        self.steps = {step.name: step for step in stage.steps}
        self.last = stage.steps[-1]
        self.old = read_manifest(self.folder)
        self._plans: dict[str, _Planned] = {}
        self._records: dict[str, StepRecord] = {}

    def output(self) -> Output:
        """The published stage, made first where it is missing or out of date."""
        record = self._known(self.last)
        if self.old and record and self.old.fingerprint == record.fingerprint:
            return published(self.folder, self.old)
        self._allow_redo()
        self.build.log.write("stage", stage=self.stage.name)
        started = time.monotonic()
        self._make(self.last)
        return self._publish(time.monotonic() - started)

    # What is there

    def _known(self, step: AnyStep) -> StepRecord | None:
        """What is recorded of a finished step that is up to date; its rows may be gone."""
        if step.name not in self._records:
            before = [self.steps[name] for name in step.inputs if name in self.steps]
            if any(self._known(earlier) is None for earlier in before):
                return None
            record = StepRecord.read(self._work_folder(step) / "step.json")
            if record is None and self.old:
                record = self.old.step(step.name, self._plan(step).fingerprint)
            if record is None:
                return None
            self._records[step.name] = record
        return self._records[step.name]

    def _input(self, name: str) -> Output:
        """An earlier step's output, perhaps only what its record says, or another stage's."""
        if name not in self.steps:
            return self.build.output(name)
        record = self._known(self.steps[name])
        assert record is not None, f"{name} is not made yet"
        return record.output(self._work_folder(self.steps[name]))

    def _plan(self, step: AnyStep) -> _Planned:
        if step.name not in self._plans:
            inputs = {name: self._input(name) for name in step.inputs}
            if isinstance(step, ReduceStep):
                parts = step.plan_buckets(inputs, self.build.engine.buckets)
            else:
                parts = step.plan(inputs)
            self._plans[step.name] = self._fingerprinted(step, parts, step.versions)
            self._stop_if_only_versions_differ(step, parts)
        return self._plans[step.name]

    def _work_folder(self, step: AnyStep) -> Path:
        fingerprint = self._plan(step).fingerprint[:16]
        return self.build.work / f"{self.stage.name}-{step.name}-{fingerprint}"

    def _fingerprinted(
        self, step: AnyStep, parts: list[Part], versions: Mapping[str, str]
    ) -> _Planned:
        own = identity(self.stage, step, versions)
        prints = {part.number: digest_of([own, part.digest]) for part in parts}
        return _Planned(parts, prints, digest_of([own, sorted(prints.values())]))

    # What may be made anew

    def _stop_if_only_versions_differ(self, step: AnyStep, parts: list[Part]) -> None:
        recorded = self.old.record_of(step.name) if self.old else None
        if recorded is None or recorded.versions == dict(step.versions):
            return
        as_before = self._fingerprinted(step, parts, recorded.versions)
        if as_before.fingerprint != recorded.fingerprint or self.stage.name in self.build.redo:
            return
        if not self.build.keep_versions:
            raise StageError(versions_only(self.stage.name, recorded.versions, step.versions))
        self.build.log.write("keep-versions", stage=self.stage.name, versions=recorded.versions)
        self._plans[step.name] = as_before

    def _allow_redo(self) -> None:
        if self.old is None or self.stage.name in self.build.redo:
            return
        self.build.progress.say(
            f"{self.stage.name}: its settings or inputs changed; it is made again"
        )
        if self.old.wall_s > DEAR_S:
            raise StageError(
                f"{self.stage.name} took {self.old.wall_s / 60:.0f} minutes to make, and its "
                f"settings or inputs changed since; --redo {self.stage.name} makes it again"
            )

    # Making

    def _make(self, step: AnyStep) -> None:
        """Make a step's missing parts, after those of the earlier steps whose rows are gone."""
        for name in step.inputs:
            if name in self.steps and not self._readable(self.steps[name]):
                self._make(self.steps[name])
        planned = self._plan(step)
        inputs = {name: self._input(name) for name in step.inputs}
        folder = self._work_folder(step)
        remove_tree(folder / ".aside")
        (folder / ".aside").mkdir(parents=True)
        self._adopt(planned, folder)
        task = self._task(step, planned, folder, inputs)
        missing = [part for part in planned.parts if not task.committed(part)]
        self.build.progress.begin(task.label, len(planned.parts))
        if missing:
            self.build.run_parts(task, missing)
        self._records[step.name] = self._finish_step(step, planned, folder, inputs)
        self.build.progress.end(self._records[step.name].ledgers)

    def _readable(self, step: AnyStep) -> bool:
        return self._known(step) is not None and (self._work_folder(step) / "step.json").exists()

    def _adopt(self, planned: _Planned, folder: Path) -> None:
        """Take over parts with the same fingerprint from the stage's earlier results."""
        wanted = {fingerprint: number for number, fingerprint in planned.fingerprints.items()}
        here = {info.number for info in read_sidecars(folder)}
        for source in (self.folder, *self.build.work.glob(f"{self.stage.name}-*")):
            if source == folder or not source.is_dir():
                continue
            for info in read_sidecars(source):
                number = wanted.get(info.fingerprint)
                if number is not None and number not in here:
                    _link_part(info, number, folder)
                    here.add(number)

    def _task(
        self, step: AnyStep, planned: _Planned, folder: Path, inputs: Mapping[str, Output]
    ) -> Task:
        sources, schemas = {}, {}
        if isinstance(step, ReduceStep):
            for name in step.inputs:
                sources[name] = tuple(inputs[name].parts)
                schemas[name] = self.steps[name].schema
        travelling = replace(step, plan=_planned_before) if isinstance(step, Step) else step
        return Task(
            f"{self.stage.name}: {step.name}",
            travelling,
            folder,
            self.build.engine,
            planned.fingerprints,
            sources,
            schemas,
        )

    def _finish_step(
        self, step: AnyStep, planned: _Planned, folder: Path, inputs: Mapping[str, Output]
    ) -> StepRecord:
        infos = read_sidecars(folder)
        if {info.number for info in infos} != set(planned.fingerprints):
            missing = len(planned.fingerprints) - len(infos)
            raise StageError(f"{self.stage.name}: {step.name}: {missing} parts are missing")
        sums = ledgers_of.total(info.ledgers for info in infos)
        self._check_boundary(step, sums, inputs)
        record = StepRecord(
            name=step.name,
            fingerprint=planned.fingerprint,
            digest=sum_digests(info.digest for info in infos),
            ledgers=sums,
            versions=dict(step.versions),
            parts=infos,
            rows=sum(info.rows for info in infos),
            cpu_s=round(sum(info.cpu_s for info in infos), 3),
            retries=sum(info.retries for info in infos),
        )
        remove_tree(folder / ".aside")
        write_durably(folder / "step.json", json.dumps(record.to_json(), indent=1))
        return record

    def _check_boundary(self, step: AnyStep, sums: Ledgers, inputs: Mapping[str, Output]) -> None:
        feeding = step.inputs if step.feeds is None else step.feeds
        for unit, ledger in sums.items():
            sent = [
                inputs[name].ledgers[unit].rows_out
                for name in feeding
                if unit in inputs[name].ledgers
            ]
            if sent and sum(sent) != ledger.rows_in:
                raise StageError(
                    f"{self.stage.name}: {step.name} received {ledger.rows_in} {unit}, but "
                    f"{', '.join(feeding)} sent {sum(sent)}; nothing was published"
                )

    # Publishing

    def _publish(self, wall_s: float) -> Output:
        folder = self._work_folder(self.last)
        outputs = {name: self._input(name) for name in self.steps}
        manifest = self._manifest(wall_s)
        self._refuse_empty(manifest)
        self._keep_drops(folder)
        if self.stage.finish:
            self.stage.finish(folder, outputs)
        if self.stage.check:
            manifest = replace(manifest, gates=self.stage.check(outputs))
            self.build.gates += manifest.gates
        write_durably(folder / "manifest.json", json.dumps(manifest.to_json(), indent=1, default=str))
        if self.folder.exists():
            self.folder.rename(self.build.work / f"old-{self.stage.name}-{time.time_ns()}")
        folder.rename(self.folder)
        self._clean()
        self.build.log.write("published", stage=self.stage.name, digest=manifest.digest)
        return published(self.folder, manifest)

    def _keep_drops(self, folder: Path) -> None:
        """Link the dropped rows of the earlier steps into the stage: `.meta/STEP/drops-*`."""
        for step in self.stage.steps[:-1]:
            made = self._work_folder(step) / ".meta"
            source = made if made.is_dir() else self.folder / ".meta" / step.name
            target = folder / ".meta" / step.name
            target.mkdir(parents=True, exist_ok=True)
            for path in (*source.glob("drops-*"), *source.glob("hashes-*")):
                _link(path, target / path.name)

    def _manifest(self, wall_s: float) -> Manifest:
        known = [self._records[step.name] for step in self.stage.steps]
        return Manifest(
            format=FORMAT,
            stage=self.stage.name,
            unit=self.stage.unit,
            gives=self.stage.gives or self.stage.unit,
            fingerprint=known[-1].fingerprint,
            digest=known[-1].digest,
            ledgers=ledgers_of.chain((r.ledgers for r in known), self.stage.name),
            settings={step.name: _plain(step.settings) for step in self.stage.steps},
            steps=known,
            gates=[],
            wall_s=round(wall_s, 3),
            cpu_s=round(sum(record.cpu_s for record in known), 3),
        )

    def _refuse_empty(self, manifest: Manifest) -> None:
        ledger = stage_ledger(self.stage, manifest.ledgers)
        if ledger.rows_out or self.stage.empty_is_fine:
            return
        reasons = ", ".join(f"{r} {n}" for r, n in ledger.drops.most_common(5)) or "no input"
        examples = [
            f"  {row['url'] or row['id']}: {Reason[row['reason'].upper()].sentence} {row['detail']}"
            for step in self.stage.steps
            for row in read_drops(self._work_folder(step)).slice(0, 3).to_pylist()
        ]
        raise StageError(
            "\n".join(
                [
                    f"{self.stage.name} kept nothing of {ledger.rows_in} {self.stage.unit} "
                    f"({reasons}); nothing was published",
                    *examples[:5],
                ]
            )
        )

    def _clean(self) -> None:
        """Remove scratch: all work folders of this stage but the kept steps' present ones."""
        kept = {self._work_folder(step) for step in self.stage.steps if step.keep}
        for path in (
            *self.build.work.glob(f"{self.stage.name}-*"),
            *self.build.work.glob(f"old-{self.stage.name}-*"),
        ):
            if path not in kept:
                remove_tree(path)


def _planned_before(inputs: object) -> list[Part]:
    """Stands in for a step's plan where only its work travels to other processes."""
    raise AssertionError("a step is planned by the driver alone")


def _link_part(info: PartInfo, number: int, folder: Path) -> None:
    """Take over a committed part under another number: hard links, and its sidecar last."""
    old, new = f"{info.number:05d}", f"{number:05d}"
    renamed = {}
    for name, facts in info.files.items():
        _link(info.folder / name, folder / name.replace(old, new))
        renamed[name.replace(old, new)] = facts
    sidecar = json.loads(sidecar_path(info.folder, info.number).read_text())
    sidecar.update(number=number, files=renamed)
    (folder / ".meta").mkdir(exist_ok=True)
    write_durably(sidecar_path(folder, number), json.dumps(sidecar))


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another device, or no hard links here
        shutil.copy2(source, target)


def _plain(settings: Any) -> Any:
    return (
        asdict(settings) if is_dataclass(settings) and not isinstance(settings, type) else settings
    )
