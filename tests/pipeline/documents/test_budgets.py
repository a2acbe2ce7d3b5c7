import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.documents.budgets import check_budgets, count_depth, without_raw_text
from pipeline.reasons import Reason
from pipeline.settings import DocumentsSettings

RULES = DocumentsSettings()
TEXT = "<p>The quick brown fox, it was said, jumped over the lazy dog while the river rose. "

HOSTILE = {
    "nested divs": ("<div>" * 20_000 + TEXT, Reason.TOO_DEEP),
    "nested divs, never closed by their end tags": (
        "</span>" * 30_000 + "<DIV>" * 300 + TEXT,
        Reason.TOO_DEEP,
    ),
    "unclosed font": ("<font>" * 5_000 + TEXT, Reason.TOO_DEEP),
    "nested tables": ("<table><tr><td>" * 1_500 + TEXT, Reason.TOO_DEEP),
    "nested lists": ("<ul><li>" * 3_000 + TEXT, Reason.TOO_DEEP),
    "bold over paragraphs": ("<b><p>x" * 3_000 + TEXT, Reason.TOO_DEEP),
    "end tags in comments": ("<div><!--</div>-->" * 2_000 + TEXT, Reason.TOO_DEEP),
    "end tags in values": ("<div title='</div>'>" * 2_000 + TEXT, Reason.TOO_DEEP),
    "invented elements": ("".join(f"<x{n}>" for n in range(20_000)), Reason.TOO_DEEP),
    "attributes with values": (
        "<div " + " ".join(f"a{n}=1" for n in range(100_000)) + ">" + TEXT,
        Reason.TOO_MANY_ATTRIBUTES,
    ),
    "attributes without values": (
        "<div " + "a " * 100_000 + ">" + TEXT,
        Reason.TOO_MANY_ATTRIBUTES,
    ),
    "attributes whose values hold tags": (
        "<div " + "a='<p>' " * 10_000 + ">" + TEXT,
        Reason.TOO_MANY_ATTRIBUTES,
    ),
    "attributes on a tag that never ends": ("<div " + "a=1 " * 10_000, Reason.TOO_MANY_ATTRIBUTES),
    "attributes over many tags": (
        ("<br " + "a=1 " * 100 + ">") * 2_500,
        Reason.TOO_MANY_ATTRIBUTES,
    ),
    "cells": (
        "<table>" + ("<tr>" + "<td>cell 12</td>" * 20 + "</tr>") * 10_000 + "</table>",
        Reason.TOO_MANY_BLOCKS,
    ),
    "paragraphs": ("<p>short text here, and more" * 300_000, Reason.TOO_MANY_BLOCKS),
    "unclosed links": ("<a href=x>link " * 50_000 + TEXT, Reason.TOO_MANY_BLOCKS),
}

HARMLESS = {
    "voids": "<br><img src=x><hr>" * 9_000 + TEXT,
    "elements that end by themselves": "<ul>" + "<li>one<p>two" * 2_000 + "</ul>" + TEXT,
    "rows and cells without ends": "<table>" + ("<tr>" + "<td>x" * 9) * 900 + "</table>",
    "self-closing shapes": "<svg>" + "<path d='M1 2'/><use href=x />" * 2_000 + "</svg>" + TEXT,
    "unclosed links": "<a name=x>" * 5_000 + TEXT,
    "tags in a script": "<script>var a = '" + "<div>" * 5_000 + "'</script>" + TEXT,
    "tags in a comment": "<!--" + "<div>" * 5_000 + "-->" + TEXT,
    "a long value": f"<div style='{'a b=c ' * 5_000}'>{TEXT}</div>",
    "an apostrophe in a tag": "<p class=it's><b>one</b></p>" * 900 + "<i data-x=it's>" + TEXT,
    "no tags": "words " * 1_000,
    "nothing": "",
    "one run of text": "<p>" + "lorem ipsum, " * 200_000,
    "less-than signs": "<" * 1_000_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_page_over_a_limit_is_dropped(name):
    html, reason = HOSTILE[name]
    assert check_budgets(html, RULES).reason is reason


@pytest.mark.parametrize("name", HARMLESS)
def test_a_page_that_looks_worse_than_it_is_passes(name):
    assert check_budgets(HARMLESS[name], RULES) is None


@pytest.mark.parametrize(
    "piece",
    [
        "<!--",
        "<a",
        "<a ",
        '<a b="',
        "<a b='",
        "<script>",
        "</script",
        "<a b=",
        "<p a=\"'",
        "=<",
        "<a/",
    ],
)
def test_time_is_linear_in_the_page(piece):
    started_s = time.process_time()
    check_budgets(piece * (2_000_000 // len(piece)), RULES)
    assert time.process_time() - started_s < 5  # some 0.2 s; a quadratic pass takes hours


@pytest.mark.parametrize(
    ("tags", "depth"),
    [
        ("", 0),
        ("div /div div /div", 1),
        ("div span b /b /span /div", 3),
        ("/div /div div div", 2),
        ("div /b /b /b div", 1),
        ("div br img p li div", 2),
        ("table tr td table tr td div", 9),
        ("DIV Span /SPAN", 2),
    ],
)
def test_depth_is_the_nesting_of_start_and_end_tags(tags, depth):
    assert count_depth(tags.split()) == depth


@given(st.lists(st.sampled_from(["div", "/div", "b", "/b", "br", "table", "/table", "/p"])))
def test_depth_is_that_of_a_walk_that_stops_at_zero(names):
    level = deepest = 0
    step = {"div": 1, "b": 1, "/div": -1, "/b": -1, "table": 4, "/table": -4}
    for name in names:
        level = max(0, level + step.get(name, 0))
        deepest = max(deepest, level)
    assert count_depth(names) == deepest


def test_scripts_and_comments_are_left_out_and_endless_ones_left_in():
    html = "a<!-- b --><SCRIPT x>c</script >d<!-- e <style>f"
    assert without_raw_text(html) == "a</script >d<!-- e <style>f"


@given(st.text(alphabet="<>!-/ =\"'ascriptyle", max_size=80))
def test_no_text_makes_the_pass_raise(html):
    check_budgets(html, RULES)
