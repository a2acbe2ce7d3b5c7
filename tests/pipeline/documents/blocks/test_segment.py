"""Where a page's blocks begin and end, and which of them are seen."""

import numpy as np
import pytest

from pipeline.documents.blocks.page import CELL_MARK, HIDDEN, LINK, TAG_NUMBERS, text_of
from pipeline.documents.blocks.segment import segment
from pipeline.documents.blocks.words import count
from pipeline.documents.tree import parse

WORDS = "The bridge across the river was opened on a Sunday, with flags and drums, in May. "


def page_of(body):
    tree = parse(f"<html><head><title>T</title></head><body>{body}</body></html>")
    return segment(tree)


def texts(body):
    page = page_of(body)
    return [" ".join(page.text(block).split()) for block in range(len(page.elements))]


@pytest.mark.parametrize(
    ("body", "blocks"),
    [
        ("<p>One</p><p>two</p>", ["One", "two"]),
        ("<p>One<p>two", ["One", "two"]),
        ("<p>One <b>and</b> two</p>", ["One and two"]),
        ("Loose<div>inside</div>after", ["Loose", "inside", "after"]),
        ("<p>line<br>line<br/><br>last</p>", ["line", "line", "last"]),
        ("<div><span>a</span>  <span>b</span></div>", ["a b"]),
        ("<ul><li>x<ul><li>y</ul><li>z</ul>", ["x", "y", "z"]),
        ("<article-body>custom</article-body>", ["custom"]),
        ("<div>  </div><p>&nbsp;</p>", []),
        ("<select><option>no</select><script>no</script><p>yes</p>", ["yes"]),
        ("<textarea>no</textarea><svg><text>no</text></svg>yes", ["yes"]),
    ],
)
def test_a_block_ends_where_a_browser_ends_a_line(body, blocks):
    assert texts(body) == blocks


@pytest.mark.parametrize(
    "hidden",
    [
        '<span style="display:none">no</span>',
        "<noscript>no</noscript>",
        "<template><p>no</p></template>",
    ],
)
def test_what_is_for_no_reader_is_left_out(hidden):
    assert texts(f"<p>{WORDS * 10}</p>{hidden}<p>after</p>")[1:] == ["after"]


@pytest.mark.parametrize(
    "panel",
    [
        "<div hidden><p>Fabric</p><table><tr><td>wool</td></tr></table></div>",
        '<div style="color:red; display : none"><p>Fabric</p>wool</div>',
    ],
)
def test_the_words_of_a_panel_that_waits_for_a_click_are_marked(panel):
    page = page_of(f"<p>{WORDS * 10}</p>{panel}<p>after</p>")
    assert [page.text(block) for block in range(1, 4)] == ["Fabric", "wool", "after"]
    assert (page.flags & HIDDEN).tolist() == [0, HIDDEN, HIDDEN, 0]
    counts = count(page, "")
    assert counts.hidden_words.tolist() == [0, 1, 1, 0]


def test_the_question_that_a_button_opens_is_a_block():
    faq = "<h3><button>How long does it take?</button></h3><div>Two days.</div>"
    assert texts(faq) == ["How long does it take?", "Two days."]


@pytest.mark.parametrize(
    "posts",
    [
        f"<noscript><div><p>{WORDS * 8}</p></div></noscript>",  # Discourse
        f'<div hidden id="S:0"><p>{WORDS * 8}</p></div>',  # a streamed page
        f"<template><p>{WORDS * 8}</p></template>",
    ],
)
def test_what_a_script_will_show_is_shown_where_little_else_is(posts):
    assert " ".join((WORDS * 8).split()) in texts(f"<h1>Topic</h1>{posts}")


def test_a_hidden_menu_stays_hidden_where_the_page_is_short_itself():
    page = page_of("<p>A short page of few words.</p><div hidden>Menu of a page</div>")
    assert page.flags.tolist() == [0, HIDDEN]


@pytest.mark.parametrize(
    ("body", "block"),
    [
        # Wrapped for a narrow screen.
        ("<h2>Two ports <br>on the left</h2>", "Two ports on the left"),
        ('<p>Two ports <br class="md:hidden">on the left</p>', "Two ports on the left"),
        # Words of a sentence that can be pressed.
        (
            "<p>Good for <button>travel</button>, <button>work</button>.</p>",
            "Good for travel, work.",
        ),
        # The name of a price, for those who hear it.
        ('<p><span class="sr-only">Original price:</span> 20 €</p>', "20 €"),
        ('<p><span class="visually-hidden">Original price</span></p>', "Original price"),
    ],
)
def test_a_line_is_what_one_sees_as_a_line(body, block):
    assert texts(body) == [block]


def test_a_heading_with_a_text_of_old_keeps_its_lines():
    assert texts("<h3>a<br>b<br>c<br>d<br>e</h3>") == ["a", "b", "c", "d", "e"]


