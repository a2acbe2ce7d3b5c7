import json
import shutil

import pyarrow.parquet as pq
import pytest

from tools.report import verdict
from tools.report.facts import collect


@pytest.fixture
def build(finished, tmp_path):
    """The finished build, to be changed."""
    shutil.copytree(finished.folder, tmp_path / "build")
    return tmp_path / "build"


def change(build, stage, do):
    path = build / stage / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["xxh3_128"]  # it is to be read as it is
    do(manifest)
    path.write_text(json.dumps(manifest))


def test_the_first_screen_tells_what_came_out_whether_it_is_good_and_what_was_lost(finished):
    facts = collect(finished.folder)
    links, pages, documents, corpus = facts.funnel
    assert verdict.came_out(facts).startswith(f"{corpus.rows_out:,} documents in the corpus: ")
    assert f"{facts.tokens['tokens']:,} tokens" in verdict.came_out(facts)
    parts = finished.folder.glob("corpus/part-*.parquet")
    texts = [text for path in parts for text in pq.read_table(path)["text"].to_pylist()]
    words = sum(len(text.split()) for text in texts)
    assert facts.corpus["words"] == pytest.approx(words, rel=1e-3) and words > 10_000
    assert facts.corpus["text_bytes"] == sum(len(text.encode()) for text in texts)
    assert f": {facts.corpus['words']:,} words, " in verdict.came_out(facts)
    assert verdict.problems(facts) == []
    told = " ".join(verdict.quality(facts))
    assert "Every row is accounted for." in told and "No quality gate failed." in told
    assert f"held-out loss is {facts.model['evaluation']['loss']:.3f} nats" in told
    first, second, third = verdict.lost(facts)
    assert f"{links.dropped:,} were dropped (most often: {links.drops[0].reason} " in first
    assert f"; {links.merged:,} repeat another one's link." in first
    later = pages.dropped + documents.dropped + corpus.dropped
    assert third.endswith(" because the owner asks for that.")
    assert (
        f"Of {links.rows_out:,} links {later:,} were dropped later: {pages.dropped:,} in" in second
    )


def test_pages_whose_owners_ask_to_leave_them_out_are_told_in_a_sentence_of_their_own(finished):
    facts = collect(finished.folder)
    assert verdict.lost(facts)[2] == "7 pages are left out because the owner asks for that."
    facts.funnel[1].drops = [drop for drop in facts.funnel[1].drops if drop.reason != "noai"]
    assert verdict.lost(facts)[2].startswith("6 pages are left out")
    facts.funnel = facts.funnel[:1]
    assert len(verdict.lost(facts)) == 1


def test_a_failed_gate_and_pages_that_broke_their_worker_come_first(build):
    change(build, "links", lambda manifest: manifest["gates"].append("RS.zst is torn"))

    def time_out(manifest):
        manifest["ledgers"]["pages"]["drops"]["timed_out"] = 2

    change(build, "documents", time_out)
    facts = collect(build)
    told = verdict.problems(facts)
    assert told[0] == "Quality gate failed: RS.zst is torn"
    assert told[1].startswith("2 pages failed, crashed or timed out")
    good = " ".join(verdict.quality(facts))
    assert "gate" not in good and "No page failed" not in good


def test_stages_of_different_builds_are_told_apart(build):
    def fewer(manifest):
        manifest["ledgers"]["documents"]["rows_in"] -= 5

    change(build, "corpus", fewer)
    (told,) = verdict.problems(collect(build))
    assert told.startswith("corpus was made of ") and "documents now holds" in told


def test_an_unfinished_build_says_which_stage_was_begun_and_which_are_not_made(build):
    assert list((build / "parts" / "documents-texts").iterdir())
    for name in ("documents", "corpus", "tokenizer", "shards", "model"):
        shutil.rmtree(build / name)
    for step in (build / "parts").iterdir():
        if not step.name.startswith(("links", "pages", "documents")):
            shutil.rmtree(step)
    facts = collect(build)
    (told,) = verdict.problems(facts)
    assert told.startswith("The build is not finished: documents was begun.")
    assert facts.missing == ["corpus", "tokenizer", "shards", "model"]
    assert verdict.came_out(facts) == f"{facts.funnel[-1].rows_out:,} pages."
    assert "extraction" not in " ".join(verdict.quality(facts))
    assert "were dropped later, in pages (" in verdict.lost(facts)[1]
