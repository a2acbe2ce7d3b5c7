"""Which split a document belongs to, and where it stands in the order of the shards.

Both are hashes of the document's own name and a seed, so they depend on no order, part or worker.
The tokenizer and the shards share these functions: a held-out document is never seen in training
the tokenizer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import xxhash

from pipeline.settings import ShardsSettings

Split = Literal["train", "val"]
SPLITS: tuple[Split, Split] = ("train", "val")  # the order in which files are listed
BLOCK_CHARS = 4096  # of a text that is held out by blocks: about GPT-2's context of 1,024 tokens


@dataclass(frozen=True)
class SplitRules:
    """What decides split and order; all of it that the tokenizer depends on."""

    seed: int
    val_share: float
    split_by: Literal["document", "host", "block"]

    @classmethod
    def of(cls, settings: ShardsSettings) -> Self:
        """The rules in the settings of the stage `shards`."""
        return cls(settings.seed, settings.val_share, settings.split_by)


def split_of(document_id: str, host: str, rules: SplitRules) -> Split:
    """The split of a document; with `split_by = "host"` all documents of a host share theirs."""
    name = host if rules.split_by == "host" and host else document_id
    # Of 2^63 hashes the lowest share is held out. A larger val_share only adds to the split.
    held_out = _hash("split", rules.seed, name) < rules.val_share * 2**63
    return "val" if held_out else "train"


@dataclass(frozen=True, slots=True)
class Piece:
    """Neighbouring text of one document and one split: a document of the shards."""

    id: str  # the document's own for the piece that begins it
    text: str
    split: Split


def pieces(document_id: str, host: str, text: str, rules: SplitRules) -> Iterator[Piece]:
    """The document as the shards hold it: whole, or cut where the split changes.

    It is cut with `split_by = "block"` alone, which draws a split for each block of about
    BLOCK_CHARS. The pieces' texts together are the document's.
    """
    if rules.split_by != "block":
        yield Piece(document_id, text, split_of(document_id, host, rules))
        return
    names = ((f"{document_id}\0{number}", block) for number, block in enumerate(_blocks(text)))
    drawn = ((split_of(name, "", rules), name, block) for name, block in names)
    for number, (split, run) in enumerate(groupby(drawn, key=lambda block: block[0])):
        _, names_of_run, texts = zip(*run, strict=True)
        own = xxhash.xxh3_128_hexdigest(names_of_run[0].encode()) if number else document_id
        yield Piece(own, "".join(texts), split)


def _blocks(text: str) -> Iterator[str]:
    """The text in blocks: of BLOCK_CHARS and the rest of the line, at most twice as many."""
    start = 0
    while start < len(text):
        near, far = start + BLOCK_CHARS, start + 2 * BLOCK_CHARS
        line, space = text.find("\n", near, far), text.find(" ", near, far)
        end = line + 1 if line >= 0 else space if space >= 0 else near
        yield text[start:end]
        start = end


def order_of(document_id: str, rules: SplitRules) -> int:
    """The document's place: documents stand by ascending value, from 0 to 2^63 - 1.

    Its hash is another one than that of the split: the first documents are no special ones.
    """
    return _hash("order", rules.seed, document_id)


def order_limit(orders: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64], bytes_max: int) -> int:
    """The highest order value of a sample: the first documents that reach `bytes_max` together.

    0 as `bytes_max` takes all. The sample depends on the documents and the seed alone.
    """
    if not len(orders) or not bytes_max or int(sizes.sum()) <= bytes_max:
        return 2**63 - 1
    by_order = np.argsort(orders, kind="stable")
    reached = int(np.searchsorted(np.cumsum(sizes[by_order]), bytes_max))
    return int(orders[by_order[reached]])


def _hash(purpose: str, seed: int, name: str) -> int:
    return (
        xxhash.xxh3_64_intdigest(f"{purpose}\0{seed}\0{name}".encode()) >> 1
    )  # fits Arrow's int64
