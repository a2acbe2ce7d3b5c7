"""The steps that count, and training on their counts."""

import json
import multiprocessing
import os
import signal
from dataclasses import replace

import pyarrow as pa
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st
from reading import folder_of
from steps import run_here, run_steps, write_files

from pipeline.engine.build import Build
from pipeline.engine.digest import file_digest
from pipeline.engine.parts import read_record
from pipeline.engine.reading import read_published
from pipeline.engine.store import Disk
from pipeline.errors import InputError
from pipeline.settings import EngineSettings, ShardsSettings, TokenizerSettings
from pipeline.tokens import counts_stage as stages
from pipeline.tokens import texts_stage as texts_stages
from pipeline.tokens import training_stage
from pipeline.tokens.counts import Counter
from pipeline.tokens.counts_stage import counts_stage, last_of_group, order_group
from pipeline.tokens.split import SplitRules, split_of
from pipeline.tokens.stage import tokenizer_stage
from pipeline.tokens.texts_stage import texts_stage
from pipeline.tokens.training_stage import given_counts

pytestmark = pytest.mark.usefixtures("inline")
RULES = TokenizerSettings(vocab_size=400)
ALL = replace(SplitRules.of(ShardsSettings()), val_share=0)


def plain(counts: pa.Table) -> dict[bytes, int]:
    return dict(zip(counts["pretoken"].to_pylist(), counts["count"].to_pylist(), strict=True))


def counted(folder, paths, rules=RULES, split=ALL):
    """Counts and what counts.json says, made in this process."""
    corpus = run_here(texts_stage(paths, file_digest), {}, folder)
    last = run_here(counts_stage(rules, split), {"corpus": corpus}, folder)
    tables = [last.store.table(part.table) for part in last.parts]
    about = json.loads((folder / "counts/counts.json").read_text())
    return plain(pa.concat_tables(tables)), about


def test_counts_are_those_of_all_texts_whatever_the_parts(tmp_path, texts, monkeypatch):
    wanted = Counter()
    wanted.add_texts(texts)
    one, about = counted(tmp_path / "1", write_files(tmp_path / "i1", texts, 1))
    assert one == plain(wanted.table())
    assert about["documents"] == len(texts)
    assert about["text_bytes"] == sum(len(text.encode()) for text in texts)
    assert about["occurrences"] == sum(one.values())
    monkeypatch.setattr(stages, "PART_BYTES", 9000)
    monkeypatch.setattr(stages, "ROWS_HELD", 100)
    seven, again = counted(tmp_path / "7", write_files(tmp_path / "i7", texts, 7))
    assert len(list((tmp_path / "7/parts/counts-sum").iterdir())) > 4
    assert (seven, again) == (one, about)


def test_rare_pretokens_are_left_out_and_told(tmp_path, texts):
    paths = write_files(tmp_path / "in", texts, 2)
    whole, _ = counted(tmp_path / "1", paths)
    pruned, about = counted(tmp_path / "3", paths, replace(RULES, min_count=3))
    assert pruned == {word: count for word, count in whole.items() if count >= 3}
    rare = [count for count in whole.values() if count < 3]
    assert (about["pruned_pretokens"], about["pruned_occurrences"]) == (len(rare), sum(rare))
    assert about["min_count"] == 3


def test_no_document_counts_for_more_than_its_share(tmp_path):
    texts = ["ab " * 1000, "cd"]
    paths = write_files(tmp_path / "in", texts, 1)
    found, about = counted(tmp_path / "b", paths, replace(RULES, document_bytes_max=30))
    assert found == {b"ab": 1, b" ab": 9, b" ": 1, b"cd": 1}
    assert (about["cut_documents"], about["text_bytes"]) == (1, 32)


def test_no_document_that_fits_its_share_is_told_as_cut(tmp_path):
    paths = write_files(tmp_path / "in", ["ab " * 10, "cd"], 1)
    _, about = counted(tmp_path / "b", paths, replace(RULES, document_bytes_max=30))
    assert (about["cut_documents"], about["text_bytes"]) == (0, 32)


def test_held_out_documents_are_not_counted(tmp_path, texts):
    split = replace(ALL, val_share=0.5)
    found, about = counted(tmp_path / "b", write_files(tmp_path / "in", texts, 1), split=split)
    ids = {xxhash.xxh3_128_hexdigest(text.encode()): text for text in texts}  # their own are long
    kept = [text for id, text in ids.items() if split_of(id, "", split) == "train"]
    wanted = Counter()
    wanted.add_texts(kept)
    assert 60 < about["documents"] == len(kept) < 140
    assert found == plain(wanted.table())


