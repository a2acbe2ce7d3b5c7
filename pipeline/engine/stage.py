"""What a stage declares: steps that turn parts into parts.

    Stage  links                                   what people see: a manifest, a ledger, a folder
      Step        read     dump -> posts           map: one part in, one part out
      ReduceStep  group    posts by key -> links   equal keys meet: one part out a hash bucket
      Step        verdict  links -> links          the last step's parts are what is published

A step's work is a plain, picklable callable; where it runs is the engine's business. Its
fingerprint covers all that shapes its rows (name, version, settings, inputs' content, versions of
libraries) and nothing else, so a rerun reuses what matches and does only what is missing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, Literal

import pyarrow as pa

from pipeline.engine.digest import digest_of
from pipeline.engine.exchange import Exchange
from pipeline.engine.ledger import Ledger, Ledgers
from pipeline.engine.parts import Part, Record
from pipeline.engine.store import Store
from pipeline.engine.writer import PartWriter

__all__ = [
    "Exchange",
    "Inputs",
    "Output",
    "Part",
    "PartWriter",
    "Record",
    "ReduceStep",
    "Stage",
    "Step",
    "one_part_each",
]


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
    parts: Sequence[Record]


Inputs = Mapping[str, Output]
Plan = Callable[[Inputs], list[Part]]
Work = Callable[[Part, PartWriter], None]
Reduce = Callable[[dict[str, pa.Table], PartWriter], None]


def one_part_each(name: str) -> Plan:
    """A plan: a part for each of the input `name`; its source is the name of that table."""
    return partial(_one_part_each, name)


def _one_part_each(name: str, inputs: Inputs) -> list[Part]:
    return [
        Part(record.number, record.label, record.digest, record.table)
        for record in inputs[name].parts
    ]


@dataclass(frozen=True, kw_only=True)
class _Declared:
    """What either kind of step may declare.

    `settings` and `versions` (of libraries) are all that shapes its rows besides its inputs.
    `exchange` partitions the rows for a ReduceStep. `keep` keeps the step's parts after the stage
    is published, for what is costly to make. `feeds` names the inputs whose units this step
    continues, where not all do. `sampled_drops` keeps a sample of the drops, and hashes of all.
    `content` names the columns of which a stage's digest is taken, where not all are its content:
    where a page is stored is not. Fingerprints go by all columns nevertheless.
    """

    settings: Any = None
    versions: Mapping[str, str] = field(default_factory=dict)
    exchange: Exchange | None = None
    keep: bool = False
    feeds: tuple[str, ...] | None = None
    sampled_drops: bool = False
    content: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step(_Declared):
    """Parts to parts: `plan` names the parts, `work` does one.

    `inputs` are earlier steps of the stage, or other stages. `runs` is "worker" (the whole part in
    a worker process) or "items" (in a thread of the driver, with a pool for hostile items).
    """

    name: str
    version: int
    plan: Plan
    work: Work
    schema: pa.Schema
    inputs: tuple[str, ...] = ()
    runs: Literal["worker", "items"] = "worker"


@dataclass(frozen=True)
class ReduceStep(_Declared):
    """Brings rows with equal `key` together from all `inputs`, steps with that exchange.

    `reduce` gets, for one bucket (or slice of it), a table for each input sorted by key and then by
    all other columns.
    """

    name: str
    version: int
    key: str
    reduce: Reduce
    schema: pa.Schema
    inputs: tuple[str, ...]
    runs: ClassVar[Literal["worker"]] = "worker"

    def plan_buckets(self, inputs: Inputs, buckets: int) -> list[Part]:
        """One part a bucket."""
        sources = digest_of([inputs[name].digest for name in self.inputs])
        return [
            Part(bucket, f"bucket {bucket}", digest_of([sources, bucket, buckets]))
            for bucket in range(buckets)
        ]


AnyStep = Step | ReduceStep


@dataclass(frozen=True)
class Stage:
    """A named result of the build and the steps that make it.

    `unit` is what its ledger counts; `gives` what its rows out are called by the next stage.
    `finish(outputs)` gives further small files to publish, by name (a dataset card);
    `check(outputs)` messages of quality gates that failed (exit code 3).
    """

    name: str
    unit: str
    steps: tuple[AnyStep, ...]
    gives: str = ""
    finish: Callable[[Inputs], dict[str, bytes]] | None = None
    check: Callable[[Inputs], list[str]] | None = None
    empty_is_fine: bool = False


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
