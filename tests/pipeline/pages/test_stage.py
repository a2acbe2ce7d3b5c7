from collections import Counter
from dataclasses import dataclass, replace
from functools import partial

import pyarrow as pa
import pytest
from reading import drops_of, kept_paths, manifest_of, tables_of

from pipeline.engine.build import Build
from pipeline.engine.stage import Part, Stage, Step
from pipeline.engine.task import run_part
from pipeline.errors import InputError, StageError
from pipeline.inputs import input_names
from pipeline.links.canonical import canonical, link_id
from pipeline.pages.capture import Capture, capture_in
from pipeline.pages.stage import pages_stage
from pipeline.pages.warc import records
from pipeline.records import LINK, PAGE
from pipeline.settings import EngineSettings, PagesSettings

POST_S = 1_367_366_400  # 2013-05-01


def link(url, verdict="kept", **fields):
    page = canonical(url)
    row = {
        **{"id": link_id(page.key), "key": page.key, "url": page.url, "via": ""},
        **{"karma_max": 7, "karma_sum": 9, "karma_first": 2, "posts": 3, "first_post_s": POST_S},
        **{"subreddit": "test", "over_18": False, "verdict": verdict},
    }
    return {**dict.fromkeys(LINK.names), **row, **fields}


@dataclass(frozen=True)
class Links:
    """Stands in for the stage `links`: these rows."""

    rows: tuple

    def __call__(self, part, out):
        out.write_rows(self.rows)
        kept = sum(row["verdict"] == "kept" for row in self.rows)
        out.book("links", rows_in=kept, rows_out=kept)


def links_stage(rows):
    parts = [Part(0, "links", "00", {})]
    step = Step("links", 1, lambda: parts, Links(tuple(rows)), LINK, runs="items")
    return Stage("links", "links", (step,))


@pytest.fixture
def inline(monkeypatch):
    """Parts are done here and now: no Beam, no processes."""
    monkeypatch.setattr(
        Build, "run_parts", lambda self, task, parts: [run_part(task, part) for part in parts]
    )


RULES = PagesSettings(hops_max=2)  # fewer rounds than by default: each is a step of the engine


def build(folder, rows, paths, rules=RULES, buckets=2, gates=None):
    engine = EngineSettings(buckets=buckets, workers=2, free_disk_min_bytes=1)
    with Build(folder, engine, quiet=True) as made:
        made.run(links_stage(rows))
        stage = pages_stage(rules, input_names(paths), made.files.digest)
        output = made.run(stage)
        if gates is not None:
            gates += made.gates
        return output


def table_of(output):
    return pa.concat_tables(tables_of(output))


@pytest.fixture
def archive(maker):
    """A WARC with every outcome of a link and of a record."""
    page, record = maker.http(), maker.record
    moved = partial(maker.http, 301)
    after = {"date": "2013-06-01T00:00:00Z"}
    return maker.write(
        [
            record("", b"software: x", kind="warcinfo"),
            record("http://page.org/", b"GET / HTTP/1.1", kind="request"),
            record("http://page.org/", page, date="2012-01-01T00:00:00Z"),
            record("https://www.page.org", page, **after),
            record("http://page.org/", maker.http(404), **after),
            record("http://moved.org/", moved(location="/there")),
            record("http://moved.org/there", page),
            record("http://lost.org/", moved(location="http://nowhere.org/")),
            record("http://loop.org/a", moved(location="/b")),
            record("http://loop.org/b", moved(location="/a")),
            record("http://error.org/", maker.http(500)),
            record("http://again.org/", page, WARC_Payload_Digest="A", date="2013-01-01"),
            record("http://again.org/", kind="revisit", WARC_Payload_Digest="A", **after),
            record("http://gone.org/", kind="revisit", WARC_Payload_Digest="A"),
            record("http://image.org/", maker.http(content_type="image/png")),
            record("http://broken.org/", b"not http"),
            record("http://unlinked.org/", page),
        ]
    )


OUTCOMES = {
    "http://page.org/": ("captured", "https://www.page.org/", 0),
    "http://moved.org/": ("captured", "http://moved.org/there", 1),
    "http://lost.org/": ("redirect_lost", None, 1),
    "http://loop.org/a": ("redirect_loop", None, 1),
    "http://error.org/": ("status_error", None, 0),
    "http://again.org/": ("captured", "http://again.org/", 0),
    "http://gone.org/": ("revisit_lost", None, 0),
    "http://image.org/": ("not_a_page", None, 0),
    "http://broken.org/": ("unreadable", None, 0),
    "http://nothing.org/": ("not_captured", None, 0),
}
ROWS = [*map(link, OUTCOMES), link("http://unlinked.org/", "karma_low")]


