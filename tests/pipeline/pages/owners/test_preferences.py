from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.pages.owners.preferences import (
    PLACES,
    PLACES_OF,
    REASON_OF,
    Preferences,
    Statement,
    merged,
    of_page,
    of_robots_txt,
    of_tdmrep,
    verdict,
)
from pipeline.pages.owners.robots import RobotsTxt
from pipeline.pages.owners.tdm import TdmRules
from pipeline.reasons import Reason
from pipeline.settings import PREFERENCES

URL = "https://example.com/a"


def meta(name, content):
    return f'<html><head><meta name="{name}" content="{content}"></head>'.encode()


@pytest.mark.parametrize(
    ("headers", "head", "found"),
    [
        ([], None, "header"),
        ([], b"<p>noai", "header,meta"),
        ([("X-Robots-Tag", "noindex")], b"", "header,meta"),
        ([("X-Robots-Tag", "noai")], None, "header -noai@header=noai"),
        ([("x-robots-tag", "a: noai"), ("X-ROBOTS-TAG", "noai")], None, "header -noai@header=noai"),
        ([], meta("robots", "noai"), "header,meta -noai@meta=noai"),
        ([], meta("gptbot", "NOAI"), "header,meta -noai@meta=noai"),
        ([], meta("robots", "noimageai"), "header,meta -noimageai@meta=noimageai"),
        ([], b"<!-- " + meta("robots", "noai") + b" -->", "header,meta"),
        ([], meta("robots", "noai").decode().encode("utf-16"), "header,meta -noai@meta=noai"),
        ([("tdm-reservation", "1")], None, "header -tdm@header=1"),
        ([("TDM-Reservation", "0")], None, "header +tdm@header=0"),
        ([("TDM-Reservation", "1"), ("TDM-Reservation", "1")], None, "header -tdm@header=1"),
        ([("TDM-Reservation", "2")], None, "header"),
        ([], meta("TDM-reservation", "1"), "header,meta -tdm@meta=1"),
        ([("Content-Usage", "train-ai=n")], None, "header -content_usage@header=train-ai=n"),
        (
            [("Content-Usage", "train-ai=n"), ("Content-Usage", "search=y")],
            None,
            "header -content_usage@header=train-ai=n",
        ),
        ([("Content-Usage", "train-ai=y")], None, "header +content_usage@header=train-ai=y"),
        ([("Content-Usage", "search=n")], None, "header"),
    ],
)
def test_a_page_says_what_its_headers_and_its_meta_elements_say(headers, head, found):
    assert str(of_page(tuple(headers), head)) == found


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ([], "robots.txt"),
        (["User-agent: *", "Disallow: /"], "robots.txt -robots@robots.txt=disallow"),
        (["User-agent: *", "Disallow: /b"], "robots.txt"),
        (["User-agent: GPTBot", "Disallow: /"], "robots.txt -ai_agents@robots.txt=GPTBot"),
        (
            [
                *("User-agent: GPTBot", "User-agent: CCBot", "User-agent: ClaudeBot"),
                *("User-agent: Bytespider", "User-agent: other", "Disallow: /"),
            ],
            "robots.txt -ai_agents@robots.txt=GPTBot+ClaudeBot+CCBot+1",
        ),
        (
            ["User-agent: *", "Content-Signal: search=yes, ai-train=no"],
            "robots.txt -content_signal@robots.txt=ai-train=no",
        ),
        (
            ["User-agent: *", "Content-Signal: ai-train=yes"],
            "robots.txt +content_signal@robots.txt=ai-train=yes",
        ),
        (["User-agent: *", "Content-Signal: ai-input=no"], "robots.txt"),
        (
            [  # what is said to those who train is said to us
                *("User-agent: *", "Content-Signal: ai-train=yes"),
                *("User-agent: GPTBot", "Content-Signal: ai-train=no"),
            ],
            "robots.txt -content_signal@robots.txt=ai-train=no",
        ),
        (
            ["User-agent: *", "Content-Usage: train-ai=n", "Content-Usage: /b train-ai=y"],
            "robots.txt -content_usage@robots.txt=train-ai=n",
        ),
        (
            ["User-agent: *", "Content-Usage: train-ai=n", "Content-Usage: /a train-ai=y"],
            "robots.txt +content_usage@robots.txt=train-ai=y",
        ),
    ],
)
def test_a_robots_txt_says_several_things(lines, found):
    assert str(of_robots_txt(RobotsTxt("\n".join(lines).encode()), URL)) == found


