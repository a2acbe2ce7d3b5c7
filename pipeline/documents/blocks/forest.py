"""Boosted trees as flat arrays, asked by numpy: all trees of all blocks go down a level together.

Every tree is written as a whole binary tree of one depth: below a leaf both sides are that leaf.
Level l of tree t has its 2^l questions side by side, so the next place is twice the place, plus one
where the feature is greater than the threshold.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_ROWS = 128  # at a time: what they need stays in the cache


@dataclass(frozen=True)
class Forest:
    """`features` and `thresholds` are [trees * (2^depth - 1)], level by level."""

    trees: int
    depth: int
    features: NDArray[np.int32]
    thresholds: NDArray[np.float32]
    leaves: NDArray[np.float32]

    def predict(self, columns: NDArray[np.float32]) -> NDArray[np.float64]:
        """The probability of each block, in steps of 1/10,000; `columns` are [features, blocks].

        Rounded, so that the last bit of `exp`, which machines do not share, decides nothing.
        """
        blocks = columns.shape[1]
        sums = np.empty(blocks)
        for begin in range(0, blocks, _ROWS):
            part = np.ascontiguousarray(columns[:, begin : begin + _ROWS])
            sums[begin : begin + _ROWS] = self._sums(part)
        return np.asarray(np.round(1.0 / (1.0 + np.exp(-sums)), 4))

    def _sums(self, columns: NDArray[np.float32]) -> NDArray[np.float64]:
        """Each step writes into one of five arrays: new ones cost as much as the questions."""
        blocks = columns.shape[1]
        values, rows = columns.ravel(), self.features * np.intp(blocks)
        place = np.repeat(np.arange(self.trees), blocks)
        block = np.tile(np.arange(blocks), self.trees)
        asked, right = np.empty_like(place), np.empty_like(place)
        value, limit = np.empty(place.shape, np.float32), np.empty(place.shape, np.float32)
        start = 0
        for level in range(self.depth):
            end = start + (self.trees << level)
            # Places are within bounds; "clip" is the mode that writes into `out` at once.
            rows[start:end].take(place, out=asked, mode="clip")
            asked += block
            values.take(asked, out=value, mode="clip")
            self.thresholds[start:end].take(place, out=limit, mode="clip")
            right[:] = value > limit  # as numbers first: to add bools takes twice the time
            place += place
            place += right
            start = end
        found = self.leaves.take(place).reshape(self.trees, blocks)
        return np.asarray(found.sum(axis=0, dtype=np.float64))
