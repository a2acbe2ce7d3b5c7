"""Which documents go into which token file: decided for the whole corpus, from four numbers each.

Documents stand in the order of a hash (split.py). The files of a split are ranges of that order,
as many as the split's tokens ask for, cut at the documents nearest to equal sizes: so they depend
on the set of documents alone. This is the one place that holds a row for every document of the
corpus in memory, 32 bytes each.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import StageError
from pipeline.records import schema_of
from pipeline.tokens.split import SPLITS, Split

TOKENS_LIMIT = 2**30  # of a file: llm.c seeks to 2 x tokens with a 32-bit int
# modded-nanogpt reads ahead to a second train file, and fails where there is none.
TRAIN_FILES_MIN = 2


@dataclass(frozen=True)
class Shard:
    """A token file: the documents of one split whose order lies in a range."""

    name: str  # without ".bin"
    split: Split
    order_min: int
    order_max: int  # inclusive
    first_document: int
    documents: int
    tokens: int  # with an EOT for each document
    text_bytes: int


SHARD = schema_of(Shard)


def lay_out(documents: pa.Table, shard_tokens_max: int) -> list[Shard]:
    """Which shards hold these documents (columns split, order, tokens, text_bytes of ENCODED).

    The files of a split are as many as keep them to about `shard_tokens_max` tokens, at least two
    for two training documents, and cut at the document nearest to equal sizes. They depend on the
    set of documents alone. Documents of equal order stay together.
    """
    shards = []
    for split in SPLITS:
        rows = documents.filter(pc.field("split") == split).sort_by("order")
        if rows.num_rows:
            files_min = TRAIN_FILES_MIN if split == "train" else 1
            shards += _lay_out_split(split, rows, files_min, shard_tokens_max)
    return shards


def _lay_out_split(split: Split, rows: pa.Table, files_min: int, tokens_max: int) -> list[Shard]:
    orders = rows["order"].to_numpy()
    tokens_before = np.append(0, np.cumsum(rows["tokens"].to_numpy() + 1))  # with EOTs
    bytes_before = np.append(0, np.cumsum(rows["text_bytes"].to_numpy()))
    files = max(files_min, -(-int(tokens_before[-1]) // tokens_max))
    # A file may end after a document that differs in order from the next one.
    possible = np.append(np.flatnonzero(np.diff(orders)) + 1, len(orders))
    cuts = [0, *_cuts(possible, tokens_before[possible], files), len(orders)]
    shards = []
    for number, (first, last) in enumerate(pairwise(cuts)):
        tokens = int(tokens_before[last] - tokens_before[first])
        text_bytes = int(bytes_before[last] - bytes_before[first])
        if tokens >= TOKENS_LIMIT:
            raise StageError(
                f"{split}_{number:06d} would have {tokens:,} tokens, and llm.c takes fewer than "
                f"2^30; set shards.shard_tokens_max below {tokens_max:,}, or cut the documents"
            )
        name = f"{split}_{number:06d}"
        bounds = int(orders[first]), int(orders[last - 1])
        shards.append(Shard(name, split, *bounds, first, last - first, tokens, text_bytes))
    return shards


def _cuts(possible: npt.NDArray[np.int64], ends: npt.NDArray[np.int64], files: int) -> list[int]:
    """Up to `files` - 1 ascending members of `possible`, but its last, nearest to equal shares."""
    cuts: list[int] = []
    at = -1
    files = min(files, len(possible))
    for number in range(1, files):
        goal = ends[-1] * number / files
        nearest = int(np.searchsorted(ends, goal))
        if nearest and goal - ends[nearest - 1] <= ends[nearest] - goal:
            nearest -= 1
        # Each file before and after gets a document.
        at = min(max(nearest, at + 1), len(possible) - 1 - (files - number))
        cuts.append(int(possible[at]))
    return cuts
