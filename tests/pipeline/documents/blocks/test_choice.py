"""What of a page stands or falls together, whatever its scores are."""

import numpy as np
import pytest

from pipeline.documents.blocks.choice import settled, take
from pipeline.documents.blocks.names import NAME_GROUPS
from pipeline.documents.blocks.page_types import TYPES, type_named
from pipeline.documents.combined import read_page

MAIN = NAME_GROUPS.index("main primary maincol page")
FIRST = "The village council decided to repair the wooden bridge across the river."
SECOND = "The carpenters waited until the water had gone down, and the timber came."


def scored(body, scores, page_type, limits=(0.5, 0.5)):
    """The blocks of a page that are taken by these scores."""
    one, counts, described = read_page(f"<html><body>{body}</body></html>")
    inside = [n for n, element in enumerate(one.elements) if one.inherited[element] >> MAIN & 1]
    given = np.zeros(len(one.elements))
    given[inside] = scores
    blocks, _ = take(one, counts, described, given, page_type, limits)
    return ["".join(one.text(block).split()) for block in blocks]


def test_posts_of_a_thread_stand_or_fall_by_their_parts():
    post = "<div class=post><p class=who>{0}</p><p>{1}</p></div>"
    some = [("Ann", FIRST), ("Bob", "No."), ("Cem", SECOND)]
    posts = "".join(post.format(*one) for one in some)
    signed = "<div class=signature><p>Bridges are my life</p></div>"
    body = f'<div class="main">{posts}{signed}</div>'
    scores = [0.1, 0.9, 0.3, 0.2, 0.2, 0.9, 0.95]
    found = scored(body, scores, "forum")
    assert found == ["".join(text.split()) for _, text in some]
    assert "No." not in scored(body, scores, "article")
    nameless = posts.replace("class=post", "").replace("class=who", "")
    nameless = f'<div class="main"><div><div>{nameless}</div></div></div>'
    assert "No." not in scored(nameless, scores[:-1], "forum")


@pytest.mark.parametrize(
    ("beside", "blocks", "falls"),
    [
        ("<aside class=onebox><p>Buy bridges here, all kinds of them.</p></aside>", 1, True),
        ("<aside><p>Ann said:</p><blockquote>Look at it.</blockquote></aside>", 2, False),
        ("<div class=notice>Last edited by Ann on Sunday.</div>", 1, True),
        ("<div class=x_sig><div class=content>Bridges.</div></div>", 1, False),
        ("<div class=sig><div class=sig-content>Bridges.</div></div>", 1, True),
        ("<dl class=who><dt>Ann</dt><dd>Joined: 2011</dd><dd>Guru</dd></dl>", 3, True),
        ("<div class=who>Posts: 12<br>Likes: 3</div>", 2, True),
        ("<dl class=who><dt>Ann</dt><dd>Oak: 2011</dd><dd>Guru</dd></dl>", 3, False),
        (f"<div class=who>Posts: 12<br>{FIRST}</div>", 2, False),
    ],
)
def test_what_stands_beside_the_posts_of_a_thread_falls(beside, blocks, falls):
    body = f'<div class="main">{f"<div class=post>{beside}<p>{SECOND}</p></div>" * 3}</div>'
    scores = [0.9] * (3 * (blocks + 1))
    found = scored(body, scores, "article")
    text = "".join(SECOND.split())
    assert set(found) > {text}
    assert (set(scored(body, scores, "forum")) == {text}) == falls


def test_calls_to_act_are_no_text_of_a_service():
    call = '<div class="cta"><a href="/x">Start now</a></div>'
    body = f'<div class="main"><p>We build bridges.</p>{call}</div>'
    assert scored(body, [0.9, 0.9], "service") == ["Webuildbridges."]
    assert scored(body, [0.9, 0.9], "article") == ["Webuildbridges.", "Startnow"]


@pytest.mark.parametrize(
    ("name", "tag", "page_type", "falls"),
    [
        ("customer-reviews", "p", "product", True),
        ("notice", "p", "product", True),
        ("customer-reviews", "h1", "product", False),
        ("customer", "p", "product", False),
        ("customer-reviews", "p", "article", False),
    ],
)
def test_what_customers_say_of_goods_is_no_text_of_them(name, tag, page_type, falls):
    said = f'<div class="{name}"><{tag}>Ann</{tag}><p>I crossed it twice.</p></div>'
    found = scored(f'<div class="main"><p>{FIRST}</p>{said}</div>', [0.9] * 3, page_type)
    assert len(found) == (1 if falls else 3)


