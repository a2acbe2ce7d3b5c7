"""What a page says twice is written once, unless it is meant so."""

import numpy as np
import pytest

from pipeline.documents.blocks.copies import once
from pipeline.documents.blocks.segment import segment
from pipeline.documents.blocks.words import count
from pipeline.documents.tree import parse

SIGNATURE = "<p class=sig>Bridges are my whole life.</p>"
POSTS = "".join(f"<div class=post><p>Post {n}.</p><p>I agree.</p>{SIGNATURE}</div>" for n in "abc")
LONG = "The old bridge across the river was opened on a Sunday in May, with flags."


def written(body, *, is_thread=False, units=None):
    page = segment(parse(f"<html><body>{body}</body></html>"))
    blocks = range(len(page.elements))
    of = np.zeros(len(blocks), np.int64) if units is None else np.array(units)
    return [
        " ".join(page.text(block).split())
        for block in once(page, count(page, ""), blocks, of, is_thread=is_thread)
    ]


@pytest.mark.parametrize(("is_thread", "times"), [(True, 1), (False, 3)])
def test_a_line_that_each_post_of_a_thread_has_again_stands_once(is_thread, times):
    lines = written(POSTS, is_thread=is_thread)
    assert lines.count("Bridges are my whole life.") == times
    assert lines.count("I agree.") == 3


def test_a_run_of_short_blocks_for_another_screen_goes_as_one():
    lines = ["Two ports", "A screen of ten inches", "A battery for two days of work"]
    wide = "".join(f"<p>{line}</p>" for line in lines)
    narrow = "".join(f"<div class=narrow>{line}</div>" for line in lines)
    assert written(f"{wide}<p>Between.</p>{narrow}") == [*lines, "Between."]
    # In another order it is another text.
    turned = "".join(f"<div class=narrow>{line}</div>" for line in reversed(lines))
    assert written(f"{wide}<p>Between.</p>{turned}") == [*lines, "Between.", *lines[::-1]]


def test_a_carousel_that_turns_in_a_circle_shows_each_card_once():
    cards = [f"<div class=card><h3>{name}</h3><p>{LONG}{name}</p></div>" for name in ("One", "Two")]
    units = [1, 1, 2, 2, 3, 3]
    assert written("".join([*cards, cards[0]]), units=units) == [
        *("One", f"{LONG}One", "Two", f"{LONG}Two")
    ]


def test_what_stands_right_before_is_not_said_again():
    for body in ("<h2>Make it</h2><p>Make it</p><p>so</p>", "<li>Make it</li><h1>Make it</h1>so"):
        assert written(body) == ["Make it", "so"]


@pytest.mark.parametrize(("times", "is_kept"), [(1, False), (2, True)])
def test_a_quotation_goes_or_stays_as_a_whole(times, is_kept):
    more = "Then he told us of another bridge, which nobody had seen. " * times
    quote = f"<blockquote><p>{LONG}</p><p>{more}</p></blockquote>"
    found = written(f"<div>{LONG}</div>{quote}<p>I agree.</p>", is_thread=True)
    assert found == [LONG, *([LONG, more.strip()] if is_kept else []), "I agree."]


def test_of_a_thread_a_short_quotation_stays_and_so_does_code_that_is_said_again():
    posts = [
        "<div>What is it?</div><pre>turn on the light\nand off again</pre>",
        "<blockquote><p>What is it?</p></blockquote><p>This:</p>",
        "<div>What is it?</div><pre>turn on the light\nand off again</pre>",
    ]
    code = "turn on the light and off again"
    found = written("".join(posts), is_thread=True)
    assert found == ["What is it?", code, "What is it?", "This:", "What is it?", code]


@pytest.mark.parametrize("name", ["bbcode_quote", "postcontent"])
def test_a_post_that_is_a_blockquote_is_no_quotation_and_a_quotation_may_be_none(name):
    quote = f"<div class={name}><div>Hello</div><div>{LONG}</div></div>"
    body = f"<div>Hello</div><div>{LONG}</div><blockquote class=postcontent>{quote}No.</blockquote>"
    again = [] if name == "bbcode_quote" else ["Hello"]
    assert written(body, is_thread=True) == ["Hello", LONG, *again, "No."]
