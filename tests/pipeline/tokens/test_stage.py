"""The two stages as a build runs them; the rules have tests of their own."""

import json
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
from reading import folder_of
from steps import run_here, run_steps, write_files

from pipeline.engine import writer as engine_writer
from pipeline.engine.build import Build
from pipeline.engine.digest import file_digest
from pipeline.engine.parts import read_record
from pipeline.engine.stage import Output, PartWriter, identity
from pipeline.engine.store import Disk
from pipeline.engine.writer import PartStopped
from pipeline.errors import SettingsError, StageError
from pipeline.settings import EngineSettings, ShardsSettings, TextsSettings, TokenizerSettings
from pipeline.texts import Odd, read_texts
from pipeline.tokens import stage as stages
from pipeline.tokens.encode import Encoder
from pipeline.tokens.export import FORMS, export
from pipeline.tokens.shards import read_tokens
from pipeline.tokens.split import SplitRules, pieces, split_of
from pipeline.tokens.stage import shards_stage, tokenizer_stage
from pipeline.tokens.texts import text_of
from pipeline.tokens.texts_stage import texts_stage
from pipeline.tokens.tokenizer_files import load

# `made` alone is made by Beam: it is there before any test.
pytestmark = pytest.mark.usefixtures("inline")
TOKENIZER = TokenizerSettings(vocab_size=400)
SHARDS = ShardsSettings(val_share=0.1, shard_tokens_max=6000)


def make_here(
    folder: Path,
    paths: list[Path],
    tokenizer: TokenizerSettings = TOKENIZER,
    shards: ShardsSettings = SHARDS,
) -> tuple[Output, Output]:
    """As `build`, in this process."""
    corpus = run_here(texts_stage(paths, file_digest), {}, folder)
    made = run_here(tokenizer_stage(tokenizer, shards, file_digest), {"corpus": corpus}, folder)
    inputs = {"corpus": corpus, "tokenizer": made}
    return made, run_here(shards_stage(shards), inputs, folder)


def build(
    folder: Path,
    paths: list[Path],
    tokenizer: TokenizerSettings = TOKENIZER,
    shards: ShardsSettings = SHARDS,
) -> tuple[Output, Output]:
    """The published stages, tokenizer and shards."""
    with Build(folder, EngineSettings(workers=1), quiet=True) as made:
        made.run(texts_stage(paths, made.files.digest))
        return (
            made.run(tokenizer_stage(tokenizer, shards, made.files.digest)),
            made.run(shards_stage(shards)),
        )


@pytest.fixture(scope="module")
def corpus(tmp_path_factory, texts) -> tuple[Path, list[Path]]:
    folder = tmp_path_factory.mktemp("stage")
    return folder, write_files(folder / "in", texts, 3)


@pytest.fixture(scope="module")
def made(corpus) -> tuple[Output, Output]:
    return build(corpus[0] / "build", corpus[1])


def test_all_documents_are_in_the_shards_with_an_eot_each(made, texts):
    tokenizer, shards = made
    assert shards.ledgers["documents"].rows_in == len(texts)
    assert shards.ledgers["documents"].rows_out == len(texts)
    encoder = Encoder(load(folder_of(tokenizer)))
    content = json.loads((folder_of(shards) / "shards.json").read_text())
    counted = sum(split["tokens"] for split in content["splits"].values())
    assert counted == sum(len(encoder.encode(text)) for text in texts) + len(texts)
    assert content["tokenizer"] == encoder.tokenizer.digest
    assert content["eot_id"] == encoder.tokenizer.eot_id


def test_the_stages_give_these_tokens_until_their_version_changes(made):
    # A change here is a change of a rule: raise the version of the step that made it.
    tokenizer, shards = made
    assert tokenizer.parts[0].notes["digest"] == "ca74d10c631efb5ef9a1b22d0b81384b"
    content = json.loads((folder_of(shards) / "shards.json").read_text())
    checksums = [entry["xxh3_128"] for entry in content["files"]]
    assert (len(checksums), checksums[0], checksums[-1]) == (
        8,
        "b83b4b4ec4eb6707d52c2f6e06b1df2f",
        "5a7d0ef520a003e6f8e1a4708208b92d",
    )


def test_each_row_leads_to_its_text(made, texts):
    tokenizer, shards = made
    encoder = Encoder(load(folder_of(tokenizer)))
    decoded = []
    for info in shards.parts:
        for row in shards.store.table(info.table).to_pylist():
            tokens = read_tokens(folder_of(shards) / f"{row['shard']}.bin")
            decoded.append(encoder.decode(tokens[row["start"] + 1 :][: row["tokens"]]))
            assert row["url"] == f"http://h.example/{decoded[-1][-7:]}"
    assert sorted(decoded) == sorted(texts)


