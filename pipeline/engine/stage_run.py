"""One stage in one run: what is there, what is missing, in which order it is made and published.

A step is done part by part; its records are found by fingerprint, whichever plan or run they come
from. When all planned parts have one, a journal says so, and only then is anything planned from it.
A kill at any instant loses at most the parts at work.
"""

import os
import time
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

from pipeline.engine import ledger as ledgers_of
from pipeline.engine import names
from pipeline.engine.cluster import here, libraries
from pipeline.engine.digest import digest_of, sum_digests
from pipeline.engine.joins import with_map_parts
from pipeline.engine.ledger import Ledgers
from pipeline.engine.manifest import (
    COSTLY_S,
    FORMAT,
    Manifest,
    StepRecord,
    plain_settings,
    published,
    read_journal,
    read_manifest,
    versions_mixed,
    versions_only,
)
from pipeline.engine.parts import AnyPart, Committed, File, Record
from pipeline.engine.publish import (
    forget,
    publish,
    refuse_empty,
    take_back,
    tidy,
    with_faults,
)
from pipeline.engine.stage import (
    AnyStep,
    Input,
    Output,
    ReduceStep,
    Stage,
    Step,
    Upstream,
    identity,
)
from pipeline.engine.task import Task
from pipeline.engine.workplace import Workplace
from pipeline.errors import StageError


@dataclass(frozen=True)
class _Planned:
    parts: list[AnyPart]
    fingerprint: str
    versions: dict[str, str]  # the step's own, or those of a result that is kept


