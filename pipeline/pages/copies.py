"""What is read of a WARC file in a bucket, as a file of this machine: records that lie near.

A worker process that reads one page after the other from a bucket would ask for each one, and the
limits on it would end it for the network's sake. So a part has its stretches fetched before.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.bucket_file import FIRST_BYTES, RANGE_BYTES, BucketFile, InputFile
from pipeline.errors import InputError, printable
from pipeline.pages.frames import ZSTD_DICTIONARY

# Of bytes that nobody needs, between two records: to read them takes less time than a request.
GAP_BYTES = 1 << 20
THREADS = 8  # requests at once, of up to RANGE_BYTES


@contextmanager
def near_copy(
    file: InputFile, stretches: Iterable[tuple[int, int]], scratch: Path
) -> Iterator[Path]:
    """A path at which these (offset, length) can be read, and the file's beginning.

    The file itself; of one in a bucket a copy below `scratch` with holes for all else, so that
    offsets are the same. Raises InputError where it is not what was found.
    """
    if isinstance(file, Path):
        yield file
        return
    scratch.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=scratch, prefix="near-") as folder:
        path = Path(folder, file.name)
        _copy(file, ranges_of([(0, _beginning(file)), *stretches]), path)
        try:
            yield path
        except InputError as error:
            if error.path != printable(path):
                raise
            raise InputError(file, error.place, error.problem, error.mend) from None


@contextmanager
def near_copies(
    files: Mapping[str, InputFile], captures: Iterable[tuple[str, int, int]], scratch: Path
) -> Iterator[dict[str, Path]]:
    """Where captures (file's name, offset, length) can be read, by file; see `near_copy`."""
    wanted: dict[str, list[tuple[int, int]]] = {}
    for name, offset, length in captures:
        wanted.setdefault(name, []).append((offset, length))
    with ExitStack() as copies:
        yield {
            name: copies.enter_context(near_copy(files[name], stretches, scratch))
            for name, stretches in wanted.items()
        }


def ranges_of(stretches: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """[start, stop) of as few ranges as hold these stretches, none larger than RANGE_BYTES."""
    joined: list[tuple[int, int]] = []
    for offset, length in sorted(stretches):
        if joined and offset <= joined[-1][1] + GAP_BYTES:
            start, stop = joined.pop()
            joined.append((start, max(stop, offset + length)))
        else:
            joined.append((offset, offset + length))
    return [
        (at, min(at + RANGE_BYTES, stop))
        for start, stop in joined
        for at in range(start, stop, RANGE_BYTES)
    ]


def _beginning(file: BucketFile) -> int:
    """As many bytes as tell how the file is packed, a zstd dictionary included."""
    head = file.first_bytes()
    told = int.from_bytes(head[4:8], "little") if head.startswith(ZSTD_DICTIONARY) else 0
    return min(file.size, max(8, 8 + told))


def _copy(file: BucketFile, ranges: list[tuple[int, int]], path: Path) -> None:
    with path.open("wb") as copy, ThreadPoolExecutor(min(THREADS, len(ranges))) as threads:
        copy.truncate(file.size)

        def fetch(span: tuple[int, int]) -> None:
            start, stop = span
            in_first = stop <= FIRST_BYTES
            data = file.first_bytes() if in_first else file.read_range(start, stop - start)
            os.pwrite(copy.fileno(), data[start:stop] if in_first else data, start)

        list(threads.map(fetch, ranges))
    file.check()
