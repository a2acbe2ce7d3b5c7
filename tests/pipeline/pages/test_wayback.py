"""The Wayback Machine as a source, against a server on loopback that answers as its API."""

import asyncio
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from wayback_machine import PAGE, Machine

from pipeline.errors import SettingsError, StageError
from pipeline.links.canonical import canonical, link_id
from pipeline.pages.archive.outcomes import Source
from pipeline.pages.archive.segments import Archive, Folder
from pipeline.pages.polite import Polite
from pipeline.pages.sources import LINKS, source
from pipeline.pages.warc import read_page, records
from pipeline.pages.wayback import check_count, collect
from pipeline.settings import PagesSettings, Settings, WaybackSettings

A, B = "http://a.com/a?x=1&y=%20z", "http://b.com/"
POST_S = 1_280_620_800  # 2010-08-01


class World:
    def __init__(self, folder, machine):
        self.folder, self.machine, self.lines = folder, machine, []

    def links(self, *urls, post_s=POST_S, hint_s=None):
        rows = [
            {
                "id": link_id(page.key),
                "key": page.key,
                "url": page.url,
                "first_post_s": post_s,
                "capture_hint_s": hint_s,
            }
            for page in map(canonical, urls)
        ]
        return pa.Table.from_pylist(rows, schema=LINKS)

    def collect(self, links, max_distance_days=0, **rules):
        given = {"url": self.machine.url, "delay_s": 0.0, "attempts": 2, **rules}
        settings = Settings(
            wayback=WaybackSettings(**given),
            pages=PagesSettings(max_distance_days=max_distance_days),
        )
        with Archive(Folder(self.folder / "archive"), self.folder / "scratch") as archive:
            work = collect(links, archive, settings, scratch=self.folder, tell=self.lines.append)
            return asyncio.run(work)

    def answers(self):
        tables = [pq.read_table(p) for p in sorted((self.folder / "archive").glob("*.parquet"))]
        return {row["url"]: row for row in (pa.concat_tables(tables).to_pylist() if tables else [])}

    def response(self, answer):
        path = self.folder / "archive" / answer["segment"]
        return read_page(path, answer["offset"], answer["length"], 1 << 20)


@pytest.fixture
def world(tmp_path):
    with Machine() as machine:
        yield World(tmp_path, machine)


def day_of(answer):
    return f"{datetime.fromtimestamp(answer['captured_s'], UTC):%Y-%m-%d}"


def test_the_capture_nearest_after_the_post_is_stored_as_it_was_received(world):
    world.machine.add(A, "2010-07-30")
    world.machine.add(A, "2010-08-09", Server="Apache", X_Robots_Tag="noai")
    world.machine.add(A, "2011-01-01")
    made = world.collect(world.links(A))
    (answer,) = world.answers().values()
    assert made.outcomes == {"captured": 1} and made.requests == 2
    assert (answer["source"], day_of(answer), answer["distance_s"] // 86_400) == (
        "wayback",
        "2010-08-09",
        8,
    )
    response = world.response(answer)
    assert response.body == PAGE and response.header("Server") == "Apache"
    assert response.header("Content-Type") == "text/html" and not response.header(
        "Memento-Datetime"
    )
    assert "-noai@header=noai" in answer["preferences"]
    asked = world.machine.requests
    assert asked[0].startswith(
        "/cdx/search/cdx?url=http%3A%2F%2Fa.com%2Fa%3Fx%3D1%26y%3D%2520z&output=json"
    )
    assert "from=20100801000000" in asked[0] and asked[1].endswith("id_/http://a.com/a?x=1&y=%20z")


def test_before_the_post_is_asked_where_nothing_comes_after(world):
    world.machine.add(A, "2009-01-01")
    world.machine.add(A, "2010-07-30")
    world.collect(world.links(A))
    assert day_of(world.answers()[A]) == "2010-07-30"
    assert [("from=" in r, "to=" in r) for r in world.machine.requests[:2]] == [
        (True, False),
        (False, True),
    ]