def test_files_and_their_checksums_stand_in_shards_json(made):
    shards = made[1]
    content = json.loads((folder_of(shards) / "shards.json").read_text())
    names = [entry["name"] for entry in content["files"]]
    assert names == sorted(path.name for path in folder_of(shards).glob("*.bin"))
    assert sum(name.startswith("train") for name in names) >= 2
    assert not list(folder_of(shards).glob("*.tokens"))
    checksums = {name: file.xxh3_128 for part in shards.parts for name, file in part.files.items()}
    assert all(checksums[entry["name"]] == entry["xxh3_128"] for entry in content["files"])


def test_tokenizer_and_shards_do_not_depend_on_files_or_order(made, texts, tmp_path, monkeypatch):
    monkeypatch.setattr(engine_writer, "ROW_GROUP_BYTES", 2000)
    monkeypatch.setattr(stages, "PART_BYTES", 9000)
    monkeypatch.setattr("pipeline.tokens.texts_stage.BATCH_ROWS", 5)
    shuffled = random.Random(8).sample(texts, len(texts))
    for files in (1, 7):
        paths = write_files(tmp_path / f"in-{files}", shuffled, files)
        tokenizer, shards = make_here(tmp_path / f"build-{files}", paths)
        assert len(list((tmp_path / f"build-{files}" / "data").glob("*.tokens"))) > 7
        assert (tokenizer.digest, shards.digest) == (made[0].digest, made[1].digest)
        for path in folder_of(made[1]).glob("[tv]*_*"):
            assert (folder_of(shards) / path.name).read_bytes() == path.read_bytes()


def test_a_second_run_makes_nothing_again(corpus, made):
    before = {path: path.stat().st_mtime_ns for path in folder_of(made[1]).iterdir()}
    again = build(corpus[0] / "build", corpus[1])
    assert [output.digest for output in again] == [output.digest for output in made]
    assert {path: path.stat().st_mtime_ns for path in folder_of(made[1]).iterdir()} == before


def test_held_out_documents_are_not_seen_by_the_tokenizer(made, corpus, texts, tmp_path):
    rules = SplitRules.of(SHARDS)
    rare = [f"zqj zqj xkv{number} " * 50 for number in range(300)]
    paths = write_files(tmp_path / "in", [*texts, *rare], 1)
    kept = []
    for found in read_texts(paths[0], "in", TextsSettings(), Odd()):
        text = text_of(found)
        if text.text not in rare or split_of(text.id, text.host, rules) == "val":
            kept.append(text.text)
    assert len(kept) > len(texts)
    paths[0].write_text("".join(json.dumps({"id": text, "text": text}) + "\n" for text in kept))
    tokenizer, _ = make_here(tmp_path / "build", paths)
    assert tokenizer.digest == made[0].digest


def test_the_tokenizer_sees_a_sample_of_the_asked_size(corpus, made, tmp_path):
    tokenizer, _ = make_here(tmp_path / "b", corpus[1], replace(TOKENIZER, sample_bytes_max=20_000))
    seen = tokenizer.parts[0].notes
    assert 20_000 <= seen["text_bytes"] < 22_000
    assert seen["documents"] < made[0].parts[0].notes["documents"]
    assert tokenizer.digest != made[0].digest


def test_a_vocabulary_larger_than_the_corpus_allows_is_noted(tmp_path):
    paths = write_files(tmp_path / "in", [f"ab ab ab {n}" for n in range(9)], 1)
    tokenizer, _ = make_here(tmp_path / "b", paths, TokenizerSettings())
    notes = tokenizer.parts[0].notes
    assert notes["vocab_size_wanted"] == 50_257
    assert notes["vocab_size"] == tokenizer.ledgers["tokens"].rows_out < 270


def gates(folder: Path, paths: list[Path], shards: ShardsSettings = SHARDS) -> list[str]:
    """The quality gates that fail in tokenizer and shards."""
    with Build(folder, EngineSettings(workers=1), quiet=True) as made:
        made.run(texts_stage(paths, made.files.digest))
        made.run(tokenizer_stage(TOKENIZER, shards, made.files.digest))
        made.run(shards_stage(shards))
        return made.gates


def test_a_corpus_that_fills_the_vocabulary_and_both_splits_passes_all_gates(corpus, made):
    assert gates(corpus[0] / "build", corpus[1]) == []


def test_a_vocabulary_smaller_than_asked_fails_a_gate_that_names_the_size(tmp_path):
    paths = write_files(tmp_path / "in", [f"ab ab ab {n}" for n in range(90)], 1)
    (gate,) = gates(tmp_path / "b", paths)
    got = json.loads((tmp_path / "b/shards/shards.json").read_text())["vocab_size"]
    assert f"{got} tokens were learnt, and 400 were asked for" in gate
    assert f"Set tokenizer.vocab_size to {got}" in gate


