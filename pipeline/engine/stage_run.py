"""One stage in one run: what is there, what is missing, in which order it is made and published.

A step is done in its own work folder, named by its fingerprint; the last step's folder becomes the
stage's by one rename, when its manifest is written. So no stale part of another plan can stand
beside the new ones, and a kill at any instant loses at most the parts at work.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.engine import ledger as ledgers_of
from pipeline.engine import publish
from pipeline.engine.adopt import adopt, forget_strangers
from pipeline.engine.digest import digest_of, sum_digests
from pipeline.engine.files import discard, remove_tree, write_durably
from pipeline.engine.ledger import Ledgers
from pipeline.engine.manifest import (
    COSTLY_S,
    FORMAT,
    Manifest,
    StepRecord,
    plain_settings,
    published,
    read_manifest,
    versions_mixed,
    versions_only,
)
from pipeline.engine.parts import read_sidecars
from pipeline.engine.stage import AnyStep, Output, Part, ReduceStep, Stage, Step, identity
from pipeline.engine.task import Task
from pipeline.errors import StageError

if TYPE_CHECKING:
    from pipeline.engine.build import Build


@dataclass(frozen=True)
class _Planned:
    parts: list[Part]
    fingerprints: dict[int, str]
    fingerprint: str
    versions: dict[str, str]  # the step's own, or those of a result that is kept


class StageRun:
    """One stage in one run: what is there, what is missing, in which order it is made."""

    def __init__(self, build: "Build", stage: Stage) -> None:
        self.build, self.stage = build, stage
        self.folder = build.folder / stage.name
        self.steps = {step.name: step for step in stage.steps}
        self.last = stage.steps[-1]
        self.old = read_manifest(self.folder)
        if self.old is None and self.folder.exists():
            raise StageError(
                f"{self.folder} is in the way: it is not a stage that webtext made (it has no "
                "manifest.json). Move it, or build in another folder"
            )
        self._plans: dict[str, _Planned] = {}
        self._records: dict[str, StepRecord] = {}

    def output(self) -> Output:
        """The published stage, made first where it is missing or out of date."""
        record = self._known(self.last)
        if self.old and record and self.old.fingerprint == record.fingerprint:
            if not self._wanted_again(self.old):
                self.build.gates += self.old.gates
                self._clean(self._work_folder(step) for step in self.stage.steps)
                return published(self.folder, self.old)
            self._take_back()
        elif self.old is None and self.stage.name in self.build.replay:
            say = self.build.progress.say
            say(f"{self.stage.name}: it is not finished yet, and goes on; replay it when it is")
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
            if twice := [n for n, times in Counter(p.number for p in parts).items() if times > 1]:
                raise StageError(
                    f"{self.stage.name}: {step.name}: two parts have number {twice[0]}"
                )
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
        fingerprint = digest_of([own, sorted(prints.values())])
        return _Planned(parts, prints, fingerprint, dict(versions))

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
        if self.stage.name in self.build.replay and self.old and self.old.faults:
            raise StageError(versions_mixed(self.stage.name, recorded.versions, step.versions))
        self.build.log.write("keep-versions", stage=self.stage.name, versions=recorded.versions)
        self._plans[step.name] = as_before

    def _wanted_again(self, manifest: Manifest) -> bool:
        """Whether an up-to-date stage is made anew: all of it, or its parts with faults."""
        name, say = self.stage.name, self.build.progress.say
        if name in self.build.redo:
            say(f"{name}: it is up to date, and made again as asked")
            return True
        if name in self.build.replay:
            say(f"{name}: {len(manifest.faults)} faults are tried again")
            return bool(manifest.faults)
        return False

    def _take_back(self) -> None:
        """Make a published stage one that was interrupted; a rerun goes on from there."""
        work, name = self.build.work, self.stage.name
        if name in self.build.redo:
            # All of which parts could be taken over; the stage last, so that a kill leaves it.
            for folder in (*work.glob(f"{name}-*"), *work.glob(f"old-{name}-*"), self.folder):
                discard(folder)
        else:
            for folder in (self.folder, *(self._work_folder(step) for step in self.stage.steps)):
                if folder.exists():
                    folder.rename(work / f"old-{name}-{time.time_ns()}")
        self.old = None
        self._plans.clear()
        self._records.clear()

    def _allow_redo(self) -> None:
        if self.old is None or self.stage.name in self.build.redo:
            return
        self.build.progress.say(
            f"{self.stage.name}: its settings or inputs changed; it is made again"
        )
        if self.old.wall_s > COSTLY_S:
            raise StageError(
                f"{self.stage.name} took {self.old.wall_s / 60:.0f} minutes to make, and its "
                f"settings or inputs changed since; --redo {self.stage.name} makes it again, "
                "another folder leaves it as it is"
            )

    # Making

    def _make(self, step: AnyStep) -> None:
        """Make a step's missing parts, after those of the earlier steps whose rows are gone."""
        for name in step.inputs:
            if name in self.steps and not self._readable(self.steps[name]):
                self._make(self.steps[name])
        self.build.check_signals()
        planned = self._plan(step)
        inputs = {name: self._input(name) for name in step.inputs}
        folder = self._work_folder(step)
        self._prepare(planned, folder)
        task = self._task(step, planned, folder, inputs)
        missing = [part for part in planned.parts if not task.committed(part)]
        self.build.progress.begin(task.label, len(planned.parts), folder)
        if missing:
            self.build.run_parts(task, missing)
        record = self._finish_step(step, planned, folder, inputs)
        self._records[step.name] = record
        self.build.progress.end(record.ledgers)

    def _readable(self, step: AnyStep) -> bool:
        return self._known(step) is not None and (self._work_folder(step) / "step.json").exists()

    def _prepare(self, planned: _Planned, folder: Path) -> None:
        """The step's folder, with all parts in it that are there already under any name."""
        remove_tree(folder / ".aside")
        (folder / ".aside").mkdir(parents=True)
        forget_strangers(folder, planned.fingerprints)
        work, name = self.build.work, self.stage.name
        places = (self.folder, *work.glob(f"{name}-*"), *work.glob(f"old-{name}-*"))
        infos = (info for place in places if place != folder for info in read_sidecars(place))
        replayed = name in self.build.replay
        usable = (info for info in infos if not (replayed and info.faults))
        adopt(planned.parts, planned.fingerprints, folder, usable)

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
            versions=planned.versions,
            parts=infos,
            rows=sum(info.rows for info in infos),
            cpu_s=round(sum(info.cpu_s for info in infos), 3),
            retries=sum(info.retries for info in infos),
        )
        self._check_same_as_before(record)
        remove_tree(folder / ".aside")
        write_durably(folder / "step.json", json.dumps(record.to_json(), indent=1))
        return record

    def _check_same_as_before(self, record: StepRecord) -> None:
        before = self._records.get(record.name)
        if before and before.fingerprint == record.fingerprint and before.digest != record.digest:
            raise StageError(
                f"{self.stage.name}: {record.name} gave other rows than the last time, from the "
                "same inputs and settings; this is a defect of webtext, nothing was published"
            )

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
        publish.refuse_empty(self.stage, manifest, outputs.values())
        for step in self.stage.steps[:-1]:
            place = Path(".meta") / step.name
            made = self._work_folder(step) / ".meta"
            publish.keep_drops(made, self.folder / place, folder / place)
        if self.stage.finish:
            self.stage.finish(folder, outputs)
        if self.stage.check:
            manifest = replace(manifest, gates=self.stage.check(outputs))
            self.build.gates += manifest.gates
        publish.swap(folder, self.folder, manifest, self.build.work)
        self._clean(self.build.work.glob(f"{self.stage.name}-*"))
        self.build.log.write("published", stage=self.stage.name, digest=manifest.digest)
        return published(self.folder, manifest)

    def _manifest(self, wall_s: float) -> Manifest:
        known = [self._records[step.name] for step in self.stage.steps]
        if known[-1].parts and self.stage.unit not in known[-1].ledgers:
            raise StageError(
                f"{self.stage.name}: its last step books no {self.stage.unit}; "
                "this is a defect of webtext, nothing was published"
            )
        # A stage made in several runs, or by a taken-over part, cost more than this run.
        parts_s = sum(info.wall_s for record in known for info in record.parts)
        workers = self.build.engine.workers or os.cpu_count() or 1
        return Manifest(
            format=FORMAT,
            stage=self.stage.name,
            unit=self.stage.unit,
            gives=self.stage.gives or self.stage.unit,
            fingerprint=known[-1].fingerprint,
            digest=known[-1].digest,
            ledgers=ledgers_of.chain((r.ledgers for r in known), self.stage.name),
            settings={step.name: plain_settings(step.settings) for step in self.stage.steps},
            steps=known,
            gates=[],
            wall_s=round(max(wall_s, parts_s / workers), 3),
            cpu_s=round(sum(record.cpu_s for record in known), 3),
        )

    def _clean(self, scratch: Iterable[Path]) -> None:
        """Remove work folders, but the kept steps' present ones."""
        kept = {self._work_folder(step) for step in self.stage.steps if step.keep}
        for path in set(scratch) - kept:
            discard(path)
        publish.remove_old(self.build.work, self.stage.name)


def _planned_before(inputs: object) -> list[Part]:
    """Stands in for a step's plan where only its work travels to other processes."""
    raise AssertionError("a step is planned by the driver alone")
