"""Reads anyone's texts: JSON lines (plain, gzip, zstd) or Parquet with `id`, `text`, `karma`."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.errors import InputError
from pipeline.lines import Lines, is_parquet

BATCH_ROWS = 512
MEND = 'Each row needs "id" (text or number) and "text"; "karma" (a whole number) is optional.'


class Text(msgspec.Struct):
    """One text. `karma` says which of two copies is better; a missing one counts as 0."""

    id: str | int
    text: str
    karma: int | None = None


def read_texts(path: Path) -> Iterator[list[Text]]:
    """The file's texts in its order, some hundred at a time.

    Raises InputError with the line, row or byte for a row that is no text, a damaged file, and two
    rows of one id.
    """
    with Lines(path) as lines:
        if is_parquet(path):
            yield from _read_parquet(path)
            return
        batch: list[Text] = []
        for number, line in enumerate(lines, start=1):
            if line.strip():
                batch.append(_row(path, f"line {number}", partial(_DECODER.decode, line)))
            if len(batch) == BATCH_ROWS:
                yield batch
                batch = []
        if batch:
            yield batch


_DECODER = msgspec.json.Decoder(Text)


def _row(path: Path, place: str, convert: Callable[[], Text]) -> Text:
    try:
        return convert()
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(path, place, f"not a text ({error})", MEND) from None


def _read_parquet(path: Path) -> Iterator[list[Text]]:
    try:
        table = pq.ParquetFile(path)
        names = [name for name in ("id", "text", "karma") if name in table.schema_arrow.names]
        if "id" not in names or "text" not in names:
            found = ", ".join(table.schema_arrow.names)
            raise InputError(path, "", f"it has the columns {found}", MEND)
        row = 0
        for batch in table.iter_batches(BATCH_ROWS, columns=names):
            texts = []
            for values in batch.to_pylist():
                row += 1
                texts.append(_row(path, f"row {row}", partial(msgspec.convert, values, Text)))
            yield texts
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(path, "", f"damaged Parquet ({error})", "Get the file again.") from None
