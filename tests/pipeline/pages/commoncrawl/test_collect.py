"""Links go to a crawl and come back with pages: the choice, redirects, faults, resumption."""

import asyncio
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.errors import InputError, SettingsError, StageError
from pipeline.links.canonical import canonical
from pipeline.pages.archive.outcomes import Answer, Outcome, Source
from pipeline.pages.archive.segments import Archive, Folder
from pipeline.pages.commoncrawl import collect as module
from pipeline.pages.warc import records
from pipeline.settings import CommonCrawlSettings, Settings
from tools.demo.common_crawl import Form

A, B, C = "http://a.com/a", "http://b.com/b", "http://www.c.com/c/"
DAY = 86_400
POST_S = 1_393_632_000  # 2014-03-01


def test_pages_of_links_come_with_all_that_is_recorded_of_them(world):
    world.crawl([world.page(A), world.page(C, "2014-03-04T00:00:00Z"), world.page("http://d.com/")])
    made = world.collect(world.links(A, C, "http://a.com/none", post_s=POST_S))
    assert made.outcomes == {"captured": 2, "not_in_index": 1} and made.known == 0
    found = world.answers()["http://www.c.com/c/"]
    assert (found["source"], found["status"], found["distance_s"]) == ("commoncrawl", 200, 3 * DAY)
    assert found["payload_digest"].startswith("sha1:") and found["is_final"]
    assert world.response(found).body == b"<html><body><p>Hello</p></body></html>"
    none = world.answers()["http://a.com/none"]
    assert none["detail"] == "[asked: 2014: 10]" and none["segment"] == ""


def test_the_record_is_stored_as_it_was(world):
    world.crawl([world.page(A, record_id="<urn:uuid:1>")])
    world.collect(world.links(A))
    path = next(world.archive_folder.glob("*.warc.gz"))
    (stored,) = (record for record in records(path) if record.kind == "response")
    assert stored.headers["warc-record-id"] == "<urn:uuid:1>"
    assert stored.headers["warc-date"] == "2014-03-01T00:00:00Z"


@pytest.mark.parametrize(
    ("dates", "post", "hint", "chosen"),
    [
        (("2014-01-01", "2014-03-02", "2014-03-09"), POST_S, None, "2014-03-02"),
        (("2014-01-01", "2014-02-02"), POST_S, None, "2014-02-02"),
        (("2014-01-01", "2014-02-20", "2014-05-09"), POST_S, POST_S, "2014-02-20"),
        (("2014-03-02", "2014-01-01"), None, None, "2014-01-01"),
    ],
)
def test_the_capture_nearest_after_the_post_is_chosen_or_nearest_to_the_hint(
    world, dates, post, hint, chosen
):
    world.crawl([world.page(A, f"{date}T00:00:00Z") for date in dates])
    world.collect(world.links(A, post_s=post, hint_s=hint))
    (found,) = world.answers().values()
    assert f"{datetime.fromtimestamp(found['captured_s'], UTC):%Y-%m-%d}" == chosen


def test_a_nearer_capture_of_another_crawl_is_chosen(world):
    world.crawl([world.page(A, "2014-06-01T00:00:00Z")], "CC-MAIN-2014-23")
    world.crawl([world.page(A, "2014-04-01T00:00:00Z")], "CC-MAIN-2014-15")
    world.collect(world.links(A, post_s=POST_S))
    assert world.answers()[A]["distance_s"] == 31 * DAY


def test_captures_beyond_the_limit_of_days_do_not_count(world):
    world.crawl([world.page(A, "2014-03-20T00:00:00Z"), world.page(B, "2014-03-05T00:00:00Z")])
    world.collect(world.links(A, B, post_s=POST_S), max_distance_days=10)
    assert world.outcomes() == {A: "too_far", B: "captured"}


def test_a_cut_page_is_taken_only_where_there_is_no_whole_one(world):
    cut = {"WARC_Truncated": "length"}
    world.crawl(
        [
            world.page(A, **cut),
            world.page(A, "2014-09-01T00:00:00Z"),
            world.page(B, **cut),
        ]
    )
    world.collect(world.links(A, B, post_s=POST_S))
    assert world.outcomes() == {A: "captured", B: "truncated"}
    assert world.answers()[A]["distance_s"] > 100 * DAY
    assert "length" in world.answers()[B]["detail"] and world.answers()[B]["segment"]


