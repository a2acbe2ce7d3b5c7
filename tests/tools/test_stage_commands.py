"""Each stage command on small files of anyone's, without a build."""

import gzip
import json
import lzma
import os
import random
import re
import shutil
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash
import zstandard

from pipeline.pages.warc import records
from tools.cli import main
from tools.demo.captures import Capture, write_warc
from tools.demo.stories import article
from tools.why import _Made, _shard

MOMENT = datetime(2015, 3, 1, tzinfo=UTC)
FEW = ["--workers", "1", "--buckets", "2"]
FEW_IN_BUILD = ["--engine.workers", "1", "--engine.buckets", "2"]


def lines_of(path):
    opened = {".gz": gzip.open, ".zst": zstandard.open}.get(path.suffix, open)
    with opened(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def page_of(seed, title="A page"):
    text = "".join(f"<p>{block}</p>" for _, block in article("travel", seed).blocks)
    return f"<html><head><title>{title}</title></head><body><article>{text}</article></body></html>"


def run(capsys, *words, code=0):
    """What the command says on stdout and stderr."""
    capsys.readouterr()
    assert main([*map(str, words)]) == code
    return capsys.readouterr()


# links


def post(number, url, score, **fields):
    return {"id": f"p{number}", "url": url, "score": score, "created_utc": 1_350_000_000, **fields}


POSTS = [
    post(1, "http://a.example/story?utm_source=x", 2),
    post(2, "http://www.a.example/story", 7),
    post(3, "http://b.example/low", 2),
    post(4, "http://i.imgur.com/x.png", 900),
    post(5, "http://c.example/late", 9, created_utc=1_600_000_000),
]


@pytest.fixture
def dump(tmp_path):
    path = tmp_path / "RS_2012-10.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in POSTS) + "no json\n")
    return path


def test_links_makes_a_folder_that_status_understands(dump, tmp_path, capsys):
    out = tmp_path / "links"
    told = run(capsys, "links", dump, "--out", out, *FEW)
    assert told.out.endswith(f"\nlinks: {out / 'links'}\n")
    table = pa.concat_tables(pq.read_table(p) for p in sorted((out / "links").glob("part-*")))
    rows = {row["key"]: row for row in table.to_pylist()}
    story = rows["a.example/story"]
    assert (story["karma_max"], story["karma_sum"], story["posts"]) == (7, 9, 2)
    assert {row["verdict"] for row in rows.values()} == {"kept", "karma_low"}
    state = json.loads(run(capsys, "status", out, "--json").out)["stages"]["links"]
    assert (state["state"], state["rows_in"], state["rows_out"], state["merged"]) == (
        "done",
        6,
        1,
        1,
    )
    assert state["drops"] == {
        "karma_low": 1, "media_host": 1, "outside_dates": 1, "line_invalid": 1,
    }  # fmt: skip


def test_links_takes_settings_and_redoes_only_what_they_change(dump, tmp_path, capsys):
    out = tmp_path / "links"
    run(capsys, "links", dump, "--out", out, *FEW)
    told = run(capsys, "links", dump, "--out", out, *FEW, "--karma-min", "1")
    assert "links: read" not in told.err
    state = json.loads(run(capsys, "status", out, "--json").out)["stages"]["links"]
    assert state["rows_out"] == 2
    told = run(capsys, "links", dump, "--out", out, *FEW, "--date-max", "2020-12-31")
    assert "links: read" in told.err
    assert "links: read: settings or inputs changed" in told.err


def test_links_names_the_place_where_a_dump_is_damaged(dump, tmp_path, capsys):
    torn = tmp_path / "RS_2012-10.jsonl.gz"
    torn.write_bytes(gzip.compress(dump.read_bytes())[:-20])
    told = run(capsys, "links", torn, "--out", tmp_path / "links", *FEW, code=2)
    assert told.err.splitlines()[-1].startswith(
        f"webtext: {torn}, byte {torn.stat().st_size}: torn"
    )
    misnamed = tmp_path / "RS_2012-10.zst"
    misnamed.write_bytes(dump.read_bytes())
    told = run(capsys, "links", misnamed, "--out", tmp_path / "links", *FEW, code=2)
    assert "named like a zstd file" in told.err
    assert not (tmp_path / "links" / "links").exists()


def test_links_keeps_what_it_can_of_a_torn_dump_if_told_so_and_says_that_a_gate_failed(
    dump, tmp_path, capsys
):
    torn = tmp_path / "RS_2012-10.jsonl.gz"
    torn.write_bytes(gzip.compress(dump.read_bytes() * 2)[:-9])
    words = ["links", torn, "--out", tmp_path / "links", *FEW, "--accept-torn", "true"]
    told = run(capsys, *words, code=3)
    assert "quality gate failed" in told.err
    assert str(torn.name) in told.err


def test_links_writes_a_plain_list_of_the_kept_urls_for_other_crawlers(dump, tmp_path, capsys):
    urls = tmp_path / "lists" / "urls.txt"
    words = ["links", dump, "--out", tmp_path / "links", "--urls", urls, *FEW]
    told = run(capsys, *words, "--karma-min", "1")
    assert f"{urls}: 2 URLs" in told.err
    listed = urls.read_text(encoding="utf-8")
    assert sorted(listed.splitlines()) == ["http://b.example/low", "http://www.a.example/story"]
    assert [path.name for path in urls.parent.iterdir()] == ["urls.txt"]
    other = tmp_path / "other.txt"
    words = ["links", dump, "--out", tmp_path / "one", "--urls", other, "--buckets", "1"]
    run(capsys, *words, "--karma-min", "1", "--workers", "1")
    assert other.read_text(encoding="utf-8") == listed
    run(capsys, *words, "--workers", "1")  # other rules, an older list in the way
    assert other.read_text(encoding="utf-8") == "http://www.a.example/story\n"


def test_a_list_that_cannot_stand_where_it_should_is_refused_before_work(dump, tmp_path, capsys):
    out = tmp_path / "links"
    os.mkfifo(tmp_path / "pipe")
    for target, problem in [
        (tmp_path, "is a folder"),
        (tmp_path / "pipe", "is no regular file"),
        (dump, "is one of the dumps"),
        (out / "links" / "urls.txt", "lies in a folder that is replaced"),
    ]:
        told = run(capsys, "links", dump, "--out", out, "--urls", target, *FEW, code=2)
        assert problem in told.err
    assert not out.exists()
    assert dump.read_text().startswith("{")


def test_a_dump_that_gives_no_link_is_an_error_with_the_reasons(tmp_path, capsys):
    path = tmp_path / "RS.jsonl"
    path.write_text("no json\n[]\n")
    told = run(capsys, "links", path, "--out", tmp_path / "links", *FEW, code=1)
    assert "links kept nothing of 2 submissions" in told.err
    assert "line_invalid 1" in told.err


# extract

SPECIAL = [
    ("http://a.example/gone", 404, b"<p>not here", "status_error"),
    ("http://a.example/empty", 200, b"", "page_empty"),
    ("http://a.example/short", 200, b"<p>Too short.", "too_short"),
    ("http://a.example/pdf", 200, b"%PDF-1.4 " + bytes(900), "not_html"),
]


@pytest.fixture
def warc(tmp_path):
    captures = [
        Capture(f"http://a.example/{n}", MOMENT, page_of(f"page {n}", f"Page {n}").encode())
        for n in range(6)
    ]
    captures += [Capture(url, MOMENT, body, status) for url, status, body, _ in SPECIAL]
    captures.append(
        Capture("http://a.example/moved", MOMENT, b"", 301, (("Location", "http://b.example/"),))
    )
    captures.append(Capture("http://a.example/0", MOMENT, kind="request", block=b"GET / HTTP/1.1"))
    captures.append(Capture("http://a.example/odd", MOMENT, block=b"\0 no http"))
    path = tmp_path / "pages.warc.gz"
    write_warc(path, captures, stored=False)
    return path


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet"])
def test_extract_books_every_record_of_a_warc_file_as_a_document_or_a_drop(
    warc, tmp_path, capsys, ending
):
    out = tmp_path / "results" / f"documents{ending}"
    counts = json.loads(run(capsys, "extract", warc, "--out", out, *FEW[:2], "--json").out)
    rows = pq.read_table(out).to_pylist() if ending == ".parquet" else lines_of(out)
    drops = lines_of(out.with_name(out.name + ".drops.jsonl"))
    assert (counts["rows_in"], counts["rows_out"]) == (13, 6)
    assert counts["rows_in"] == counts["rows_out"] + sum(counts["drops"].values())
    assert [row["url"] for row in rows] == [f"http://a.example/{n}" for n in range(6)]
    assert [row["title"] for row in rows] == [f"Page {n}" for n in range(6)]
    assert all(row["language"] == "en" and len(row["text"]) > 500 for row in rows)
    assert Counter(drop["reason"] for drop in drops) == counts["drops"]
    by_url = {drop["url"]: drop["reason"] for drop in drops}
    for url, _, _, reason in SPECIAL:
        assert by_url[url] == reason
    assert by_url["http://a.example/moved"] == by_url["http://a.example/0"] == "not_a_page"
    assert by_url["http://a.example/odd"] == "unreadable"
    assert {row["id"] for row in rows}.isdisjoint(drop["id"] for drop in drops)


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
def test_extract_takes_json_lines_and_html_files_together(tmp_path, capsys, ending):
    source = tmp_path / f"pages{ending}"
    rows = [
        {"id": 7, "url": "http://a.example/7", "html": page_of("seven")},
        {"html": page_of("no address")},
        {"url": "http://a.example/9", "html": "<p>short"},
    ]
    data = "\n".join(map(json.dumps, rows)).encode() + b"\n\n"
    packed = {".gz": gzip.compress, ".zst": zstandard.compress}.get(source.suffix, bytes)(data)
    source.write_bytes(packed)
    page = tmp_path / "page.html"
    page.write_text(page_of("a file"))
    out = tmp_path / "o.jsonl"
    counts = json.loads(run(capsys, "extract", source, page, "--out", out, *FEW[:2], "--json").out)
    assert counts == {"rows_in": 4, "rows_out": 3, "drops": {"too_short": 1}}
    assert [row["id"] for row in lines_of(out)] == ["7", f"{source.name}:2", str(page)]


def test_lines_that_hold_no_page_are_counted_drops_and_the_others_become_documents(
    tmp_path, capsys
):
    source = tmp_path / "pages.jsonl"
    page = json.dumps({"html": page_of("one"), "url": None})
    source.write_bytes(b'no json\n{"url": "http://a.example/"}\n[]\n"\xff"\n' + page.encode())
    out = tmp_path / "o.jsonl"
    counts = json.loads(run(capsys, "extract", source, "--out", out, *FEW[:2], "--json").out)
    drops = {"line_invalid": 2, "text_missing": 1, "line_not_object": 1}
    assert counts == {"rows_in": 5, "rows_out": 1, "drops": drops}
    told = lines_of(tmp_path / "o.jsonl.drops.jsonl")
    assert [row["id"] for row in told] == [f"pages.jsonl:{number}" for number in (1, 2, 3, 4)]
    assert told[1]["url"] == "http://a.example/"
    assert told[0]["detail"].startswith("pages.jsonl, line 1: Expecting value")


def test_a_file_that_breaks_under_the_workers_ends_the_command_and_an_earlier_result_survives(
    warc, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "o.jsonl"
    out.write_text("earlier\n")

    def moved(path, part, **rules):
        return (replace(found, offset=found.offset + 1) for found in records(path, part, **rules))

    monkeypatch.setattr("pipeline.documents.files.records", moved)
    told = run(capsys, "extract", warc, "--out", out, *FEW[:2], code=2)
    assert "this record could be read before, and cannot now" in told.err
    assert told.out == ""
    assert out.read_text() == "earlier\n"
    assert {path.name for path in tmp_path.iterdir()} == {warc.name, out.name, ".o.jsonl.work"}


def test_extract_refuses_counts_that_do_not_add_up_and_publishes_nothing(
    tmp_path, monkeypatch, capsys
):
    page = tmp_path / "page.html"
    page.write_text(page_of("x"))
    monkeypatch.setattr("pipeline.engine.writer.PartWriter.drop", lambda *_, **__: None)
    words = ["extract", page, "--out", tmp_path / "o.jsonl", *FEW[:2]]
    told = run(capsys, *words, "--text-chars-min", "100000", code=1)
    assert "1 rows came in, but 0 are accounted for" in told.err
    assert {path.name for path in tmp_path.iterdir()} == {"page.html", ".o.jsonl.work"}


def test_extract_obeys_its_settings(tmp_path, capsys):
    page = tmp_path / "page.html"
    page.write_text(page_of("German").replace("<p>", "<p>Das ist ein Satz. "))
    words = ["extract", page, "--out", tmp_path / "o.jsonl", *FEW[:2]]
    told = run(capsys, *words, "--text-chars-min", "100000", code=1)
    assert told.out == "1 records: 0 documents, 1 dropped (1 too_short)\n"
    assert "no page gave a text" in told.err
    assert "o.jsonl.drops.jsonl says why" in told.err


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("gone.warc.gz", None, "there is no such file"),
        ("pages.jsonl.gz", gzip.compress(b'{"html": "<p>a"}\n' * 99)[:-30], "torn"),
        ("pages.jsonl.gz", b'{"html": "<p>a"}\n', "named like a gzip file"),
        ("pages.warc.gz", b"this is no gzip", "pages.warc.gz"),
    ],
    ids=["missing", "torn", "misnamed", "no WARC"],
)
def test_extract_tells_what_is_wrong_with_a_file(tmp_path, capsys, name, content, said):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    told = run(capsys, "extract", path, "--out", tmp_path / "o.jsonl", *FEW[:2], code=2)
    assert said in told.err
    assert told.out == ""
    assert "Traceback" not in told.err


