"""The lines in which chosen blocks are written."""

import pytest

from pipeline.documents.blocks.segment import segment
from pipeline.documents.blocks.write import write
from pipeline.documents.markup import write_words
from pipeline.documents.tree import parse


def lines(body):
    tree = parse(f"<html><body>{body}</body></html>")
    write_words(tree)
    page = segment(tree)
    return write(page, range(len(page.elements))).split("\n")


@pytest.mark.parametrize(
    ("body", "written"),
    [
        ("<h1> A  b </h1><p>c\nd</p>", ["A b", "c d"]),
        ("<ul><li>x<li>y</ul>", ["- x", "- y"]),
        ("<ul><li>x<ul><li>y</ul></ul>", ["- x", "  - y"]),
        ("<ul><li><p>x</p><p>more of x</p><li>y</ul>", ["- x", "more of x", "- y"]),
        (
            "<ol><li><b>Ann</b><p>a</p><p>b<ul><li>x<li>y</ul><p>c</p><li>Bob<p>d</p><p>e</p><p>f"
            "</p><p>g</p></ol>",  # posts of a thread, and a list in one of them
            ["Ann", "a", "b", "- x", "- y", "c", "Bob", "d", "e", "f", "g"],
        ),
        ("<pre>if x:\n    y()\n</pre>", ["if x:", "    y()"]),
        ("<p>10<sup>6</sup> of them</p>", ["10^6 of them"]),
        (
            "<table><tr><th>River<th>Length<th></tr><tr><td>Nile<td>6650 km<td></tr></table>",
            ["| River | Length |", "| Nile | 6650 km |"],
        ),
        ("<p>Jobs<span>Latest post</span></p>", ["Jobs Latest post"]),
    ],
)
def test_lines(body, written):
    assert lines(body) == written


def test_two_tables_are_apart():
    table = "<table><tr><td>a<td>b</tr><tr><td>c<td>{}</tr></table>"
    assert lines(table.format("d") + table.format("e<td>f")) == [
        "| a | b |",
        "| c | d |",
        "| a | b |  |",
        "| c | e | f |",
    ]
