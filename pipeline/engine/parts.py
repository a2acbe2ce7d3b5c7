"""Parts: the unit of work and of loss, one to three minutes each.

    Part     planned: what it reads, and the digest of that
    Record   committed: its files, counts and digest; a small JSON file, whose writing is the commit

A part's rows are a function of its inputs, so its fingerprint names it whatever its place in the
plan, and a part that is done twice is harmless. Its number and its label come from the plan.
"""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Generic, TypeVar

from pipeline.engine import names
from pipeline.engine.ledger import Ledger, Ledgers
from pipeline.engine.ranges import MapPart
from pipeline.engine.store import Store
from pipeline.errors import StageError, printable

READERS = 16  # threads: a bucket answers each in some 20 ms

# Roles of the files that the engine writes; a stage names further ones itself.
TABLE, DROPS, HASHES = "table", "drops", "hashes"


Source = TypeVar("Source", covariant=True)


@dataclass(frozen=True, slots=True)
class Part(Generic[Source]):
    """One unit of work, as planned.

    `digest` is that of the content it reads; `source` is what its work needs to find it (names,
    ranges; None where there is nothing to find) and shapes no row; `label` names it for people. The
    engine adds the fingerprint.
    """

    number: int
    label: str
    digest: str
    source: Source = None  # type: ignore[assignment]
    fingerprint: str = ""

    def __post_init__(self) -> None:
        """A label is written and printed, and a file's name may be no text."""
        object.__setattr__(self, "label", printable(self.label))


AnyPart = Part[Any]


@dataclass(frozen=True, slots=True)
class File:
    """A file of the store as it was written. A `side` file is not counted in the digest."""

    name: str
    bytes: int
    xxh3_128: str
    side: bool = False


GONE = File("", 0, "")


@dataclass(frozen=True, slots=True)
class Record:
    """One committed part."""

    number: int
    label: str
    fingerprint: str
    digest: str  # of all columns, and of the stage's own files
    content: str  # of the columns that are content: where a page is stored is not
    rows: int
    ledgers: Ledgers
    files: dict[str, File]  # by role
    notes: dict[str, Any]
    faults: list[dict[str, str]]  # drops by the limits on an item: unit, id, url, reason, detail
    cpu_s: float
    wall_s: float
    retries: int
    ranges: str = ""  # of a map part of an exchange: the length of each bucket's (ranges.py)
    row_groups: list[list[int]] = field(default_factory=list)  # of a Parquet table: [rows, bytes]

    @property
    def has_rows(self) -> bool:
        """Whether the table is kept; of a step in the middle of a stage only the drops are."""
        return TABLE in self.files

    @property
    def table(self) -> str:
        """The name of the part's table in the store, "" where its rows are gone."""
        return self.file(TABLE)

    def file(self, role: str) -> str:
        """The name of one of the part's files in the store, "" where it is gone."""
        return self.sealed(role).name

    def sealed(self, role: str) -> File:
        """One of the part's files with its checksum, of no name where it is gone."""
        return self.files.get(role, GONE)

    @property
    def table_bytes(self) -> int:
        """The size of the table's file, 0 where its rows are gone."""
        return self.files[TABLE].bytes if self.has_rows else 0

    @property
    def map_part(self) -> MapPart:
        """What an exchange needs to know of the part."""
        return MapPart(self.table, self.ranges, self.digest, self.rows)

    def own_files(self) -> dict[str, File]:
        """The files that the stage named itself and that its digest covers."""
        engine = {TABLE, DROPS, HASHES}
        return {r: file for r, file in self.files.items() if r not in engine and not file.side}

    def to_json(self) -> dict[str, Any]:
        """Plain form."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        plain["ledgers"] = {unit: ledger.to_json() for unit, ledger in self.ledgers.items()}
        plain["files"] = {role: asdict(file) for role, file in self.files.items()}
        return plain

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "Record":
        """The reverse of `to_json`."""
        ledgers = {unit: Ledger.from_json(led) for unit, led in data["ledgers"].items()}
        files = {role: File(**file) for role, file in data["files"].items()}
        digest = data["digest"]  # one string for both, where they are alike: there may be many
        content = digest if data["content"] == digest else data["content"]
        return Record(**{**data, "content": content, "ledgers": ledgers, "files": files})


def read_record(store: Store, name: str) -> Record | None:
    """A committed part, None if there is none. StageError if its record is damaged."""
    try:
        found = store.read_json(name)
        return None if found is None else Record.from_json(found)
    except (ValueError, KeyError, TypeError) as error:
        raise StageError(
            f"{store.place}: {name} is damaged ({error!r}); remove it, and run the same command"
        ) from None


def read_records(store: Store, names: Iterable[str]) -> list[Record]:
    """Those of these committed parts that are there."""
    with ThreadPoolExecutor(READERS) as readers:
        found = readers.map(lambda name: read_record(store, name), names)
    return [record for record in found if record is not None]


class Committed:
    """The records of one step, each read once however often one looks."""

    def __init__(self, store: Store, stage: str, step: str, parts: Iterable[AnyPart]) -> None:
        self._store, self._folder = store, names.records(stage, step)
        self._wanted = {part.fingerprint for part in parts}
        self._parts = list(parts)
        self._found: dict[str, Record] = {}

    def names(self) -> set[str]:
        """The fingerprints of planned parts that are committed: one look at the store's list."""
        there = {_fingerprint(entry.name) for entry in self._store.entries(self._folder)}
        return there & self._wanted

    def refresh(self) -> list[Record]:
        """The records that came since the last look."""
        fresh = sorted(self.names() - self._found.keys())
        came = read_records(self._store, (f"{self._folder}/{name}.json" for name in fresh))
        self._found.update((record.fingerprint, record) for record in came)
        return came

    def in_order(self) -> list[Record]:
        """All records, as planned: two parts with the same content share a record."""
        self.refresh()
        return [
            replace(self._found[part.fingerprint], number=part.number, label=part.label)
            for part in self._parts
            if part.fingerprint in self._found
        ]

    def __len__(self) -> int:
        return len(self._found)


def _fingerprint(name: str) -> str:
    return name.rpartition("/")[2].removesuffix(".json")