def test_extract_takes_files_whose_names_are_no_text(tmp_path, capsys):
    named = [tmp_path / os.fsdecode(name) for name in (b"p\xff.html", b"l\xff.jsonl", b"w\xff.gz")]
    named[0].write_text(page_of("x"))
    named[1].write_text(json.dumps({"html": page_of("y")}) + "\nno json\n")
    named[2].write_bytes(gzip.compress(b"WARC/1.0\r\nContent-Length: 0\r\n\r\n\r\n\r\n"))
    out = tmp_path / "o.jsonl"
    told = run(capsys, "extract", *named, "--out", out, *FEW[:2], "--json")
    assert json.loads(told.out) == {
        "rows_in": 4,
        "rows_out": 2,
        "drops": {"line_invalid": 1, "not_a_page": 1},
    }
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["id"] for row in rows] == [f"{tmp_path}/p\\xff.html", "l\\xff.jsonl:1"]
    drop = json.loads((tmp_path / "o.jsonl.drops.jsonl").read_text().splitlines()[0])
    assert drop["detail"].startswith("l\\xff.jsonl, line 2: ")
    gone = tmp_path / os.fsdecode(b"gone\xff.html")
    assert "gone\\xff.html: there is no" in run(capsys, "extract", gone, "--out", out, code=2).err


