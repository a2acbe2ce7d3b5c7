"""Whole pages through the extractor `combined`: what is kept, and who spoke for it."""

import json
import subprocess
import sys

import pytest

from pipeline.documents import combined
from pipeline.documents.blocks import context
from pipeline.documents.budgets import check_budgets
from pipeline.documents.combined import AGAIN, ENGINES, FAST, THOROUGH, combine, opinion
from pipeline.documents.extractors import EXTRACTORS
from pipeline.settings import DocumentsSettings

SENTENCES = (
    "The village council decided to repair the wooden bridge across the river after the winter.",
    "The carpenters waited until the water had gone down, and the timber came from the county.",
    "It was opened on a Sunday in May, with flags and drums, and nobody has measured it since.",
    "Boats were few that year, he said, since the mill had closed and the ferryman had left.",
    "The oldest of the piles was found to be of oak, felled when the church was being built.",
    "A second bridge is planned for the road to the station, but there is no money for it yet.",
)
MENU = "".join(f'<li><a href="/{name}">{name}</a></li>' for name in "Home News Sport Shop".split())
FRAME = (
    '<html><head><title>{title}</title></head><body><nav class="menu"><ul>{menu}</ul></nav>{main}'
    '<div class="footer"><a href="/terms">Terms of use</a> Copyright 2019. All rights reserved.'
    "</div></body></html>"
)
BOTH = pytest.mark.parametrize("sure", [FAST, THOROUGH], ids=["fast", "thorough"])


def page(main, title="The bridge"):
    return FRAME.format(title=title, menu=MENU, main=main)


def article(*more):
    paragraphs = "".join(f"<p>{one}</p>" for one in SENTENCES)
    return page(f"<article><h1>The bridge</h1>{paragraphs}{''.join(more)}</article>")


@BOTH
def test_an_article_is_its_heading_and_paragraphs(sure):
    found = combine(article(), sure)
    assert found.text.split("\n") == ["The bridge", *SENTENCES]
    assert 0.5 < found.score <= 1


@BOTH
def test_code_and_rows_and_exponents_are_written_as_in_every_text_of_ours(sure):
    code = "<pre>def f(x):\n    return x</pre>"
    rivers = {"Nile": 6650, "Amazon": 6400, "Yangtze": 6300}
    cells = "".join(f"<tr><td>{river}</td><td>{km} km</td></tr>" for river, km in rivers.items())
    rows = f"<tr><th>River</th><th>Length</th></tr>{cells}"
    more = f"<p>{SENTENCES[0]} Some 10<sup>6</sup> came.</p>{code}<table>{rows}</table>"
    lines = combine(article(more, f"<p>{SENTENCES[1]}</p>"), sure).text.split("\n")
    assert f"{SENTENCES[0]} Some 10^6 came." in lines
    assert "    return x" in lines
    assert "| Nile | 6650 km |" in lines


@pytest.mark.parametrize("rows", [2, 3, 4, 6])
def test_the_rows_of_a_table_stand_or_fall_together(rows):
    cells = "".join(f"<tr><td>River {n}</td><td>{n * 950} km</td></tr>" for n in range(1, rows))
    table = f"<table><tr><th>River</th><th>Length</th></tr>{cells}</table>"
    text = combine(article(table, f"<p>{SENTENCES[1]}</p>"), FAST).text
    assert text.count("| ") in (0, 2 * rows)


@BOTH
def test_a_text_that_stands_in_the_page_for_two_screens_is_written_once(sure):
    paragraphs = "".join(f"<p>{one}</p>" for one in SENTENCES)
    twice = f"<article><div class=desktop>{paragraphs}</div><div>{paragraphs}</div></article>"
    assert combine(page(twice), sure).text.split("\n") == list(SENTENCES)


