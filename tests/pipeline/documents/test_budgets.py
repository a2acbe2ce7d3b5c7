import re
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.documents.budgets import (
    _ATTRIBUTE,
    _CELLS,
    _TAG,
    check_budgets,
    compiled,
    count_cells,
    count_depth,
    without_raw_text,
)
from pipeline.reasons import Reason
from pipeline.settings import DocumentsSettings

RULES = DocumentsSettings()
SPAN = re.compile(r"(?:col|row)span\s*=", re.IGNORECASE | re.ASCII)
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
        Reason.TOO_MANY_TAGS,
    ),
    "paragraphs": ("<p>short text here, and more" * 300_000, Reason.TOO_MANY_TAGS),
    "unclosed links": ("<a href=x>link " * 150_000 + TEXT, Reason.TOO_MANY_TAGS),
    "line breaks": ("<br>" * 1_000_000 + TEXT, Reason.TOO_MANY_TAGS),
    "comments": ("<!-- c -->" * 150_000 + TEXT, Reason.TOO_MANY_TAGS),
    "signs of no tag": ("<" * 1_000_000, Reason.TOO_MANY_TAGS),
    "a script full of signs": (f"<script>{'a<b;' * 150_000}</script>{TEXT}", Reason.TOO_MANY_TAGS),
    "one row": ("<table><tr>" + "<td>x" * 20_000, Reason.TOO_MANY_CELLS),
    "cells as wide as a row": ("<table>" + "<tr><td colspan=99>x" * 9_000, Reason.TOO_MANY_CELLS),
    "rows as wide as one": (
        "<table><tr>" + "<td>x" * 99 + "<tr><td>x" * 9_000,
        Reason.TOO_MANY_CELLS,
    ),
    "cells that reach down": (
        "<table>" + "<tr>" + "<td colSpan = '90' rowspan=\"99\">x" * 20 + "<tr><td>y",
        Reason.TOO_MANY_CELLS,
    ),
    "cells between nested tables": (
        "<table><tr>" + "<td><table><tr><td>x</table>" * 2_000,
        Reason.TOO_MANY_CELLS,
    ),
    "one class": (f"<div class='{'a ' * 600_000}'>" + TEXT, Reason.TOO_MANY_ATTRIBUTES),
    "many ids": (f"<i id={'a' * 500}>" * 3_000 + TEXT, Reason.TOO_DEEP),
    "many classes": (f"<p class={'a' * 500}>" * 3_000 + TEXT, Reason.TOO_MANY_ATTRIBUTES),
    "text without end": ("<form>" + "words, and words. " * 200_000, Reason.TOO_LONG),
}

