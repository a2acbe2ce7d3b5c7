"""A second opinion in readability's manner: prose is kept, lists of links are not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.documents.blocks import readable as module
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
    layout, counts = Layout(page), count(page, "")
    taken = readable(layout, counts)
    assert taken.tolist() == module._readable(layout, counts).tolist()
    return [" ".join(page.text(block).split()) for block in np.flatnonzero(taken)]


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


TAGS = "div div p ul li article main section form h2 table footer td blockquote a".split()
CLASSES = ["", "", "content", "article", "sidebar", "comment", "related", "entry main"]
LEAVES = [LINKS, PROSE, TEXT, "Home", "one, two, three " * 9, "<h2><a href=/x>On bridges</a></h2>"]


def written(tag, name, inside):
    return f'<{tag} class="{name}">{"".join(inside)}</{tag}>'


TREE = st.recursive(
    st.sampled_from(LEAVES),
    lambda inner: st.builds(
        written,
        st.sampled_from(TAGS),
        st.sampled_from(CLASSES),
        st.lists(inner, min_size=1, max_size=5),
    ),
    max_leaves=40,
)


@pytest.mark.skipif(not module.compiled, reason="no compiler was at hand at the installation")
@given(st.lists(TREE, min_size=1, max_size=6))
def test_the_compiled_rules_keep_what_those_of_numpy_keep(trees):
    page = segment(parse(f"<html><body>{''.join(trees)}</body></html>"))
    layout, counts = Layout(page), count(page, "")
    assert readable(layout, counts).tolist() == module._readable(layout, counts).tolist()
