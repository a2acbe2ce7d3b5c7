"""The whole stage through the engine: a WARC file in, documents, drops and a ledger out."""

import gzip
import io
import zlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import brotli
import hostile_pages
import pyarrow as pa
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from reading import drops_of, manifest_of, tables_of
from warcio.recordloader import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from pipeline.documents import stage as documents
from pipeline.engine.build import Build
from pipeline.engine.stage import Part, Stage, Step
from pipeline.engine.task import run_part
from pipeline.errors import InputError
from pipeline.pages.warc import records
from pipeline.reasons import Reason
from pipeline.records import DOCUMENT, PAGE
from pipeline.settings import DocumentsSettings, EngineSettings

EMPTY = {"stretch": pa.array([], pa.string()), "offset": pa.array([], pa.int64()), "length": []}
# Wide enough for a busy machine, short enough for a test.
ENGINE = EngineSettings(workers=2, item_cpu_s=2, item_wall_s=20, free_disk_min_bytes=0)


def html(n, extra=""):
    lines = (
        f"Page {n} tells how the river rose during the night of day {n}. "
        "Nobody in the village could remember such a spring, and we carried sacks to the mill. "
        "By morning the lower fields had gone under."
    )
    head = f"<html><head><title>Day {n}</title></head>"
    return f"{head}<body><p>{lines}<p>{lines}{extra}</body></html>".encode()


def chunked(body):
    return b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (100, body[:100], len(body) - 100, body[100:])


KEPT = {
    "plain": (html(1), {}),
    "gzip": (gzip.compress(html(2)), {"Content-Encoding": "gzip"}),
    "brotli": (brotli.compress(html(3)), {"Content-Encoding": "br"}),
    "zstd": (zstandard.compress(html(4)), {"Content-Encoding": "zstd"}),
    "deflate": (zlib.compress(html(5)), {"Content-Encoding": "deflate"}),
    "chunked": (chunked(html(6)), {"Transfer-Encoding": "chunked"}),
    "both": (
        chunked(gzip.compress(html(7))),
        {"Content-Encoding": "gzip", "Transfer-Encoding": "chunked"},
    ),
}
DROPPED = {
    "kill": (html(11, "ACT kill"), {}, "crashed"),
    "hang": (html(12, "ACT hang"), {}, "timed_out"),
    "raise": (html(13, "ACT raise"), {}, "extraction_failed"),
    "deep": (b"<div>" * 20_000 + html(14), {}, "too_deep"),
    "attributes": (b"<p " + b"a " * 100_000 + b">" + html(15), {}, "too_many_attributes"),
    "cells": (b"<table>" + b"<td>1" * 200_000, {}, "too_many_tags"),
    "bomb": (
        gzip.compress(b"<p>" + b"\0" * (12 << 20)),
        {"Content-Encoding": "gzip"},
        "body_too_large",
    ),
    "pdf": (b"%PDF-1.4 ...", {}, "not_html"),
    "empty": (b"", {}, "page_empty"),
    "short": (b"<html><body><p>Gone.</body></html>", {}, "too_short"),
}
PAGES = {**KEPT, **{name: page[:2] for name, page in DROPPED.items()}}


def write_warc(path, pages, packed=True):
    with path.open("wb") as file:
        writer = WARCWriter(file, gzip=packed)
        for name, (body, headers) in pages.items():
            lines = [("Content-Type", "text/html"), *headers.items()]
            record = writer.create_warc_record(
                f"http://www.example.com/{name}",
                "response",
                payload=io.BytesIO(body),
                http_headers=StatusAndHeaders("200 OK", lines, protocol="HTTP/1.1"),
            )
            writer.write_record(record)


@dataclass(frozen=True)
class Pages:
    """Stands in for the stage `pages`: a row for each record, and one link without a page."""

    warc: Path
    karma: int = 7
    but: tuple[str, ...] = ()
    copies: int = 1

    def __call__(self, part, out):
        every = [
            {
                **dict.fromkeys(PAGE.names),
                **{"id": found.headers["warc-target-uri"].rpartition("/")[2].ljust(32, "0")},
                **{"url": found.headers["warc-target-uri"], "outcome": "captured"},
                **{"final_url": found.headers["warc-target-uri"], "karma_max": self.karma},
                **{"warc": "made.warc.gz", "offset": found.offset, "length": found.length},
            }
            for found in records(self.warc)
            if found.headers["warc-target-uri"].rpartition("/")[2] not in self.but
        ]
        every = [
            {**row, "id": f"{copy}" + row["id"][1:]} if copy else row
            for row in every
            for copy in range(self.copies)
        ]
        rows = every[part.source["start"] :: part.source["step"]]
        lost = {**rows[0], "id": "f" * 32, "outcome": "not_captured"}
        out.write_rows([*rows, lost])
        out.book("links", rows_in=len(rows) + 1, rows_out=len(rows))
        out.drop("links", Reason.NOT_CAPTURED)


