import json
import re
import shutil
from html.parser import HTMLParser
from itertools import product

import lxml.html
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.engine.manifest import read_manifest
from pipeline.engine.parts import DROPS
from pipeline.engine.store import Disk
from pipeline.errors import SettingsError
from pipeline.reasons import Reason
from tools.model import COMMIT
from tools.report import breakable, percent, write_report
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
        if tag not in ("meta", "br", "wbr"):
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
    for stage in collect(finished.folder).funnel:
        (card,) = page.xpath(f"//div[@class='card'][.//h3[text()='{stage.name}']]")
        shown = {
            code: details
            for details in card.xpath(".//details[summary//code]")
            for code in details.xpath("summary//code/text()")
        }
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
    assert "No page failed, crashed or timed out" in verdict
    assert facts.digest in content(page)
    sections = {
        "funnel",
        "rules",
        "corpus",
        "likeness",
        "copies",
        "documents",
        "tokens",
        "model",
        "rebuild",
    }
    assert sections <= set(page.xpath("//h2/@id"))
    assert len(page.xpath("//svg[@role='img']")) == 2  # the loss, and the tasks in training
    assert len(page.find_class("sample")) == len(facts.model["samples"])


def test_near_copies_stand_beside_their_keepers(finished):
    facts = collect(finished.folder)
    assert facts.pairs
    for pair in facts.pairs:
        assert 0.5 <= pair["likeness"] <= 1
        assert pair["kept"]["id"] != pair["dropped"]["id"]
        kept, dropped = (
            set(pair[side]["text"].striptags().split()) for side in ("kept", "dropped")
        )
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
    assert page.xpath("//h2/@id") == ["funnel", "rules", "rebuild"]
    assert page.xpath("//nav/a/@href") == ["#funnel", "#rules", "#rebuild"]
    verdict = content(page.find_class("verdict")[0])
    assert "Not made: pages, documents, corpus, tokenizer, shards, model." in verdict


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


def test_the_loss_curve_has_the_lines_of_guessing_and_of_counting(finished, page):
    marks = dict(collect(finished.folder).model["marks"])
    assert sorted(marks.values()) == list(marks.values())[::-1]
    legend = content(page.find_class("legend")[0])
    assert len(marks) == 2 and all(name in legend for name in marks)


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


def test_each_limit_stands_in_a_table_with_what_it_drops(finished, page):
    tables = page.xpath("//h2[@id='rules']/following-sibling::div[1]//table")
    rules = collect(finished.folder).rules
    assert len(tables) == len(rules) == 7  # three are the demo's limits on quality
    for table, rule in zip(tables, rules, strict=True):
        shown = [[content(cell) for cell in row.xpath("td")] for row in table.xpath("tr[td[3]]")]
        assert shown == [[one.name, "", f"{one.count:,}"] for one in rule.bins]
        assert len(table.xpath("tr[@class='out']")) == sum(not one.kept for one in rule.bins)
        told = [content(row) for row in table.xpath("tr[@class='limit']")]
        assert told == [one.limit for one in rule.bins if one.limit]


def test_the_records_of_warc_files_are_accounted_for_too(finished, page):
    records = collect(finished.folder).records
    assert records.rows_in == records.rows_out + records.merged + records.dropped
    assert f"{records.rows_in:,} records →" in content(page)


def test_a_copy_names_the_url_of_what_is_kept(finished):
    corpus = collect(finished.folder).funnel[-1]
    (near,) = [drop for drop in corpus.drops if drop.reason == Reason.NEAR_COPY]
    assert all(re.match(r"kept is https?://", one["detail"]) for one in near.examples)


def test_no_password_of_a_url_is_shown(text, page):
    (details,) = page.xpath("//details[summary/span/code='url_credentials']")
    assert "//…@" in content(details)
    assert not re.search(r"https?://[^/\s<]*:[^/\s<]*@", text)


