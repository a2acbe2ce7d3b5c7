"""Counts of pre-tokens as tables: made of texts, added up, pruned, and given to the trainer.

A table has one row for each pre-token, with how often it occurs, and is sorted. Sums are of whole
numbers in 64 bits, so counts do not depend on how texts were grouped, and counts of other texts are
added without reading the first ones again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import StageError
from pipeline.rows import without_surrogates
from pipeline.tokens.bpe import Counts
from pipeline.tokens.pretokens import pretokens

PATTERN = "gpt2"
VERSION = 1  # of the counts: raised when other ones come of the same texts
COUNTED = pa.schema([("pretoken", pa.binary()), ("count", pa.int64())])
ROWS_HELD = 1 << 21  # of tables that wait to be added up
TEXT_BYTES_MAX = 2**31 - 2**27  # of all pre-tokens that are trained on: places have 32 bits


@dataclass
class Counter:
    """Adds up texts and tables; `occurrences` and `cut` are of texts alone."""

    occurrences: int = 0
    cut: int = 0  # pre-tokens that were too long to come whole

    def __post_init__(self) -> None:
        self._tables: list[pa.Table] = []
        self._rows = 0
        self._summed = 0  # rows of the first table

    def add_texts(self, texts: list[str]) -> None:
        """Count the pre-tokens of some texts."""
        found, cut = pretokens(texts)
        self.occurrences += len(found)
        self.cut += cut
        values, counts = pc.value_counts(found).flatten()
        self.add(pa.table([values, counts], schema=COUNTED))

    def add(self, table: pa.Table) -> None:
        """Add counts."""
        self._tables.append(table)
        self._rows += table.num_rows
        if self._rows > max(ROWS_HELD, 2 * self._summed):  # so each row is added up a few times
            self._tables = [_summed(self._tables)]
            self._rows = self._summed = self._tables[0].num_rows

    def table(self) -> pa.Table:
        """All counts, one row for each pre-token."""
        return _summed(self._tables).sort_by("pretoken")


def _summed(tables: Sequence[pa.Table]) -> pa.Table:
    grouped = pa.concat_tables([COUNTED.empty_table(), *tables]).group_by("pretoken")
    sums = grouped.aggregate([("count", "sum")])
    return pa.table([sums["pretoken"], sums["count_sum"]], schema=COUNTED)


def first_bytes(text: str, bytes_max: int) -> str:
    """The beginning of a text, of so many bytes (UTF-8) or a few fewer."""
    if len(text) * 4 <= bytes_max:
        return text
    content = without_surrogates(text).encode()
    return text if len(content) <= bytes_max else content[:bytes_max].decode(errors="ignore")


def to_train_on(tables: Iterable[pa.Table]) -> Counts:
    """What the trainer takes; StageError for more than it can.

    Memory that Arrow keeps from counting goes back to the system.
    """
    table = pa.concat_tables([COUNTED.empty_table(), *tables]).combine_chunks()
    text_bytes = pc.sum(pc.binary_length(table["pretoken"])).as_py() or 0
    if text_bytes + table.num_rows > TEXT_BYTES_MAX:
        raise StageError(
            f"the {table.num_rows:,} distinct pre-tokens have {text_bytes:,} bytes, and the "
            f"trainer takes {TEXT_BYTES_MAX:,}; raise tokenizer.min_count, or lower "
            "tokenizer.sample_bytes_max"
        )
    if not table.num_rows:
        return Counts(np.empty(0, np.uint8), np.empty(0, np.int64), np.empty(0, np.int64))
    pa.default_memory_pool().release_unused()
    words = table["pretoken"].chunk(0)
    offsets = np.frombuffer(words.buffers()[1], np.int32)[words.offset :][: len(words) + 1]
    text = np.frombuffer(words.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    return Counts(text, (offsets[1:] - offsets[0]).astype(np.int64), table["count"].to_numpy())
