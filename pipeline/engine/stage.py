"""What a stage declares: steps that turn parts into parts.

    Stage  links                                   what people see: a manifest, a ledger, a folder
      Step        read     dump -> posts           map: one part in, one part out
      ReduceStep  group    posts by key -> links   equal keys meet: one part out a hash bucket
      Step        verdict  links -> links          the last step's parts are what is published

A step's work is a plain, picklable callable; where it runs is the engine's business. Its
fingerprint covers all that shapes its rows (name, version, settings, inputs' content, versions of
libraries) and nothing else, so a rerun reuses what matches and does only what is missing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, TypeVar

import pyarrow as pa

from pipeline.engine.digest import digest_of
from pipeline.engine.exchange import Exchange
from pipeline.engine.ledger import Ledger, Ledgers
from pipeline.engine.parts import Part, Record
from pipeline.engine.ranges import read_rows
from pipeline.engine.store import Store
from pipeline.engine.writer import PartWriter

__all__ = [
    "AnyStep",
    "Exchange",
    "Output",
    "Part",
    "PartWriter",
    "Record",
    "ReduceStep",
    "Stage",
    "Step",
    "Table",
    "Upstream",
    "one_part_each",
    "read_rows",
]

Source = TypeVar("Source")


@dataclass(frozen=True)
class Output:
    """What a finished step, or a published stage, offers to those that read it.

    The tables of `parts` are in `store` as long as they are needed; digests, ledgers and notes are
    kept in the manifest for good.
    """

    name: str
    store: Store
    digest: str
    ledgers: Ledgers
    parts: list[Record]


@dataclass(frozen=True)
class Upstream:
    """Another stage as an input: what it has published."""

    name: str


@dataclass(frozen=True)
class Table:
    """What a part reads: a table of the store, all of it."""

    name: str


def one_part_each(tables: Output) -> list[Part[Table]]:
    """A plan: a part for each table of the one input."""
    return [
        Part(record.number, record.label, record.digest, Table(record.table))
        for record in tables.parts
    ]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Declared:
    """What either kind of step may declare.

    `settings` and `versions` (of libraries) are all that shapes its rows besides its inputs.
    `exchange` partitions the rows for a ReduceStep. `keep` keeps the step's parts after the stage
    is published, for what is costly to make. `feeds` are the inputs whose units this step
    continues, where not all do. `sampled_drops` keeps a sample of the drops, and hashes of all.
    `content` names the columns of which a stage's digest is taken, where not all are its content:
    where a page is stored is not. Fingerprints go by all columns nevertheless.
    """

    settings: Any = None
    versions: Mapping[str, str] = field(default_factory=dict)
    exchange: Exchange | None = None
    keep: bool = False
    feeds: "tuple[Input, ...] | None" = None
    sampled_drops: bool = False
    content: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Step(_Declared, Generic[Source]):
    """Parts to parts: `plan(output, …)` gives the parts, `work(part, out)` does one.

    `inputs` are earlier steps of the stage, or other stages; a plan gets their outputs in that
    order. `runs` is "worker" (the whole part in a worker process) or "items" (in a thread of the
    driver, with a pool for hostile items). `shared` names modules whose memory the workers share:
    large ones, and those that load models as they are imported.
    """

    name: str
    version: int
    plan: Callable[..., list[Part[Source]]]
    work: Callable[[Part[Source], PartWriter], None]
    schema: pa.Schema
    inputs: "tuple[Input, ...]" = ()
    runs: Literal["worker", "items"] = "worker"
    shared: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ReduceStep(_Declared):
    """Brings rows with equal `key` together from all `inputs`, steps with that exchange.

    `reduce(table, …, out=PartWriter)` gets, for one bucket (or slice of it), a table for each
    input, in that order, sorted by key and then by all other columns.
    """

    name: str
    version: int
    key: str
    reduce: Callable[..., None]
    schema: pa.Schema
    inputs: "tuple[AnyStep, ...]"
    runs: ClassVar[Literal["worker"]] = "worker"

    def plan_buckets(self, buckets: int, *inputs: Output) -> list[Part[None]]:
        """One part a bucket."""
        sources = digest_of([each.digest for each in inputs])
        return [
            Part(bucket, f"bucket {bucket}", digest_of([sources, bucket, buckets]), None)
            for bucket in range(buckets)
        ]


AnyStep = Step[Any] | ReduceStep
Input = AnyStep | Upstream


@dataclass(frozen=True)
class Stage:
    """A named result of the build and the steps that make it.

    `unit` is what its ledger counts; `gives` what its rows out are called by the next stage.
    `finish` and `check` get the outputs of all steps, in their order. `finish` gives further small
    files to publish, by name (a dataset card); `check` messages of quality gates that failed (exit
    code 3).
    """

    name: str
    unit: str
    steps: tuple[AnyStep, ...]
    gives: str = ""
    finish: Callable[..., dict[str, bytes]] | None = None
    check: Callable[..., list[str]] | None = None
    empty_is_fine: bool = False

    def __post_init__(self) -> None:
        """Refuse a step that reads one which is not before it in the stage."""
        for number, step in enumerate(self.steps):
            before = (*self.steps[:number], *(i for i in step.inputs if isinstance(i, Upstream)))
            if wrong := [i.name for i in step.inputs if not any(i is each for each in before)]:
                raise ValueError(f"{self.name}: {step.name} reads {wrong[0]}, no step before it")


def identity(stage: Stage, step: AnyStep, versions: Mapping[str, str]) -> str:
    """Digest of what shapes a step's rows besides its inputs."""
    schema = [(column.name, str(column.type)) for column in step.schema]
    key = step.key if isinstance(step, ReduceStep) else ""
    exchange = step.exchange.key if step.exchange else ""
    settings = digest_of(step.settings)
    return digest_of(
        [
            *(stage.name, step.name, step.version, settings, dict(versions)),
            *(schema, key, exchange, *step.content),
        ]
    )


def stage_ledger(stage: Stage, ledgers: Ledgers) -> Ledger:
    """The ledger of the stage's main unit."""
    return ledgers.get(stage.unit, Ledger())