def pages_stage(warc, tables, pages=None):
    work = pages or Pages(warc)
    parts = [Part(n, f"{n}", f"{n}", {"start": n, "step": tables}) for n in range(tables)]
    step = Step("pages", 1, lambda: parts, work, PAGE, runs="items", settings=work)
    return Stage("pages", "links", (step,), gives="pages")


def build(folder, warc, tables=1, pages=None):
    with Build(folder, ENGINE, quiet=True) as made:
        made.run(pages_stage(warc, tables, pages))
        return made.run(stage_over(warc, made))


def stage_over(warc, made):
    return documents.documents_stage(DocumentsSettings(), {"made.warc.gz": warc}, made.files.digest)


class InlinePool:
    """Stands in for the pool: items are done here and now."""

    def map(self, function, items, used, *_):
        for item in items:
            used(0.0, 1)
            yield function(item)


@pytest.fixture
def inline(monkeypatch):
    """Parts are done in this process, without Beam's seconds."""

    def run(self, task, parts):
        for part in parts:
            run_part(task, part, pool=InlinePool())

    monkeypatch.setattr(Build, "run_parts", run)


def rows_of(output):
    table = pa.concat_tables(tables_of(output))
    assert table.schema.names == DOCUMENT.names
    return {row["id"].rstrip("0"): row for row in table.to_pylist()}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("documents")
    write_warc(folder / "made.warc.gz", PAGES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "ReadAndExtract", hostile_pages.Obey)
        return build(folder / "build", folder / "made.warc.gz")


def test_pages_in_every_encoding_become_documents(made):
    rows = rows_of(made)
    assert set(rows) == set(KEPT)
    for number, name in enumerate(KEPT, start=1):
        assert rows[name]["text"].startswith(f"Page {number} tells how the river rose")
        assert rows[name]["title"] == f"Day {number}"


def test_a_document_carries_where_it_came_from(made):
    row = rows_of(made)["gzip"]
    assert (row["host"], row["karma_max"], row["warc"]) == ("example.com", 7, "made.warc.gz")
    assert (row["language"], row["charset"]) == ("en", "ascii")
    assert row["extractor"].startswith("blocks")
    assert row["text_chars"] == len(row["text"])
    assert row["offset"] > 0


def test_what_was_encoded_twice_is_counted_in_the_rows_and_in_the_notes(tmp_path):
    warc = tmp_path / "a.warc.gz"
    write_warc(warc, {"twice": (html(1, ' Itâ€™s Â£5 signsâ€"Libra'), {}), "once": (html(2), {})})
    output = build(tmp_path / "build", warc)
    row = rows_of(output)["twice"]
    assert "It’s £5 signsâ€" in row["text"]
    assert (row["mojibake_repaired"], row["mojibake_left"]) == (2, 1)
    (noted,) = manifest_of(tmp_path / "build", "documents").notes("texts")
    assert noted["mojibake"] == {"repaired": 2, "left": 1}


def test_hostile_pages_are_dropped_by_name_and_no_other_page_is_lost(made):
    drops = {row["id"].rstrip("0"): row["reason"] for row in drops_of(made)}
    assert drops == {name: page[2] for name, page in DROPPED.items()}


def test_the_ledger_adds_up(made):
    ledger = made.ledgers["documents"]
    assert ledger.rows_out == len(KEPT)
    (info,) = made.parts
    pages = info.ledgers["pages"]
    assert (pages.rows_in, pages.rows_out) == (len(PAGES), len(KEPT))
    assert sum(pages.drops.values()) == len(DROPPED)


@pytest.mark.usefixtures("inline")
def test_groups_are_cut_by_size_and_give_the_same_documents(tmp_path, monkeypatch):
    warc = tmp_path / "made.warc.gz"
    write_warc(warc, KEPT)
    outputs = []
    for tables, size in ((1, 100), (3, 100), (1, 2)):
        monkeypatch.setattr(documents, "PAGES_PER_PART", size)
        outputs.append(build(tmp_path / f"{tables}-{size}", warc, tables))
    assert [len(output.parts) for output in outputs] == [1, 1, 4]
    assert len({output.digest for output in outputs}) == 1


