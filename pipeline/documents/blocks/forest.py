"""Boosted trees as flat arrays, asked by compiled.c, or by numpy where that is not at hand.

Every tree is written as a whole binary tree of one depth: below a leaf both sides are that leaf.
Level l of tree t has its 2^l questions side by side, so the next place is twice the place, plus one
where the feature is greater than the threshold. Leaves are multiples of 2^-30, so their sum is
exact, in whatever order it is taken.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.documents.blocks.kernels import compiled

_ROWS = 256  # at a time: what they need stays in the cache


@dataclass(frozen=True)
class Forest:
    """`features` and `thresholds` are [trees * (2^depth - 1)], level by level."""

    trees: int
    depth: int
    features: NDArray[np.int32]
    thresholds: NDArray[np.float32]
    leaves: NDArray[np.float32]

    def predict(self, columns: NDArray[np.float32], outputs: int = 1) -> NDArray[np.float64]:
        """Probabilities in steps of 1/10,000, [outputs, blocks]; `columns` are [features, blocks].

        Of several outputs each has its share of the trees, one after the other. Rounded, so that
        the last bit of `exp`, which machines do not share, decides nothing.
        """
        blocks = columns.shape[1]
        sums = np.zeros((outputs, blocks))
        if compiled:
            arrays = columns, self.features, self.thresholds, self.leaves
            compiled.add_forest(
                *map(np.ascontiguousarray, arrays), self.trees, self.depth, blocks, sums
            )
        else:
            for begin in range(0, blocks, _ROWS):
                part = np.ascontiguousarray(columns[:, begin : begin + _ROWS])
                leaves = self._leaves(part).reshape(outputs, -1, part.shape[1])
                sums[:, begin : begin + _ROWS] = leaves.sum(axis=1, dtype=np.float64)
        return np.asarray(np.round(1.0 / (1.0 + np.exp(-sums)), 4))

    def _leaves(self, columns: NDArray[np.float32]) -> NDArray[np.float32]:
        """The leaf of each tree for each block, [trees, blocks]: all go down a level together.

        Each step writes into one of four arrays: new ones cost as much as the questions.
        """
        trees, blocks = self.trees, columns.shape[1]
        value = columns[self.features[:trees]]
        right = value > self.thresholds[:trees, None]
        place = np.arange(0, 2 * trees, 2)[:, None] + right
        asked, limit = np.empty_like(place), np.empty_like(value)
        values, rows, block = columns.ravel(), self.features * np.intp(blocks), np.arange(blocks)
        start = trees
        for level in range(1, self.depth):
            end = start + (trees << level)
            # Places are within bounds; "clip" is the mode that writes into `out` at once.
            rows[start:end].take(place, out=asked, mode="clip")
            asked += block
            values.take(asked, out=value, mode="clip")
            self.thresholds[start:end].take(place, out=limit, mode="clip")
            np.greater(value, limit, out=right)
            place += place
            place += right.view(np.int8)  # to add bools takes twice the time
            start = end
        return self.leaves.take(place)
