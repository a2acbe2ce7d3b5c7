"""A corpus in ranges of its row groups: parts of about equal size, and the documents of one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.engine.digest import digest_of
from pipeline.engine.parts import TABLE
from pipeline.engine.stage import Output, Part, PartWriter
from pipeline.rows import BATCH_ROWS
from pipeline.tokens.texts import TEXT, Text


@dataclass(frozen=True)
class Range:
    """Row groups [first, last) of a table of the corpus."""

    table: str
    first: int
    last: int

    def documents(self, out: PartWriter) -> Iterator[Text]:
        """The columns of TEXT; each tells that the part is alive."""
        groups = list(range(self.first, self.last))
        for batch in out.store.batches(self.table, BATCH_ROWS, TEXT.names, row_groups=groups):
            for row in batch.to_pylist():
                out.heartbeat(row["id"])
                yield Text(**{name: row[name] or "" for name in TEXT.names})


def ranges_of(corpus: Output, bytes_max: int) -> list[Part[Range]]:
    """Parts of about `bytes_max` of rows: a range of a corpus part's row groups."""
    parts: list[Part[Range]] = []
    for part in corpus.parts:
        ranges = list(row_group_ranges(part.row_groups, bytes_max))
        for first, last in ranges:
            # The digest of rows knows no order; a range of them is known by the file's checksum.
            digest = part.digest
            if len(ranges) > 1:
                digest = digest_of([part.files[TABLE].xxh3_128, first, last])
            source = Range(part.table, first, last)
            parts.append(Part(len(parts), f"{part.label} from row group {first}", digest, source))
    return parts


def row_group_ranges(groups: Sequence[Sequence[int]], bytes_max: int) -> Iterator[tuple[int, int]]:
    """[first, last) of neighbouring row groups; one range, perhaps empty, for an empty file."""
    first, gathered = 0, 0
    for number, (_, size) in enumerate(groups):
        if gathered and gathered + size > bytes_max:
            yield first, number
            first, gathered = number, 0
        gathered += size
    yield first, len(groups)