def test_a_corpus_of_one_document_fails_a_gate_that_offers_blocks(tmp_path, texts):
    paths = write_files(tmp_path / "in", ["\n".join(texts[1:])], 1)  # its hash is not held out
    (gate,) = gates(tmp_path / "b", paths)
    assert "of 1 documents none is held out" in gate
    assert 'hold out blocks (shards.split_by = "block")' in gate
    assert not gates(tmp_path / "none", paths, replace(SHARDS, val_share=0))


def test_a_corpus_that_is_all_held_out_fails_a_gate(made, tmp_path, texts):
    paths = write_files(tmp_path / "in", texts[:5], 1)
    with Build(tmp_path / "b", EngineSettings(workers=1), quiet=True) as build:
        rules = replace(SHARDS, val_share=0.999999999)
        build.run(texts_stage(paths, build.files.digest))
        own = TokenizerSettings(path=str(folder_of(made[0])))
        build.run(tokenizer_stage(own, rules, build.files.digest))
        build.run(shards_stage(rules))
        assert "nothing is left to train on, all 5 documents are held out" in build.gates[0]


BLOCKS = replace(SHARDS, split_by="block")


def test_blocks_of_one_document_are_held_out_and_no_text_is_lost(tmp_path, texts):
    text = "\n".join(texts)
    paths = write_files(tmp_path / "in", [text], 1)
    assert gates(tmp_path / "b", paths, BLOCKS) == []
    tokenizer, shards = build(tmp_path / "b", paths, shards=BLOCKS)
    content = json.loads((folder_of(shards) / "shards.json").read_text())
    assert content["split_by"] == "block"
    assert all(content["splits"][split]["tokens"] for split in ("train", "val"))
    counted = [content["splits"][split]["text_bytes"] for split in ("train", "val")]
    assert sum(counted) == len(text.encode())
    assert 0.02 < counted[1] / sum(counted) < 0.2
    pieces = sum(content["splits"][split]["documents"] for split in ("train", "val"))
    assert shards.ledgers["pieces"].rows_out == pieces
    assert (shards.ledgers["documents"].rows_in, shards.ledgers["documents"].rows_out) == (1, 1)
    encoder = Encoder(load(folder_of(tokenizer)))
    found = []
    for info in shards.parts:
        for row in shards.store.table(info.table).to_pylist():
            tokens = read_tokens(folder_of(shards) / f"{row['shard']}.bin")
            found.append(encoder.decode(tokens[row["start"] + 1 :][: row["tokens"]]))
    assert sorted(found, key=text.index) and sum(map(len, found)) == len(text)


def test_held_out_blocks_are_not_seen_by_the_tokenizer(tmp_path, texts):
    text = "\n".join(texts)
    whole, _ = make_here(tmp_path / "w", write_files(tmp_path / "b", [text], 1), shards=BLOCKS)
    store = Disk(tmp_path / "w")
    (read,) = (read_record(store, entry.name) for entry in store.entries("parts/corpus-read"))
    (own,) = store.table(read.table)["id"].to_pylist()
    rules = SplitRules.of(BLOCKS)
    train = [p.text for p in pieces(own, "h.example", text, rules) if p.split == "train"]
    assert 1 < len(train) < 9
    # The pieces to train on alone, as documents of which none is held out.
    paths = write_files(tmp_path / "c", train, 1)
    alone, _ = make_here(tmp_path / "n", paths, shards=replace(SHARDS, val_share=0))
    assert load(folder_of(whole)) == load(folder_of(alone))
    assert whole.parts[0].notes["text_bytes"] == sum(len(t.encode()) for t in train)


def test_an_existing_tokenizer_is_used_as_it_is(corpus, made, tmp_path):
    settings = TokenizerSettings(path=str(folder_of(made[0])))
    tokenizer, shards = make_here(tmp_path / "b", corpus[1], settings)
    assert load(folder_of(tokenizer)) == load(folder_of(made[0]))
    assert tokenizer.digest == made[0].digest
    assert shards.digest == made[1].digest


def test_a_missing_tokenizer_is_told_before_any_work(corpus, tmp_path):
    with pytest.raises(SettingsError, match="no such file"):
        make_here(tmp_path / "b", corpus[1], TokenizerSettings(path="nowhere.json"))


def test_a_corpus_that_is_all_held_out_trains_no_tokenizer(tmp_path, texts):
    paths = write_files(tmp_path / "in", texts[:5], 1)
    with pytest.raises(StageError, match="lower shards"):
        make_here(tmp_path / "b", paths, shards=replace(SHARDS, val_share=0.999999999))


