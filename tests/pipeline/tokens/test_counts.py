"""Counts as tables, and the steps that make them."""

import json
from collections import Counter as Plain
from dataclasses import replace

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reading import folder_of
from steps import run_here, run_steps, write_files

from pipeline.engine.build import Build
from pipeline.engine.digest import file_digest
from pipeline.engine.reading import read_published
from pipeline.engine.store import Disk
from pipeline.errors import InputError, StageError
from pipeline.settings import EngineSettings, ShardsSettings, TokenizerSettings
from pipeline.tokens import counts as module
from pipeline.tokens import counts_stage as stages
from pipeline.tokens.counts import COUNTED, Counter, first_bytes, to_train_on
from pipeline.tokens.counts_stage import counts_stage, last_of_group, order_group
from pipeline.tokens.split import SplitRules
from pipeline.tokens.stage import tokenizer_stage
from pipeline.tokens.texts_stage import texts_stage
from pipeline.tokens.training_stage import given_counts

RULES = TokenizerSettings(vocab_size=400)
ALL = replace(SplitRules.of(ShardsSettings()), val_share=0)


def table(counts: dict[bytes, int]) -> pa.Table:
    return pa.table([list(counts), list(counts.values())], schema=COUNTED)


def plain(counts: pa.Table) -> dict[bytes, int]:
    return dict(zip(counts["pretoken"].to_pylist(), counts["count"].to_pylist(), strict=True))


COUNTS = st.dictionaries(st.binary(max_size=3), st.integers(1, 2**50), max_size=9)


@given(st.lists(COUNTS, max_size=6), st.integers(0, 8))
def test_tables_are_added_up_exactly_and_sorted(tables, held):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ROWS_HELD", held)
        counter = Counter()
        wanted = Plain()
        for each in tables:
            counter.add(table(each))
            wanted.update(each)
        found = counter.table()
    assert plain(found) == wanted
    assert found["pretoken"].to_pylist() == sorted(wanted)


@pytest.mark.parametrize(
    ("text", "bytes_max", "first"),
    [("abc", 0, "abc"), ("abc", 3, "abc"), ("abc", 2, "ab"), ("a中b", 3, "a"), ("\ud800x", 3, "�")],
)
def test_first_bytes_of_a_text(text, bytes_max, first):
    assert first_bytes(text, bytes_max) == first


def test_what_is_trained_on_is_the_table_whatever_its_chunks():
    two = pa.concat_tables([table({b"a": 1, b"bc": 2}).slice(1), table({b"": 3, b"def": 4})])
    counts = to_train_on([two, table({b"g": 2**40})])
    assert counts.text.tobytes() == b"bcdefg"
    assert (counts.ends.tolist(), counts.counts.tolist()) == ([2, 2, 5, 6], [2, 3, 4, 2**40])


def test_too_many_pretokens_to_train_on_are_refused_with_what_to_set(monkeypatch):
    monkeypatch.setattr(module, "TEXT_BYTES_MAX", 5)
    with pytest.raises(StageError, match=r"raise tokenizer\.min_count"):
        to_train_on([table({b"abc": 1, b"def": 1})])


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


def test_held_out_documents_are_not_counted(tmp_path, texts):
    paths = write_files(tmp_path / "in", texts, 1)
    _, about = counted(tmp_path / "b", paths, split=replace(ALL, val_share=0.5))
    assert 60 < about["documents"] < 140


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