@pytest.mark.usefixtures("inline")
def test_another_karma_extracts_no_page_and_a_new_link_its_neighbours_alone(tmp_path, monkeypatch):
    warc = tmp_path / "made.warc.gz"
    write_warc(warc, KEPT)
    monkeypatch.setattr(documents, "PAGES_PER_PART", 3)
    work, extracted = documents.ExtractTexts.__call__, []

    def counted(self, part, out):
        extracted.append(part.label)
        work(self, part, out)

    monkeypatch.setattr(documents.ExtractTexts, "__call__", counted)
    pages = partial(Pages, warc)
    run = partial(build, tmp_path / "build", warc)
    assert {row["karma_max"] for row in rows_of(run(pages=pages())).values()} == {7}
    assert len(extracted) == 3
    extracted.clear()
    assert {row["karma_max"] for row in rows_of(run(pages=pages(karma=8))).values()} == {8}
    assert extracted == []
    fewer = rows_of(run(pages=pages(but=("zstd",))))
    assert set(KEPT) - set(fewer) == {"zstd"}
    assert 1 <= len(extracted) <= 2
    extracted.clear()
    assert set(rows_of(run(pages=pages()))) == set(KEPT)
    assert len(extracted) <= 2


@pytest.mark.usefixtures("inline")
def test_links_that_lead_to_one_capture_each_get_its_text_which_is_extracted_once(tmp_path):
    warc = tmp_path / "made.warc.gz"
    write_warc(warc, {"one": KEPT["plain"]})
    output = build(tmp_path / "build", warc, pages=Pages(warc, copies=3))
    rows = rows_of(output)
    assert len(rows) == 3
    assert len({row["text"] for row in rows.values()}) == 1
    ledgers = manifest_of(tmp_path / "build", "documents").ledgers
    assert (ledgers["captures"].rows_in, ledgers["pages"].rows_in) == (1, 3)


@given(
    pages=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9), st.integers(1, 99)), max_size=60)
)
def test_groups_hold_each_row_once_and_no_capture_twice(pages):
    placed = sorted({(f"w {stretch}", offset): length for stretch, offset, length in pages}.items())
    rows = [(*place, length) for place, length in placed for _ in range(1 + length % 3)]
    columns = dict(zip(("stretch", "offset", "length"), zip(*rows, strict=True), strict=False))
    table = pa.table({name: list(column) for name, column in columns.items()} or EMPTY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "PAGES_PER_PART", 4)
        patch.setattr(documents, "PAGES_PER_GROUP_MIN", 2)
        cuts = list(documents._groups(table))
    assert [start for start, _ in cuts] == [0, *(stop for _, stop in cuts[:-1])][: len(cuts)]
    assert sum(stop - start for start, stop in cuts) == len(rows)
    groups = [{row[:2] for row in rows[start:stop]} for start, stop in cuts]
    assert sum(map(len, groups)) == len(set().union(*groups))
    assert all(1 <= len(group) <= 4 for group in groups)


@pytest.mark.usefixtures("inline")
def test_a_warc_file_that_changed_stops_the_build_and_names_the_place(tmp_path):
    warc = tmp_path / "made.warc.gz"
    write_warc(warc, KEPT)
    with Build(tmp_path / "build", ENGINE, quiet=True) as made:
        made.run(pages_stage(warc, 1))
        warc.write_bytes(warc.read_bytes()[:-2000] + b"\0" * 2000)
        with pytest.raises(InputError, match=r"made\.warc\.gz, byte \d+"):
            made.run(stage_over(warc, made))


@pytest.mark.usefixtures("inline")
def test_pages_are_extracted_anew_where_their_warc_file_changed_under_the_same_places(tmp_path):
    warc = tmp_path / "made.warc.gz"
    write_warc(warc, {"one": (html(1), {})}, packed=False)
    first = rows_of(build(tmp_path / "build", warc))["one"]
    warc.write_bytes(warc.read_bytes().replace(b"sacks to the mill", b"boats to the mill"))
    second = rows_of(build(tmp_path / "build", warc))["one"]
    assert first["offset"] == second["offset"]
    assert "sacks to the mill" in first["text"]
    assert "boats to the mill" in second["text"]
