"""The lines in which chosen blocks are written."""

import pytest

from pipeline.documents.blocks.segment import segment
from pipeline.documents.blocks.write import write
from pipeline.documents.markup import write_words
from pipeline.documents.tree import parse


def lines(body):
    html = f"<html><body>{body}</body></html>"
    tree = parse(html)
    write_words(tree, html)
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
        ("<ul><li>x<ol><li>y</ol><p>again</p><li>z</ul>", ["- x", "  - y", "again", "- z"]),
        ("<dl><dt>tide<dd>the sea rises</dl>", ["tide", "the sea rises"]),
        (
            "<ol><li>Run it:<pre>run</pre><pre>halt</pre><li>Look.</ol>",  # code is no post
            ["- Run it:", "run", "halt", "- Look."],
        ),
        (
            "<ul><li><b>Boats.</b><br>They float.<li><b>Nets.</b><br>They hang.</ul>",
            ["- Boats.", "They float.", "- Nets.", "They hang."],
        ),
        (
            '<dl><dt class="sig sig-object py"><span><span>functools.</span></span>'
            "<span><span>Placeholder</span></span></dl>",
            ["functools.Placeholder"],
        ),
        ("<ul><li><h3>Boats</h3><li><h3>Nets</h3></ul>", ["Boats", "Nets"]),
        ("<ul><li><a>Boats</a><p>a</p><li><a>Nets</a><p>b</p></ul>", ["Boats", "a", "Nets", "b"]),
        (
            "<table><tr><td>1.<td>A boat<td><p>x</p><p>y</p></tr></table>",
            ["1. A boat", "x", "y"],
        ),
        ("<pre>if x:\n    y()\n</pre>", ["if x:", "    y()"]),
        ("<p>10<sup>6</sup> of them</p>", ["10^6 of them"]),
        (
            "<table><tr><th>River<th>Length<th></tr><tr><td>Nile<td>6650 km<td></tr></table>",
            ["| River | Length |", "| Nile | 6650 km |"],
        ),
        (
            "<table><tr><th colspan=2>Match<th>Goals</tr><tr><td>A<td>B<td>3</tr>"
            "<tr><td>C<td>D<td>2</tr></table>",
            ["| Match |  | Goals |", "| A | B | 3 |", "| C | D | 2 |"],
        ),
        (
            "<table><tr><th>Sets<td><code>a b</code><br><code>a c</code></tr></table>",
            ["| Sets | a b a c |"],
        ),
        ("<p>Jobs<span>Latest post</span></p>", ["Jobs Latest post"]),
        ("<p>Ann Lee<span><span><a>Ann Mary Lee</a></span></span></p>", ["Ann Lee Ann Mary Lee"]),
        ("<h2>Install<a href=#i>¶</a></h2><p>Run <a href=#>#</a></p>", ["Install", "Run #"]),
        ("<h2><a href=x#i>#</a>Install</h2><h2>C<a href=/sharp>#</a></h2>", ["Install", "C#"]),
        (
            "<blockquote><div><cite>Ann wrote:</cite>Boats</div></blockquote>"
            "<blockquote><cite>The Sea</cite>, a book.</blockquote>",
            ["Ann wrote:", "Boats", "The Sea, a book."],
        ),
        (
            '<a href="https://a.example/boats/nets/9">https://a.example/bo … ts/9</a>'
            ' <a href="https://b.example/boats">https://a.example/...</a>',
            ["https://a.example/boats/nets/9 https://a.example/..."],
        ),
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


@pytest.mark.parametrize(
    ("glued", "apart"),
    [
        ("<p>Sold!</p><p>Boats<span>!</span><span>In stock</span></p>", "Boats! In stock"),
        ("<p>Made by:<span>Ann</span></p>", "Made by: Ann"),
        ("<p><span>Made by:</span>Ann</p>", "Made by: Ann"),
        ("<p><span>$35.00</span><span>Limited</span></p>", "$35.00 Limited"),
        ("<p><span>€89</span><span>€98</span></p>", "€89 €98"),
        ("<p><a>Ann Lee</a><span>295</span></p>", "Ann Lee 295"),
        ("<p><span class=a>colour</span><span class=b>Dora</span></p>", "colour Dora"),
        ("<p><span class=a>Number</span><span class=b>80.75</span></p>", "Number 80.75"),
        ("<p><span>4.9</span><i class=star></i><span>26 votes</span></p>", "4.9 26 votes"),
        ("<p><a href=a>Boats</a><a href=b>nets</a></p>", "Boats nets"),
    ],
)
def test_pieces_that_a_style_sets_apart_are_apart(glued, apart):
    assert lines(glued)[-1] == apart


@pytest.mark.parametrize(
    ("markup", "word"),
    [
        ("<span class=a>M</span><span class=b>Boat</span>", "MBoat"),
        ("Java<b>Script</b>", "JavaScript"),
        ("<span>Har</span><span>Bour</span>", "HarBour"),
        ("<span class=a>har</span><span class=b>bour</span>", "harbour"),
        ("<span>$16</span><span>99</span>", "$1699"),
        ("<span>39</span><span>€</span>", "39€"),
        ("<code>io.<span>Reader</span></code>", "io.Reader"),
        ("<a href=x>P</a><a href=x>acking</a>", "Packing"),
    ],
)
def test_pieces_of_one_word_stay_together(markup, word):
    assert lines(f"<p>{markup}</p>") == [word]


def test_what_a_page_sends_after_its_end_stands_where_it_is_shown():
    page = (
        '<main><p>one</p><template id="B:a"></template><p>three</p></main>'
        '<div hidden id="S:a"><p>two <template id="P:b"></template></p></div> <p>end</p>'
        '<div hidden id="S:b"><b>and a half</b></div>tail'
    )
    assert lines(page) == ["one", "two and a half", "three", "end", "tail"]


def test_a_part_that_would_hold_its_own_place_stays():
    assert lines('<p>one</p><div hidden id="S:a">two<template id="B:a"></template></div>') == [
        "one",
        "two",
    ]