@pytest.mark.parametrize(
    ("hint", "chosen"),
    [("2010-07-30", "2010-07-30"), ("2010-07-29", "2010-07-30"), ("2010-08-08", "2010-08-09")],
)
def test_a_hinted_time_takes_the_nearest_on_either_side(world, hint, chosen):
    world.machine.add(A, "2010-07-30")
    world.machine.add(A, "2010-08-09")
    hint_s = int(datetime.fromisoformat(f"{hint}T12:00:00+00:00").timestamp())
    world.collect(world.links(A, post_s=POST_S + 10**8, hint_s=hint_s))
    assert day_of(world.answers()[A]) == chosen
    is_exact = hint == chosen
    assert len(world.machine.requests) == (2 if is_exact else 3)


def test_without_a_post_the_earliest_is_taken(world):
    world.machine.add(A, "2009-01-01")
    world.machine.add(A, "2010-07-30")
    world.collect(world.links(A, post_s=None))
    assert day_of(world.answers()[A]) == "2009-01-01"


def test_a_redirect_is_followed_and_both_records_are_stored(world):
    world.machine.add(A, "2010-08-02", 301, b"", Location="http://b.com/")
    world.machine.add(B, "2010-08-03")
    world.collect(world.links(A))
    answer = world.answers()[A]
    assert (answer["outcome"], answer["final_url"], answer["redirects"]) == ("captured", B, 1)
    path = next((world.folder / "archive").glob("*.warc.gz"))
    stored = [r.headers["warc-target-uri"] for r in records(path) if r.kind == "response"]
    assert stored == [A, B]


def test_a_page_before_the_post_is_better_than_a_redirect_after_it(world):
    world.machine.add(A, "2010-07-02")
    world.machine.add(A, "2010-08-02", 302, b"", Location="http://b.com/")
    world.collect(world.links(A))
    assert day_of(world.answers()[A]) == "2010-07-02"


def test_a_revisit_is_played_by_the_archive(world):
    world.machine.add(A, "2010-08-02")
    world.machine.captures[0].update(statuscode="-", mimetype="warc/revisit")
    world.collect(world.links(A))
    assert world.answers()[A]["outcome"] == "captured"


def test_an_archived_error_is_no_error_of_the_archive(world):
    world.machine.add(A, "2010-08-02", 429)
    world.machine.captures[0]["statuscode"] = "200"
    real = world.machine.cdx

    def cdx(query):
        rows = real(query)
        world.machine.captures[0]["statuscode"] = "429"
        return rows

    world.machine.cdx = cdx
    made = world.collect(world.links(A))
    assert world.answers()[A]["outcome"] == "status_error" and made.requests <= 4


def test_outcomes_without_a_page(world):
    world.machine.add("http://c.com/", "2010-08-02", 301, b"", Location="http://nowhere.com/")
    world.machine.add("http://d.com/", "2013-08-02")
    world.machine.add("http://e.com/", "2010-08-02", body=b"")
    world.machine.add("http://f.com/", "2010-08-02", Content_Type="image/png")
    urls = [A, *(f"http://{host}.com/" for host in "cdef")]
    world.collect(world.links(*urls), max_distance_days=30)
    found = [world.answers()[url]["outcome"] for url in urls]
    assert found == ["not_in_index", "redirect_lost", "too_far", "page_empty", "not_a_page"]


@pytest.mark.parametrize(
    "row",
    [
        ["20100802120000", "http://evil.com/", "text/html", "200", "X"],
        ["../../etc", A, "text/html", "200", "X"],
        ["20109902120000", A, "text/html", "200", "X"],
        ["20100802120000"],
        [None, 3, {}, [], ""],
    ],
)
def test_a_row_that_is_not_of_the_link_is_not_asked_for(world, row):
    names = ["timestamp", "original", "mimetype", "statuscode", "digest"]
    world.machine.cdx = lambda query: [names, row]
    world.collect(world.links(A))
    assert world.answers()[A]["outcome"] == "not_in_index"
    assert all(path.startswith("/cdx/") for path in world.machine.requests)