def test_an_output_whose_name_is_no_text_is_refused_before_any_work(tmp_path, capsys):
    page = tmp_path / "page.html"
    page.write_text(page_of("x"))
    out = tmp_path / os.fsdecode(b"o\xff.jsonl")
    told = run(capsys, "extract", page, "--out", out, code=2)
    assert "no name in UTF-8" in told.err
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.wacz", b"PK\3\4", "unzip it: the WARC files lie in its folder archive/"),
        (
            "x.arc.gz",
            gzip.compress(b"filedesc://x 0", mtime=0),
            "`warcio recompress OLD NEW.warc.gz`",
        ),
        ("x.warc.wet.gz", b"conversion", "a WET file: its records hold text, not pages. Use the"),
        ("x.wat.gz", b"metadata", "a WAT file: its records tell of pages, in JSON. Use the"),
    ],
)
def test_extract_and_build_refuse_other_archives_with_what_to_do(
    tmp_path, capsys, name, content, said
):
    if content in (b"conversion", b"metadata"):
        block = b'{"Container":{}}'
        made = b"WARC/1.0\r\nWARC-Type: %s\r\nContent-Length: 16\r\n\r\n%s\r\n\r\n"
        content = gzip.compress(made % (content, block)) * 9
    (tmp_path / name).write_bytes(content)
    told = run(capsys, "extract", tmp_path / name, "--out", tmp_path / "o.jsonl", code=2)
    assert said in told.err
    post = {"id": "p", "url": "http://a.example/", "score": 9, "created_utc": 1_350_000_000}
    (tmp_path / "RS.jsonl").write_text(json.dumps(post))
    settings = tmp_path / "webtext.toml"
    settings.write_text(f'[input]\ndumps = ["RS.jsonl"]\nwarcs = ["{name}"]\n')
    words = ["build", settings, "--out", tmp_path / "b", "--to", "pages", *FEW_IN_BUILD]
    assert said in run(capsys, *words, code=2).err