def test_a_later_place_of_a_reservation_holds_against_an_earlier_one_and_absence_does_not():
    file = of_tdmrep(TdmRules((("/", True),)), URL)
    free = of_page((("tdm-reservation", "0"),), meta("tdm-reservation", "x"))
    held = of_page((("tdm-reservation", "0"),), meta("tdm-reservation", "1"))
    assert [p.state("tdm") for p in (file, free, held)] == ["forbidden", "allowed", "forbidden"]
    assert merged(file, free).state("tdm") == "allowed"
    assert merged(file, held).state("tdm") == "forbidden"
    assert merged(file, of_page((), b"")).state("tdm") == "forbidden"


def test_other_preferences_forbid_where_any_place_forbids():
    robots = of_robots_txt(RobotsTxt(b"User-agent: *\nContent-Usage: train-ai=n"), URL)
    page = of_page((("Content-Usage", "train-ai=y"),), None)
    assert page.state("content_usage") == "allowed"
    assert merged(page, robots).state("content_usage") == "forbidden"


def test_what_was_not_looked_at_is_unknown_and_no_permission():
    page = of_page((), b"")
    assert {kind: page.state(kind) for kind in PREFERENCES} == {
        "robots": "unknown",
        "ai_agents": "unknown",
        "noai": "unsaid",
        "noimageai": "unsaid",
        "tdm": "unknown",
        "content_signal": "unknown",
        "content_usage": "unknown",
    }
    everything = merged(page, of_robots_txt(RobotsTxt(b""), URL), of_tdmrep(TdmRules(), URL))
    assert {everything.state(kind) for kind in PREFERENCES} == {"unsaid"}
    assert {Preferences().state(kind) for kind in PREFERENCES} == {"unknown"}
    assert verdict(page) is verdict(everything) is verdict(Preferences()) is None


@pytest.mark.parametrize("kind", PREFERENCES)
def test_each_preference_has_a_reason_and_holds_only_while_it_is_respected(kind):
    where = PLACES_OF[kind][0]
    found = Preferences(frozenset({where}), (Statement(kind, where, "x", True),))
    drop = verdict(found)
    assert drop is not None
    assert (drop.reason, drop.detail) == (REASON_OF[kind], f"x ({where})")
    assert verdict(found, (kind,)) == drop
    assert verdict(found, set(PREFERENCES) - {kind}) is None
    assert verdict(found, ()) is None


def test_the_first_preference_that_forbids_is_the_reason():
    page = of_page((("X-Robots-Tag", "noai"), ("tdm-reservation", "1")), None)
    assert verdict(page).reason is Reason.NOAI
    assert verdict(page, ("tdm", "robots")).reason is Reason.TDM_RESERVED


STATEMENTS = st.builds(
    Statement,
    st.sampled_from(PREFERENCES),
    st.sampled_from(PLACES),
    st.text("ab=/.+-@", min_size=1, max_size=8),
    st.booleans(),
)
FOUND = st.builds(
    lambda seen, statements: merged(Preferences(seen | {"header"}, tuple(statements))),
    st.frozensets(st.sampled_from(PLACES)),
    st.lists(STATEMENTS, max_size=4),
)


@given(FOUND)
def test_what_is_written_is_read_as_it_was(found):
    assert Preferences.read(str(found)) == found


@given(FOUND, FOUND)
def test_merging_depends_on_no_order_and_forgets_nothing_that_forbids(one, other):
    both = merged(one, other)
    assert both == merged(other, one) == merged(both, one)
    for kind, part in product(set(PREFERENCES) - {"tdm"}, (one, other)):
        if part.state(kind) == "forbidden":
            assert both.state(kind) == "forbidden"


@pytest.mark.parametrize("text", ["", "meta", "x,meta ?a -noai@nowhere=1 -no@meta=1 noai"])
def test_what_another_version_wrote_is_passed_over(text):
    assert Preferences.read(text).statements == ()
