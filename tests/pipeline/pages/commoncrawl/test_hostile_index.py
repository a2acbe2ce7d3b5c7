"""Rows of an index that lie: each ends in one named outcome, and nothing outside is touched."""

import gzip

import pytest

from tools.demo.common_crawl import Form, write_index

A, B = "http://a.com/a", "http://b.com/b"
CRAWL = "CC-MAIN-2014-10"


@pytest.fixture
def lying(world):
    """Writes a crawl with a page, whose row says something else."""

    def write(form=None, **claims):
        rows = world.crawl([world.page(A), world.page(B)])
        row = next(row for row in rows if row["url"] == A)
        row.update(claims)
        subsets = {"warc": rows, "crawldiagnostics": [], "robotstxt": []}
        write_index(world.place, CRAWL, subsets, form or Form())
        return row

    return write


@pytest.mark.parametrize(
    "name",
    [
        *("../outside.warc.gz", "/etc/hostname", "crawl-data/../../outside.warc.gz"),
        *("https://other.example/x.warc.gz", "//other.example/x", "a\\..\\b", "a?b=c", "", "a/./b"),
        *("crawl-data/%2e%2e/x", "crawl-data/x y", "crawl-data/none.warc.gz", "crawl-data"),
    ],
)
@pytest.mark.parametrize("kind", ["folder", "https"])
def test_a_file_name_never_leads_out_of_the_place(world, https, lying, name, kind):
    (world.folder / "outside.warc.gz").write_bytes(gzip.compress(world.page(A)))
    lying(warc_filename=name)
    rules = {
        "folder": {},
        "https": {"place": https.url, "ca_file": https.ca_file, "crawls": (CRAWL,)},
    }
    world.collect(world.links(A, B), **rules[kind])
    assert world.outcomes() == {A: "index_wrong", B: "captured"}
    asked = {path for path, _ in https.requests}
    assert not any(".." in path or "other.example" in path or "%" in path for path in asked)


@pytest.mark.parametrize(
    ("claims", "outcome", "told"),
    [
        ({"warc_record_offset": -5}, "index_wrong", "at -5"),
        ({"warc_record_length": 0}, "index_wrong", "0 bytes"),
        ({"warc_record_length": -1}, "index_wrong", "-1 bytes"),
        ({"warc_record_length": 2**31 - 1}, "body_too_large", "record_bytes_max"),
        ({"warc_record_offset": 2**31 - 1}, "index_wrong", "ends before byte"),
        ({"warc_record_offset": 1}, "index_wrong", "no gzip member starts here"),
        ({"warc_record_length": 50}, "index_wrong", "goes on after the length"),
        ({"content_digest": "A" * 32}, "digest_mismatch", "AAAA"),
        ({"content_digest": None}, "captured", ""),
        ({"content_digest": "not a digest"}, "digest_mismatch", "not a digest"),
        ({"fetch_time": None}, "captured", ""),
        ({"content_mime_type": None}, "captured", ""),
        ({"content_mime_type": "image/png"}, "not_a_page", "image/png"),
        ({"fetch_status": 404}, "status_error", "404"),
        ({"fetch_status": None}, "status_error", "0"),
        ({"fetch_status": 301, "fetch_redirect": "http://b.com/b"}, "captured", ""),
        ({"fetch_status": 301, "fetch_redirect": "http://[::bad"}, "captured", ""),
        ({"content_truncated": "length"}, "captured", ""),
        ({"url_surtkey": None}, "captured", ""),
    ],
)
def test_each_lie_has_its_outcome(world, lying, claims, outcome, told):
    lying(**claims)
    world.collect(world.links(A))
    assert world.outcomes() == {A: outcome}
    assert told in world.answers()[A]["detail"]


def test_a_length_that_takes_the_next_record_too_is_wrong(world, lying):
    row = lying()
    lying(warc_record_length=row["warc_record_length"] + 10)
    world.collect(world.links(A, B))
    assert world.outcomes() == {A: "index_wrong", B: "captured"}


def test_a_record_of_another_url_is_not_taken(world):
    rows = world.crawl([world.page(A), world.page(B)])
    places = [(row["warc_record_offset"], row["warc_record_length"]) for row in rows]
    for row, (offset, length) in zip(rows, reversed(places), strict=True):
        row.update(warc_record_offset=offset, warc_record_length=length, content_digest=None)
    write_index(world.place, CRAWL, {"warc": rows}, Form())
    world.collect(world.links(A, B))
    assert world.outcomes() == {A: "index_wrong", B: "index_wrong"}
    assert "lies where the index has" in world.answers()[A]["detail"]


def test_a_capture_that_is_not_right_loses_its_place_to_the_next_best(world):
    rows = world.crawl([world.page(A, f"2014-0{month}-01T00:00:00Z") for month in (3, 4, 5)])
    rows[0]["content_digest"] = "B" * 32
    rows[1]["warc_filename"] = "../x"
    write_index(world.place, CRAWL, {"warc": rows}, Form())
    world.collect(world.links(A, post_s=1_393_632_000))
    assert world.outcomes() == {A: "captured"}
    assert world.answers()[A]["distance_s"] == 61 * 86_400


