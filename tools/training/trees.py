"""LightGBM's trees as the flat arrays of pipeline/documents/blocks/forest.py."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.documents.blocks.forest import Forest

# What all our trees are trained with: one seed and one thread, so they are the same each time.
PARAMS: dict[str, Any] = {
    "bagging_freq": 1,
    "max_bin": 63,
    "seed": 1,
    "deterministic": True,
    "force_col_wise": True,
    "num_threads": 1,
    "verbose": -1,
}
_LEAVES = 1 << 30  # steps of a leaf: so fine that float32 holds what differs, and sums are exact


def flatten(booster: Any, depth: int) -> Forest:
    """All trees of a booster, each as a whole binary tree of `depth` levels.

    Thresholds are rounded down to float32, so that each float32 value goes where it went before.
    """
    trees = [tree["tree_structure"] for tree in booster.dump_model()["tree_info"]]
    features = [np.zeros((len(trees), 1 << level), np.int32) for level in range(depth)]
    thresholds = [np.full((len(trees), 1 << level), np.inf, np.float32) for level in range(depth)]
    leaves = np.zeros((len(trees), 1 << depth), np.float32)
    for number, tree in enumerate(trees):
        waiting = [(tree, 0, 0)]
        while waiting:
            node, level, place = waiting.pop()
            if "split_feature" not in node:
                span = 1 << (depth - level)
                leaf = round(node["leaf_value"] * _LEAVES) / _LEAVES
                leaves[number, place * span : (place + 1) * span] = leaf
                continue
            assert node["decision_type"] == "<=", node["decision_type"]
            features[level][number, place] = node["split_feature"]
            thresholds[level][number, place] = _rounded_down(node["threshold"])
            waiting.append((node["left_child"], level + 1, 2 * place))
            waiting.append((node["right_child"], level + 1, 2 * place + 1))
    return Forest(
        len(trees),
        depth,
        np.concatenate([level.ravel() for level in features]),
        np.concatenate([level.ravel() for level in thresholds]),
        leaves.ravel(),
    )


def join(forests: Sequence[Forest]) -> Forest:
    """The trees of several forests of one size, those of the first before those of the next."""
    trees, depth = forests[0].trees, forests[0].depth

    def levels(of: Callable[[Forest], NDArray[Any]]) -> NDArray[Any]:
        limits = [trees * ((1 << level) - 1) for level in range(1, depth)]
        parts = [np.split(of(forest), limits) for forest in forests]
        return np.concatenate([part[level] for level in range(depth) for part in parts])

    return Forest(
        trees * len(forests),
        depth,
        levels(lambda forest: forest.features),
        levels(lambda forest: forest.thresholds),
        np.concatenate([forest.leaves for forest in forests]),
    )


def _rounded_down(threshold: float) -> np.float32:
    near = np.float32(threshold)
    return near if float(near) <= threshold else np.nextafter(near, np.float32(-np.inf))