def test_extract_takes_folders_and_pages_of_any_name_and_never_its_own_results(tmp_path, capsys):
    site = tmp_path / "site"
    (site / "deep").mkdir(parents=True)
    (site / "a.php").write_text(page_of("one"))
    (site / "b.htm.gz").write_bytes(gzip.compress(page_of("two").encode()))
    (site / "deep" / "c").write_bytes(lzma.compress(page_of("three").encode()))
    (site / "d.pdf").write_bytes(b"%PDF-1.4 " + bytes(99))
    (site / "e").write_text(json.dumps({"html": page_of("four"), "id": "row"}))
    (site / ".hidden.html").write_text(page_of("five"))
    out = site / "o.jsonl"
    words = ["extract", site, "--out", out, *FEW[:2]]
    for _ in range(2):
        told = run(capsys, *words)
        counts = "5 records: 4 documents, 1 dropped (1 not_html)"
        assert told.out == f"{counts}, in {out}.drops.jsonl\n"
        ids = [row["id"] for row in lines_of(out)]
        assert ids == [f"{site}/a.php", f"{site}/b.htm.gz", "row", f"{site}/deep/c"]
    assert lines_of(site / "o.jsonl.drops.jsonl")[0]["detail"] == "PDF"


def test_extract_by_hand_and_in_bulk_say_the_same_of_each_page(warc, tmp_path, capsys):
    out = tmp_path / "o.jsonl"
    run(capsys, "extract", warc, "--out", out, *FEW[:2])
    rows = [
        json.loads(line) for line in run(capsys, "extract", warc, "--json", code=1).out.splitlines()
    ]
    told = ("name", "kept", "reason", "detail")
    kept = [{key: row[key] for key in row if key not in told} for row in rows if row["kept"]]
    assert kept == lines_of(out)
    by_hand = {(row["url"], row["reason"], row["detail"]) for row in rows if not row["kept"]}
    drops = lines_of(tmp_path / "o.jsonl.drops.jsonl")
    assert by_hand == {
        (drop["url"], drop["reason"], drop["detail"])
        for drop in drops
        if drop["reason"] != "not_a_page"
    }


