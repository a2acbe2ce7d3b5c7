import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.pages.capture import Capture
from pipeline.pages.choose import Elsewhere, Found, Nothing, Search, choose, is_page
from pipeline.reasons import Reason

POST = 1_000


@pytest.mark.parametrize(
    ("times", "chosen"),
    [
        ([900, 1_100], 1_100),
        ([900, 990], 990),
        ([5_000, 1_001, 999], 1_001),
        ([1_000, 1_001], 1_000),
        ([None, 10], 10),
        ([None], None),
        ([None, 9_999], 9_999),
    ],
)
def test_the_page_nearest_after_the_post_is_taken_else_the_nearest_before(capture, times, chosen):
    made = [capture(offset=n, captured_s=time) for n, time in enumerate(times)]
    assert choose(made, Search(POST)).capture.captured_s == chosen


def test_a_link_to_a_capture_of_an_archive_gets_the_nearest_on_either_side(capture):
    made = [capture(offset=1, captured_s=990), capture(offset=2, captured_s=1_020)]
    assert choose(made, Search(POST, exact=True)).capture.offset == 1


def test_ties_go_to_the_smaller_record_id_then_to_the_place(capture):
    made = [capture(record_id="b", offset=1), capture(record_id="a", offset=2)]
    assert choose(made, Search(POST)).capture.record_id == "a"
    made = [capture(record_id="a", warc="y"), capture(record_id="a", warc="x")]
    assert choose(made, Search(POST)).capture.warc == "x"


def test_a_page_far_away_is_better_than_a_redirect_and_that_than_an_error(capture):
    page = capture(offset=1, captured_s=90_000)
    redirect = capture(offset=2, kind="redirect", status=301, target_key="b.org/")
    error = capture(offset=3, status=404)
    assert choose([error, redirect, page], Search(POST)) == Found(page, page)
    assert choose([error, redirect], Search(POST)) == Elsewhere(redirect)
    assert choose([error], Search(POST)) == Nothing(Reason.STATUS_ERROR, "status 404", error)


def test_a_whole_page_then_a_cut_one_then_a_redirect_then_an_empty_one_then_an_error(capture):
    made = [
        capture(offset=1, captured_s=9),
        capture(offset=2, status=206, body="all", captured_s=8),
        capture(offset=3, body="cut"),
        capture(offset=4, kind="redirect", status=301, target_key="b.org/"),
        capture(offset=5, body="none"),
        capture(offset=6, fault="unreadable", detail="it is segment 1"),
    ]
    chosen = [choose(made[first:], Search(POST)).capture.offset for first in range(len(made))]
    assert chosen == [1, 2, 3, 4, 5, 6]
    assert choose(made[5:], Search(POST)).reason is Reason.UNREADABLE


def test_of_the_originals_of_a_revisit_a_whole_one_is_taken(capture):
    cut = capture(offset=1, captured_s=900, payload_digest="A", body="cut")
    whole = capture(offset=2, captured_s=100, payload_digest="A")
    revisit = capture(offset=3, kind="revisit", status=0, payload_digest="A")
    assert choose([cut, whole, revisit], Search(POST)) == Found(revisit, whole)
    other = capture(offset=4, captured_s=5_000)
    assert choose([cut, other, revisit], Search(POST)) == Found(other, other)


def test_a_revisit_repeats_the_record_that_it_names_before_any_other(capture):
    named = capture(offset=1, captured_s=900, payload_digest="A", record_id="it")
    nearer = capture(offset=2, captured_s=950, payload_digest="B")
    for payload in ("", "B", "sha256:unknown"):
        revisit = capture(
            offset=3, kind="revisit", status=0, payload_digest=payload, refers_to="it"
        )
        assert choose([named, nearer, revisit], Search(POST)) == Found(revisit, named)
    untold = capture(offset=3, kind="revisit", status=0, refers_to="not here")
    assert choose([named, nearer, untold], Search(POST)) == Found(untold, nearer)
    there = capture(offset=3, kind="revisit", status=0, refers_to="x", target_key="b.org/")
    assert choose([there], Search(POST)) == Elsewhere(there)


