"""Train the trees that say what kind of page it is (pipeline/documents/blocks/page_types.py)."""

from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from pipeline.documents.blocks.forest import Forest
from pipeline.documents.blocks.page_types import TYPES, page_row, types_of
from tools.training.block_pages import Labelled
from tools.training.trees import PARAMS, flatten, join

TREES, DEPTH = 60, 3
_PARAMS: dict[str, Any] = {
    **PARAMS,
    "objective": "binary",
    "learning_rate": 0.06,
    "num_leaves": 7,
    "max_depth": DEPTH,
    "min_data_in_leaf": 10,
    "feature_fraction": 0.2,
    "bagging_fraction": 0.8,
    "lambda_l2": 5.0,
}


def type_forests(pages: list[Labelled], folds: list[int]) -> tuple[Forest, dict[int, Forest]]:
    """The trees of all pages, and for each fold those that saw none of its pages."""
    rows = np.concatenate(
        [page_row(page.described.columns, page.described.words) for page in pages], axis=1
    ).T
    kinds = np.array([page.kind for page in pages])
    own = np.array([page.fold for page in pages])
    return (
        _fit(rows, kinds, np.ones(len(pages), bool)),
        {fold: _fit(rows, kinds, own != fold) for fold in folds},
    )


def _fit(rows: NDArray[np.float32], kinds: NDArray[np.str_], which: NDArray[np.bool_]) -> Forest:
    def of(kind: str) -> Forest:
        data = lightgbm.Dataset(rows[which], kinds[which] == kind, params=_PARAMS)
        return flatten(lightgbm.train(_PARAMS, data, TREES), DEPTH)

    return join([of(kind) for kind in TYPES])


def unseen_types(pages: list[Labelled], folds: dict[int, Forest]) -> list[NDArray[np.float64]]:
    """The types of each page by trees that saw no page of its site."""
    return [types_of(folds[page.fold], page.described) for page in pages]
