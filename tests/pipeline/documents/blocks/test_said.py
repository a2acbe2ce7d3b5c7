"""What a page says of itself in its head."""

import json

import pytest

from pipeline.documents.blocks.said import SAID_GROUPS, read_said
from pipeline.documents.tree import parse

ARTICLE, FORUM, PRODUCT = 0, 1, 2


def said(head, body=""):
    html = f"<html><head>{head}</head><body>{body}<p>x</p></body></html>"
    return read_said(html, parse(html))


def data(value):
    return f'<script type="application/ld+json">{value}</script>'


def groups(mask):
    return {number for number in range(len(SAID_GROUPS)) if mask >> number & 1}


@pytest.mark.parametrize(
    ("head", "kinds"),
    [
        ("", set()),
        ('<meta property="og:type" content="article">', {ARTICLE}),
        ('<meta property="og:type" content="product">', {PRODUCT}),
        ('<meta name="generator" content="Discourse 3.2.0 - https://x.example">', {FORUM}),
        (data('{"@type": "DiscussionForumPosting"}'), {FORUM}),
        (data('{"@graph": [{"@type": ["NewsArticle"]}]}'), {ARTICLE}),
        (data('{"@type": "Product'), set()),
        (data("[" * 100_000), set()),
        (data(f'{{"a": {json.dumps("x" * 500_000)}, "@type": "Product"}}'), set()),
    ],
)
def test_a_page_says_of_what_kind_it_is(head, kinds):
    assert groups(said(head).kinds) == kinds


def test_types_of_microdata_count_too():
    body = '<div itemscope itemtype="https://schema.org/Product">A mug</div>'
    assert groups(said("", body).kinds) == {PRODUCT}


def test_texts_are_gathered_without_markup():
    head = data(json.dumps({"@type": "X", "articleBody": "One &amp; <b>two</b>", "id": "no"}))
    head += '<meta name="description" content="Three four">'
    assert said(head).text.split() == ["Three", "four", "One", "&", "two"]


@pytest.mark.parametrize(
    ("address", "place", "is_front"),
    [
        ("https://x.example/forum/threads/7", {FORUM}, False),
        ("https://x.example/products/mug", {PRODUCT}, False),
        ("https://x.example/", set(), True),
        ("", set(), False),
    ],
)
def test_its_address_speaks_too(address, place, is_front):
    found = said(f'<link rel="canonical" href="{address}">')
    assert (groups(found.place), found.is_front) == (place, is_front)
