import itertools
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.pages.capture import Capture
from pipeline.pages.follow import CAPTURED, ENDED, OPEN, VISIT, WALK, look_up, robots_key
from pipeline.settings import PREFERENCES

HOPS_MAX = 3


def walk(key="a.org/", **fields):
    row = dict.fromkeys(WALK.names)
    return {
        **row,
        **{"id": "1", "url": f"http://{key}", "key": key, "state": OPEN, "hops": 0},
        **{"redirects": [], "trail": [], "original_digest": "", "original_id": ""},
        **{"first_post_s": 1_000, **fields},
    }


def walked(captures, start, respect=PREFERENCES):
    """The end of a walk, its rounds before it found a page, and the places that it used."""
    by_key = {}
    for capture in captures:
        by_key.setdefault(capture.key, []).append(capture)
    rounds, used = 0, set()
    while start["state"] != ENDED:
        rounds += start["state"] == OPEN
        *visits, start = look_up(start, by_key.get(start["key"], []), HOPS_MAX, respect)
        assert all(visit["state"] == VISIT for visit in visits)
        used |= {visit["offset"] for visit in visits}
    return start, rounds, used


def chain(capture, *keys, end=True):
    """Redirects from key to key, a page at the last if `end`."""
    made = [
        capture(
            offset=n,
            key=key,
            url=f"http://{key}",
            kind="redirect",
            status=302,
            target_key=then,
            target_url=f"http://{then}",
        )
        for n, (key, then) in enumerate(itertools.pairwise(keys))
    ]
    return made + [capture(offset=99, key=keys[-1], url=f"http://{keys[-1]}")] * end


def test_a_page_at_the_link_itself_ends_the_walk_at_once(capture):
    end, rounds, used = walked([capture(offset=7)], walk())
    assert (end["outcome"], end["hops"], end["offset"], end["status"]) == (CAPTURED, 0, 7, 200)
    assert (end["final_url"], end["captured_s"], rounds, used) == ("http://a.org/", 1_000, 1, {7})


def test_redirects_are_followed_to_the_page_and_all_records_on_the_way_are_used(capture):
    end, rounds, used = walked(chain(capture, "a.org/", "b.org/", "c.org/"), walk())
    assert (end["outcome"], end["hops"], end["final_url"]) == (CAPTURED, 2, "http://c.org/")
    assert (rounds, used) == (3, {0, 1, 99})
    assert end["redirects"] == [
        {"url": "http://a.org/", "status": 302}, {"url": "http://b.org/", "status": 302},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "is_whole"), [("", True), ("all", True), ("cut", False), ("none", False)]
)
def test_a_page_tells_its_digest_and_whether_it_is_whole(capture, body, is_whole):
    end, _, _ = walked([capture(body=body, payload_digest="sha1:A", status=200)], walk())
    assert (end["payload_digest"], end["is_whole"], end["redirects"]) == ("sha1:A", is_whole, [])
    revisit = capture(offset=1, kind="revisit", status=0, payload_digest="sha1:A", captured_s=1_500)
    original = capture(body=body, payload_digest="sha1:A", captured_s=500)
    end, _, _ = walked([original, revisit], walk())
    assert (end["captured_s"], end["offset"]) == (1_500, 0)
    assert (end["payload_digest"], end["is_whole"]) == ("sha1:A", is_whole)


def test_a_link_without_a_page_tells_how_far_it_was_led(capture):
    end, _, _ = walked(chain(capture, "a.org/", "b.org/", end=False), walk())
    assert (end["outcome"], end["is_whole"]) == ("redirect_lost", None)
    assert end["redirects"] == [{"url": "http://a.org/", "status": 302}]


@pytest.mark.parametrize(
    ("keys", "end", "outcome", "detail"),
    [
        (["a.org/", "b.org/"], False, "redirect_lost", "to http://b.org/"),
        (["a.org/", "b.org/", "c.org/"], False, "redirect_lost", "to http://c.org/"),
        (["a.org/", "b.org/", "a.org/"], False, "redirect_loop", "back to http://a.org/"),
        (["a.org/", "1.org/", "2.org/", "3.org/"], True, "captured", ""),
        (
            ["a.org/", "1.org/", "2.org/", "3.org/", "4.org/"],
            True,
            "redirect_loop",
            "more than 3 redirects, the next one to http://4.org/",
        ),
    ],
)
def test_a_walk_that_does_not_arrive_tells_where_it_was_lost(capture, keys, end, outcome, detail):
    ended, _, _ = walked(chain(capture, *keys, end=end), walk())
    assert (ended["outcome"], ended["detail"].split(", at")[0]) == (outcome, detail)


