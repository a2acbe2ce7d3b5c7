"""A published stage as those read it who tell of it: its rows, its drops, one row by its id."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipeline.engine.drops import read_drops
from pipeline.engine.manifest import Manifest, read_manifest
from pipeline.engine.store import Store


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
        wanted = list(ids)
        if not wanted:  # Arrow has no filter by nothing
            return {}
        found = self.tables(columns, filters=[("id", "in", wanted)])
        return {row["id"]: row for table in found for row in table.to_pylist()}

    def drops(self) -> list[dict[str, Any]]:
        """The dropped rows of all steps that are kept whole."""
        rows: list[dict[str, Any]] = read_drops(self.store, self.manifest.all_parts).to_pylist()
        return rows


def read_published(store: Store, stage: str) -> Published | None:
    """A published stage, None where there is none."""
    manifest = read_manifest(store, stage)
    return Published(store, manifest) if manifest else None
