"""A page as the mean of its blocks, compiled and not."""

import numpy as np
import pytest

from pipeline.documents.blocks import page_types as module
from pipeline.documents.blocks.page_types import page_row


@pytest.mark.parametrize("compiled", [module.compiled, None])
def test_a_block_counts_by_its_words(compiled, monkeypatch):
    monkeypatch.setattr(module, "compiled", compiled)
    columns = np.array([[1, 2, 6], [0, 0, 1], [4, 4, 4], [0, -1, 0], [0, 0, 0.5]], np.float32)
    row = page_row(columns, np.array([0, 1, 8]))
    assert row.shape == (5, 1)
    assert row[:, 0].tolist() == pytest.approx([5.323, 0.838, 4, -0.131, 0.419])


@pytest.mark.skipif(not module.compiled, reason="no compiler was at hand at the installation")
@pytest.mark.parametrize("blocks", [1, 7, 160, 40_000])
def test_compiled_sums_have_the_bits_of_numpy(blocks, monkeypatch):
    random = np.random.default_rng(blocks)
    columns = random.lognormal(0, 4, (33, blocks)).astype(np.float32)
    weight = random.integers(0, 300, blocks) + 0.3
    sums = np.empty(len(columns))
    module.compiled.sum_rows(columns, weight, sums)
    assert sums.tolist() == (columns * weight).cumsum(axis=1)[:, -1].tolist()
    words = random.integers(0, 300, blocks)
    by_c = page_row(columns, words)
    monkeypatch.setattr(module, "compiled", None)
    assert np.array_equal(by_c, page_row(columns, words))