def test_playback_of_another_time_is_followed_and_of_another_page_is_not(world):
    world.machine.add(A, "2010-08-02")
    world.machine.faults = lambda path, count: (
        (302, {"Location": f"/web/20100802120000id_/{A}"}, b"") if count == 2 else None
    )
    world.collect(world.links(A))
    assert world.answers()[A]["outcome"] == "captured"
    world.machine.add(B, "2010-08-02")
    there = {"Location": "http://evil.com/web/20100802120000id_/http://evil.com/"}
    world.machine.faults = lambda path, count: (302, there, b"") if "id_" in path else None
    world.collect(world.links(B))
    assert world.answers()[B]["outcome"] == "index_wrong"


@pytest.mark.parametrize("body", [b"<html>sorry", b'{"a": 1}', b"[1, 2]"])
def test_an_answer_that_is_no_table_may_be_asked_for_again(world, body):
    world.machine.faults = lambda path, count: (200, {}, body)
    world.collect(world.links(A))
    assert world.answers()[A]["outcome"] == "range_failed"
    world.machine.faults = lambda path, count: None
    world.machine.add(A, "2010-08-02")
    assert world.collect(world.links(A)).outcomes == {"captured": 1}


def test_an_answer_that_never_ends_is_left_at_the_limit(world):
    world.machine.add(A, "2010-08-02", body=b"x" * 5000)
    world.collect(world.links(A), body_bytes_max=1000)
    assert world.answers()[A]["outcome"] == "body_too_large"


def test_a_site_that_the_archive_may_not_show_is_told(world):
    world.machine.add(A, "2010-08-02")
    blocked = {"X-Archive-Wayback-Runtime-Error": "AdministrativeAccessControlException: Blocked"}
    world.machine.faults = lambda path, count: (403, blocked, b"") if "id_" in path else None
    world.collect(world.links(A))
    answer = world.answers()[A]
    assert answer["outcome"] == "index_wrong" and "AdministrativeAccess" in answer["detail"]


def test_more_links_than_the_limit_are_refused_with_the_days_that_they_would_take():
    rules = WaybackSettings(links_max=5)
    check_count(5, rules)
    with pytest.raises(SettingsError, match=r"7,200 links .* 1.0 days.* wayback.links_max = 5"):
        check_count(7_200, rules)


def test_patience_that_is_asked_for_too_often_stops_and_the_next_run_goes_on(world):
    world.machine.add(B, "2010-08-02")
    busy = (429, {"Retry-After": "99"}, b"")
    world.machine.faults = lambda path, count: busy if count > 2 else None
    with pytest.raises(StageError, match="asks for patience"):
        world.collect(world.links(B, A), attempts=1)
    assert list(world.answers()) == [B]
    world.machine.faults = lambda path, count: None
    made = world.collect(world.links(B, A))
    assert made.known == 1 and world.answers()[A]["outcome"] == "not_in_index"


class Clock:
    def __init__(self):
        self.now, self.starts = 0.0, []

    async def sleep(self, seconds):
        self.now += seconds

    def __call__(self):
        return self.now


def test_a_request_begins_every_six_seconds_and_after_what_retry_after_says(world):
    clock = Clock()
    world.machine.faults = lambda path, count: (
        clock.starts.append(clock.now)
        or (
            (503, {"Retry-After": "40"}, b"")
            if count == 2
            else (503, {}, b"")
            if count == 4
            else (200, {}, b"")
        )
    )

    async def run():
        polite = Polite(world.machine.url, 6.0, 3, 5, sleep=clock.sleep, clock=clock)
        async with polite:
            for _ in range(4):
                assert (await polite.get("x", 10)).status == 200

    asyncio.run(run())
    assert clock.starts == [0, 6, 46, 52, 62, 68]


def test_the_default_is_six_seconds():
    assert WaybackSettings().delay_s == 6.0


def test_sources_are_found_by_their_names():
    assert source(Source.WAYBACK) is collect
    with pytest.raises(KeyError):
        source(Source.LIVE)
