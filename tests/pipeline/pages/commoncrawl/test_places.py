"""A folder, a bucket on S3 and an https server give the same answers from the same crawl."""

import pytest
import s3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import WebtextError
from pipeline.links.canonical import canonical
from pipeline.pages.capture import Capture, capture_of
from pipeline.pages.follow import ENDED, VISIT, WALK, look_up
from pipeline.pages.warc import records
from tools.demo.common_crawl import Form

URLS = [f"http://{host}/{path}" for host in ("a.com", "www.b.org", "c.co.uk") for path in "xyz"]
CRAWLS = ("CC-MAIN-2014-10", "CC-MAIN-2014-15")
POST_S = 1_393_632_000  # 2014-03-01


def upload(server, folder, prefix):
    files = server.files()
    for path in folder.rglob("*"):
        if path.is_file():
            name = f"{server.bucket}/{prefix}/{path.relative_to(folder).as_posix()}"
            with files.open_output_stream(name, compression=None) as stream:
                stream.write(path.read_bytes())


def make(world):
    for crawl in CRAWLS:
        month = crawl[-2:-1]
        world.crawl(
            [
                *(world.page(url, f"2014-0{month}-03T00:00:00Z") for url in URLS[::2]),
                world.page(URLS[1], http={"status": 301, "body": b"", "location": URLS[0]}),
                world.page("http://a.com/robots.txt", http={"status": 404}),
            ],
            crawl,
        )


def content(world):
    """What does not hang on when and where an answer was written."""
    left_out = ("answered_s", "segment", "offset")
    return {
        url: {name: value for name, value in row.items() if name not in left_out}
        for url, row in world.answers().items()
    }


def test_all_places_give_the_same_answers(world, https, server):
    make(world)
    upload(server, world.place, "crawls")
    links = world.links(*URLS, post_s=POST_S)
    given_places = {
        "folder": {},
        "https": {"place": https.url, "ca_file": https.ca_file, "crawls": CRAWLS},
        "s3": {"place": server.uri("crawls")},
        "index here, captures in the bucket": {"warcs": server.uri("crawls")},
    }
    found = {}
    for name, rules in given_places.items():
        world.archive_folder = world.folder / name
        made = world.collect(links, **rules)
        found[name] = content(world)
        assert made.outcomes.total() == len(URLS), name
    assert len({str(answers) for answers in found.values()}) == 1
    assert found["s3"][URLS[1]]["outcome"] == "captured"


def test_a_bucket_needs_few_requests_a_page(world, server):
    make(world)
    upload(server, world.place, "few")
    with s3.Proxy(server.port) as proxy:
        made = world.collect(world.links(*URLS), place=server.uri("few", proxy.port))
        count = proxy.count()
    assert made.outcomes["captured"] == 6
    # Per file of the index its size, its end and at most three reads; per WARC file size and reads.
    assert count["GET"] <= made.requests + 5 and count["HEAD"] <= 20


@pytest.mark.parametrize("fault", ["403", "503"])
def test_a_bucket_that_refuses_is_told_with_what_may_help(world, server, fault):
    make(world)
    upload(server, world.place, "refused")
    with (
        s3.Proxy(server.port, all_with=fault) as proxy,
        pytest.raises(WebtextError, match="credentials"),
    ):
        world.collect(
            world.links(*URLS), place=server.uri("refused", proxy.port), crawls=CRAWLS, attempts=2
        )


def test_a_bucket_that_fails_now_and_then_gives_all_pages(world, server):
    make(world)
    upload(server, world.place, "shaky")
    with s3.Proxy(server.port, share=0.05, seed=3) as proxy:
        world.collect(
            world.links(*URLS[::2]),
            place=server.uri("shaky", proxy.port),
            crawls=CRAWLS,
            attempts=8,
        )
    assert set(world.outcomes().values()) == {"captured"}


STEPS = st.lists(
    st.tuples(
        st.sampled_from(URLS[:4]),
        st.integers(1, 28),
        st.sampled_from(["page", "page", "cut", "image", "404", "to 0", "to 1", "to 2", "empty"]),
    ),
    min_size=1,
    max_size=9,
)


def record_of(world, url, day, kind):
    date = f"2014-03-{day:02}T00:00:00Z"
    more = {"WARC_Truncated": "length"} if kind == "cut" else {}
    http = {
        "image": {"content_type": "image/png"},
        "404": {"status": 404},
        "empty": {"body": b""},
    }.get(kind, {})
    if kind.startswith("to"):
        http = {"status": 302, "body": b"", "location": URLS[int(kind[-1])]}
    return world.page(url, date, http=http, **more)


def walked(captures: list[Capture], key: str) -> dict:
    """The outcome that the stage `pages` would give: the captures in a WARC file of the user's."""
    row = {
        **dict.fromkeys(WALK.names, ""),
        "key": key, "hops": 0, "redirects": [], "trail": [], "capture_hint_s": None,
        "first_post_s": POST_S, "state": "open",
    }  # fmt: skip
    while row["state"] != ENDED:
        here = [capture for capture in captures if capture.key == row["key"]]
        (row,) = (each for each in look_up(row, here, 5, ()) if each["state"] != VISIT)
    return row


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS, late=st.booleans())
def test_the_captures_are_those_that_the_stage_would_choose_from_all(worlds, steps, late):
    world = worlds()
    made = [record_of(world, *step) for step in dict.fromkeys(steps)]
    world.crawl(made, form=Form(late_columns=late))
    links = world.links(*URLS[:4], post_s=POST_S)
    world.collect(links)
    path = world.maker.folder / f"{CRAWLS[0]}.warc.gz"
    captures = [c for r in records(path) if isinstance(c := capture_of(r, "w"), Capture)]
    names = {"truncated": "captured", "page_empty": "captured", "not_in_index": "not_captured"}
    for url, answer in world.answers().items():
        expected = walked(captures, canonical(url).key)
        assert names.get(answer["outcome"], answer["outcome"]) == expected["outcome"]
        if expected["outcome"] == "captured":
            assert answer["captured_s"] == expected["captured_s"]
            assert (answer["final_url"] or url) == canonical(expected["final_url"]).url
