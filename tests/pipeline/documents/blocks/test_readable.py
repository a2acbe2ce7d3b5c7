"""A second opinion in readability's manner: prose is kept, lists of links are not."""

import numpy as np
import pytest

from pipeline.documents.blocks.layout import Layout
from pipeline.documents.blocks.readable import readable
from pipeline.documents.blocks.segment import segment
from pipeline.documents.blocks.words import count
from pipeline.documents.tree import parse

PROSE = "The bridge across the river was opened on a Sunday, with flags and drums, in May. " * 2
LINKS = "".join(
    f"<li><a href=/{n}>An article that is about bridges, {n}</a></li>" for n in range(9)
)
TEXT = f"<p>{PROSE}</p>" * 4


def kept(body):
    page = segment(parse(f"<html><body>{body}</body></html>"))
    taken = np.flatnonzero(readable(Layout(page), count(page, ""))).tolist()
    return [" ".join(page.text(block).split()) for block in taken]


@pytest.mark.parametrize(
    ("body", "blocks"),
    [
        (f"<div>{TEXT}</div><ul>{LINKS}</ul>", 4),
        (f"<ul>{LINKS}</ul><table><tr><td>{TEXT}</td></tr></table>", 4),
        (f"<div id=main>{TEXT}<div class=related><ul>{LINKS}</ul></div></div>", 4),
        (f"<div>{TEXT}</div><div class=comment><p>Yes, he said, I was there too.</p></div>", 4),
        (f"<form><div>{TEXT}</div></form>", 4),
        (f"<div>{PROSE}<br>{PROSE}</div><ul>{LINKS}</ul>", 2),
        ("<p>Short</p>", 0),
        (f"<ul>{LINKS}</ul>", 0),
        ("", 0),
    ],
)
def test_prose_is_kept_and_lists_of_links_are_not(body, blocks):
    found = kept(body)
    assert len(found) == blocks
    assert all(one == " ".join(PROSE.split()) for one in found)


def test_the_main_element_is_taken_whole_where_it_holds_much_more():
    sections = "".join(f"<section><h2>Part {n}</h2>{TEXT}</section>" for n in range(3))
    found = kept(f"<main>{sections}</main><ul>{LINKS}</ul>")
    assert len(found) == 15
