"""A page as blocks: runs of text between the borders that a browser draws as line ends."""

import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.documents.markup import BLOCKS

Numbers = NDArray[np.int64]

# Flags of a piece of text. ALOUD is for screen readers alone; a CARD is a link around blocks.
LINK, BOLD, HIDDEN, ALOUD, ITALIC, CARD = 1, 2, 4, 8, 16, 32
CELL_MARK = "\ufdd1"  # stands between two cells of a row
_TAGS = (*sorted(BLOCKS), "html", "noscript", "template", "td", "th", "hr", "other")
TAG_NUMBERS = {tag: number for number, tag in enumerate(dict.fromkeys(_TAGS))}


@dataclass(frozen=True, slots=True)
class Page:
    """Elements, blocks and pieces of text, each in the order of the page.

    `end` of an element is the number of the first element after all that it holds. A block is the
    pieces from its `start` to that of the next; their letters stand one after another in `codes`.
    """

    tags: Numbers
    parents: Numbers
    ends: Numbers
    depths: Numbers
    own: Numbers  # masks of names.NAME_GROUPS
    inherited: Numbers  # its own, and those of all around
    kinds: Numbers  # of one tag and class: names.shared_kinds
    signs: Numbers  # of its class, and of its id times 16
    begin_blocks: Numbers  # the first block inside
    end_blocks: Numbers  # and the first after all of them

    elements: Numbers  # by block
    breaks: Numbers  # `<br>` before the block
    links: Numbers
    inner: Numbers  # masks of inline elements in it
    starts: Numbers  # and the end

    codes: NDArray[np.uint32]
    sizes: Numbers  # by piece
    flags: NDArray[np.uint8]

    plain_kinds: set[int]  # those without a class
    limits: Numbers  # by block its first letter, and the end

    def text(self, block: int) -> str:
        """A block's text as it stands in the page."""
        return text_of(self.codes[self.limits[block] : self.limits[block + 1]])


_UTF_32 = f"utf-32-{sys.byteorder[0]}e"  # as numpy and C have numbers


def codes_of(text: str) -> NDArray[np.uint32]:
    """A text as numbers of its letters."""
    return np.frombuffer(text.encode(_UTF_32, "surrogatepass"), np.uint32)


def text_of(codes: NDArray[np.uint32]) -> str:
    """The text that `codes_of` gives these numbers of."""
    return codes.tobytes().decode(_UTF_32, "surrogatepass")


def limits_of(sizes: Numbers, starts: Numbers) -> Numbers:
    """By block the place of its first letter, and the end."""
    sums = np.zeros(len(sizes) + 1, np.int64)
    sizes.cumsum(out=sums[1:])
    return np.asarray(sums[starts])
