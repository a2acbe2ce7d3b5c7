"""What is kept of finished steps and stages: journals and manifests."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from typing import Any

from pipeline.engine import names
from pipeline.engine.digest import digest_of
from pipeline.engine.ledger import Ledger, Ledgers
from pipeline.engine.parts import DROPS, HASHES, File, Record
from pipeline.engine.stage import Output
from pipeline.engine.store import Store
from pipeline.errors import StageError

FORMAT = 4  # of builds; raised when an older one cannot be read any more
COSTLY_S = 600  # a stage that took longer is made again only with --redo


@dataclass(frozen=True)
class StepRecord:
    """A finished step: enough to know whether it is up to date when its rows are gone."""

    name: str
    fingerprint: str
    digest: str
    content: str
    ledgers: Ledgers
    versions: dict[str, str]
    parts: list[Record]
    rows: int
    cpu_s: float
    retries: int

    def output(self, store: Store) -> Output:
        """The step as an input."""
        return Output(self.name, store, self.digest, self.ledgers, self.parts)

    def drops_alone(self) -> "StepRecord":
        """The step as a manifest keeps it whose rows go: of its files, those of the drops."""
        kept = (DROPS, HASHES)
        parts = [
            replace(part, files={r: file for r, file in part.files.items() if r in kept})
            for part in self.parts
        ]
        return replace(self, parts=parts)

    def to_json(self) -> dict[str, Any]:
        """Plain form, but for the parts: there may be many, and JSON takes them as they are."""
        return {**vars(self), "ledgers": _ledgers_to_json(self.ledgers)}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "StepRecord":
        """The reverse of `to_json`."""
        parts = [Record.from_json(part) for part in data["parts"]]
        ledgers = _ledgers_from_json(data["ledgers"])
        return StepRecord(**{**data, "ledgers": ledgers, "parts": parts})


@dataclass(frozen=True)
class Manifest:
    """A published stage: its ledgers, its digest, its files, and all that it was made with.

    `digest` is that of its content, which people and tests compare. `inputs` are the full digests
    of the stages that it was made of. `files` are those that belong to no part, by the name that
    people see. `rows_gone` says that the tables were removed on purpose.
    """

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
    inputs: dict[str, str] = field(default_factory=dict)
    files: dict[str, File] = field(default_factory=dict)
    rows_gone: bool = False

    @property
    def publication(self) -> str:
        """Names what is published: a replay gives other rows with the same fingerprint."""
        return digest_of([self.fingerprint, self.digest])

    @property
    def full_digest(self) -> str:
        """The digest of all columns of its rows: what the next stage is made of."""
        return self.steps[-1].digest

    @property
    def parts(self) -> list[Record]:
        """The parts of the last step: the stage's tables."""
        return self.steps[-1].parts

    @property
    def all_parts(self) -> list[Record]:
        """The parts of all steps, in the order of the flow."""
        return [part for step in self.steps for part in step.parts]

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
        return [{"part": part.label, **part.notes} for part in parts if part.notes]

    @property
    def faults(self) -> list[dict[str, str]]:
        """The rows that were dropped by the limits on an item; `--replay` tries them again."""
        all_faults = (fault for part in self.all_parts for fault in part.faults)
        return [fault for fault in all_faults if fault["unit"] == self.unit]

    def all_files(self) -> list[File]:
        """Every file that the publication names."""
        of_parts = [file for part in self.all_parts for file in part.files.values()]
        return [*of_parts, *self.files.values()]

    def view(self) -> dict[str, str]:
        """What people see in the stage's folder: names there, and the files that they stand for."""
        shown: dict[str, str] = {}
        for part in self.parts:
            if part.has_rows:
                shown[names.view(self.stage, self.publication, part.number)] = part.table
            for name, file in part.own_files().items():
                shown[f"{self.stage}/{name}"] = file.name
        for name, file in self.files.items():
            shown[f"{self.stage}/{name}"] = file.name
        return shown

    def to_json(self) -> dict[str, Any]:
        """Plain form; steps in the order of the flow."""
        return {
            **vars(self),
            "ledgers": _ledgers_to_json(self.ledgers),
            "steps": [record.to_json() for record in self.steps],
            "files": {name: asdict(file) for name, file in self.files.items()},
        }


def read_journal(store: Store, name: str) -> StepRecord | None:
    """The record of a finished step whose rows are there, None if there is none."""
    try:
        found = store.read_json(name)
        return None if found is None else StepRecord.from_json(found)
    except (ValueError, KeyError, TypeError) as error:
        raise StageError(
            f"{store.place}: {name} is damaged ({error!r}); remove it, and run the same command"
        ) from None


def read_manifest(store: Store, stage: str) -> Manifest | None:
    """The manifest of a published stage, None if there is none.

    Raises StageError for a stage that another version of webtext made.
    """
    return read_manifest_at(store, names.manifest(stage))


def read_manifest_at(store: Store, name: str) -> Manifest | None:
    """As `read_manifest`, by the file's name: of a stage's folder outside of a build."""
    place = f"{store.place}/{name}"
    try:
        data = store.read_json(name)
    except ValueError as error:
        raise StageError(
            f"{place} is damaged ({error}); remove its folder, which has "
            "only further names of files in data/, and run the same command"
        ) from None
    if data is None:
        return None
    if data.get("format") != FORMAT:
        raise StageError(other_format(place, data.get("format")))
    data["ledgers"] = _ledgers_from_json(data["ledgers"])
    data["steps"] = [StepRecord.from_json(step) for step in data["steps"]]
    data["files"] = {name: File(**file) for name, file in data["files"].items()}
    return Manifest(**data)


def write_manifest(store: Store, manifest: Manifest) -> None:
    """Publish a stage: one small write."""
    store.write_json(names.manifest(manifest.stage), manifest.to_json())


def other_format(place: str, form: object) -> str:
    """What to tell of a build that another version of webtext made."""
    return (
        f"{place} has format {form}, this webtext reads format {FORMAT}; "
        "use the version that made it, or build in another folder"
    )


def published(store: Store, manifest: Manifest) -> Output:
    """A published stage's output; its ledger also under the name its rows have for the next."""
    by_unit = dict(manifest.ledgers)
    if manifest.gives != manifest.unit:
        kept = by_unit.pop(manifest.unit, Ledger())
        by_unit[manifest.gives] = Ledger(kept.rows_out, kept.rows_out)
    return Output(manifest.stage, store, manifest.full_digest, by_unit, manifest.parts)


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
