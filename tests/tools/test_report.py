import re
import shutil
from html.parser import HTMLParser

import lxml.html
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.engine.manifest import read_manifest
from pipeline.engine.parts import DROPS
from pipeline.engine.store import Disk
from pipeline.errors import SettingsError
from pipeline.reasons import Reason
from tools.report import write_report
from tools.report.charts import columns, histogram, lines
from tools.report.facts import EXAMPLES, collect, domain_label, likeness, openai_domains

HOSTILE = (
    "<script>alert('&lt;')</script></style></title>\"'><img src=http://evil.example/x onerror=y>"
)
FUNNEL = ("links", "pages", "documents", "corpus")
# What makes a browser fetch something, but a link that a person follows.
FETCHING = ("src", "srcset", "data", "poster", "background", "action", "formaction", "ping")


@pytest.fixture(scope="module")
def text(finished):
    return (finished.folder / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text):
    return lxml.html.document_fromstring(text)


def content(element):
    return " ".join(element.text_content().split())


def test_it_is_one_page_that_asks_for_nothing_else(text, page):
    assert text.startswith("<!doctype html>")
    assert not page.xpath("//script | //link | //img | //iframe | //object | //embed | //base")
    assert not page.xpath(" | ".join(f"//@{name}" for name in FETCHING))
    assert all(href.startswith("#") for href in page.xpath("//@href"))
    styles = " ".join([*page.xpath("//style/text()"), *page.xpath("//@style")])
    assert "url(" not in styles
    assert "@import" not in styles


class Nesting(HTMLParser):
    """Checks that every element is closed, the last opened first."""

    def __init__(self):
        super().__init__()
        self.opened = []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "br"):
            self.opened.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.opened.pop() == tag, self.getpos()


def test_it_is_well_formed_and_its_links_lead_somewhere(text, page):
    nesting = Nesting()
    nesting.feed(text)
    assert not nesting.opened
    ids = page.xpath("//@id")
    assert len(ids) == len(set(ids))
    assert {href[1:] for href in page.xpath("//@href")} <= set(ids)


def test_the_funnel_adds_up_and_is_that_of_the_manifests(finished):
    facts = collect(finished.folder)
    assert [stage.name for stage in facts.funnel] == list(FUNNEL)
    for before, after in zip(facts.funnel, facts.funnel[1:], strict=False):
        assert before.rows_out == after.rows_in
    for stage in facts.funnel:
        dropped = sum(drop.count for drop in stage.drops)
        assert stage.rows_in == stage.rows_out + stage.merged + dropped
        manifest = read_manifest(Disk(finished.folder), stage.name)
        booked = manifest.ledgers[manifest.unit].drops
        assert {drop.reason.value: drop.count for drop in stage.drops} == dict(booked)


def test_every_reason_opens_to_its_sentence_its_count_and_real_examples(finished, page):
    shown = {
        code: details
        for details in page.xpath("//details[summary//code]")
        for code in details.xpath("summary//code/text()")
    }
    for stage in collect(finished.folder).funnel:
        for drop in stage.drops:
            details = shown[drop.reason.value]
            summary = content(details.find("summary"))
            assert drop.reason.sentence in summary
            assert f"{drop.count:,}" in summary
            examples = [content(item) for item in details.xpath("ul/li")]
            assert len(examples) == min(EXAMPLES, drop.count)
            assert "no example was kept" not in examples
            assert all(examples)


def test_it_tells_the_verdict_and_shows_every_section(page, finished):
    verdict = content(page.find_class("verdict")[0])
    facts = collect(finished.folder)
    assert f"{facts.funnel[0].rows_in:,} submissions" in verdict
    assert f"{facts.funnel[-1].rows_out:,} documents" in verdict
    assert "No page broke its extractor" in verdict
    assert facts.digest in content(page)
    sections = {"funnel", "corpus", "likeness", "copies", "documents", "tokens", "model", "rebuild"}
    assert sections <= set(page.xpath("//h2/@id"))
    assert len(page.xpath("//svg")) == 3
    assert len(page.find_class("sample")) == len(facts.model["samples"])


def test_near_copies_stand_beside_their_keepers(finished):
    facts = collect(finished.folder)
    assert facts.pairs
    for pair in facts.pairs:
        assert 0.5 <= pair["jaccard"] <= 1
        assert pair["kept"]["id"] != pair["dropped"]["id"]
        kept, dropped = (set(pair[side]["text"].split()) for side in ("kept", "dropped"))
        assert len(kept & dropped) > len(kept) / 4


def test_ten_different_documents_are_shown_with_their_texts(finished, page):
    facts = collect(finished.folder)
    assert len({row["id"] for row in facts.documents}) == 10
    assert all(
        content_of in content(page) for content_of in (row["url"] for row in facts.documents)
    )