@pytest.mark.parametrize("source", ["-", "pipe"])
def test_extract_refuses_what_can_be_read_only_once_for_a_build(tmp_path, capsys, source):
    os.mkfifo(tmp_path / "pipe")
    given = "-" if source == "-" else tmp_path / source
    told = run(capsys, "extract", given, "--out", tmp_path / "o.jsonl", code=2)
    assert "With --out files are read more than once: save it to a file first." in told.err


def test_extract_refuses_a_wrong_name_before_it_touches_anything(tmp_path, capsys):
    page = tmp_path / "page.html"
    page.write_text(page_of("x"))
    told = run(capsys, "extract", page, "--out", tmp_path / "o.csv", code=2)
    assert "its name must end in .jsonl, .jsonl.gz, .jsonl.zst or .parquet" in told.err
    earlier = tmp_path / "o.jsonl"
    earlier.write_text("earlier\n")
    run(capsys, "extract", page, tmp_path / "gone.html", "--out", earlier, code=2)
    assert earlier.read_text() == "earlier\n"
    assert {p.name for p in tmp_path.iterdir()} == {"page.html", "o.jsonl"}


# dedup


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_dedup_gives_one_decision_a_text_in_their_order(tmp_path, capsys, ending):
    first, second = (article("news", seed).text for seed in ("one", "two"))
    rows = [
        {"id": "copy", "text": first + " One more line.", "karma": 3},
        {"id": "other", "text": second, "karma": 3},
        {"id": "best", "text": first, "karma": 9},
        {"id": "same", "text": second.upper(), "karma": 1},
    ]
    source = tmp_path / f"texts{ending}"
    if ending == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), source)
    else:
        source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    out = tmp_path / "decisions.jsonl"
    counts = json.loads(run(capsys, "dedup", source, "--out", out, "--json").out)
    loss, scheme = counts.pop("loss"), counts.pop("scheme")
    assert (loss["share"], scheme["hits"]) == (0.0, 23)
    assert counts == {
        "texts": 4, "kept": 2, "exact_copies": 1, "near_copies": 1, "dropped": 0,
    }  # fmt: skip
    decisions = lines_of(out)
    assert [d["id"] for d in decisions] == ["copy", "other", "best", "same"]
    assert [d["keeper"] for d in decisions] == ["best", None, None, "other"]
    assert [d["keep"] for d in decisions] == [False, True, True, False]
    assert [d["reason"] for d in decisions] == ["near_copy", None, None, "exact_copy"]
    assert 0.5 <= decisions[0]["jaccard"] < 1
    told = run(capsys, "dedup", source, "--out", out, "--near-threshold", "1")
    first, second = told.out.splitlines()
    assert first == "4 texts, 3 kept, 1 exact copies, 0 near copies, 0 dropped"
    assert "of the distinct 8-word sequences are in no kept text" in second
    assert "copies at the threshold are found" in second


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file"),
        (b'{"id": 1, "text": "a"}\n{"id": 1, "text": "b"}\n', "line 2"),
        (b"PAR1 and then nothing", "damaged parquet"),
        (gzip.compress(b'{"id": 1, "text": "a"}\n' * 99)[:-12], "torn|damaged|ends within"),
    ],
    ids=["missing", "an id that repeats", "damaged Parquet", "torn gzip"],
)
def test_dedup_tells_what_is_wrong_with_a_file(tmp_path, capsys, content, said):
    source = tmp_path / "texts"
    if content is not None:
        source.write_bytes(content)
    told = run(capsys, "dedup", source, "--out", tmp_path / "d.jsonl", code=2)
    assert any(words in told.err.lower() for words in said.split("|"))
    assert not (tmp_path / "d.jsonl").exists()