def test_the_original_is_asked_for_by_its_id_then_by_its_payload(capture):
    near = capture(offset=1, payload_digest="A")
    right = capture(offset=2, captured_s=9, record_id="it")
    asked = Search(POST, digest="A", record_id="it")
    assert choose([near, right], asked) == Found(right, right)
    assert choose([near], asked) == Found(near, near)
    leads = capture(offset=3, kind="redirect", record_id="it", target_key="b.org/")
    assert choose([leads, near], asked) == Elsewhere(leads)
    moved = capture(offset=3, kind="redirect", status=301, record_id="it", target_key="b.org/")
    assert choose([moved], asked).reason is Reason.REVISIT_LOST


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"status": 500}, Reason.STATUS_ERROR),
        ({"status": 301}, Reason.STATUS_ERROR),  # without a Location that can be read
        ({"status": 206}, Reason.STATUS_ERROR),
        ({"fault": "not_a_page", "detail": "image/png"}, Reason.NOT_A_PAGE),
        ({"fault": "unreadable", "status": 0}, Reason.UNREADABLE),
        ({"kind": "revisit", "status": 0}, Reason.REVISIT_LOST),
        ({"kind": "revisit", "status": 200, "target_key": "a.org/"}, Reason.REVISIT_LOST),
        ({"kind": "revisit", "status": 404}, Reason.STATUS_ERROR),
        ({"kind": "redirect", "status": 301, "target_key": "a.org/"}, Reason.REDIRECT_LOST),
    ],
)
def test_without_a_page_the_reason_is_told(capture, fields, reason):
    answer = choose([capture(**fields)], Search(POST))
    assert (type(answer), answer.reason) == (Nothing, reason)


def test_a_redirect_to_the_same_key_gives_way_to_every_other_capture(capture):
    back = capture(offset=1, kind="redirect", status=301, target_key="a.org/")
    image = capture(offset=2, fault="not_a_page", captured_s=9)
    assert choose([back, image], Search(POST)).reason is Reason.NOT_A_PAGE
    page = capture(offset=3, captured_s=9)
    assert choose([back, image, page], Search(POST)) == Found(page, page)


def test_no_capture_is_not_captured(capture):
    assert choose([], Search(POST)) == Nothing(Reason.NOT_CAPTURED, "", None)


def test_a_revisit_gives_the_bytes_of_the_last_page_before_it_with_its_payload(capture):
    old = capture(offset=1, captured_s=100, payload_digest="sha1:A")
    other = capture(offset=2, captured_s=200, payload_digest="sha1:B")
    revisit = capture(offset=3, captured_s=POST, kind="revisit", payload_digest="sha1:A")
    assert choose([old, other, revisit], Search(POST)) == Found(revisit, old)
    untold = capture(offset=4, captured_s=POST, kind="revisit", status=0)
    assert choose([old, other, untold], Search(POST)) == Found(untold, other)
    late = capture(offset=5, captured_s=2_000)
    assert choose([late, untold], Search(POST)) == Found(untold, late)


def test_a_revisit_of_another_url_leads_there(capture):
    revisit = capture(kind="revisit", status=0, payload_digest="sha1:A", target_key="b.org/")
    assert choose([revisit], Search(POST)) == Elsewhere(revisit)


def test_the_original_of_a_revisit_is_asked_for_by_its_payload(capture):
    near = capture(offset=1, payload_digest="sha1:B")
    right = capture(offset=2, captured_s=9, payload_digest="sha1:A")
    assert choose([near, right], Search(POST, digest="sha1:A")) == Found(right, right)
    assert choose([near], Search(POST, digest="sha1:A")).reason is Reason.REVISIT_LOST
    assert choose([], Search(POST, digest="sha1:A")).reason is Reason.REVISIT_LOST


def revisit_of(capture, offset, record_id, refers_to, **fields):
    values = {"kind": "revisit", "status": 0, "refers_to": refers_to, **fields}
    return capture(offset=offset, record_id=record_id, **values)