@pytest.mark.parametrize(("forum", "name"), [(0.25, "forum"), (0.2, "article")])
def test_a_page_that_may_well_be_a_thread_is_read_as_one(forum, name):
    types = np.zeros(len(TYPES))
    types[[TYPES.index("forum"), TYPES.index("article")]] = forum, 0.7
    assert type_named(types) == name


@pytest.mark.parametrize(("last", "is_kept"), [(0.9, True), (0.1, False)])
def test_the_items_of_a_list_stand_or_fall_together(last, is_kept):
    items = "".join(f"<li>{word} {word}</li>" for word in ("Oak", "Pine", "Elm"))
    body = f'<div class="main"><p>{FIRST}</p><ul>{items}</ul></div>'
    found = scored(body, [0.9, 0.3, 0.4, last], "article")
    assert ("OakOak" in found) == ("ElmElm" in found) == is_kept
    mixed = body.replace("<li>Pine Pine</li>", "<li><p>Pine</p><p>Pine</p><p>so</p></li>")
    assert ("ElmElm" in scored(mixed, [0.9, 0.3, 0.4, 0.4, 0.4, last], "article")) == (last > 0.5)


@pytest.mark.parametrize(
    ("score", "title", "behind", "page_type", "falls"),
    [
        (0.6, "<a href=/{0}>The bridge of {0}</a>", True, "article", True),
        (0.8, "<a href=/{0}>The bridge of {0}</a>", True, "article", False),
        (0.6, "The bridge of {0}", True, "article", False),
        (0.6, "<a href=/{0}>The bridge of {0}</a>", False, "article", False),
        (0.6, "<a href=/{0}>The bridge of {0}</a>", True, "product", True),
        (0.6, "<a href=/{0}>The bridge of {0}</a>", True, "service", False),
    ],
)
def test_cards_behind_a_text_fall_unless_they_are_sure(score, title, behind, page_type, falls):
    card = f"<div class=card><h3>{title}</h3><p>They crossed it at {{0}} as others had.</p></div>"
    cards = "".join(card.format(where) for where in ("Bern", "Basel", "Thun"))
    text = [f"<p>{FIRST}</p>", f"<p>{SECOND}</p>"]
    parts, scores = [*text, cards], [0.9, 0.9, *[score] * 6]
    if not behind:
        parts, scores = [cards, *text], scores[::-1]
    found = scored(f'<div class="main">{"".join(parts)}</div>', scores, page_type, (0.2, 0.7))
    assert len(found) == (2 if falls else 8)


@pytest.mark.parametrize(
    ("heading", "stays"),
    [
        ("<h2>Also read</h2>", False),
        ("<h2>Also read</h2><h3>Bridges</h3>", False),
        ("<h1>Results</h1>", True),
    ],
)
def test_a_heading_of_which_nothing_is_kept_goes(heading, stays):
    body = (
        f'<div class="main"><h2>About</h2><p>{FIRST}</p>{heading}<p>{SECOND}</p><h2>Pictures</h2>'
    )
    headings = heading.count("</h")
    scores = [0.9, 0.9, *[0.9] * headings, 0.1, 0.9]
    lines = ["About", "".join(FIRST.split()), "Pictures"]
    assert len(scored(body, scores, "service")) == 3 + headings
    found = scored(body, scores, "collection")
    assert (len(found) == 3 + headings) if stays else (found == lines)


@pytest.mark.parametrize(("score", "is_kept"), [(0.3, True), (0.1, False)])
def test_a_heading_stays_with_what_stands_under_it_and_so_does_the_title(score, is_kept):
    wood, iron = f"<h2>Of wood</h2><p>{SECOND}</p>", "<h2>Of iron</h2><p>no</p>"
    parts = f"<h1>Our bridges</h1><p>{FIRST}</p>{wood}{iron}"
    scores = [score, 0.2, score, 0.9, score, 0.1]
    text = "".join(SECOND.split())
    found = scored(f'<div class="main">{parts}</div>', scores, "service")
    assert found == (["Ourbridges", "Ofwood", text] if is_kept else [text])
    assert scored(f'<div class="main">{parts}</div>', scores, "article") == [text]


def test_of_a_thread_all_looks_count():
    looks = [np.array([0.8, 0.2]), np.array([0.2, 0.4])]
    assert settled(looks, "forum").tolist() == pytest.approx([0.5, 0.3])
    assert settled(looks, "article").tolist() == [0.2, 0.4]
