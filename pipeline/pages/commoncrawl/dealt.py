"""Links in the order of an index, however many there are: dealt into files by ranges of hosts.

So an index is read once for all links, and not once for each million that fits into memory.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.pages.commoncrawl.surt import surt_prefixes
from pipeline.pages.sources import LINKS

RANGES = 64
SAMPLED = 500  # hosts of each batch, from which the ranges are made


def in_ranges(links: Iterable[pa.Table], scratch: Path) -> Iterator[pa.Table]:
    """The links (LINKS) again, as up to RANGES tables in the order of their hosts in an index.

    They wait in files below `scratch`; a table has some 200 bytes a link.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=scratch, prefix="links-") as folder:
        everything = Path(folder, "all.arrow")
        bounds = _bounds(_kept(links, everything))
        paths = [Path(folder, f"range-{number:02d}.arrow") for number in range(len(bounds) + 1)]
        with ExitStack() as stack:
            writers = [stack.enter_context(pa.ipc.new_stream(path, LINKS)) for path in paths]
            for table in _read(everything):
                numbers = _ranks(table, bounds)
                for number in np.unique(numbers).tolist():
                    writers[number].write_table(table.filter(pa.array(numbers == number)))
        everything.unlink()
        for path in paths:
            if batches := list(_read(path)):
                yield pa.concat_tables(batches)
            path.unlink()


def _kept(links: Iterable[pa.Table], path: Path) -> Iterator[list[str]]:
    """Writes the links down; some places of each table's hosts in the order of an index."""
    with pa.ipc.new_stream(path, LINKS) as writer:
        for table in links:
            writer.write_table(table.select(LINKS.names).cast(LINKS))
            yield _places(table["key"])[0][:SAMPLED]


def _bounds(samples: Iterable[list[str]]) -> list[str]:
    places = sorted(place for sample in samples for place in sample)
    step = max(1, -(-len(places) // RANGES))
    return sorted(set(places[step::step]))


def _ranks(table: pa.Table, bounds: list[str]) -> Any:
    places, indices = _places(table["key"])
    ranks = np.array([bisect_right(bounds, place) for place in places], np.int64)
    return ranks[indices]


def _places(keys: pa.ChunkedArray) -> tuple[list[str], np.ndarray]:
    """Where an index has the hosts of these keys, and each key's host as a number in that list."""
    hosts = pc.replace_substring_regex(keys, "/.*$", "").combine_chunks().dictionary_encode()
    places = [min(surt_prefixes(host)) for host in hosts.dictionary.to_pylist()]
    return places, hosts.indices.to_numpy()


def _read(path: Path) -> Iterator[pa.Table]:
    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as reader:
        for batch in reader:
            yield pa.Table.from_batches([batch])
