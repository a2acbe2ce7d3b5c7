"""Bits become rows, compiled and not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.documents.blocks import features


@pytest.mark.skipif(not features.compiled, reason="no compiler was at hand at the installation")
@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=20), st.integers(1, 63))
def test_compiled_bits_are_those_of_numpy(values, bits):
    numbers = np.array(values, np.int64)
    rows = np.full((bits, len(values)), 7, np.float32)
    features._spread_bits(numbers, rows)
    assert rows.tolist() == (numbers >> np.arange(bits)[:, None] & 1).tolist()