@pytest.mark.parametrize("late", [True, False])
def test_an_index_without_the_late_columns_gives_the_same_from_the_records(world, late):
    world.crawl(
        [
            world.page(A, WARC_Truncated="length"),
            world.page(A, "2014-04-01T00:00:00Z"),
            world.page(B, http={"status": 301, "body": b"", "location": C}),
            world.page(C),
            world.page("http://e.com/", http={"status": 302, "body": b"", "location": "/x"}),
        ],
        form=Form(late_columns=late),
    )
    world.collect(world.links(A, B, "http://e.com/", post_s=POST_S))
    assert world.outcomes() == {A: "captured", B: "captured", "http://e.com/": "redirect_lost"}
    assert world.answers()[A]["distance_s"] == 31 * DAY
    found = world.answers()[B]
    assert (found["final_url"], found["redirects"]) == ("http://www.c.com/c/", 1)
    stored = [
        record.headers["warc-target-uri"]
        for path in world.archive_folder.glob("*.warc.gz")
        for record in records(path)
        if record.kind == "response"
    ]
    assert {B, C, "http://e.com/"} <= set(stored), "the way is in the archive"


def test_redirects_that_go_in_a_circle_or_on_and_on_end(world):
    def leads(here, there):
        return world.page(here, http={"status": 301, "body": b"", "location": there})

    many = [leads(f"http://m.com/{n}", f"http://m.com/{n + 1}") for n in range(8)]
    world.crawl([leads(A, B), leads(B, A), *many, leads("http://s.com/", "https://www.s.com/")])
    world.collect(world.links(A, "http://m.com/0", "http://s.com/"))
    assert world.outcomes() == {
        A: "redirect_loop",
        "http://m.com/0": "redirect_loop",
        "http://s.com/": "redirect_lost",
    }
    assert "more than 5 redirects" in world.answers()["http://m.com/0"]["detail"]


def test_a_redirect_to_the_same_key_does_not_hide_the_page(world):
    world.crawl(
        [
            world.page(
                "http://s.com/p", http={"status": 301, "body": b"", "location": "https://s.com/p"}
            ),
            world.page("https://s.com/p", "2014-05-01T00:00:00Z"),
        ]
    )
    world.collect(world.links("http://s.com/p", post_s=POST_S))
    assert world.outcomes() == {"http://s.com/p": "captured"}


def test_errors_and_what_is_no_page_are_outcomes(world):
    world.crawl(
        [
            world.page(A, http={"status": 404}),
            world.page(B, http={"content_type": "image/png", "body": b"png"}),
            world.page("http://e.com/empty", http={"body": b""}),
        ]
    )
    world.collect(world.links(A, B, "http://e.com/empty"))
    assert world.outcomes() == {
        A: "status_error",
        B: "not_a_page",
        "http://e.com/empty": "page_empty",
    }


def test_robots_txt_of_the_time_of_the_capture_is_stored_and_read(world):
    def robots(text, date, **http):
        answer = {"content_type": "text/plain", "body": text, **http}
        return world.page("http://a.com/robots.txt", date, http=answer)

    world.crawl(
        [
            world.page(A),
            robots(b"User-agent: *\nDisallow: /", "2014-02-27T00:00:00Z"),
            robots(b"User-agent: *\nAllow: /", "2014-05-01T00:00:00Z"),
            world.page(B),
            world.page("http://b.com/robots.txt", http={"status": 404}),
            world.page(C, http={"body": b"<meta name=robots content=noai><p>x"}),
        ]
    )
    world.collect(world.links(A, B, C))
    told = {url: row["preferences"] for url, row in world.answers().items()}
    assert told[A] == "robots.txt,header,meta -robots@robots.txt=disallow"
    assert told[B] == "robots.txt,header,meta"
    assert told[C] == "header,meta -noai@meta=noai"
    kinds = [
        r.headers.get("warc-target-uri")
        for p in world.archive_folder.glob("*.gz")
        for r in records(p)
    ]
    assert kinds.count("http://a.com/robots.txt") == 1


