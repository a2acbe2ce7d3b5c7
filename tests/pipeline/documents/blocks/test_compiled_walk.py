"""The walk of segment.c finds what that of segment.py does, whatever the page is made of."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.documents.blocks import names, segment
from pipeline.documents.blocks.page import TAG_NUMBERS, Page
from pipeline.documents.markup import write_words
from pipeline.documents.render import CELL_CHARS_MAX, LARGE_CELLS
from pipeline.documents.tree import parse

pytestmark = pytest.mark.skipif(
    not segment.compiled, reason="no compiler was at hand at the installation"
)
TAGS = (
    "p div span a b i em br li ul table tr td th h1 h2 pre code button dialog noscript template"
    " script style title img article section blockquote svg o:p x-post hr font body"
).split()
KNOWN = [*names.bits_of(names.NAME_GROUPS), *(part for part, _ in names._parts())]
SIGNS = [
    *"-_ \t1Ax&<'",
    "  ",
    "HTML",
    "É",
    "\u2003",
    "\u212a",
    "\u0661",
    "ſ",
    "&amp;",
    "&#13;",
    "&#12;",
]
NAMED = st.lists(
    st.one_of(
        st.sampled_from(KNOWN),
        st.sampled_from(KNOWN).map(str.title),
        st.sampled_from(SIGNS),
        st.text(st.characters(exclude_categories=("Cs",), exclude_characters='"'), max_size=3),
    ),
    max_size=6,
).map("".join)
STYLES = ["display:none", "color:red; DISPLAY \n:  None", "display: block", "di&#x73;play:none"]
ATTRIBUTE = st.one_of(
    st.tuples(st.sampled_from(["class", "id", "role", "itemprop", "title"]), NAMED),
    st.tuples(st.just("style"), st.sampled_from(STYLES)),
    st.tuples(st.just("href"), st.sampled_from(["#a", "/b", "", "&#35;c"])),
    st.tuples(st.just("role"), st.sampled_from(["dialog", "alertdialog", "heading"])),
    st.tuples(st.just("aria-level"), st.sampled_from(["2", "3", "r", "", "12345678901234567"])),
    st.tuples(st.just("colspan"), st.sampled_from(["2", "0", "99", "1000", "٢", "x"])),
    st.tuples(st.just("class"), st.sampled_from(["sm:hidden", "a-xs", "sr-only", "osano-cm"])),
    st.tuples(st.sampled_from(["hidden", "open", 'a"', "=b", "<c", "hidden&"]), st.just("")),
).map(lambda one: f' {one[0]}="{one[1]}"')
START = st.tuples(st.sampled_from(TAGS), st.lists(ATTRIBUTE, max_size=3)).map(
    lambda one: f"<{one[0]}{''.join(one[1])}>"
)
TEXT = st.one_of(
    st.sampled_from(
        ["word ", " ", "\n", "\u00a0", "&nbsp;", "&lt;p&gt;", "&amp;amp;", "é\U0001f600", "\r"]
    ),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=5),
    st.just("some more words, here. " * 30),
)
MARKUP = st.lists(
    st.one_of(START, st.sampled_from(TAGS).map(lambda tag: f"</{tag}>"), TEXT), max_size=25
).map("".join)
CELL = st.tuples(st.sampled_from(["td", "th"]), st.lists(ATTRIBUTE, max_size=1), MARKUP).map(
    lambda cell: f"<{cell[0]}{''.join(cell[1])}>{cell[2]}</{cell[0]}>"
)
TABLE = st.lists(st.lists(CELL, max_size=3).map(lambda cells: f"<tr>{''.join(cells)}"), max_size=5)
TABLE = TABLE.map(lambda rows: f"<table>{''.join(rows)}</table>")


def table_of(*cells: str, names: bool = False) -> str:
    row = f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
    head = f"<tr>{'<th>a</th>' * len(cells)}</tr>" if names else ""
    return f"<table>{head}{row * 2}</table>"


def page_of(markup: str) -> Page | None:
    html = f"<body>{markup}"
    tree = parse(html)
    if tree is None:
        return None
    write_words(tree, html)
    return segment.segment(tree)


def assert_same(markup: str) -> None:
    by_c = page_of(markup)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segment, "compiled", None)
        by_python = page_of(markup)
    assert (by_c is None) == (by_python is None)
    for field in fields(Page) if by_c else ():
        found, wanted = getattr(by_c, field.name), getattr(by_python, field.name)
        assert np.array_equal(found, wanted), field.name
        assert getattr(found, "dtype", None) == getattr(wanted, "dtype", None), field.name


@given(st.lists(st.one_of(MARKUP, TABLE), max_size=4).map("".join))
@example("<p>one<b> two</b> <i>three</i><br>four</p>five")
@example("<h2>Two<br>lines</h2><h2><a href=#a>x</a></h2>")
@example("<p>Good for <button>travel</button>, <button>work</button>.</p>")
@example("<h2>1<br>2<br>3<br>4</h2><h3>1<br>2<br>3<br>4<br>5</h3>")
@example(f"<table>{'<tr><td colspan=99>a</td><td>b</td></tr>' * 2}</table>")
@example(table_of("a", "b" * CELL_CHARS_MAX) + table_of("a", "b" * (CELL_CHARS_MAX + 1)))
@example(table_of(*["a" * 999, *"b" * 9]) + table_of(*["a" * 999, *"b" * 10], names=True))
@example(table_of(*["a" * 999, *"b" * (LARGE_CELLS // 2 - 1)]))
@example(table_of("<p>a</p><p>b</p>", "c") + table_of("<p>a</p><p>b</p>", "c", names=True))
@example(table_of("<code>a\nb</code>", "c") + table_of("", "c") + table_of("<table></table>", "c"))
@example("<table><tr><td>a<td><sup>[1]</sup><tr><td>b<td><sup>[2]</sup></table>")
@example("<table><tr><td>a<td>b<tr><td>&#xfdd1;<td>&#xfdd1;</table>")
@example("<p>page&#12;here&#11;and &#1;goes</p><p style='display:&#12;none'>on")
@example("<script>if (a < b && c) { d = '</p>' }</script><p>after")
@example("<!doctype html PUBLIC '-//W3C//DTD XHTML 1.0 Strict//EN' 'x'><p><br><b></b>after")
def test_the_blocks_are_the_same(markup):
    assert_same(markup)


@given(st.lists(ATTRIBUTE, max_size=5))
@example([f' class="{"x" * 499} post"'])
@example([' class="APost HTMLText newsURL"'])
@example([' id="post-12 34 É"', ' class="12 a 3"'])
@example([f' class="{"é" * 600} post"'])
def test_attributes_say_the_same(attributes):
    assert_same(f"<div{''.join(attributes)}>one</div><p><a{''.join(attributes)}>two</a></p>")


def test_a_page_in_xhtml_is_written_as_any_other():
    doctype = "<!DOCTYPE html PUBLIC '-//W3C//DTD XHTML 1.0 Strict//EN' 'http://w3.org/x.dtd'>"
    tree = parse(f"<!--{'x' * 5000}-->{doctype}<html><body><a name=top>One</a><br></body></html>")
    assert segment.etree.tostring(tree.getroottree()).startswith(b"<!DOCTYPE")
    assert segment.segment(tree).text(0) == "One"
    assert b"id=" not in segment.etree.tostring(tree)


def test_markup_that_is_not_read_here_is_left_to_python():
    for markup in (
        b"",
        b"<p>",
        b"<p>a</b",
        b"<p a=x>b</p>",
        b"<p><![CDATA[<b>]]></p>",
        b"a<p></p>",
    ):
        assert segment.compiled.walk_blocks(markup, False) is None


def test_a_page_whose_classes_were_chosen_to_collide_is_left_to_python():
    """The hashes of segment.kind_of: of all words of four letters those that ask for one place."""
    places = np.arange(26**4, dtype=np.uint64)
    letters = [places // np.uint64(26**place) % np.uint64(26) for place in range(4)]
    hashed = np.uint64(14695981039346656037 ^ TAG_NUMBERS["p"])
    for letter in letters:
        hashed = (hashed ^ (letter + np.uint64(97))) * np.uint64(1099511628211)
    slots = (hashed ^ (hashed >> np.uint64(32))) % np.uint64(4096)
    chosen = np.flatnonzero(slots < 16)[:1_700]
    names = ["".join(chr(97 + int(letter[at])) for letter in letters) for at in chosen]
    crowd = "".join(f"<p class={name}>w</p>" for name in names)
    assert_same(crowd)
    markup = crowd.replace("=", '="').replace(">w", '">w')
    walk = segment.compiled.walk_blocks
    assert walk(f"<html><body>{markup}</body></html>".encode(), False) is None
    others = "".join(f'<p class="{name[::-1]}x">w</p>' for name in names)
    assert walk(f"<html><body>{others}</body></html>".encode(), False) is not None
