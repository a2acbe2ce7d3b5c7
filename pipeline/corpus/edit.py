"""What is changed in the texts that the corpus keeps: boilerplate is cut, personal data is masked.

Copies were judged before, by the texts as they stand in the stage `documents`: with masks, pages of
two people would be alike, and another rule of masks would change which text is kept.
"""

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.corpus.boilerplate import BOILERPLATE, cut
from pipeline.corpus.pii import mask
from pipeline.records import CORPUS

LINES = "lines"  # the unit of the ledger that counts them
MASKS = ("emails_masked", "ips_masked", "phones_masked")
COUNTS = ("lines_cut", *MASKS)  # columns of CORPUS
_NONE: frozenset[str] = frozenset()


class CutLine(NamedTuple):
    """A line that was cut, and the document that it stood in."""

    id: str
    url: str
    line: str


class Edited(NamedTuple):
    """Rows of the corpus, the lines that they lost, and sums for the report."""

    rows: pa.Table
    cut: list[CutLine]
    sums: Counter[str]  # by COUNTS, "chars_cut", and "documents_" before each of COUNTS


class HostLines:
    """The lines to cut from the documents of each host."""

    def __init__(self, tables: Iterable[pa.Table]) -> None:
        self._table = pa.concat_tables([BOILERPLATE.empty_table(), *tables])

    def of(self, hosts: pa.ChunkedArray) -> dict[str, frozenset[str]]:
        """Those of some hosts."""
        found = self._table.filter(pc.is_in(self._table["host"], value_set=hosts.unique()))
        lines: dict[str, set[str]] = {}
        for host, line in zip(found["host"].to_pylist(), found["line"].to_pylist(), strict=True):
            lines.setdefault(host, set()).add(line)
        return {host: frozenset(of_host) for host, of_host in lines.items()}


def edit(rows: pa.Table, host_lines: HostLines | None, *, pii: bool) -> Edited:
    """Rows of the corpus with their texts as they are published; `text_chars` follows them."""
    lines_of = host_lines.of(rows["host"]) if host_lines else {}
    cuts: list[CutLine] = []
    sums: Counter[str] = Counter()
    texts: list[str] = []
    counts: dict[str, list[int]] = {name: [] for name in COUNTS}
    columns = (rows[name].to_pylist() for name in ("id", "url", "host", "text"))
    for id, url, host, text in zip(*columns, strict=True):
        kept = cut(text, lines_of.get(host, _NONE))
        cuts += [CutLine(id, url, line) for line in kept.lines]
        sums["chars_cut"] += len(text) - len(kept.text)
        masked = mask(kept.text, host) if pii else None
        texts.append(masked.text if masked else kept.text)
        found = (len(kept.lines), *(masked[1:] if masked else (0, 0, 0)))
        for name, count in zip(COUNTS, found, strict=True):
            counts[name].append(count)
            sums[name] += count
            sums[f"documents_{name}"] += count > 0
    changed = {"text": texts, "text_chars": [len(text) for text in texts], **counts}
    for name, values in changed.items():
        at = CORPUS.get_field_index(name)
        rows = rows.set_column(at, CORPUS.field(at), pa.array(values, CORPUS.field(at).type))
    return Edited(rows, cuts, sums)


def told(sums: Counter[str]) -> list[str]:
    """The sums as sentences for people, of what was done at all."""
    found = []
    if sums["lines_cut"]:
        found.append(
            f"Lines cut that stand around many pages of their host: {sums['lines_cut']:,} "
            f"(characters: {sums['chars_cut']:,}, documents: {sums['documents_lines_cut']:,})"
        )
    names = {"emails": "e-mail addresses", "ips": "IP addresses", "phones": "telephone numbers"}
    masked = [
        f"{name} {sums[f'{kind}_masked']:,} (documents: {sums[f'documents_{kind}_masked']:,})"
        for kind, name in names.items()
    ]
    if any(sums[name] for name in MASKS):
        found.append(f"Masked: {', '.join(masked)}")
    return found
