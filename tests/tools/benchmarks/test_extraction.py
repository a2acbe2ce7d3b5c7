"""The structure score, and the floors that our text must not fall below."""

import json
import os
from importlib.metadata import version

import pytest

from tools.benchmarks.extraction import (
    FLOORS,
    data_digest,
    line_f1,
    measure,
    ours,
    table_row_chars,
)


@pytest.mark.parametrize(
    ("gold", "found", "f1"),
    [
        ("a b\nc", "a b\nc", 1.0),
        ("a b\nc", "A, b!\n\n  c  ", 1.0),  # a line is its words
        ("a b\nc", "a b c", 0.0),  # joined lines are no lines
        ("a\na\nb", "a\nb", 0.8),  # multisets
        ("", "", 1.0),
        ("a", "", 0.0),
    ],
)
def test_line_f1_counts_whole_lines(gold, found, f1):
    assert line_f1(gold, found) == pytest.approx(f1)


def test_a_table_row_begins_with_a_bar_or_holds_two():
    text = "| a | b |\n  |c\na | b\na | b | c\nprose"
    assert table_row_chars(text) == len("| a | b |") + len("  |c") + len("a | b | c")


@pytest.mark.real
@pytest.mark.slow
def test_our_text_is_not_below_its_floors(shared_data):
    floors = json.loads(FLOORS.read_text())
    folder = shared_data / "extraction"
    if data_digest(folder) != floors["data"] or version("trafilatura") != floors["trafilatura"]:
        pytest.skip("the floors are of other data, or of another trafilatura")
    mean = measure(folder, 1, ours, os.cpu_count() or 1)["mean"]
    assert mean.page_f1 >= floors["page_f1_min"]
    assert mean.line_f1 >= floors["line_f1_min"]
    assert mean.table_row_share <= floors["table_row_share_max"]