@BOTH
def test_what_elements_of_one_class_say_again_is_meant_so(sure):
    paragraphs = "".join(f"<p>{one}</p>" for one in (*SENTENCES, *SENTENCES[:2]))
    lines = combine(page(f"<article>{paragraphs}</article>"), sure).text.split("\n")
    assert lines == [*SENTENCES, *SENTENCES[:2]]


@BOTH
def test_a_thread_of_a_forum_is_its_posts(sure):
    posts = "".join(
        f'<div class="post" id="post{n}"><div class="author"><a href="/u{n}">user{n}</a></div>'
        f'<div class="postbody"><p>{one} {SENTENCES[n - 3]}</p></div>'
        f'<div class="buttons"><a href="/r{n}">Reply</a> <a href="/q{n}">Quote</a></div></div>'
        for n, one in enumerate(SENTENCES)
    )
    text = combine(page(f'<div class="thread">{posts}</div>', "Bridge thread"), sure).text
    assert all(one in text for one in SENTENCES)
    assert "Terms of use" not in text


@BOTH
@pytest.mark.parametrize(
    "shell",
    [
        '<noscript><div class="topic">{}</div></noscript>',
        '<div hidden id="S:1">{}</div>',
        "<template>{}</template>",
    ],
)
def test_posts_that_a_script_would_show_are_the_text(sure, shell):
    posts = "".join(f'<div class="post"><p>{one} {one}</p></div>' for one in SENTENCES)
    text = combine(page(shell.format(posts)), sure).text
    assert all(one in text for one in SENTENCES)


def test_a_text_that_stands_in_json_alone_is_trafilatura_s():
    body = " ".join(SENTENCES * 3)
    data = json.dumps({"@type": "Article", "articleBody": body})
    found = combine(
        f'<html><head><script type="application/ld+json">{data}</script></head>'
        "<body><div>Loading</div></body></html>",
        THOROUGH,
    )
    assert found.spoke == "trafilatura"
    assert SENTENCES[0] in found.text


@BOTH
def test_a_page_of_two_words_has_them(sure):
    assert combine("<p>Too short.", sure).text == "Too short."


def test_what_the_page_is_is_told():
    posts = "".join(
        f'<article class="post" id="post{n}"><a class="author" href="/u{n}">user{n}</a>'
        f'<time>May {n + 1}, 2019</time><div class="body"><p>{one} {one}</p></div></article>'
        for n, one in enumerate(SENTENCES)
    )
    said = '<meta name="generator" content="Discourse"><title>'
    thread = page(f'<div class="thread">{posts}</div>').replace("<title>", said)
    assert combine(article(), THOROUGH).page_type == "article"
    assert combine(thread, THOROUGH).page_type == "forum"


def test_a_page_that_the_first_look_is_sure_of_is_not_looked_at_again(monkeypatch):
    asked = []
    monkeypatch.setattr(
        combined, "look_again", lambda *args: asked.append(1) or context.look_again(*args)
    )
    found = combine(article(), FAST)
    assert found.score >= AGAIN
    assert asked == []
    monkeypatch.setattr(combined, "AGAIN", 1.01)
    assert combine(article(), FAST).spoke == "blocks"
    assert asked == [1]


def test_engines_are_asked_where_the_blocks_are_not_sure():
    for sure, spoke in ((0.0, "blocks"), (1.01, "blocks+trafilatura+resiliparse")):
        assert combine(article(), sure).spoke == spoke