def test_a_sample_is_drawn_by_hash_and_is_the_same_for_any_parts(tmp_path, texts, monkeypatch):
    rules = replace(RULES, sample_bytes_max=20_000)
    one, about = counted(tmp_path / "1", write_files(tmp_path / "i1", texts, 1), rules)
    assert 20_000 <= about["text_bytes"] < 23_000
    monkeypatch.setattr(stages, "PART_BYTES", 9000)
    assert counted(tmp_path / "7", write_files(tmp_path / "i7", texts[::-1], 7), rules) == (
        one,
        about,
    )


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_groups_of_the_order_are_in_order_and_narrow(one, two):
    low, high = sorted([one, two])
    assert order_group(low) <= order_group(high)
    last = last_of_group(order_group(low))
    assert low <= last <= low + low // 16
    assert order_group(last) == order_group(low) < order_group(last + 1)


def test_counts_of_nothing_are_empty(tmp_path):
    paths = write_files(tmp_path / "in", [], 1)
    corpus = run_here(texts_stage(paths, file_digest), {}, tmp_path)
    outputs = run_steps(counts_stage(RULES, ALL), {"corpus": corpus}, tmp_path)
    assert outputs["sum"].ledgers["pretokens"].rows_out == 0


def tokenizer_of(folder, counts):
    given = [given_counts(each, read_published(Disk(each), "counts")) for each in counts]
    stage = tokenizer_stage(RULES, ShardsSettings(), file_digest, counts=given)
    with Build(folder, EngineSettings(workers=1), quiet=True) as build:
        return build.run(stage)


def published(folder, paths):
    with Build(folder, EngineSettings(workers=1), quiet=True) as build:
        build.run(texts_stage(paths, build.files.digest))
        build.run(counts_stage(RULES, ALL))
    return folder


def test_counts_of_two_months_train_as_all_texts_do(tmp_path, texts):
    months = [
        published(tmp_path / name, write_files(tmp_path / f"in-{name}", some, 1))
        for name, some in (("old", texts[:120]), ("new", texts[120:]))
    ]
    both = tokenizer_of(tmp_path / "both", months)
    whole = published(tmp_path / "whole", write_files(tmp_path / "in-all", texts, 1))
    once = tokenizer_of(tmp_path / "once", [whole])
    assert folder_of(both).joinpath("merges.txt").read_text() == (
        folder_of(once).joinpath("merges.txt").read_text()
    )
    assert both.parts[0].notes["documents"] == 200
    _refuses_others(whole)


def _refuses_others(folder):
    found = read_published(Disk(folder), "counts")
    file = folder / found.manifest.files["counts.json"].name
    about = json.loads(file.read_text())
    for key, value in (("pattern", "cl100k"), ("version", 99), ("pretoken_bytes_max", 7)):
        file.write_text(json.dumps(about | {key: value}))
        with pytest.raises(InputError, match=f"{value}.*Count the texts again"):
            given_counts(folder, found)


def test_a_folder_without_counts_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"there are no counts.*webtext tokenizer count"):
        given_counts(tmp_path, read_published(Disk(tmp_path), "counts"))


@pytest.fixture
def months(tmp_path, texts, monkeypatch):
    """Three files, each a part of its own."""
    monkeypatch.setattr(texts_stages, "SMALL_BYTES", 1)
    return write_files(tmp_path / "in", texts, 3)


def made_of(folder, paths):
    """The published tokenizer of these files."""
    with Build(folder, EngineSettings(workers=1), quiet=True) as build:
        build.run(texts_stage(paths, build.files.digest))
        return build.run(tokenizer_stage(RULES, ShardsSettings(), build.files.digest))


def counts_of(folder):
    """The table of each part's counts, and when it was written."""
    store = Disk(folder)
    records = (read_record(store, e.name) for e in store.entries("parts/tokenizer-count"))
    files = [folder / record.table for record in records]
    return {(file, file.stat().st_mtime_ns) for file in files}


def test_a_new_month_counts_its_own_part_alone(tmp_path, months):
    made_of(tmp_path / "b", months[:2])
    old = counts_of(tmp_path / "b")
    grown = made_of(tmp_path / "b", months)
    assert len(old) == 2
    assert old < counts_of(tmp_path / "b")
    assert grown.digest == made_of(tmp_path / "whole", months).digest


def die_at(owner, name, call):
    """A method ends its process when it is called for so many times."""
    method, calls = getattr(owner, name), []

    def dying(self, *arguments):
        calls.append(1)
        if len(calls) == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return method(self, *arguments)

    setattr(owner, name, dying)


@pytest.mark.parametrize(
    ("place", "counted"),
    [((Counter, "add_texts", 2), 1), ((training_stage._Progress, "told", 100), 3)],
)
def test_a_kill_while_counting_or_training_changes_nothing(tmp_path, months, place, counted):
    def driver():
        die_at(*place)
        made_of(tmp_path / "b", months)

    child = multiprocessing.get_context("fork").Process(target=driver)
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    before = counts_of(tmp_path / "b")
    assert len(before) == counted
    made = made_of(tmp_path / "b", months)
    assert before <= counts_of(tmp_path / "b")
    assert made.digest == made_of(tmp_path / "whole", months).digest