def test_dedup_takes_the_limits_on_quality_of_the_profile_clean(tmp_path, capsys):
    texts = tmp_path / "texts.jsonl"
    prose = "The council decided to mend the bridge in May, and all of them were glad of it."
    rows = [{"id": "menu", "text": "Home Products Support Downloads Careers Contact"}]
    rows += [{"id": name, "text": f"{prose} {name * 9} was there."} for name in "ab"]
    texts.write_text("\n".join(map(json.dumps, rows)))
    command = ["dedup", str(texts), "--out", str(tmp_path / "d.jsonl")]
    assert main(command) == 0
    assert "0 dropped" in capsys.readouterr().out
    assert main([*command, "--profile", "clean"]) == 0
    assert "1 dropped (1 little_prose)" in capsys.readouterr().out
    assert main([*command, "--profile", "clean", "--quality", ""]) == 0
    assert "0 dropped" in capsys.readouterr().out


def test_dedup_obeys_the_cap_of_a_page_and_says_what_was_odd(tmp_path, capsys):
    source = tmp_path / "texts.txt"
    source.write_text("".join(json.dumps({"text": "word " * n}) + "\n" for n in (1, 2, 3, 30)))
    out = tmp_path / "d.jsonl"
    told = run(capsys, "dedup", source, "--out", out, "--text-chars-max", "20")
    counts = "4 texts, 3 kept, 0 exact copies, 0 near copies, 1 dropped (1 too_long)"
    assert told.out.splitlines()[0] == counts
    assert "texts.txt: rows without an id of their own are named by file and line" in told.err
    assert "texts.txt: JSON by its content" in told.err
    assert "texts.txt: the first row that is dropped: line 4, 150 characters; " in told.err
    assert lines_of(out)[3] == {
        "id": "texts.txt:4", "keep": False, "keeper": None, "jaccard": None, "containment": None,
        "coverage": None, "others": None, "reason": "too_long",
    }  # fmt: skip
    told = run(capsys, "dedup", source, "--out", out, "--text-chars-max", "5", "--json", code=3)
    assert json.loads(told.out)["dropped"] == 3
    assert "quality gate failed: texts.txt: 3 of 4 rows were dropped" in told.err
    assert "the first row" not in told.err  # the gate tells of it


# tokenizer, shards, train, evaluate, sample


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    path = tmp_path_factory.mktemp("texts") / "texts.jsonl.gz"
    rows = [
        {"url": f"http://a.example/{n}", "text": article("howto", f"{n}").text} for n in range(60)
    ]
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    return path


@pytest.fixture(scope="module")
def bpe(texts):
    out = texts.parent / "bpe"
    words = ["tokenizer", "train", str(texts), "--out", str(out), *FEW]
    assert main([*words, "--vocab-size", "400"]) == 0
    return out


@pytest.fixture(scope="module")
def tokens(texts, bpe):
    out = texts.parent / "tokens"
    assert main(["shards", str(texts), "--tokenizer", str(bpe), "--out", str(out), *FEW]) == 0
    return out


@pytest.fixture(scope="module")
def model(tokens):
    out = tokens.parent / "model"
    shape = ["--n-layer", "1", "--n-head", "2", "--n-embd", "16", "--n-ctx", "32"]
    size = ["--batch-tokens", "256", "--steps", "8", "--eval-tokens", "512", "--threads", "1"]
    words = ["train", str(tokens / "shards"), "--out", str(out), "--device", "cpu", *shape, *size]
    assert main(words) == 0
    return out