TRAPS = {
    "nothing": "",
    "white space": " \n ",
    "no tags": "just words here " * 200,
    "a lone surrogate": page(f"<p>{SENTENCES[0]} \ud800</p>" * 5),
    "zero bytes": page(("\0" * 1000 + f"<p>{SENTENCES[0]}</p>") * 5),
    "unclosed links": page("<a href=x>link " * 3000 + f"<p>{SENTENCES[0]}</p>" * 6),
    "one bad byte": page(f"<p>{SENTENCES[0]} caf\ufffd</p>" * 6),
    "unclosed comment": page(f"<p>{SENTENCES[0]}</p>" * 6 + "<!--" + "x -- y " * 50_000),
    "unclosed script": page(f"<p>{SENTENCES[0]}</p>" * 6 + "<script>" + "var a=1<2; " * 20_000),
    "only signs": page("<" * 50_000 + f"<p>{SENTENCES[0]}</p>" * 6),
    "misnested": page("<b><p>x" * 100 + f"<p>{SENTENCES[0]}</p>" * 6),
    "entities": page("<p>" + "&amp;&#65;" * 50_000 + f"<p>{SENTENCES[0]}</p>" * 6),
    "spaces": page("<pre>" + " " * 500_000 + "</pre>" + f"<p>{SENTENCES[0]}</p>" * 6),
    "one run of text": page("<p>" + "lorem ipsum dolor sit amet, " * 30_000),
    "cells": page("<table>" + ("<tr>" + "<td>cell 12</td>" * 20 + "</tr>") * 500 + "</table>"),
    "paragraphs": page("<p>short text here, and more" * 5_000),
    "a number of no character": page(f"<p>&#{'9' * 30}; {SENTENCES[0]}</p>"),
    "a heading of lines": page("<h2>" + "x<br>" * 50_000 + f"</h2><p>{SENTENCES[0]}</p>" * 6),
    "buttons": page("<p>x" + "<button>b</button>, " * 20_000 + f"<p>{SENTENCES[0]}</p>" * 6),
    "read aloud": page("<p>x" + "<i class=sr-only>b</i>, " * 20_000 + f"<p>{SENTENCES[0]}</p>" * 6),
    "empty heads": "<html><head></head></html>",
}


@pytest.mark.parametrize("name", EXTRACTORS)
@pytest.mark.parametrize("trap", TRAPS)
def test_no_extractor_fails_on_a_trap(name, trap):
    found = EXTRACTORS[name](TRAPS[trap])
    assert isinstance(found.text, str)
    found.text.encode()


@BOTH
@pytest.mark.parametrize(
    "trap",
    [
        "unclosed comment",
        "unclosed script",
        "misnested",
        "spaces",
        "one bad byte",
        "a lone surrogate",
    ],
)
def test_the_text_beside_a_trap_is_found(sure, trap):
    assert SENTENCES[0] in combine(TRAPS[trap], sure).text


def test_unclosed_links_by_the_ten_thousand_take_no_text_away():
    text = combine(page(f"<p>{SENTENCES[0]}</p>" * 6 + "<a href=x>link " * 30_000), FAST).text
    assert SENTENCES[0] in text  # trafilatura loses it


@pytest.mark.parametrize(
    "trap",
    [
        "<div>" * 20_000,
        f"<div {' '.join(f'a{n}=1' for n in range(100_000))}>",
        "<table>" + ("<tr>" + "<td>cell 12</td>" * 20 + "</tr>") * 10_000 + "</table>",
        "<p>short text here, and more" * 300_000,
    ],
    ids=["deep", "attributes", "cells", "paragraphs"],
)
def test_what_no_extractor_could_bear_is_dropped_before(trap):
    assert check_budgets(page(trap), DocumentsSettings())


def test_an_engine_that_fails_has_no_opinion(monkeypatch):
    def fail(html):
        raise ValueError("no")

    monkeypatch.setitem(ENGINES, "S", fail)
    assert opinion("S", article()) == ""
    assert all(one in combine(article(), 1.01).text for one in SENTENCES)


def test_a_page_that_asks_no_engine_loads_none():
    """They take half of the time of a page by hand."""
    asked = (
        "import sys; from pipeline.documents.extractors import EXTRACTORS;"
        "found = EXTRACTORS['combined'](sys.stdin.read());"
        "print(found.extractor, *{'trafilatura', 'resiliparse'} & {*sys.modules})"
    )
    found = subprocess.run(
        [sys.executable, "-c", asked], input=article(), capture_output=True, text=True, check=True
    )
    assert found.stdout == "blocks\n"
