"""What is kept of finished steps and stages: `step.json` in a work folder, `manifest.json`."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, is_dataclass, replace
from pathlib import Path
from typing import Any

from pipeline.engine.ledger import Ledger, Ledgers
from pipeline.engine.parts import PartInfo, read_sidecars
from pipeline.engine.stage import Output
from pipeline.errors import StageError

FORMAT = 2  # of build folders; raised when an older one cannot be read any more
COSTLY_S = 600  # a stage that took longer is made again only with --redo


@dataclass(frozen=True)
class StepRecord:
    """A finished step: enough to know whether it is up to date when its rows are gone."""

    name: str
    fingerprint: str
    digest: str
    ledgers: Ledgers
    versions: dict[str, str]
    parts: list[PartInfo]
    rows: int
    cpu_s: float
    retries: int

    def output(self, folder: Path) -> Output:
        """The step as an input; where its folder is gone, its parts cannot be read."""
        parts = [replace(info, folder=folder) for info in self.parts]
        return Output(self.name, folder, self.digest, self.ledgers, parts)

    def to_json(self) -> dict[str, Any]:
        """Plain form."""
        parts = [info.to_json() for info in self.parts]
        return {**vars(self), "ledgers": _ledgers_to_json(self.ledgers), "parts": parts}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "StepRecord":
        """The reverse of `to_json`."""
        parts = [PartInfo.from_json(part, Path()) for part in data["parts"]]
        ledgers = _ledgers_from_json(data["ledgers"])
        return StepRecord(**{**data, "ledgers": ledgers, "parts": parts})

    @staticmethod
    def read(path: Path) -> "StepRecord | None":
        """The record in a work folder, None if the step is not finished."""
        try:
            return StepRecord.from_json(json.loads(path.read_text()))
        except FileNotFoundError:
            return None


@dataclass(frozen=True)
class Manifest:
    """A published stage: its ledgers, its digest, and all that it was made with."""

    format: int
    stage: str
    unit: str
    gives: str
    fingerprint: str
    digest: str
    ledgers: Ledgers
    settings: dict[str, Any]
    steps: list[StepRecord]
    gates: list[str]
    wall_s: float
    cpu_s: float

    def step(self, name: str, fingerprint: str) -> StepRecord | None:
        """The record of a step, if it has this fingerprint."""
        record = self.record_of(name)
        return record if record and record.fingerprint == fingerprint else None

    def record_of(self, name: str) -> StepRecord | None:
        """The record of a step."""
        return next((record for record in self.steps if record.name == name), None)

    def notes(self, step: str) -> list[dict[str, Any]]:
        """The notes of a step's parts, each with the part's label."""
        record = self.record_of(step)
        parts = record.parts if record else []
        return [{"part": info.label, **info.notes} for info in parts if info.notes]

    @property
    def faults(self) -> list[dict[str, str]]:
        """The rows that were dropped by the limits on an item; `--replay` tries them again."""
        return [fault for record in self.steps for info in record.parts for fault in info.faults]

    def to_json(self) -> dict[str, Any]:
        """Plain form; steps in the order of the flow."""
        return {
            **vars(self),
            "ledgers": _ledgers_to_json(self.ledgers),
            "steps": [record.to_json() for record in self.steps],
        }


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest of a published stage, None if there is none.

    Raises StageError for a folder that another version of webtext made.
    """
    path = folder / "manifest.json"
    try:
        data = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except json.JSONDecodeError as error:
        raise StageError(f"{path} is damaged ({error}); remove {folder} to make it again") from None
    if data.get("format") != FORMAT:
        raise StageError(
            f"{path} has format {data.get('format')}, this webtext reads format {FORMAT}; "
            "use the version that made it, or build in another folder"
        )
    data["ledgers"] = _ledgers_from_json(data["ledgers"])
    data["steps"] = [StepRecord.from_json(step) for step in data["steps"]]
    return Manifest(**data)


def published(folder: Path, manifest: Manifest) -> Output:
    """A published stage's output; its ledger also under the name its rows have for the next."""
    by_unit = dict(manifest.ledgers)
    if manifest.gives != manifest.unit:
        kept = by_unit.pop(manifest.unit, Ledger())
        by_unit[manifest.gives] = Ledger(kept.rows_out, kept.rows_out)
    return Output(manifest.stage, folder, manifest.digest, by_unit, read_sidecars(folder))


def plain_settings(settings: Any) -> Any:
    """A step's settings in plain form."""
    is_instance = is_dataclass(settings) and not isinstance(settings, type)
    return asdict(settings) if is_instance else settings


def versions_only(stage: str, old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """What to tell when nothing but library versions changed since a stage was made."""
    return (
        f"{stage} was made with other versions ({_changed(old, new)}) and is otherwise up to date; "
        f"--keep-versions goes on with it, --redo {stage} makes it again, "
        "another folder leaves it as it is"
    )


def versions_mixed(stage: str, old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """What to tell when parts are to be replayed with other versions than the stage was made."""
    return (
        f"{stage} was made with other versions ({_changed(old, new)}), and --replay would mix them "
        f"in one stage; install those, or make all of it again: --redo {stage}"
    )


def _changed(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    return ", ".join(
        f"{name} {old.get(name)} -> {new.get(name)}"
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    )


def _ledgers_to_json(ledgers: Ledgers) -> dict[str, Any]:
    return {unit: ledger.to_json() for unit, ledger in ledgers.items()}


def _ledgers_from_json(data: Mapping[str, Any]) -> Ledgers:
    return {unit: Ledger.from_json(ledger) for unit, ledger in data.items()}