def test_without_robots_their_subset_is_not_read(world):
    world.crawl([world.page(A), world.page("http://a.com/robots.txt", http={"status": 404})])
    world.collect(world.links(A), robots=False)
    assert world.answers()[A]["preferences"] == "header,meta"
    assert any("1 of 1 row groups in 1 files" in line for line in world.lines)


def test_a_link_is_not_asked_for_twice_and_a_further_crawl_only_for_what_is_missing(world):
    world.crawl([world.page(A), world.page(C, http={"status": 500})])
    links = world.links(A, B, C)
    world.collect(links)
    again = world.collect(links)
    assert (again.known, again.outcomes) == (3, {})
    assert again.requests == 1, "the list of crawls"
    world.crawl([world.page(B), world.page(A), world.page(C)], "CC-MAIN-2015-06")
    world.lines.clear()
    more = world.collect(links)
    assert more.outcomes == {"captured": 2} and more.known == 1
    assert not any(line.startswith("CC-MAIN-2014-10") for line in world.lines)


def test_links_that_another_source_has_a_page_of_are_not_asked_for(world):
    world.crawl([world.page(A)])
    page = canonical(A)
    links = world.links(A)
    answer = Answer(
        links["id"][0].as_py(), page.key, A, Source.LIVE, Outcome.CAPTURED, answered_s=1
    )
    with Archive(Folder(world.archive_folder), world.folder / "scratch") as archive:
        archive.add(answer)
    assert world.collect(links).known == 1


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_batches_of_any_size_give_the_same_answers(world, size):
    urls = [f"http://{host}.com/{path}" for host in "abcde" for path in "xyz"]
    pages = [world.page(url) for url in urls[::2]]
    moved = [
        world.page(u, http={"status": 302, "body": b"", "location": urls[0]}) for u in urls[1::4]
    ]
    world.crawl(pages + moved)
    world.collect(world.links(*urls), batch_links=size)
    expected = dict.fromkeys(urls, "not_in_index") | dict.fromkeys(urls[::2], "captured")
    assert world.outcomes() == expected | dict.fromkeys(urls[1::4], "captured")