def test_tokenizer_train_makes_files_that_their_own_readers_load(bpe):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(bpe / "tokenizer" / "tokenizer.json"))
    assert tokenizer.get_vocab_size() == 400
    assert tokenizer.token_to_id("<|endoftext|>") == 399
    assert tokenizer.decode(tokenizer.encode("How to mend it.").ids) == "How to mend it."
    names = {path.name for path in (bpe / "tokenizer").iterdir()}
    assert {"vocab.json", "merges.txt", "tokenizer_config.json"} <= names


def test_shards_holds_every_text_once_and_says_so(tokens, capsys):
    about = json.loads((tokens / "shards" / "shards.json").read_text())
    assert sum(split["documents"] for split in about["splits"].values()) == 60
    assert about["vocab_size"] == 400
    urls = [
        url
        for path in (tokens / "shards").glob("*.urls.txt")
        for url in path.read_text().splitlines()
    ]
    assert sorted(urls) == sorted(f"http://a.example/{n}" for n in range(60))
    stages = json.loads(run(capsys, "status", tokens, "--json").out)["stages"]
    assert (stages["shards"]["rows_in"], stages["shards"]["rows_out"]) == (60, 60)


def test_look_shows_tokenizer_and_shards_and_not_the_manifests_of_texts_that_are_not_copied(
    tokens, capsys
):
    told = run(capsys, "look", tokens, "--json").out
    rows = [json.loads(line) for line in told.splitlines()]
    assert {row["table"] for row in rows} == {"tokenizer.json", "shards"}


def test_most_rows_dropped_is_a_quality_gate_of_each_command(texts, bpe, tmp_path, capsys):
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"content": "not the column"}\n' * 9)
    said = "quality gate failed: bad.jsonl: 9 of 9 rows were dropped, 9 of them as text_missing"
    words = ["shards", texts, bad, "--tokenizer", bpe, "--out", tmp_path / "s", *FEW]
    told = run(capsys, *words, code=3)
    assert said in told.err
    assert "rows without an id of their own are named by file and line" in told.err
    assert said in run(capsys, *words, code=3).err
    words = ["tokenizer", "train", texts, bad, "--out", tmp_path / "t", *FEW]
    assert said in run(capsys, *words, "--vocab-size", "400", code=3).err


def test_shards_takes_a_tokenizer_file_as_well_as_a_folder(texts, bpe, tokens, tmp_path, capsys):
    file = bpe / "tokenizer" / "tokenizer.json"
    run(capsys, "shards", texts, "--tokenizer", file, "--out", tmp_path, *FEW)
    digests = [
        json.loads(run(capsys, "status", out, "--json").out)["stages"]["shards"]["digest"]
        for out in (tokens, tmp_path)
    ]
    assert digests[0] == digests[1]


def test_tokens_export_says_how_many_tokens_nano_gpt_gets(tokens, tmp_path, capsys):
    told = run(capsys, "tokens", "export", tokens / "shards", "--out", tmp_path / "nano").out
    about = json.loads((tokens / "shards" / "shards.json").read_text())
    for split in ("train", "val"):
        count = about["splits"][split]["tokens"]
        assert f"{tmp_path}/nano/{split}.bin: {count:,} tokens\n" in told
        assert (tmp_path / "nano" / f"{split}.bin").stat().st_size == 2 * count


def test_tokens_export_says_that_nothing_is_held_out(tokens, tmp_path, capsys):
    about = json.loads((tokens / "shards" / "shards.json").read_text())
    about["files"] = [entry for entry in about["files"] if entry["split"] == "train"]
    folder = shutil.copytree(tokens / "shards", tmp_path / "shards")
    (folder / "shards.json").write_text(json.dumps(about))
    told = run(capsys, "tokens", "export", folder, "--out", tmp_path / "nano").out
    assert f"{tmp_path}/nano/val.bin: not written" in told
    assert [path.name for path in (tmp_path / "nano").iterdir()] == ["train.bin"]