def test_every_kept_link_gets_one_outcome_and_every_record_one_too(inline, archive, tmp_path):
    output = build(tmp_path / "build", ROWS, [archive])
    rows = table_of(output).to_pylist()
    assert {r["url"]: (r["outcome"], r["final_url"], r["hops"]) for r in rows} == OUTCOMES
    assert len(rows) == len(OUTCOMES)
    assert output.ledgers["pages"].rows_out == 3
    drops = drops_of(output)
    lost = {url: outcome for url, (outcome, _, _) in OUTCOMES.items() if outcome != "captured"}
    assert {row["url"]: row["reason"] for row in drops if row["unit"] == "links"} == lost

    ledger = output.ledgers["records"]
    reasons = {"not_a_page": 3, "unreadable": 1, "other_capture": 2, "not_linked": 1}
    assert (ledger.rows_in, ledger.rows_out, ledger.drops) == (17, 10, Counter(reasons))
    of_records = [row for row in drops if row["unit"] == "records"]
    assert len(of_records) == ledger.dropped
    (unlinked,) = [row for row in of_records if row["reason"] == "not_linked"]
    assert unlinked["url"] == "http://unlinked.org/"


@pytest.mark.slow
def test_the_stage_runs_through_the_engine(archive, tmp_path):
    output = build(tmp_path / "build", ROWS, [archive], PagesSettings(hops_max=1))
    assert output.ledgers["pages"].rows_out == 3
    assert output.ledgers["records"].rows_in == 17


def test_a_revisit_is_followed_by_the_id_of_its_record_alone(inline, maker, tmp_path):
    revisit = partial(maker.record, kind="revisit", date="2013-06-01")
    first = maker.write(
        [
            revisit("http://a.org/", WARC_Refers_To="<urn:x:1>", WARC_Payload_Digest="A"),
            revisit("http://b.org/", WARC_Refers_To="<urn:x:1>"),
            revisit("http://lost.org/", WARC_Refers_To="<urn:x:9>"),
            revisit("http://self.org/", WARC_Refers_To="<urn:x:8>", record_id="<urn:x:8>"),
            revisit("http://bare.org/", WARC_Refers_To="URN:UUID:A1", record_id="urn:x:2"),
            revisit("http://chain.org/", WARC_Refers_To="<urn:x:2>", record_id="<urn:x:3>"),
            maker.record("http://plain.org/", maker.http()),
        ],
        name="1.warc.gz",
    )
    original = maker.record("http://c.org/", maker.http(), record_id="<urn:x:1>")
    copied = maker.record("http://d.org/", maker.http(), record_id="<urn:x:1>")
    upper = maker.record("http://e.org/", maker.http(), record_id="<urn:uuid:a1>")
    second = maker.write([original, copied, upper], name="2.warc.gz")
    hosts = ("a", "b", "bare", "chain", "lost", "self", "plain")
    urls = [f"http://{host}.org/" for host in hosts]
    output = build(tmp_path / "build", map(link, urls), [first, second])
    rows = {row["url"]: row for row in table_of(output).to_pylist()}
    outcomes = [rows[url]["outcome"] for url in urls]
    assert outcomes == ["captured"] * 4 + ["revisit_lost"] * 2 + ["captured"]
    ids = ["<urn:x:1>"] * 2 + ["<urn:uuid:a1>"] * 2
    for url, hops, record_id in zip(urls, (1, 1, 1, 2), ids, strict=False):
        assert (rows[url]["final_url"], rows[url]["hops"]) == (url, hops)
        assert (rows[url]["warc"], rows[url]["record_id"]) == ("2.warc.gz", record_id)
    reversed_build = build(tmp_path / "again", map(link, urls), [second, first], buckets=8)
    assert reversed_build.digest == output.digest


def test_the_index_is_not_read_again_where_no_revisit_asks_for_a_record(
    inline, archive, maker, tmp_path, monkeypatch
):
    read = []
    monkeypatch.setattr("pipeline.pages.stage.under_ids", lambda part, out: read.append(part.label))
    build(tmp_path / "build", ROWS, [archive])
    assert read == []
    asking = maker.record("http://gone.org/", kind="revisit", WARC_Refers_To="<urn:x:1>")
    build(tmp_path / "build", ROWS, [archive, maker.write([asking], name="2.warc.gz")])
    assert len(read) == 2