def test_a_url_with_endless_wrong_captures_is_given_up(world, https):
    rows = world.crawl([world.page(A, f"2014-03-{day:02}T00:00:00Z") for day in range(1, 20)])
    for row in rows:
        row["content_digest"] = "B" * 32
    write_index(world.place, CRAWL, {"warc": rows}, Form())
    world.collect(
        world.links(A), place=https.url, ca_file=https.ca_file, crawls=(CRAWL,), gap_bytes=0,
        read_bytes_max=1,
    )  # fmt: skip
    assert world.outcomes() == {A: "digest_mismatch"}
    assert len([path for path, _ in https.requests if path.endswith(".warc.gz")]) == 5


def test_a_record_that_unpacks_to_gigabytes_is_left_at_the_limit(world):
    bomb = gzip.compress(b"WARC/1.1\r\n\r\n" + b"\0" * (40 << 20))
    rows = world.crawl([world.page(A)])
    (world.place / "bomb.warc.gz").write_bytes(bomb)
    rows[0].update(warc_filename="bomb.warc.gz", warc_record_offset=0, warc_record_length=len(bomb))
    write_index(world.place, CRAWL, {"warc": rows}, Form())
    world.collect(world.links(A))
    assert world.outcomes() == {A: "body_too_large"}


@pytest.mark.parametrize(
    ("fault", "outcome", "requests"),
    [
        ("short", "range_failed", 3),
        (500, "range_failed", 3),
        ("elsewhere", "range_failed", 3),
        ("endless", "range_failed", 3),
        ("whole", "index_wrong", 1),
        ("shifted", "index_wrong", 1),
        (404, "index_wrong", 1),
    ],
)
def test_a_server_that_fails_on_captures_gives_one_outcome(world, https, fault, outcome, requests):
    world.crawl([world.page(A, http={"body": bytes(range(65, 91)) * 40})])
    https.faults = lambda path, wanted, count: fault if path.endswith(".warc.gz") else None
    rules = {"place": https.url, "ca_file": https.ca_file, "crawls": (CRAWL,)}
    # A whole file that is no larger than the range is what was asked for.
    path = next(world.place.rglob("*.warc.gz"))
    path.write_bytes(path.read_bytes() + b"more")
    world.collect(world.links(A), **rules)
    assert world.outcomes() == {A: outcome}
    assert len([p for p, _ in https.requests if p.endswith(".warc.gz")]) == requests
    https.faults = lambda path, wanted, count: None
    world.collect(world.links(A), **rules)
    is_final = outcome != "range_failed"
    assert world.outcomes() == {A: outcome if is_final else "captured"}


def test_a_capture_that_cannot_be_read_today_is_not_replaced_by_a_farther_one(world, https):
    world.crawl([world.page(A, f"2014-0{month}-01T00:00:00Z") for month in (3, 8)])
    first = next(world.place.rglob("*.warc.gz")).name

    def fault(path, wanted, count):
        return 500 if path.endswith(first) and "bytes=0-" in wanted else None

    https.faults = fault
    rules = {"place": https.url, "ca_file": https.ca_file, "crawls": (CRAWL,), "gap_bytes": 0}
    links = world.links(A, post_s=1_393_632_000)
    world.collect(links, read_bytes_max=1, **rules)
    assert world.outcomes() == {A: "range_failed"}
    https.faults = lambda path, wanted, count: None
    world.collect(links, **rules)
    assert world.answers()[A]["distance_s"] == 0


@pytest.mark.parametrize("status", [403, 429, 503])
def test_a_server_that_asks_for_patience_now_and_then_gives_all_pages(world, https, status):
    urls = [f"http://h{number}.com/" for number in range(12)]
    world.crawl([world.page(url) for url in urls])
    https.faults = lambda path, wanted, count: status if count % 5 == 0 else None
    world.collect(
        world.links(*urls), place=https.url, ca_file=https.ca_file, crawls=(CRAWL,), gap_bytes=0,
        read_bytes_max=1, attempts=6,
    )  # fmt: skip
    assert set(world.outcomes().values()) == {"captured"}


def test_a_list_of_index_files_names_none_outside_of_its_crawl(world, https):
    world.crawl([world.page(A)])
    paths = world.place / f"crawl-data/{CRAWL}/cc-index-table.paths.gz"
    names = gzip.decompress(paths.read_bytes()).decode()
    hostile = "../x.parquet\nhttps://other.example/subset=warc/x.parquet\n/etc/x.parquet\n"
    hostile += f"cc-index/table/cc-main/warc/crawl={CRAWL}/subset=warc/../../x.parquet\n"
    paths.write_bytes(gzip.compress((hostile + names).encode()))
    world.collect(world.links(A), place=https.url, ca_file=https.ca_file, crawls=(CRAWL,))
    assert world.outcomes() == {A: "captured"}
    assert not any("x.parquet" in path for path, _ in https.requests)


def test_a_list_of_index_files_that_is_damaged_is_an_error(world, https):
    from pipeline.errors import InputError, SettingsError

    world.crawl([world.page(A)])
    rules = {"place": https.url, "ca_file": https.ca_file}
    with pytest.raises(SettingsError, match="nothing can be listed over https"):
        world.collect(world.links(A), **rules)
    paths = world.place / f"crawl-data/{CRAWL}/cc-index-table.paths.gz"
    paths.write_bytes(b"\x1f\x8b\x08" + b"\0" * 40)
    with pytest.raises(InputError, match="damaged"):
        world.collect(world.links(A), crawls=(CRAWL,), **rules)