HARMLESS = {
    "voids": "<br><img src=x><hr>" * 9_000 + TEXT,
    "a table of data": "<table>" + ("<tr>" + "<td>12.5</td>" * 10 + "</tr>") * 1_500 + "</table>",
    "a layout of many rows": "<table>" + "<tr><td colspan=36>x<td rowspan=2>y" * 400,
    "a long picture": f"<img src='data:{'A' * 3_000_000}'>{TEXT}",
    "a long script": f"<script>{'a = 1; ' * 500_000}</script>{TEXT}",
    "elements that end by themselves": "<ul>" + "<li>one<p>two" * 2_000 + "</ul>" + TEXT,
    "rows and cells without ends": "<table>" + ("<tr>" + "<td>x" * 9) * 900 + "</table>",
    "self-closing shapes": "<svg>" + "<path d='M1 2'/><use href=x />" * 2_000 + "</svg>" + TEXT,
    "unclosed links": "<a name=x>" * 5_000 + TEXT,
    "tags in a script": "<script>var a = '" + "<div>" * 5_000 + "'</script>" + TEXT,
    "tags in a comment": "<!--" + "<div>" * 5_000 + "-->" + TEXT,
    "a long value": f"<div style='{'a b=c ' * 5_000}'>{TEXT}</div>",
    "an apostrophe in a tag": "<p class=it's><b>one</b></p>" * 900 + "<i data-x=it's>" + TEXT,
    "names with letters that re.IGNORECASE takes for others": "<ſtyle><scrıpt><TİTLE>" + TEXT,
    "no tags": "words " * 1_000,
    "nothing": "",
    "one run of text": "<p>" + "lorem ipsum, " * 150_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_page_over_a_limit_is_dropped(name):
    html, reason = HOSTILE[name]
    assert check_budgets(html, RULES).reason is reason


@pytest.mark.parametrize("name", HARMLESS)
def test_a_page_that_looks_worse_than_it_is_passes(name):
    assert check_budgets(HARMLESS[name], RULES) is None


# What takes more than linear time in these would take hours: the suite's time limit ends it.
@pytest.mark.parametrize(
    "piece",
    [
        *("<!--", "<a", "<a ", '<a b="', "<a b='", "<script>", "</script", "<a b=", "<p a=\"'"),
        *("=<", "<a/", "<td colspan=", "<td class=' ", "<td class=a ", "<td colspan   "),
    ],
)
def test_time_is_linear_in_the_page(piece):
    limits = replace(RULES, tags_max=1 << 30, depth_max=1 << 30, class_chars_max=1)
    check_budgets(piece * (2_000_000 // len(piece)), limits)


@pytest.mark.parametrize("piece", ["<br>", "<wbr>", "<img>", "<b></b>", "<!---->", "</p>", "<"])
def test_no_element_goes_uncounted(piece):
    page = piece * (RULES.tags_max // piece.count("<"))
    assert check_budgets(page, RULES) is None
    assert check_budgets(page + piece, RULES).reason is Reason.TOO_MANY_TAGS


@pytest.mark.parametrize(
    ("html", "cells"),
    [
        ("<p>none", (0, 0)),
        ("<table><tr><td>a<td>b<tr><td>c</table>", (9, 2)),
        ("<table><tr><td colspan=3>a<tr><td>c</table>", (13, 3)),
        ("<table><tr><td rowspan=2>a<td>b<tr><td>c</table>", (10, 3)),
        ("<table><tr><td>a<table><tr><th>x</table><td>b</table>", (9, 2)),
        ("<table><tr><td colspan=9999999999999999>a</table>", (300, 100)),
        ("<table><tr><td colspan=0>a</table>", (3, 1)),
    ],
)
def test_cells_are_as_wide_and_high_as_they_say(html, cells):
    names, attributes = zip(*_TAG.findall(html), strict=True)
    assert count_cells(names, attributes) == cells


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


SIGNS = ("<", "</", ">", "/>", "/", "=", '"', "'", " ", "\n", "\x1c", "x", "é", "\xa0", "\ud800")
TAGS = ("<div", "</DIV", "<td", "<TH>", "<table>", "</table>", "<ul ", "<br", "<p>", "<optgroup")
VALUES = (
    " a=",
    ' b="x y"',
    " c =' d ' ",
    "='",
    '= "',
    " colspan=",
    " RowSpan = 3",
    "spancolspan",
    "<figcaptionfigcaption",
)
MARKUP = st.lists(st.sampled_from([*SIGNS, *TAGS, *VALUES]), max_size=30).map("".join)


@pytest.mark.skipif(not compiled, reason="no compiler was at hand at the installation")
@given(MARKUP, st.booleans())
@example("""<p c='d e'="q w\"""", True)
def test_compiled_counts_of_tags_are_those_of_the_patterns(markup, closes):
    pieces = _TAG.split(markup)
    names, attributes = pieces[1::3], pieces[2::3]
    tags = zip(names, attributes, strict=True)
    nesting = [name for name, text in tags if not closes or text[-1:] != "/"]
    lengths = [*map(len, attributes)]
    cells = sum(name in _CELLS for name in names)
    has_spans = any(SPAN.search(text) for text in attributes)
    counted = (count_depth(nesting), sum(lengths), cells, has_spans)
    found = compiled.scan_tags(markup, closes)
    if found is None:
        assert not markup.isascii()
        return
    depth, longest, *others = found
    assert (depth, *others) == counted
    most = max((len(_ATTRIBUTE.findall(text)) for text in attributes), default=0)
    assert 2 * most - 1 <= longest <= max(lengths, default=0) or most == longest == 0


@pytest.mark.skipif(not compiled, reason="no compiler was at hand at the installation")
def test_a_long_value_is_no_crowd_of_attributes():
    words = "many words " * 99
    assert compiled.scan_tags(f'<meta name="x" content="{words}">', True)[1] < 20
    for crowd in (f'<p ="{words}">', f'<p a=b="{words}">', f'<p a= b ="{words}">'):
        assert compiled.scan_tags(crowd, True)[1] > len(words)


@pytest.mark.skipif(not compiled, reason="no compiler was at hand at the installation")
@pytest.mark.parametrize("name", HOSTILE)
def test_verdicts_are_the_same_without_the_compiled_module(name, monkeypatch):
    html, _ = HOSTILE[name]
    found = check_budgets(html, RULES)
    monkeypatch.setattr("pipeline.documents.budgets.compiled", None)
    assert check_budgets(html, RULES) == found