def test_a_page_row_says_where_the_bytes_lie_and_carries_the_links_provenance(
    inline, archive, tmp_path
):
    output = build(tmp_path / "build", ROWS, [archive])
    assert all(table.schema.equals(PAGE) for table in tables_of(output))
    rows = {row["url"]: row for row in table_of(output).to_pylist()}
    made = list(records(archive))
    for url, at in {"http://page.org/": 3, "http://moved.org/": 6, "http://again.org/": 11}.items():
        assert (rows[url]["offset"], rows[url]["length"]) == (made[at].offset, made[at].length)
        assert (rows[url]["warc"], rows[url]["status"]) == ("made.warc.gz", 200)
    row = rows["http://page.org/"]
    assert row["record_id"] == made[3].headers["warc-record-id"]
    assert row["captured_s"] == POST_S + 31 * 86_400
    given = {name: row[name] for name in ("karma_max", "karma_sum", "posts", "subreddit")}
    assert given == {"karma_max": 7, "karma_sum": 9, "posts": 3, "subreddit": "test"}


def test_pages_lie_in_the_order_of_their_bytes(inline, archive, tmp_path):
    output = build(tmp_path / "build", ROWS, [archive], buckets=1)
    (table,) = tables_of(output)
    offsets = [offset for offset in table["offset"].to_pylist() if offset is not None]
    assert offsets == sorted(offsets)
    assert len(offsets) == 3


@pytest.mark.parametrize(("range_bytes", "buckets"), [(1, 1), (1_500, 8)])
def test_the_pages_do_not_depend_on_ranges_or_buckets(
    inline, archive, tmp_path, range_bytes, buckets
):
    whole = build(tmp_path / "whole", ROWS, [archive])
    rules = replace(RULES, range_bytes=range_bytes)
    parts = build(tmp_path / "parts", ROWS, [archive], rules, buckets)
    assert parts.digest == whole.digest
    assert parts.ledgers == whole.ledgers
    assert len(kept_paths(tmp_path / "parts", "pages", "index")) > 1


def test_the_pages_do_not_depend_on_where_the_files_lie(inline, archive, tmp_path):
    before = build(tmp_path / "build", ROWS, [archive])
    (tmp_path / "elsewhere").mkdir()
    moved = archive.rename(tmp_path / "elsewhere" / archive.name)
    after = build(tmp_path / "build", ROWS, [moved])
    assert after.digest == before.digest


def test_the_same_captures_in_a_file_of_another_name_are_the_same_content(
    inline, archive, tmp_path
):
    before = build(tmp_path / "before", ROWS, [archive])
    renamed = archive.rename(archive.with_name("renamed.warc.gz"))
    after = build(tmp_path / "after", ROWS, [renamed])
    digests = [manifest_of(tmp_path / name, "pages").digest for name in ("before", "after")]
    assert digests[0] == digests[1]
    assert after.digest != before.digest  # what is made of them reads another file


def test_another_archive_or_another_rule_indexes_only_what_is_new(inline, archive, maker, tmp_path):
    folder = tmp_path / "build"
    first = build(folder, ROWS, [archive])
    (old,) = kept_paths(folder, "pages", "index")
    inode = old.stat().st_ino
    build(folder, ROWS, [archive], PagesSettings(hops_max=0))
    assert old.stat().st_ino == inode
    more = maker.write([maker.record("http://nothing.org/", maker.http())], name="0.warc.gz")
    second = build(folder, ROWS, [archive, more])
    parts = kept_paths(folder, "pages", "index")
    assert [part.stat().st_ino == inode for part in parts] == [False, True]
    assert second.ledgers["pages"].rows_out == first.ledgers["pages"].rows_out + 1


def test_no_redirect_is_followed_where_none_is_allowed(inline, archive, tmp_path):
    output = build(tmp_path / "build", ROWS, [archive], PagesSettings(hops_max=0))
    outcomes = {row["url"]: row["outcome"] for row in table_of(output).to_pylist()}
    assert outcomes["http://moved.org/"] == "redirect_loop"
    assert outcomes["http://page.org/"] == "captured"


def test_a_cut_file_stops_the_stage_unless_it_is_accepted(inline, archive, tmp_path):
    last = list(records(archive))[-1]
    archive.write_bytes(archive.read_bytes()[: last.offset + 20])
    with pytest.raises(InputError, match=f"{archive.name}, byte {last.offset}"):
        build(tmp_path / "build", ROWS, [archive])
    gates = []
    rules = replace(RULES, accept_torn=True)
    output = build(tmp_path / "build", ROWS, [archive], rules, gates=gates)
    place = f"{archive.name} is torn (byte {last.offset}: it is incomplete)"
    assert gates == [f"pages: {place}; what comes before was used"]
    assert output.ledgers["records"].drops["unreadable"] == 2
    assert output.ledgers["records"].rows_in == 17


def test_links_without_any_capture_stop_the_build(inline, archive, tmp_path):
    with pytest.raises(StageError, match=r"pages kept nothing of 1 links \(not_captured 1\)"):
        build(tmp_path / "build", [link("http://nothing.org/")], [archive])


