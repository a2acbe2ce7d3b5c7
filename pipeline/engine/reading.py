"""A published stage as those read it who tell of it: its rows, its drops, one row by its id."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.engine.manifest import Manifest, read_manifest
from pipeline.engine.parts import DROPS
from pipeline.engine.store import Store

BATCH_ROWS = 10_000


@dataclass(frozen=True)
class Published:
    """A stage's manifest and the store that its files are in."""

    store: Store
    manifest: Manifest

    def tables(self, columns: list[str] | None = None, **more: Any) -> Iterator[pa.Table]:
        """The tables one by one; `more` goes to pyarrow's read_table (`filters`)."""
        for part in self.manifest.parts:
            yield self.store.table(part.table, columns, **more)

    def table(self, columns: list[str]) -> pa.Table:
        """These columns of all rows."""
        return pa.concat_tables(self.tables(columns))

    def rows(
        self, ids: Iterable[str], columns: list[str] | None = None
    ) -> dict[str, dict[str, Any]]:
        """The rows of these ids, by id."""
        wanted, found = set(ids), dict[str, dict[str, Any]]()
        for part in self.manifest.parts:
            if len(found) < len(wanted):
                rows = rows_of(self.store, part.table, wanted, columns)
                found.update((row["id"], row) for row in rows)
        return found

    def drops(self, reasons: Iterable[str] = ()) -> Iterator[dict[str, Any]]:
        """The dropped rows of all steps that are kept whole, for these reasons or for all."""
        wanted = pa.array(list(reasons), pa.string())
        for part in self.manifest.all_parts:
            if not any(ledger.drops for ledger in part.ledgers.values()):
                continue
            for batch in self.store.batches(part.file(DROPS), BATCH_ROWS):
                of_these = pc.is_in(batch["reason"], value_set=wanted) if len(wanted) else None
                yield from (batch if of_these is None else batch.filter(of_these)).to_pylist()


def rows_of(
    store: Store, table: str, ids: Iterable[str], columns: list[str] | None = None
) -> Iterator[dict[str, Any]]:
    """The rows of a table with these ids: texts are read only of row groups that hold one."""
    wanted = pa.array(list(ids), pa.string())
    if columns is not None:
        columns = list({"id": None, **dict.fromkeys(columns)})
    with store.sound(table), store.parquet(table) as file:
        for number in range(file.num_row_groups):
            at = pc.is_in(file.read_row_group(number, ["id"])["id"], value_set=wanted)
            if pc.any(at).as_py():
                yield from file.read_row_group(number, columns).filter(at).to_pylist()


def read_published(store: Store, stage: str) -> Published | None:
    """A published stage, None where there is none."""
    manifest = read_manifest(store, stage)
    return Published(store, manifest) if manifest else None