def test_it_tells_how_to_build_it_again(finished, page):
    told = content(page.xpath("//h2[@id='rebuild']/..")[0])
    assert "webtext build COPY.toml --out NEW_FOLDER" in told
    for name in ("links", "pages", "documents", "corpus", "tokenizer", "shards"):
        assert read_manifest(Disk(finished.folder), name).digest in told
    files = [content(item) for item in page.xpath("//details[contains(., 'input files')]//li")]
    settings = (finished.folder / "webtext.toml").read_text(encoding="utf-8")
    assert files and all(name in settings for name in files)


def test_samples_that_were_taken_in_training_are_shown_by_step(finished, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "build")
    with (tmp_path / "build" / "model" / "log.jsonl").open("a", encoding="utf-8") as log:
        log.write('{"kind": "sample", "step": 7, "text": "\\n\\nFirst\\n\\n \\nwords"}\n')
    text = write_report(tmp_path / "build").read_text(encoding="utf-8")
    shown = lxml.html.document_fromstring(text).xpath("//div[@class='card sample'][p]")
    assert [one.text_content().split("\n") for one in shown] == [["step 7First", "words"]]
    assert "train.sample_every" not in text


def test_the_models_tasks_stand_in_a_chart_beside_the_paper_and_beside_what_it_was_trained_on(
    finished, page
):
    commit = json.loads((finished.folder / "model" / COMMIT).read_text(encoding="utf-8"))
    assert page.xpath("//svg[@aria-label='Right answers by step']//polyline")
    rows = [[cell.text_content() for cell in row] for row in page.xpath("//table[@id='suite']//tr")]
    assert len(rows) == 1 + len(commit["suite"]["rows"])
    (wikitext,) = (row for row in rows if row[0] == "wikitext2")
    assert wikitext[4:8] == ["29.41", "22.76", "19.93", "18.34"]
    assert "Other files than the paper's" in page.text_content()
    sets = [row[0].text_content() for row in page.xpath("//table[@id='overlap']//tr")[1:]]
    assert sets == ["lambada", "wikitext2", "winograd", "held-out documents"]
    clean = page.xpath("//table[@id='clean']//tr")[1:]
    assert {row[0].text_content() for row in clean} == {"lambada"}


def test_a_share_above_nothing_is_not_shown_as_nothing():
    told = [percent(share).replace("\u00a0", " ") for share in (0, 0.0001, 0.1234)]
    assert told == ["0.0 %", "< 0.1 %", "12.3 %"]


def luminance(colour):
    full = "".join(digit * 2 for digit in colour) if len(colour) == 3 else colour
    channels = [int(full[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_every_text_reads_on_every_ground(page, scheme):
    # WCAG 2 AA asks for a contrast of 4.5 to 1.
    style = page.xpath("//style/text()")[0]
    found = re.findall(r"--(\w+): light-dark\(#(\w+), #(\w+)\)", style)
    colours = {name: pair[scheme] for name, *pair in found}
    grounds = ("page", "card", "code")
    pairs = [*product(("ink", "soft", "main", "warm"), grounds), ("ink", "pale")]
    for text, ground in pairs:
        high, low = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)


def test_a_name_may_be_broken_before_a_letter_and_stays_escaped():
    assert breakable("<b>.host.co_op 0.5") == "&lt;b&gt;.<wbr>host.<wbr>co_<wbr>op 0.5"


def test_the_tokenizer_is_told_by_kind_and_language(finished, page):
    figures = collect(finished.folder).tokenizer
    assert figures["documents"] > 0 and figures["bytes_per_token"] > 1
    for groups in (figures["by_kind"], figures["by_language"]):
        assert sum(each["text_bytes"] for each in groups.values()) == figures["text_bytes"]
    names = [content(row) for row in page.xpath("//table[@id='tokenizer']//td[1]")]
    assert names == ["all", *sorted(figures["by_kind"]), *figures["by_language"]]
    assert "of the vocabulary" in content(page.xpath("//table[@id='tokenizer']/..")[0])
