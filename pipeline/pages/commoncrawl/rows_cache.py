"""The rows that the index gave for a batch of links, on local disk, until the batch is answered.

To read them takes gigabytes, to fetch the captures hours: a killed run finds the rows again.
"""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.feather as feather
import xxhash

_ENDING = ".rows"


class RowsCache:
    """One batch's file; `asked` names the crawls, subsets and place that gave the rows."""

    def __init__(self, folder: Path, asked: Sequence[str], first_id: str, last_id: str) -> None:
        name = xxhash.xxh3_128_hexdigest("\n".join([*asked, first_id, last_id]).encode())
        self._rows, self._keys = folder / f"{name}{_ENDING}", folder / f"{name}.keys"

    def find(self, keys: pa.Array) -> pa.Table | None:
        """The rows, if they are those of all these keys; None if they must be asked for."""
        if not self._rows.exists():
            return None
        try:
            asked = feather.read_table(self._keys)["key"]
            if not pc.all(pc.is_in(keys, value_set=asked.combine_chunks())).as_py():
                return None
            return feather.read_table(self._rows)
        except (pa.ArrowException, OSError):
            return None  # cut by a crash of the machine

    def keep(self, keys: pa.Array, rows: pa.Table) -> None:
        """Write them; the rows last, and under their name only when they are whole."""
        self._rows.parent.mkdir(parents=True, exist_ok=True)
        feather.write_feather(pa.table({"key": keys}), self._keys, compression="zstd")
        aside = self._rows.with_suffix(".aside")
        feather.write_feather(rows, aside, compression="zstd")
        aside.replace(self._rows)

    def remove(self) -> None:
        """Let them go."""
        self._rows.unlink(missing_ok=True)
        self._keys.unlink(missing_ok=True)
