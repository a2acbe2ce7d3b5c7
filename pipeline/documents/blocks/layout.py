"""A page's elements and blocks as arrays, and sums over what elements hold.

The blocks inside of an element follow one another, and so do the elements: both are ranges.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.documents.blocks.kernels import compiled
from pipeline.documents.blocks.names import BAD, GOOD, MAYBE, UNLIKELY
from pipeline.documents.blocks.page import Numbers, Page

Mask = NDArray[np.bool_]


# By the signs of a class and of an id: readability's points for the two, and whether it thinks
# the element unlikely to be text.
_CLASS, _ID = np.arange(256) & 15, np.arange(256) >> 4
_WEIGHTS = np.zeros(256, np.int64)
for _signs in (_CLASS, _ID):
    _WEIGHTS += np.where(_signs & GOOD > 0, 25, 0) - np.where(_signs & BAD > 0, 25, 0)
_UNLIKELY = (_CLASS | _ID) & (UNLIKELY | MAYBE) == UNLIKELY


class Layout:
    """By element: what page.Page says of it, and the range of its blocks; `element` by block."""

    def __init__(self, page: Page) -> None:
        self.tag, self.kind, self.own = page.tags, page.kinds, page.own
        self.parent, self.depth, self.ends = page.parents, page.depths, page.ends
        self.weight, self.is_unlikely = _WEIGHTS[page.signs], _UNLIKELY[page.signs]
        self.outer = np.maximum(self.parent, 0)
        self.element = page.elements
        self.elements, self.blocks = len(self.tag), len(self.element)
        self.begin_block, self.end_block = page.begin_blocks, page.end_blocks

    def total(self, values: NDArray[Any]) -> Numbers:
        """The sum over the blocks inside of each element; `values` are [..., blocks]."""
        sums = np.zeros((*values.shape[:-1], self.blocks + 1), np.int64)
        values.cumsum(axis=-1, out=sums[..., 1:])
        return np.asarray(sums[..., self.end_block] - sums[..., self.begin_block])

    def pass_down(self, values: Numbers, *, are_bits: bool = False) -> Numbers:
        """By element the greatest value of itself and of all around it, or the bits of all."""
        passed = np.array(values)
        if compiled:
            compiled.pass_down(self.parent, passed, are_bits)
            return passed
        of, around = passed.tolist(), self.parent.tolist()
        for number in range(1, self.elements):  # what is around stands before
            outer = of[around[number]]
            of[number] = of[number] | outer if are_bits else max(of[number], outer)
        return np.array(of, np.int64)

    def inside(self, elements: Any) -> Mask:
        """These elements and all that they hold."""
        edges = np.bincount(elements, minlength=self.elements + 1)
        edges -= np.bincount(self.ends[elements], minlength=self.elements + 1)
        return np.asarray(edges.cumsum()[:-1] > 0)
