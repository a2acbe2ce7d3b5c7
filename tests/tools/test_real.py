"""The flow on real dumps and captures, to the shards."""

import csv
import gzip
import json
from collections import Counter, defaultdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.engine.drops import read_drops
from pipeline.engine.manifest import read_manifest
from pipeline.engine.store import Disk
from pipeline.lines import Lines
from pipeline.links.select import ReadRules, UrlRules
from pipeline.settings_file import load
from tools.status import status

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(1200)]
RECIPE = Path(__file__).resolve().parents[2] / "recipes" / "real.toml"
# Kinds of posts whose URL is the page's, as it was posted; links in texts do not count.
TO_A_PAGE = {"page", "page-deleted-author", "page-repeat-line", "crosspost"}
# Of 1,446 pages with a post of karma 3 or more: posted within a text (39), by a mobile host, which
# is another address (19), barred by its own URL (16), or by a post without score, time or URL (3).
EXPLAINED_MAX = 77


@pytest.fixture(scope="module")
def build(shared_data, tmp_path_factory, webtext):
    folder = tmp_path_factory.mktemp("real") / "build"
    webtext("build", RECIPE, "--out", folder, "--to", "shards")
    return folder


@pytest.fixture(scope="module")
def stages(build):
    return status(build)["stages"]


def table(folder, columns):
    return pa.concat_tables(pq.read_table(p, columns=columns) for p in folder.glob("part-*"))


def read_tsv(path):
    csv.field_size_limit(1 << 20)
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def test_every_row_of_every_stage_is_accounted_for(stages):
    assert list(stages) == ["links", "pages", "documents", "corpus", "tokenizer", "shards"]
    for stage in stages.values():
        assert stage["state"] == "done"
        dropped = sum(stage["drops"].values())
        assert stage["rows_in"] == stage["rows_out"] + stage["merged"] + dropped
    for before, after in zip(list(stages)[:3], list(stages)[1:4], strict=True):
        assert stages[before]["rows_out"] == stages[after]["rows_in"]
    assert stages["corpus"]["rows_out"] == stages["shards"]["rows_in"] > 900


def test_every_line_of_the_dumps_is_a_submission_in_the_ledger(stages):
    settings, lines = load(RECIPE), 0
    for name in settings.input.dumps:
        with Lines(RECIPE.parent / name) as found:
            lines += sum(1 for _ in found)
    assert stages["links"]["rows_in"] == lines == 15_249


def test_every_record_of_the_captures_has_one_outcome(build, shared_data):
    manifest = read_manifest(Disk(build), "pages")
    ledger = manifest.ledgers["records"]
    records = 0
    for path in (shared_data / "pages").glob("*.warc.gz"):
        with gzip.open(path) as file:
            records += sum(line.startswith(b"WARC/1.") for line in file)
    listed = read_tsv(shared_data / "pages" / "index.tsv.gz")
    assert ledger.rows_in == records == len(listed) + 6  # a warcinfo a file
    assert ledger.rows_in == ledger.rows_out + ledger.drops.total()
    drops = [
        row
        for row in read_drops(Disk(build), manifest.all_parts).to_pylist()
        if row["unit"] == "records"
    ]
    assert len(drops) == ledger.drops.total()
    assert Counter(row["reason"] for row in drops) == ledger.drops
    assert set(ledger.drops) <= {"other_capture", "not_linked", "not_a_page", "unreadable"}


def test_the_pages_with_enough_karma_are_links_or_it_is_known_why_not(build, shared_data):
    kept = {
        row["id"]
        for row in table(build / "links", ["id", "verdict"]).to_pylist()
        if row["verdict"] == "kept"
    }
    target = UrlRules(ReadRules.of(load(RECIPE).links)).target
    posts = defaultdict(list)
    for row in read_tsv(shared_data / "reddit" / "submissions_truth.tsv.gz"):
        is_page = row["page"].startswith("http")  # a crosspost may say "(parent)"
        if is_page and row["score"].lstrip("-").isdigit() and int(row["score"]) >= 3:
            posts[row["page"]].append(row)
    captured = {row["url"] for row in read_tsv(shared_data / "pages" / "index.tsv.gz")}
    assert len(posts) == 1_446
    assert set(posts) <= captured
    left = {url: rows for url, rows in posts.items() if target(url).id not in kept}
    for url, rows in left.items():
        explained = target(url).reason is not None or all(
            row["kind"] not in TO_A_PAGE or row["variant"] == "mobile-host" or row["note"]
            for row in rows
        )
        assert explained, (url, rows)
    assert len(left) <= EXPLAINED_MAX


def test_the_corpus_loads_as_a_dataset_with_each_text_once(build, stages, tmp_path):
    import datasets

    corpus = datasets.load_dataset(str(build / "corpus"), split="train", cache_dir=str(tmp_path))
    assert corpus.num_rows == stages["corpus"]["rows_out"]
    assert len(set(corpus["text"])) == corpus.num_rows
    assert not [host for host in corpus["host"] if host.endswith("wikipedia.org")]


def test_most_captured_pages_of_english_give_a_text(stages):
    documents = stages["documents"]
    assert documents["rows_out"] > 1_000
    broken = {"timed_out", "crashed", "out_of_memory", "extraction_failed"}
    assert broken.isdisjoint(documents["drops"])


def test_the_shards_hold_the_corpus_and_a_twentieth_of_it_is_held_out(build, stages):
    about = json.loads((build / "shards" / "shards.json").read_text())
    splits = about["splits"]
    documents = sum(split["documents"] for split in splits.values())
    assert documents == stages["corpus"]["rows_out"]
    assert 0.02 < splits["val"]["documents"] / documents < 0.09