def test_an_error_behind_a_redirect_names_the_url_that_gave_it(capture):
    made = [*chain(capture, "a.org/", "b.org/", end=False)]
    made.append(capture(offset=5, key="b.org/", url="http://b.org/", status=404))
    ended, _, used = walked(made, walk())
    assert (ended["outcome"], ended["detail"]) == ("status_error", "status 404, at http://b.org/")
    assert used == {0, 5}


def test_a_url_without_captures_was_not_captured(capture):
    ended, rounds, used = walked([], walk())
    assert (ended["outcome"], rounds, used) == ("not_captured", 1, set())


def test_a_revisit_takes_its_bytes_from_the_original_at_another_url(capture):
    revisit = capture(
        offset=1, kind="revisit", status=0, target_key="b.org/", payload_digest="A", captured_s=50
    )
    wrong = capture(offset=2, key="b.org/", payload_digest="B")
    right = capture(offset=3, key="b.org/", url="http://b.org/", payload_digest="A")
    ended, _, used = walked([revisit, wrong, right], walk())
    assert (ended["outcome"], ended["offset"], used) == (CAPTURED, 3, {1, 3})
    assert (ended["final_url"], ended["captured_s"]) == ("http://a.org/", 50)
    ended, _, used = walked([revisit, wrong], walk())
    assert (ended["outcome"], used) == ("revisit_lost", {1, -1})


def test_a_revisit_takes_its_bytes_from_the_record_that_it_names(capture):
    revisit = capture(
        offset=1, kind="revisit", status=0, target_key="b.org/", refers_to="it", captured_s=50
    )
    near = capture(offset=2, key="b.org/", captured_s=1_000)
    named = capture(offset=3, key="b.org/", captured_s=9, record_id="it")
    ended, _, used = walked([revisit, near, named], walk())
    assert (ended["outcome"], ended["offset"], used) == (CAPTURED, 3, {1, 3})
    assert (ended["final_url"], ended["captured_s"]) == ("http://a.org/", 50)


def test_a_chain_of_revisits_is_followed_and_what_was_seen_is_the_first(capture):
    def revisit(offset, key, there, **fields):
        url, values = f"http://{key}", {"kind": "revisit", "status": 0, "target_key": there}
        return capture(offset=offset, key=key, url=url, **values, **fields)

    first = revisit(1, "a.org/", "b.org/", refers_to="r2", captured_s=50)
    second = revisit(2, "b.org/", "c.org/", record_id="r2", refers_to="it")
    original = capture(offset=3, key="c.org/", url="http://c.org/", record_id="it")
    ended, rounds, used = walked([first, second, original], walk())
    assert (ended["outcome"], ended["offset"], rounds, used) == (CAPTURED, 3, 3, {1, 2, 3})
    assert (ended["final_url"], ended["captured_s"]) == ("http://a.org/", 50)
    back = revisit(3, "c.org/", "a.org/", record_id="it", refers_to="r1")
    ended, _, _ = walked([first, second, back], walk())
    assert ended["outcome"] == "redirect_loop"


def test_the_capture_hint_is_nearer_than_the_post(capture):
    made = [capture(offset=1, captured_s=1_001), capture(offset=2, captured_s=495)]
    assert walked(made, walk())[0]["offset"] == 1
    assert walked(made, walk(capture_hint_s=500))[0]["offset"] == 2


def robots(capture, *lines, **fields):
    told = {"kind": "robots", "fault": "not_a_page", "preferences": "\n".join(lines)}
    return capture(offset=50, key="a.org/robots.txt", **told, **fields)


def told(capture, target, **fields):
    """What a source said of the link: that it has its page, by a redirect to `target`."""
    more = {"kind": "answer", "mime": "captured", "target_key": target, **fields}
    return capture(offset=70, warc="told.warc", **more)


def test_the_redirect_by_which_a_source_came_to_its_page_is_followed_before_a_nearer_one(capture):
    lost = chain(capture, "a.org/", "b.org/", end=False)
    led = chain(partial(capture, captured_s=9_000, warc="led.warc"), "a.org/", "c.org/")
    end, _, used = walked([*lost, *led], walk())
    assert end["outcome"] == "redirect_lost"
    end, _, used = walked([*lost, *led, told(capture, "c.org/")], walk())
    assert (end["outcome"], end["final_url"], used) == (CAPTURED, "http://c.org/", {0, 70, 99})
    assert end["warc"] == "led.warc"
    # One that nobody can follow here, or that is told of another link's way, hides nothing.
    end, _, _ = walked([*lost, told(capture, "c.org/")], walk())
    assert end["outcome"] == "redirect_lost"