@pytest.mark.parametrize(
    "consent",
    [
        '<div id="onetrust-consent-sdk"><p>We value you.</p></div>',
        "<p class=cky-consent-bar>We</p>",
    ],
)
def test_a_dialog_about_consent_is_left_out(consent):
    assert texts(f"<p>before</p>{consent}<p>after</p>") == ["before", "after"]
    assert texts('<p class="consent-form">before</p>') == ["before"]


@pytest.mark.parametrize(
    "dialog", ["<dialog>Sign up</dialog>", '<div role="alertdialog"><p>Sign up</p></div>']
)
def test_a_dialog_that_is_closed_is_marked_as_hidden(dialog):
    page = page_of(WORDS * 10 + dialog)
    assert (page.flags[page.starts[:-1]] & HIDDEN).tolist() == [0, HIDDEN]
    assert not (page_of(f"{WORDS * 10}<dialog open>x</dialog>").flags & HIDDEN).any()


def test_a_link_of_a_heading_to_itself_makes_no_link_of_it():
    page = page_of('<h2 id=a><a href="#a">See also</a></h2><p><a href="#a">See also</a></p>')
    assert (page.flags[page.starts[:-1]] & LINK).tolist() == [0, LINK]


def test_what_is_named_a_heading_is_one():
    named = '<div role="heading" aria-level="3">{}</div>'
    for inside, tag in (("About", "h3"), ("<p>A comment.</p>", "p")):
        page = page_of(named.format(inside))
        assert page.tags[page.elements[0]] == TAG_NUMBERS[tag]
    assert TAG_NUMBERS["h3"] not in page.tags


def test_posts_are_of_one_kind_whatever_their_own_classes_are():
    posts = "".join(f'<li class="post post-{name} by-{name}">x</li>' for name in "abcd")
    page = page_of(f"<ul>{posts}<li class=advert>x</li><li class=other>x</li></ul>")
    kinds = [page.kinds[element] for element in page.elements]
    assert len({*kinds[:4]}) == 1
    assert len({*kinds}) == 3


def test_a_row_of_a_data_table_is_one_block():
    rows = "<tr><th>River</th><th>Length</th></tr><tr><td>Nile</td><td><a href=x>6650</a> km</td>"
    page = page_of(f"<table>{rows}</table>")
    assert [page.text(block) for block in (0, 1)] == [
        f"River{CELL_MARK}Length",
        f"Nile{CELL_MARK}6650 km",
    ]
    pieces = [text_of(codes) for codes in np.split(page.codes, page.sizes.cumsum()[:-1])]
    assert page.flags[pieces.index("6650")] & LINK
    assert {page.tags[element] for element in page.elements} == {TAG_NUMBERS["tr"]}


def test_the_cells_of_a_layout_table_are_blocks():
    cells = f"<td><a href=/>Home</a></td><td><p>{WORDS * 5}</p><p>Second</p></td>"
    assert texts(f"<table><tr>{cells}</tr></table>") == ["Home", (WORDS * 5).strip(), "Second"]


def test_a_table_with_names_is_one_of_data_though_a_few_cells_are_long():
    names = "<tr><th>Boat</th><th>Of whom</th></tr>"
    rows = "<tr><td><p>Anna</p><p>(old)</p></td><td>the harbour's pilots</td></tr>" * 9
    table = f"<table>{{}}{rows}<tr><td>Berta</td><td>{WORDS * 5}</td></tr></table>"
    assert texts(table.format(names))[1] == f"Anna (old) {CELL_MARK}the harbour's pilots"
    assert texts(table.format(""))[0] == "Anna"
    assert texts(table.format("<tr><th>Boat</th><th>Of</th><th>whom</th></tr>"))[0] == "Boat"


def test_a_name_and_its_value_are_a_row():
    assert texts("<table><tr><th>Length</th><td>9 m</td></tr></table>") == [f"Length{CELL_MARK}9 m"]
    assert texts("<table><tr><td>Length</td><td>9 m</td></tr></table>") == ["Length", "9 m"]


def test_the_white_space_of_a_cell_does_not_make_it_long():
    cells = f"<td>Anna</td><td>{' ' * 300}pilots</td>"
    assert len(texts(f"<table><tr>{cells}</tr><tr>{cells}</tr></table>")) == 2


def test_an_element_knows_where_it_ends():
    page = page_of("<div><p>a</p><p>b</p></div><p>c</p>")
    names = {number: name for name, number in TAG_NUMBERS.items()}
    spans = [
        (names[tag], begin, end)
        for begin, (tag, end) in enumerate(zip(page.tags, page.ends, strict=True))
    ]
    assert spans == [
        ("html", 0, 6),
        ("body", 1, 6),
        ("div", 2, 5),
        ("p", 3, 4),
        ("p", 4, 5),
        ("p", 5, 6),
    ]


def test_names_are_inherited():
    page = page_of('<div class="post-body"><p>a</p></div><p id=commentList2>b</p>')
    body, comment = page.inherited[page.elements[0]], page.inherited[page.elements[1]]
    assert body
    assert comment & 1
    assert not body & 1


def test_the_deepest_page_that_is_let_in_is_read():
    assert texts("<div>" * 230 + "<p>deep</p>")[-1] == "deep"
