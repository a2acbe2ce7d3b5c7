"""Sums over what elements hold."""

import numpy as np
import pytest

from pipeline.documents.blocks import layout as layout_module
from pipeline.documents.blocks.layout import Layout
from pipeline.documents.blocks.page import TAG_NUMBERS
from pipeline.documents.blocks.segment import segment
from pipeline.documents.tree import parse


def layout_of(body):
    return Layout(segment(parse(f"<html><body>{body}</body></html>")))


TABLE = "<table><tr><th>River<th>Length</tr><tr><td>Nile<td>6650 km</tr></table>"


def test_each_element_holds_the_blocks_inside_of_it():
    layout = layout_of(f"a<div>b<p>c</p>d<p>e</p></div>f{TABLE}<p></p>g")
    # html, body, div, p, p, table, tr, tr, p; blocks a b c d e f, two rows, g
    assert (layout.end_block - layout.begin_block).tolist() == [9, 9, 4, 1, 1, 2, 1, 1, 0]
    values = 10 ** np.arange(9)
    sums = [111111111, 111111111, 11110, 100, 10000, 11000000, 1000000, 10000000, 0]
    assert layout.total(values).tolist() == sums
    assert layout.total(np.stack([values, 2 * values]))[1].tolist() == [2 * one for one in sums]


def test_what_lies_inside_is_found_also_where_one_lies_in_another():
    layout = layout_of("<div><p>a</p></div><ul><li>b</ul>")
    div, item = (layout.tag.tolist().index(TAG_NUMBERS[tag]) for tag in ("div", "li"))
    assert layout.inside(np.array([div, div + 1, item])).tolist() == [0, 0, 1, 1, 0, 1]
    assert not layout.inside(np.zeros(0, np.int64)).any()


@pytest.mark.parametrize("compiled", [layout_module.compiled, None])
def test_what_is_around_passes_its_greatest_value_and_all_its_bits_down(compiled, monkeypatch):
    monkeypatch.setattr(layout_module, "compiled", compiled)
    layout = layout_of("<div><p>a</p></div><ul><li>b</ul>")  # html, body, div, p, ul, li
    values = np.array([1, 4, 2, 8, 5, 3])
    assert layout.pass_down(values).tolist() == [1, 4, 4, 8, 5, 5]
    assert layout.pass_down(values, are_bits=True).tolist() == [1, 5, 7, 15, 5, 7]
    assert values.tolist() == [1, 4, 2, 8, 5, 3]