def test_only_what_decides_the_split_makes_the_tokenizer_anew():
    def identity_of(shards: ShardsSettings) -> str:
        stage = tokenizer_stage(TOKENIZER, shards, file_digest)
        return identity(stage, stage.steps[0], {})

    same = identity_of(SHARDS)
    assert identity_of(replace(SHARDS, shard_tokens_max=10**6)) == same
    assert identity_of(replace(SHARDS, val_share=0.2)) != same


@pytest.mark.parametrize("name", ["count", "train"])
def test_a_part_that_is_asked_to_stop_leaves_nothing(corpus, tmp_path, name):
    texts = run_here(texts_stage(corpus[1], file_digest), {}, tmp_path)
    stage = tokenizer_stage(TOKENIZER, SHARDS, file_digest)
    before = [step.name for step in stage.steps].index(name)
    outputs = run_steps(replace(stage, steps=stage.steps[:before]), {"corpus": texts}, tmp_path)
    step = stage.steps[before]
    (part, *_) = step.plan(*(outputs[each.name] for each in step.inputs))
    out = PartWriter(
        Disk(tmp_path), stage.name, step.name, part, step.schema, stopping=lambda: True
    )
    with pytest.raises(PartStopped):
        step.work(part, out)
    out.abandon()
    assert not list((tmp_path / f"parts/tokenizer-{name}").glob("*"))
    assert not list((tmp_path / "scratch").glob("*"))


PROGRAM = """
import sys
from pathlib import Path
from pipeline.engine.build import Build
from pipeline.settings import EngineSettings, ShardsSettings, TokenizerSettings
from pipeline.tokens.stage import shards_stage, tokenizer_stage
from pipeline.tokens.texts_stage import texts_stage

shards = ShardsSettings(val_share=0.1, shard_tokens_max=6000)
with Build(Path(sys.argv[1]), EngineSettings(workers=1), quiet=True) as build:
    build.run(texts_stage([Path(path) for path in sys.argv[2:]], build.files.digest))
    build.run(tokenizer_stage(TokenizerSettings(vocab_size=400), shards, build.files.digest))
    build.run(shards_stage(shards))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "sign", ["scratch/*/vocab.json", "parts/shards-encode/*", "parts/shards-write/*"]
)
def test_shards_are_the_same_after_a_kill(corpus, made, tmp_path, sign):
    command = [sys.executable, "-c", PROGRAM, str(tmp_path), *map(str, corpus[1])]
    with subprocess.Popen(command) as child:
        while child.poll() is None and not list(tmp_path.glob(sign)):
            time.sleep(0.002)
        child.kill()
    assert child.returncode == -signal.SIGKILL
    assert not (tmp_path / "shards").exists()
    tokenizer, shards = build(tmp_path, corpus[1])
    assert (tokenizer.digest, shards.digest) == (made[0].digest, made[1].digest)


@pytest.mark.parametrize("form", FORMS)
def test_a_tokenizer_of_any_form_gives_the_same_shards(made, corpus, tmp_path, form):
    export(load(folder_of(made[0])), tmp_path, [form])
    own = TokenizerSettings(path=str(tmp_path))
    _, shards = make_here(tmp_path / "build", corpus[1], own)
    assert shards.digest == made[1].digest


def test_the_plan_of_a_pair_changes_with_either_file(made, tmp_path):
    export(load(folder_of(made[0])), tmp_path, ["openai"])
    stage = tokenizer_stage(TokenizerSettings(path=str(tmp_path)), SHARDS, file_digest)
    (before,) = stage.steps[0].plan()
    with (tmp_path / "vocab.bpe").open("a") as file:
        file.write("x y\n")
    (after,) = stage.steps[0].plan()
    assert before.digest != after.digest


@pytest.mark.skipif(not find_spec("gigatoken"), reason="the extra `fast` is not installed")
def test_gigatoken_gives_the_same_shards(made, corpus, tmp_path):
    _, shards = make_here(tmp_path, corpus[1], shards=replace(SHARDS, encoder="gigatoken"))
    assert shards.digest == made[1].digest


def test_a_tokenizer_with_a_token_too_long_for_llm_c_is_published_without_its_file(tmp_path):
    paths = write_files(tmp_path / "in", [f"{'-' * 600}\n{n}" for n in range(9)], 1)
    made, _ = make_here(tmp_path / "build", paths, shards=replace(SHARDS, val_share=0.3))
    names = {path.name for path in folder_of(made).iterdir()}
    assert "tokenizer.bin" not in names and "webtext.tiktoken" in names