def test_sections_whose_stage_is_missing_are_left_out(finished, tmp_path):
    for name in ("links", "data"):
        shutil.copytree(finished.folder / name, tmp_path / name)
    page = lxml.html.document_fromstring(write_report(tmp_path).read_text(encoding="utf-8"))
    assert page.xpath("//h2/@id") == ["funnel", "rebuild"]
    assert page.xpath("//nav/a/@href") == ["#funnel", "#rebuild"]


def test_a_folder_without_a_stage_is_an_error(tmp_path):
    (tmp_path / "shards").mkdir()
    with pytest.raises((SettingsError, Exception), match="no stage"):
        write_report(tmp_path)


def hostile(table, columns):
    for name in columns:
        values = [HOSTILE + value for value in table[name].to_pylist()]
        table = table.set_column(
            table.schema.get_field_index(name), name, pa.array(values, pa.string())
        )
    return table


def test_what_pages_and_posts_say_can_not_act_in_the_report(finished, tmp_path):
    build = tmp_path / "<b>build"
    shutil.copytree(finished.folder, build)
    store, columns = Disk(build), ["title", "text", "url", "host", "date", "language"]
    for stage in FUNNEL:
        manifest = read_manifest(store, stage)
        spoilt = {part.file(DROPS): ["url"] for part in manifest.all_parts}
        if stage in ("documents", "corpus"):
            spoilt |= {part.table: columns for part in manifest.parts}
        for name, hostile_columns in spoilt.items():
            table = hostile(store.table(name), hostile_columns)
            pq.write_table(table, store.local(name))
    text = write_report(build).read_text(encoding="utf-8")
    page = lxml.html.document_fromstring(text)
    assert "<script" not in text
    assert "<img" not in text
    assert not page.xpath("//script | //img | //@onerror | //h1/b")
    assert "<script>alert(" in content(page)
    assert len(page.xpath("//style")) == 1


def test_the_published_domains_are_all_there_and_hosts_count_by_their_name():
    domains = openai_domains()
    assert len(domains) == 1000
    assert list(domains.values()) == sorted(domains.values(), reverse=True)
    found = likeness({"www.google.co.uk": 3, "google.com": 1, "nobody-knows.example": 4})
    assert found["labels"] == 2
    assert found["shared"] == 1
    assert found["documents_share"] == 0.5
    assert "google" not in found["missing"]


@pytest.mark.parametrize(
    ("host", "label"),
    [
        ("www.bbc.co.uk", "bbc"),
        ("slowroads.inkwell.example", "inkwell"),  # no public suffix is listed for it
        ("tested.workbench.test", "workbench"),
        ("localhost", "localhost"),
        ("192.0.2.7", ""),  # as OpenAI's list has IP addresses
    ],
)
def test_a_host_counts_by_its_registrable_name_without_the_suffix(host, label):
    assert domain_label(host) == label


def test_charts_show_each_value_and_survive_none():
    assert columns([], "nothing") == ""
    assert lines([("training", [])], [], "nothing") == ""
    svg = str(columns([("a<b", 3), ("c", 0)], "x<y"))
    lxml.html.fragment_fromstring(svg)
    assert "a&lt;b: 3" in svg
    assert histogram([0, 5, 10, 99], [0, 10, 100]) == [("0", 2), ("10", 2)]


def test_a_chart_of_losses_spans_all_its_points():
    svg = str(lines([("training", [(1, 9.0), (20, 4.0)])], [("ln V", 9.01)], "Loss"))
    points = re.search(r'points="([^"]+)"', svg)[1].split()
    assert len(points) == 2
    assert float(points[0].split(",")[1]) < float(points[1].split(",")[1])  # downwards
    assert "ln V" in svg


def test_the_loss_curve_has_the_lines_of_guessing_and_of_counting(finished, page):
    marks = dict(collect(finished.folder).model["marks"])
    assert sorted(marks.values()) == list(marks.values())[::-1]
    label = content(page.xpath("//svg[@aria-label='Loss by step']")[0])
    assert len(marks) == 2 and all(name in label for name in marks)
    assert len(page.xpath("//svg//line[@class='mark']")) == 2


def test_each_host_with_its_held_out_loss_is_in_the_table(finished, page):
    rows = [[content(cell) for cell in row] for row in page.xpath("//table[@id='hosts']//tr")]
    evaluation = collect(finished.folder).model["evaluation"]
    assert (
        evaluation["hosts"]
        and sum(h["tokens"] for h in evaluation["hosts"]) <= (evaluation["tokens"])
    )
    assert [row[:4] for row in rows[1:]] == [
        [h["host"], f"{h['documents']:,}", f"{h['tokens']:,}", f"{h['loss']:.3f}"]
        for h in evaluation["hosts"]
    ]


def test_every_reason_has_a_sentence_for_people():
    for reason in Reason:
        assert reason.sentence.endswith(".")