def test_a_revisit_of_a_revisit_repeats_what_that_one_repeats(capture):
    page = capture(offset=1, record_id="o", captured_s=9)
    nearer = capture(offset=2, record_id="n", captured_s=900)
    first = revisit_of(capture, 3, "r1", "o", captured_s=5_000)
    second = revisit_of(capture, 4, "r2", "r1", payload_digest="sha1:unknown")
    found = choose([page, nearer, first, second], Search(POST))
    assert (found.capture.offset, found.page) == (4, page)
    there = revisit_of(capture, 5, "r1", "o", target_key="b.org/", captured_s=5_000)
    assert choose([there, second], Search(POST)).capture.target_key == "b.org/"


def test_revisits_that_name_each_other_are_lost_and_no_loop(capture):
    first = revisit_of(capture, 1, "r1", "r2", payload_digest="A")
    second = revisit_of(capture, 2, "r2", "r1", payload_digest="A")
    itself = revisit_of(capture, 3, "r3", "r3", payload_digest="A")
    for made in ([first, second], [itself], [first, second, itself]):
        assert choose(made, Search(POST)).reason is Reason.REVISIT_LOST


def test_a_search_goes_on_from_a_revisit_that_has_the_record_id_or_the_payload(capture):
    by_id = revisit_of(capture, 1, "r1", "o", target_key="b.org/")
    by_payload = revisit_of(capture, 2, "r2", "", payload_digest="sha1:A", target_key="c.org/")
    other = capture(offset=3, payload_digest="sha1:B")
    asked = Search(POST, digest="sha1:A", record_id="r1")
    assert choose([by_id, by_payload, other], asked) == Elsewhere(by_id)
    assert choose([by_payload, other], asked) == Elsewhere(by_payload)
    same = capture(offset=4, payload_digest="sha1:A")
    assert choose([by_id, by_payload, same], asked) == Found(same, same)


captures = st.lists(
    st.builds(
        Capture,
        record_id=st.sampled_from("abc"),
        key=st.just("a.org/"),
        url=st.just("http://a.org/"),
        kind=st.sampled_from(["response", "revisit", "redirect"]),
        warc=st.sampled_from("xy"),
        offset=st.integers(0, 9),
        length=st.just(1),
        status=st.sampled_from([0, 200, 206, 301, 404]),
        mime=st.just("text/html"),
        captured_s=st.none() | st.integers(0, 20),
        payload_digest=st.sampled_from(["", "sha1:A", "sha1:B"]),
        target_key=st.sampled_from(["", "a.org/", "b.org/"]),
        target_url=st.just(""),
        fault=st.sampled_from(["", "", "unreadable", "not_a_page"]),
        detail=st.just(""),
        body=st.sampled_from(["", "", "cut", "none", "all"]),
        refers_to=st.sampled_from(["", "a", "c"]),
    ),
    max_size=6,
    unique_by=lambda capture: capture.place,
)


@given(captures, st.none() | st.integers(0, 20), st.booleans(), st.randoms())
def test_the_answer_to_a_search_does_not_depend_on_the_order(made, time_s, has_id, chance):
    search = Search(time_s, digest="sha1:A", record_id="a" if has_id else "")
    shuffled = random.Random(chance.random()).sample(made, len(made))
    assert choose(shuffled, search) == choose(made, search)


@given(captures, st.none() | st.integers(0, 20), st.booleans(), st.randoms())
def test_the_answer_does_not_depend_on_the_order_of_captures(made, time_s, exact, chance):
    search = Search(time_s, exact)
    shuffled = random.Random(chance.random()).sample(made, len(made))
    answer = choose(made, search)
    assert choose(shuffled, search) == answer
    bodies = [page.body for page in made if is_page(page)]
    if "" in bodies or "all" in bodies:
        assert answer.page.body in ("", "all")
    elif "cut" in bodies:
        assert answer.page.body == "cut"
