"""What kind of page it is: an article, a thread, a product. Asked once a page, of all its blocks.

Trees of its own say how far it is each of them, by what its blocks are like on average. The labels
are those of WCXB (M. Foley, 2025).
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.documents.blocks.features import Described
from pipeline.documents.blocks.forest import Forest
from pipeline.documents.blocks.kernels import compiled
from pipeline.documents.blocks.page import Numbers

TYPES = ("article", "collection", "documentation", "forum", "listing", "product", "service")
THREAD_MIN = 0.25  # a page that is so far a thread is read as one: engines leave out posts
_AT_ONCE = 1 << 20  # values; as float64 all would take twice the memory of the features
_SMALLEST = 0.3  # words that a block without any counts as


def page_row(columns: NDArray[np.float32], words: Numbers) -> NDArray[np.float32]:
    """The features of a page, [features, 1]: the mean of its blocks', by their words."""
    weight = words + _SMALLEST
    sums = np.empty(len(columns))
    if compiled:
        compiled.sum_rows(columns, weight, sums)
    else:
        rows = max(1, _AT_ONCE // len(words))
        for begin in range(0, len(columns), rows):
            part = columns[begin : begin + rows] * weight
            # From left to right, as C does: sum() takes a number in another order.
            sums[begin : begin + rows] = part.cumsum(axis=1, out=part)[:, -1]
    means = sums / weight.sum()
    return np.asarray(np.round(means, 3)[:, None], np.float32)


def types_of(forest: Forest, described: Described) -> NDArray[np.float64]:
    """How far a page is one of each of TYPES; the parts add up to 1."""
    row = page_row(described.columns, described.words)
    found = forest.predict(row, len(TYPES))[:, 0] + 0.001
    return np.asarray(np.round(found / found.sum(), 3))


def type_named(types: NDArray[np.float64]) -> str:
    """The type that a page is read as."""
    if types[TYPES.index("forum")] >= THREAD_MIN:
        return "forum"
    return TYPES[int(types.argmax())]