class StageRun:
    """One stage in one run: what is there, what is missing, in which order it is made."""

    def __init__(self, build: Workplace, stage: Stage) -> None:
        self.build, self.stage = build, stage
        self.store = build.store
        self.last = stage.steps[-1]
        forget(self.store, stage.name)
        self.old = read_manifest(self.store, stage.name)
        if self.old is None and self.store.entries(stage.name):
            raise StageError(
                f"{self.store.place}/{stage.name} is in the way: it is not a stage that webtext "
                "made (it has no manifest.json). Move it, or build in another folder"
            )
        self._plans: dict[str, _Planned] = {}
        self._records: dict[str, StepRecord] = {}
        self._has_rows: set[str] = set()  # steps whose rows are known to be there
        self._sizes: dict[str, int] | None = None  # of the files in data/, once they are needed

    def output(self) -> Output:
        """The published stage, made first where it is missing or out of date."""
        record = self._known(self.last)
        if self.old and record and self.old.fingerprint == record.fingerprint:
            if not self.old.rows_gone and not self._wanted_again(self.old):
                self.build.gates += self.old.gates
                self._show(self.old)
                tidy(self.store, self.stage, self.old)
                return published(self.store, self.old)
            self._take_back(self.old)
        elif self.old is None and self.stage.name in self.build.replay:
            say = self.build.progress.say
            say(f"{self.stage.name}: it is not finished yet, and goes on; replay it when it is")
        self.build.log.write("stage", stage=self.stage.name)
        started = time.monotonic()
        self._make(self.last)
        return self._publish(time.monotonic() - started)

    def _show(self, manifest: Manifest) -> None:
        """Make the view whole, which a killed run may have left half made."""
        try:
            self.store.show(manifest.view())
        except FileNotFoundError as error:
            raise StageError(
                f"{manifest.stage}: {error.filename} is missing; --redo {manifest.stage} makes the "
                "stage again"
            ) from None

    # What is there

    def _known(self, step: AnyStep) -> StepRecord | None:
        """What is recorded of a finished step that is up to date; its rows may be gone."""
        if step.name not in self._records:
            if any(self._known(earlier) is None for earlier in _earlier(step)):
                return None
            record = read_journal(self.store, self._journal(step))
            if record and self._forget_lost(step, record.parts):
                return None
            if record:
                self._has_rows.add(step.name)
            elif self.old:
                record = self.old.step(step.name, self._plan(step).fingerprint)
            if record is None:
                return None
            self._records[step.name] = record
        return self._records[step.name]

    def _forget_lost(self, step: AnyStep, records: Sequence[Record]) -> int:
        """Forget an earlier run's parts whose files are gone or cut, with the journal: how many."""
        if records and self._sizes is None:
            self._sizes = {entry.name: entry.bytes for entry in self.store.entries(names.DATA)}
        lost = [
            record.fingerprint
            for record in records
            if any(self._is_lost(file) for file in record.files.values())
        ]
        if lost:
            folder = names.records(self.stage.name, step.name)
            self.store.remove([self._journal(step), *(f"{folder}/{name}.json" for name in lost)])
            self.build.progress.say(
                f"{self.stage.name}: {step.name}: files of {len(lost):,} finished parts are gone "
                "or cut; these parts are made again"
            )
        return len(lost)

    def _is_lost(self, file: File) -> bool:
        if (self._sizes or {}).get(file.name) == file.bytes:
            return False
        there = self.store.stat(file.name)  # it may have come since they were listed
        return there is None or there.bytes != file.bytes

    def _output(self, input: Input) -> Output:
        """An earlier step's output, perhaps only what its record says, or another stage's."""
        if isinstance(input, Upstream):
            return self.build.output(input.name)
        record = self._known(input)
        assert record is not None, f"{input.name} is not made yet"
        return record.output(self.store)

    def _inputs(self, step: AnyStep) -> list[Output]:
        return [self._output(input) for input in step.inputs]

    def _plan(self, step: AnyStep) -> _Planned:
        if step.name not in self._plans:
            inputs = self._inputs(step)
            parts: list[AnyPart]
            if isinstance(step, ReduceStep):
                parts = step.plan_buckets(self.build.engine.buckets, *inputs)
            else:
                parts = step.plan(*inputs)
            if twice := [n for n, times in Counter(p.number for p in parts).items() if times > 1]:
                raise StageError(
                    f"{self.stage.name}: {step.name}: two parts have number {twice[0]}"
                )
            self._plans[step.name] = self._fingerprinted(step, parts, step.versions)
            self._stop_if_only_versions_differ(step, parts)
        return self._plans[step.name]

    def _journal(self, step: AnyStep) -> str:
        return names.journal(self.stage.name, step.name, self._plan(step).fingerprint)

    def _fingerprinted(
        self, step: AnyStep, parts: list[AnyPart], versions: Mapping[str, str]
    ) -> _Planned:
        own = identity(self.stage, step, versions)
        known = [replace(part, fingerprint=digest_of([own, part.digest])) for part in parts]
        fingerprint = digest_of([own, sorted(part.fingerprint for part in known)])
        return _Planned(known, fingerprint, dict(versions))

    # What may be made anew

    def _stop_if_only_versions_differ(self, step: AnyStep, parts: list[AnyPart]) -> None:
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
            faults = len(manifest.faults)
            say(f"{name}: {faults or 'no'} faults to try again")
            return bool(manifest.faults)
        return False

    def _take_back(self, manifest: Manifest) -> None:
        """Make a published stage one that was interrupted, without the parts to be done again."""
        all_again = self.stage.name in self.build.redo or manifest.rows_gone
        take_back(self.store, manifest, None if all_again else with_faults(manifest))
        self.old = None
        self._plans.clear()
        self._records.clear()
        self._has_rows.clear()

    def _allow_redo(self, step: AnyStep, planned: _Planned, missing: list[AnyPart]) -> None:
        """Say how much of a published stage's step is made anew; refuse what was costly to make.

        The cost is reckoned from the last time: of each part that is missing an average one's.
        """
        before = self.old.record_of(step.name) if self.old else None
        asked = self.stage.name in self.build.redo or (self.old and self.old.rows_gone)
        if before is None or not missing or asked:
            return
        name, parts = f"{self.stage.name}: {step.name}", len(planned.parts)
        reused = f"{parts - len(missing):,} of {parts:,} parts are taken over"
        if before.fingerprint != planned.fingerprint:
            self.build.progress.say(f"{name}: settings or inputs changed; {reused}")
        workers = self.build.engine.workers or os.cpu_count() or 1
        each_s = sum(part.wall_s for part in before.parts) / workers / max(1, len(before.parts))
        if (cost_s := each_s * len(missing)) > COSTLY_S:
            raise StageError(
                f"{name} would take about {cost_s / 60:.0f} minutes again: its settings or inputs "
                f"changed ({reused}). --redo {self.stage.name} makes it again, another folder "
                "leaves it as it is"
            )

    # Making

    def _make(self, step: AnyStep) -> None:
        """Make a step's missing parts; earlier steps are made only where these need their rows."""
        before = _earlier(step)
        for earlier in before:
            if self._known(earlier) is None:
                self._make(earlier)
        self.build.check_signals()
        task, planned = self._task(step), self._plan(step)
        committed = Committed(self.store, self.stage.name, step.name, planned.parts)
        records = committed.refresh()
        if self._forget_lost(step, records):
            committed = Committed(self.store, self.stage.name, step.name, planned.parts)
            records = committed.refresh()
        done = {record.fingerprint for record in records}
        if any(part.fingerprint not in done for part in planned.parts):
            for earlier in before:
                if not self._readable(earlier):
                    self._make(earlier)
                    self._plans.pop(step.name, None)  # its sources are other files now
                    planned = self._plan(step)
        inputs = self._inputs(step)
        missing = self._missing(planned, done)
        self._allow_redo(step, planned, missing)
        if missing and isinstance(step, ReduceStep):
            task = with_map_parts(self.build, task, inputs)
        self.build.progress.begin(self.stage.name, step.name, planned.parts, committed)
        if missing:
            self.build.run_parts(task, missing)
        record = self._finish_step(step, planned, committed, inputs)
        self._records[step.name] = record
        self._has_rows.add(step.name)
        self.build.progress.end(record.ledgers)

    def _readable(self, step: AnyStep) -> bool:
        return self._known(step) is not None and step.name in self._has_rows

    def _missing(self, planned: _Planned, done: Container[str]) -> list[AnyPart]:
        """The parts to do; of several with the same content one."""
        first = {part.fingerprint: part for part in reversed(planned.parts)}
        missing = [part for part in first.values() if part.fingerprint not in done]
        return sorted(missing, key=lambda part: part.number)

    def _task(self, step: AnyStep) -> Task:
        travelling: AnyStep = replace(step, inputs=(), feeds=None)
        schemas = {}
        if isinstance(travelling, Step):
            travelling = replace(travelling, plan=_planned_before)
        elif isinstance(step, ReduceStep):
            schemas = {input.name: input.schema for input in step.inputs}
        build = self.build
        return Task(
            self.stage.name,
            travelling,
            self.store,
            build.engine,
            build.id,
            driver=here(),
            libraries=libraries(step.versions),
            schemas=schemas,
        )

    def _finish_step(
        self,
        step: AnyStep,
        planned: _Planned,
        committed: Committed,
        inputs: Sequence[Output],
    ) -> StepRecord:
        parts = committed.in_order()
        if missing := len(planned.parts) - len(parts):
            raise StageError(
                f"{self.stage.name}: {step.name}: the runner ended without {missing} of "
                f"{len(planned.parts)} parts. What is done is kept; run the same command to go on"
            )
        sums = ledgers_of.total(part.ledgers for part in parts)
        self._check_boundary(step, sums, inputs)
        record = StepRecord(
            name=step.name,
            fingerprint=planned.fingerprint,
            digest=sum_digests(part.digest for part in parts),
            content=sum_digests(part.content for part in parts),
            ledgers=sums,
            versions=planned.versions,
            parts=parts,
            rows=sum(part.rows for part in parts),
            cpu_s=round(sum(part.cpu_s for part in parts), 3),
            retries=sum(part.retries for part in parts),
        )
        self._check_same_as_before(record)
        self.store.write_json(self._journal(step), record.to_json())
        return record

    def _check_same_as_before(self, record: StepRecord) -> None:
        before = self._records.get(record.name)
        if before and before.fingerprint == record.fingerprint and before.digest != record.digest:
            raise StageError(
                f"{self.stage.name}: {record.name} gave other rows than the last time, from the "
                "same inputs and settings; this is a defect of webtext, nothing was published"
            )

    def _check_boundary(self, step: AnyStep, sums: Ledgers, inputs: Sequence[Output]) -> None:
        feeds = {each.name for each in (step.inputs if step.feeds is None else step.feeds)}
        feeding = [output for output in inputs if output.name in feeds]
        for unit, ledger in sums.items():
            sent = [output.ledgers[unit].rows_out for output in feeding if unit in output.ledgers]
            if sent and sum(sent) != ledger.rows_in:
                raise StageError(
                    f"{self.stage.name}: {step.name} received {ledger.rows_in} {unit}, but "
                    f"{', '.join(output.name for output in feeding)} sent {sum(sent)}; "
                    "nothing was published"
                )

    # Publishing

    def _publish(self, wall_s: float) -> Output:
        outputs = [self._output(step) for step in self.stage.steps]
        manifest = self._manifest(wall_s)
        refuse_empty(self.stage, manifest, outputs)
        if self.stage.check:
            manifest = replace(manifest, gates=self.stage.check(*outputs))
            self.build.gates += manifest.gates
        files = self.stage.finish(*outputs) if self.stage.finish else {}
        manifest = publish(self.store, manifest, self.old, files)
        tidy(self.store, self.stage, manifest)
        self.build.log.write("published", stage=self.stage.name, digest=manifest.digest)
        return published(self.store, manifest)

    def _manifest(self, wall_s: float) -> Manifest:
        known = [self._records[step.name] for step in self.stage.steps]
        if known[-1].parts and self.stage.unit not in known[-1].ledgers:
            raise StageError(
                f"{self.stage.name}: its last step books no {self.stage.unit}; "
                "this is a defect of webtext, nothing was published"
            )
        # A stage made in several runs, or by a taken-over part, cost more than this run.
        parts_s = sum(part.wall_s for record in known for part in record.parts)
        workers = self.build.engine.workers or os.cpu_count() or 1
        kept = [
            record if step.keep or step is self.last else record.drops_alone()
            for step, record in zip(self.stage.steps, known, strict=True)
        ]
        return Manifest(
            format=FORMAT,
            stage=self.stage.name,
            unit=self.stage.unit,
            gives=self.stage.gives or self.stage.unit,
            fingerprint=known[-1].fingerprint,
            digest=known[-1].content,
            ledgers=ledgers_of.chain((r.ledgers for r in known), self.stage.name),
            settings={step.name: plain_settings(step.settings) for step in self.stage.steps},
            steps=kept,
            gates=[],
            wall_s=round(max(wall_s, parts_s / workers), 3),
            cpu_s=round(sum(record.cpu_s for record in known), 3),
            inputs={name: self.build.output(name).digest for name in self._other_stages()},
        )

    def _other_stages(self) -> set[str]:
        inputs = (input for step in self.stage.steps for input in step.inputs)
        return {input.name for input in inputs if isinstance(input, Upstream)}


def _earlier(step: AnyStep) -> list[AnyStep]:
    """The inputs of a step that are steps of its stage."""
    return [input for input in step.inputs if not isinstance(input, Upstream)]


def _planned_before(*inputs: object) -> list[AnyPart]:
    """Stands in for a step's plan where only its work travels to other processes."""
    raise AssertionError("a step is planned by the driver alone")