def test_export_writes_a_folder_that_gives_back_the_same_weights(model, tmp_path, capsys):
    from train.given import read_folder

    found = json.loads(run(capsys, "export", model, "--out", tmp_path / "theirs", "--json").out)
    assert found["architecture"] == "GPT2LMHeadModel"
    assert {path.name for path in (tmp_path / "theirs").iterdir()} >= {
        "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip
    config, weights = read_folder(tmp_path / "theirs")
    assert (config.n_layer, config.n_embd, config.vocab_size) == (1, 16, 400)
    assert sum(weight.numel() for weight in weights.values()) >= found["parameters"]


def test_a_trained_run_can_be_evaluated_and_sampled(model, capsys):
    found = json.loads(run(capsys, "evaluate", model, "--json").out)
    assert 0 < found["loss"] < 7
    assert found["bits_per_byte"] > 0
    words = ["sample", model, "--prompt", "How", "--tokens", "6", "--seed", "3"]
    first, again = (run(capsys, *words).out for _ in range(2))
    assert first.startswith("How")
    assert first == again
    assert run(capsys, *words[:-1], "4").out != first


def test_bad_rows_of_texts_are_counted_drops(tmp_path, capsys):
    source = tmp_path / "texts.jsonl"
    good = "".join(json.dumps({"text": f"text number {n} of all"}) + "\n" for n in range(30))
    source.write_text(good + 'no json\n[1]\n{"text": null}\n{"text": " "}\n')
    out = tmp_path / "out"
    run(capsys, "tokenizer", "train", source, "--out", out, *FEW, "--vocab-size", "260")
    stages = json.loads(run(capsys, "status", out, "--json").out)["stages"]
    assert stages["corpus"]["rows_in"] == 34
    assert stages["corpus"]["rows_out"] == 30
    assert stages["corpus"]["drops"] == {
        "line_invalid": 1, "line_not_object": 1, "text_missing": 1, "empty_text": 1,
    }  # fmt: skip


def test_a_vocabulary_smaller_than_asked_ends_with_3_and_what_was_left_out_is_told(
    texts, tmp_path, capsys
):
    limits = ["--document-bytes-max", "300", "--min-count", "2"]
    words = ["tokenizer", "train", texts, "--out", tmp_path, *FEW, *limits]
    for _ in range(2):  # also when it is up to date
        told = run(capsys, *words, code=3)
        assert "tokens were learnt, and 50,257 were asked for" in told.err
        assert re.search(r"[1-9]\d* rare ones, [1-9]\d* times together, are left out", told.err)
        assert re.search(r"; [1-9]\d* documents were cut", told.err)


def test_one_text_without_a_held_out_block_ends_with_3_and_blocks_mend_it(bpe, tmp_path, capsys):
    source = tmp_path / "one.txt"
    source.write_text("The ferry left at nine and nobody on the pier could say why.\n" * 5000)
    words = ["shards", source, "--tokenizer", bpe, "--out", tmp_path / "out", *FEW]
    told = run(capsys, *words, code=3)
    assert 'hold out blocks (shards.split_by = "block")' in told.err
    run(capsys, *words, "--split-by", "block")
    about = json.loads((tmp_path / "out" / "shards" / "shards.json").read_text())
    assert about["splits"]["val"]["text_bytes"] > 4000
    chapter = _shard(_Made(tmp_path / "out"), xxhash.xxh3_128_hexdigest(b"one.txt:1"))
    assert chapter is not None
    assert "this may be its first piece alone" in chapter.text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tokenizer", "train", "gone.jsonl", "--out", "o"], "there is no such file"),
        (["tokenizer", "train", "torn.jsonl.gz", "--out", "o"], "torn|ends within"),
        (["shards", "texts.jsonl", "--tokenizer", "gone", "--out", "o"], "gone: no such file"),
        (["train", "nowhere", "--out", "o"], "nowhere"),
        (["tokens", "export", "nowhere", "--out", "o"], "nowhere/shards.json: no such file"),
        (["evaluate", "nowhere"], "nowhere"),
        (["export", "nowhere", "--out", "o"], "nowhere"),
        (["sample", "nowhere"], "nowhere"),
    ],
)
def test_a_wrong_or_broken_input_is_named(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts.jsonl").write_text('{"text": "one text"}\n')
    torn = gzip.compress(random.Random(1).randbytes(5000))[:-30]
    (tmp_path / "torn.jsonl.gz").write_bytes(torn)
    told = run(capsys, *words, code=2)
    assert any(part in told.err for part in said.split("|"))
    assert "Traceback" not in told.err
    assert told.out == ""


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "x", "--out", "o", "--stepz", "3"], "--stepz"),
        (["train", "x", "--out", "o", "--steps", "few"], "--steps is 'few'"),
        (["sample"], "RUN is missing"),
        (["export", "run"], "--out is missing"),
    ],
)
def test_the_trainers_usage_errors_end_with_2(capsys, words, said):
    try:
        code = main(words)
    except SystemExit as end:
        code = end.code
    assert code == 2
    assert said in capsys.readouterr().err