def test_a_page_at_the_end_of_a_redirect_is_better_than_a_cut_one_where_a_source_says_so(capture):
    cut, whole = capture(offset=5, body="cut"), capture(offset=6, captured_s=1)
    led = chain(partial(capture, warc="led.warc"), "a.org/", "c.org/")
    assert walked([cut, *led], walk())[0]["offset"] == 5
    assert walked([cut, *led, told(capture, "c.org/")], walk())[0]["offset"] == 99
    assert walked([cut, whole, *led, told(capture, "c.org/")], walk())[0]["offset"] == 6


DISALLOW = ("User-agent: *", "Disallow: /")


def test_a_robots_txt_of_the_archive_is_looked_up_by_the_host_of_the_page():
    assert robots_key("https://www.a.org/x?y") == robots_key("http://a.org") == "a.org/robots.txt"
    assert robots_key("http://a.org:8080/x") == "a.org:8080/robots.txt"


def test_a_page_that_its_robots_txt_disallows_is_found_and_not_taken(capture):
    page = capture(offset=1, preferences="header,meta")
    ended, _, used = walked([page, robots(capture, *DISALLOW)], walk())
    assert (ended["outcome"], ended["detail"]) == ("robots_disallowed", "disallow (robots.txt)")
    assert (ended["final_url"], used) == ("http://a.org/", {1, 50})
    said = "robots.txt,header,meta -robots@robots.txt=disallow"
    assert ended["preferences"] == said
    ended, _, used = walked([page, robots(capture, *DISALLOW)], walk(), {"noai"})
    assert (ended["outcome"], ended["preferences"], used) == (CAPTURED, said, {1, 50})


def test_without_a_robots_txt_in_the_archive_what_it_said_is_unknown(capture):
    ended, _, _ = walked([capture(offset=1, preferences="header,meta")], walk())
    assert (ended["outcome"], ended["preferences"]) == (CAPTURED, "header,meta")


def test_the_robots_txt_that_is_nearest_to_the_capture_counts(capture):
    page = capture(offset=1, captured_s=1_000)
    free = robots(capture, captured_s=900)
    later = [
        robots(capture, *DISALLOW, captured_s=at, warc=f"{at}.warc") for at in (700, 1_101, None)
    ]
    assert walked([page, *later, free], walk())[0]["outcome"] == CAPTURED
    assert walked([page, *later], walk())[0]["outcome"] == "robots_disallowed"


def test_what_a_page_asks_is_its_own_and_that_of_the_revisit_that_repeats_it(capture):
    asks = "header,meta -noai@meta=noai"
    ended, _, used = walked([capture(offset=1, preferences=asks)], walk())
    assert (ended["outcome"], ended["detail"], used) == ("noai", "noai (meta)", {1})
    page = capture(offset=1, key="b.org/", url="http://b.org/", payload_digest="A")
    revisit = capture(
        **{"offset": 2, "kind": "revisit", "status": 0, "target_key": "b.org/"},
        **{"payload_digest": "A", "preferences": "header -tdm@header=1"},
    )
    ended, _, used = walked([page, revisit], walk())
    assert (ended["outcome"], ended["final_url"], used) == ("tdm_reserved", "http://a.org/", {1, 2})


def test_what_a_redirect_says_is_not_said_of_the_page(capture):
    made = chain(capture, "a.org/", "b.org/")
    made[0] = replace(made[0], preferences="header -noai@header=noai")
    assert walked(made, walk())[0]["outcome"] == CAPTURED


def test_a_link_to_a_robots_txt_leads_to_no_page(capture):
    ended, _, _ = walked([robots(capture, detail="text/plain")], walk("a.org/robots.txt"))
    assert (ended["outcome"], ended["detail"]) == ("not_a_page", "text/plain")


KEYS = ["a.org/", "b.org/", "c.org/", "d.org/", "e.org/", "f.org/"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(KEYS),
            st.sampled_from(KEYS),
            st.sampled_from(["response", "redirect", "revisit"]),
            st.sampled_from([200, 301, 404, 0]),
            st.sampled_from(["", "A", "B"]),
        ),
        max_size=20,
    )
)
def test_every_walk_ends_in_bounded_rounds_with_one_outcome(made):
    captures = [
        Capture(
            f"r{n}", key, f"http://{key}", kind, "w", n, 1, status, "text/html", n, digest,
            target, f"http://{target}", "", "",
        )
        for n, (key, target, kind, status, digest) in enumerate(made)
    ]  # fmt: skip
    ended, rounds, used = walked(captures, walk())
    assert rounds <= HOPS_MAX + 1
    assert ended["hops"] == len(ended["redirects"]) == rounds - 1
    assert used <= {*range(len(captures)), -1}
    if ended["outcome"] == CAPTURED:
        assert captures[ended["offset"]].kind == "response"
        assert ended["offset"] in used