@pytest.fixture
def asking(maker):
    """A WARC whose pages' owners ask for something, in each place where a WARC can hold it."""
    robots, record = partial(maker.http, content_type="text/plain"), maker.record
    closed, free = "User-agent: *\nDisallow: /closed", "User-agent: *\nContent-Signal: ai-train=yes"
    return maker.write(
        [
            record("http://free.org/", maker.http()),
            record("http://free.org/robots.txt", maker.http(404)),
            record("http://noai.org/", maker.http(x_robots_tag="noai")),
            record("http://closed.org/closed/", maker.http()),
            record("http://closed.org/open", maker.http(301, location="/closed")),
            record("http://closed.org/robots.txt", robots(body=closed.encode())),
            record("http://closed.org/robots.txt", robots(body=b""), date="2011-01-01"),
            record("http://yes.org/", maker.http()),
            record("https://yes.org/robots.txt", robots(body=free.encode())),
            record("http://nobody.org/robots.txt", robots(body=b"")),
        ]
    )


def test_pages_end_by_what_their_owners_ask_and_their_robots_txt_is_used(inline, asking, tmp_path):
    rows = [link(f"http://{url}") for url in ("free.org", "noai.org", "closed.org/open", "yes.org")]
    output = build(tmp_path / "build", rows, [asking])
    assert {
        row["url"]: (row["outcome"], row["preferences"]) for row in table_of(output).to_pylist()
    } == {
        "http://free.org/": ("captured", "robots.txt,header,meta"),
        "http://noai.org/": ("noai", "header,meta -noai@header=noai"),
        "http://closed.org/open": (
            "robots_disallowed",
            "robots.txt,header,meta -robots@robots.txt=disallow",
        ),
        "http://yes.org/": (
            "captured",
            "robots.txt,header,meta +content_signal@robots.txt=ai-train=yes",
        ),
    }
    drops = {row["url"]: row["reason"] for row in drops_of(output)}
    assert drops["http://noai.org/"] == "noai"
    assert drops["http://closed.org/open"] == "robots_disallowed"
    # Two of the five: an older one of closed.org, and that of a host to which no link leads.
    assert output.ledgers["records"].drops == {"not_a_page": 2}


def test_another_wish_to_respect_reads_no_warc_again_and_changes_the_outcomes(
    inline, asking, tmp_path
):
    rows = [link(f"http://{url}") for url in ("free.org", "noai.org", "closed.org/open", "yes.org")]
    build(tmp_path / "build", rows, [asking])
    kept = kept_paths(tmp_path / "build", "pages", "index")
    output = build(tmp_path / "build", rows, [asking], replace(RULES, respect=("robots",)))
    assert kept == kept_paths(tmp_path / "build", "pages", "index")
    drops = [row["reason"] for row in drops_of(output)]
    assert sorted(drops) == ["not_a_page", "not_a_page", "robots_disallowed"]
    assert output.ledgers["pages"].rows_out == 3


@pytest.mark.real
def test_every_record_of_the_real_files_is_accounted_for(inline, shared_data, tmp_path):
    paths = sorted((shared_data / "pages").glob("*.warc.gz"))
    captures = [
        capture
        for path in paths
        for record in records(path)
        if isinstance(capture := capture_in(path, record, path.name), Capture)
    ]
    pages = [c for c in captures if c.kind == "response" and c.status == 200 and not c.fault]
    # 2,459 pages in five files. Of the 342 HTML records of pages-original 51 are errors, 16 are
    # redirects, two pages lead elsewhere by a refresh; one page there has no Content-Type.
    assert (len(captures), len(pages)) == (2_920, 2_459 + 342 - 51 - 16 - 2 + 1)
    assert Counter(c.body for c in pages) == {"": 2_731, "cut": 2}
    rows = {capture.key: link(capture.url) for capture in captures}
    output = build(tmp_path / "build", rows.values(), paths, buckets=2)
    ledger = output.ledgers["records"]
    assert ledger.rows_in == 2_926  # six warcinfo records among them
    # Four of the records that are no pages are a robots.txt of a page's host.
    assert ledger.drops == {"not_a_page": 6 + 111 - 4, "other_capture": 66}
    found = {row["url"]: row for row in table_of(output).to_pylist()}
    assert len(found) == len(rows)
    assert Counter(row["outcome"] for row in found.values()) == {
        **{"captured": 2_684, "noai": 6, "not_a_page": 98, "status_error": 49, "redirect_lost": 4}
    }
    # Looked at by hand.
    for url, final in {
        "http://www.iana.org/domains/example": "http://www.iana.org/domains/reserved",
        "http://www.archiveteam.org/": "https://wiki.archiveteam.org/",
        "https://kiwix.org/": "https://kiwix.org/en/",  # by a Refresh header
        "http://data.gov.uk/data": "http://data.gov.uk/data/search",  # a revisit that redirects
    }.items():
        assert (found[url]["final_url"], found[url]["hops"]) == (final, 1)