FORMS = {
    "sorted": Form(rows_in_group=3),
    "zipped": Form(rows_in_group=3, is_sorted=False),
    "no bounds": Form(rows_in_group=3, bounds=False),
    "one group": Form(files=1, compression="snappy"),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_an_index_of_any_form_gives_the_same_and_says_what_it_reads(world, form):
    urls = [f"http://h{number:02}.com/p" for number in range(20)]
    world.crawl([world.page(url) for url in urls], form=form)
    wanted = [*urls[::5], "http://h03.com/none", "http://h03a.com/none"]
    world.collect(world.links(*wanted), robots=False)
    assert world.outcomes() == {u: "captured" if u in urls else "not_in_index" for u in wanted}
    assert any("row groups in" in line and "to read" in line for line in world.lines)
    assert any("tell no bounds" in line for line in world.lines) == (not form.bounds)
    if form is FORMS["sorted"]:
        assert any(
            "4 of 8 row groups" in line or "5 of 8 row groups" in line for line in world.lines
        )


def test_columns_that_no_link_needs_are_not_read(world):
    urls = [f"http://h{number:02}.com/p" for number in range(400)]
    world.crawl([world.page(url) for url in urls], form=Form(rows_in_group=100, files=1))
    none = world.collect(world.links("http://h10a.com/x", "http://nowhere.org/"), robots=False)
    some = world.collect(world.links("http://h10.com/none"), robots=False)
    every = world.collect(world.links("http://h10.com/p"), robots=False)
    assert none.read_bytes < some.read_bytes < every.read_bytes


def test_a_crawl_that_is_not_there_is_an_error_with_its_mend(world):
    with pytest.raises(SettingsError, match="has no index"):
        world.collect(world.links(A))
    with pytest.raises(InputError, match="CC-MAIN-2011-01 has no columnar index here"):
        world.collect(world.links(A), crawls=("CC-MAIN-2011-01",))
    with pytest.raises(SettingsError, match="no name of a crawl"):
        world.collect(world.links(A), crawls=("../x",))


def test_a_damaged_file_of_the_index_is_an_error_and_no_link_is_answered(world):
    world.crawl([world.page(A)], form=Form(files=1))
    path = next(world.place.rglob("subset=warc/*.parquet"))
    whole = path.read_bytes()
    for damaged in (
        b"",
        whole[:-4],
        whole[: len(whole) // 2],
        b"\0" * len(whole[:-800]) + whole[-800:],
    ):
        path.write_bytes(damaged)
        with pytest.raises(InputError) as error:
            world.collect(world.links(A))
        assert ".parquet" in str(error.value) and world.answers() == {}
    path.write_bytes(whole)
    assert world.collect(world.links(A)).outcomes == {"captured": 1}


def test_a_table_of_another_schema_is_refused(world):
    world.crawl([world.page(A)], form=Form(files=1))
    path = next(world.place.rglob("subset=warc/*.parquet"))
    pq.write_table(pa.table({"url": [A]}), path)
    with pytest.raises(InputError, match="no column warc_filename"):
        world.collect(world.links(A))
    table = pa.table(
        {
            "url": [A],
            "warc_filename": ["x"],
            "warc_record_offset": ["many"],
            "warc_record_length": [1],
        }
    )
    pq.write_table(table, path)
    with pytest.raises(InputError, match="warc_record_offset"):
        world.collect(world.links(A))


def test_a_place_that_begins_to_refuse_stops_the_work_and_the_next_run_goes_on(
    world, https, monkeypatch
):
    monkeypatch.setattr(module, "_CHUNK_LINKS", 2)
    pages = [
        world.page(f"http://h{n}.com/", http={"body": b"x" * 40 + bytes([65 + n])})
        for n in range(6)
    ]
    world.crawl(pages)
    links = world.links(*(f"http://h{n}.com/" for n in range(6)))
    rules = {"place": https.url, "ca_file": https.ca_file, "crawls": ("CC-MAIN-2014-10",)}
    seen = []

    def banned(path, wanted, count):
        seen.append(path)
        return 403 if path.endswith(".warc.gz") and len(seen) > 14 else None

    https.faults = banned
    with pytest.raises(StageError, match="refuses to be read"):
        world.collect(links, **rules, gap_bytes=0, read_bytes_max=1, connections=1)
    assert 0 < len(world.answers()) < 6
    https.faults = lambda path, wanted, count: None
    world.collect(links, **rules)
    assert set(world.outcomes().values()) == {"captured"}


def test_an_interrupted_batch_does_not_read_the_index_again(world, https, monkeypatch):
    world.crawl([world.page(A), world.page(B)])
    rules = {"place": https.url, "ca_file": https.ca_file, "crawls": ("CC-MAIN-2014-10",)}

    def killed(choices):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module, "_chunks", killed)
        with pytest.raises(KeyboardInterrupt):
            world.collect(world.links(A, B), **rules)
    https.requests.clear()
    world.collect(world.links(A, B), **rules)
    assert set(world.outcomes().values()) == {"captured"}
    assert not any(".parquet" in path for path, _ in https.requests)
    kept = world.folder / "rows" / "commoncrawl"
    assert list(kept.iterdir()) == [], "what it needs no more is gone"


def test_a_plan_is_told_from_footers_alone(world, https):
    world.crawl([world.page(f"http://h{number:02}.com/") for number in range(30)])
    settings = Settings(
        commoncrawl=CommonCrawlSettings(
            place=https.url, ca_file=https.ca_file, crawls=("CC-MAIN-2014-10",), robots=False
        )
    )
    plan = asyncio.run(module.planned(world.links("http://h03.com/", "http://no.org/"), settings))
    assert (plan.files, plan.groups, plan.groups_of) == (2, 1, 2)
    assert 0 < plan.bytes_min < plan.bytes_max < plan.bytes_of
    assert all("bytes=-" in wanted for _, wanted in https.requests)
