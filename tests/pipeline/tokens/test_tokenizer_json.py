import json
import random
import re
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import InputError, SettingsError, WebtextError
from pipeline.tokens.encode import SAMPLES, Encoder
from pipeline.tokens.export import export
from pipeline.tokens.tokenizer import END_OF_TEXT, LETTER_OF_BYTE, train
from pipeline.tokens.tokenizer_files import load

LETTERS = [LETTER_OF_BYTE[byte] for byte in range(256)]
# Few letters, so that merges of any order meet each other; a byte that no text holds alone.
SIDES = ["a", "b", "c", "q", "Ġ", "1", "Ã"]
TEXTS = st.lists(st.sampled_from([*"abcq1 ", "é", "\n", END_OF_TEXT]), max_size=40).map("".join)


def written(folder: Path, merges: list, vocab: dict | None = None, **changes: object) -> Path:
    """A tokenizer.json of the bytes and what the merges make, in their order; `changes` on top.

    Those of the model are named model__KEY, those of its added token end__KEY.
    """
    if vocab is None:
        tokens = [*LETTERS, *dict.fromkeys("".join(pair) for pair in merges)]
        vocab = {token: i for i, token in enumerate(tokens)}
    end = {"id": len(vocab), "content": END_OF_TEXT, "single_word": False, "lstrip": False}
    end |= {"rstrip": False, "normalized": False, "special": True}
    split = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    content = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [end],
        "normalizer": None, "pre_tokenizer": split | {"use_regex": True}, "post_processor": None,
        "decoder": split | {"use_regex": True},
        "model": {"type": "BPE", "vocab": vocab, "merges": merges},
    }  # fmt: skip
    for name, value in changes.items():
        place, _, key = name.partition("__")
        where = {"model": content["model"], "end": end}[place] if key else content
        where[key or name] = value
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def ids_of_the_library(path: Path, text: str) -> list[int]:
    """What the file's own library makes of a text, whole and as ordinary text."""
    read = tokenizers.Tokenizer.from_file(str(path))
    read.no_truncation()
    read.no_padding()
    read.encode_special_tokens = True
    return read.encode(text, add_special_tokens=False).ids


@st.composite
def merge_lists(draw):
    """Merges of known tokens, some of which may repeat, stand early or never come about."""
    known, merges = list(SIDES), []
    for _ in range(draw(st.integers(0, 12))):
        pair = (draw(st.sampled_from(known)), draw(st.sampled_from(known)))
        merges.append(pair)
        known.append("".join(pair))
    moved = draw(st.sampled_from(["as made", "as made", "dropped", "swapped", "ids"]))
    tokens = [*LETTERS, *dict.fromkeys("".join(pair) for pair in merges)]
    if merges and moved == "dropped":
        merges.pop(draw(st.integers(0, len(merges) - 1)))
    if merges and moved == "swapped":
        merges = draw(st.permutations(merges))
    if moved == "ids":
        tokens = [*LETTERS[:250], *draw(st.permutations(tokens[250:]))]
    return merges, {token: i for i, token in enumerate(tokens)}


@settings(max_examples=200, deadline=None)
@given(merge_lists(), st.lists(TEXTS, min_size=1, max_size=8))
def test_any_tokenizer_is_refused_or_gives_the_ids_of_its_own_library(
    tmp_path_factory, made, texts
):
    path = written(tmp_path_factory.mktemp("odd"), *made)
    try:
        encoder = Encoder(load(path))
    except WebtextError as error:
        assert str(path) in str(error)
        return
    for text in texts:
        assert encoder.encode(text).tolist() == ids_of_the_library(path, text)


@settings(max_examples=30, deadline=None)
@given(st.lists(TEXTS, min_size=1, max_size=20), st.lists(TEXTS, min_size=1, max_size=8))
def test_a_tokenizer_that_was_trained_is_taken(tmp_path_factory, learnt, texts):
    folder = tmp_path_factory.mktemp("trained")
    made = train(learnt, 400, 1)
    export(made, folder)
    assert load(folder) == made
    for text in texts:
        found = Encoder(made).encode(text).tolist()
        assert found == ids_of_the_library(folder / "tokenizer.json", text)


AB, ABC = ("a", "b"), ("ab", "c")
HARMLESS = [
    {"model__ignore_merges": True},
    {"model__byte_fallback": True, "model__unk_token": "a", "model__fuse_unk": True},
    {"model__dropout": 0.0},
    {"model__continuing_subword_prefix": "", "model__end_of_word_suffix": ""},
    {"model__merges": ["a b", "ab c"]},
    {"end__lstrip": True, "end__rstrip": True, "end__single_word": True, "end__normalized": True},
    {"truncation": {"direction": "Right", "max_length": 2, "strategy": "LongestFirst",
                    "stride": 0}},
    {"post_processor": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False}},
    {"post_processor": {"type": "RobertaProcessing", "sep": ["a", 1], "cls": ["b", 2],
                        "trim_offsets": True, "add_prefix_space": False}},
]  # fmt: skip


@pytest.mark.parametrize("changes", HARMLESS)
def test_what_changes_no_id_of_a_text_is_taken(tmp_path, changes):
    path = written(tmp_path, [AB, ABC], **changes)
    encoder = Encoder(load(path))
    for text in ("abc abcab", f" {END_OF_TEXT} a{END_OF_TEXT}b ", *SAMPLES):
        assert encoder.encode(text).tolist() == ids_of_the_library(path, text)


def test_a_file_that_does_not_name_its_kind_is_of_merges(tmp_path):
    path = written(tmp_path, [AB])
    content = json.loads(path.read_text())
    del content["model"]["type"]
    path.write_text(json.dumps(content))
    assert load(path).merges == ((b"a", b"b"),)


def bytes_and(*tokens: str) -> dict[str, int]:
    return {token: i for i, token in enumerate([*LETTERS, *tokens])}


SPLIT = {"type": "Split", "pattern": {"Regex": r"\S+"}, "behavior": "Isolated", "invert": False}
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
MANY = bytes_and(*(f"{n:x}" for n in range(2**20, 2**20 + 2**16)))
# Merges, what else is odd about the file, and what is said of it.
REFUSED = {
    "a token that no merge makes": (
        [AB],
        {"vocab": bytes_and("ab", "abc")},
        "1 of its tokens are made by no merge: token 'abc' (id 257)",
    ),
    "merges out of order": (
        [ABC, AB],
        {"vocab": bytes_and("ab", "abc")},
        "merge 1 makes token 'ab' (id 256), and the one before made id 257",
    ),
    "a token made twice": ([AB, ABC, ("b", "c"), ("a", "bc")], {}, "merge 3 makes token 'abc'"),
    "a merge twice": ([AB, AB], {}, "merge 1 makes token 'ab'"),
    "a token never made": ([("b", "c"), AB, ABC], {}, "token 'abc' (id 258) is never made"),
    "a merge of no token": (
        [("a", "zq")],
        {"vocab": bytes_and("azq")},
        "merge 0, 'a' and 'zq', is not of tokens",
    ),
    "a merge to no token": ([("a", "q")], {"vocab": bytes_and()}, "makes no token"),
    "a header among merges": (
        ["#version: 0.2", "a b"],
        {"vocab": bytes_and("ab")},
        "merge 0, '#version:'",
    ),
    "a suffix": ([AB], {"model__end_of_word_suffix": "</w>"}, "end_of_word_suffix is '</w>'"),
    "a prefix": (
        [AB],
        {"model__continuing_subword_prefix": "##"},
        "continuing_subword_prefix is '##'",
    ),
    "dropout": ([AB], {"model__dropout": 0.1}, "dropout is 0.1"),
    "no split": ([AB], {"pre_tokenizer": None}, "pre-tokenizer is None"),
    "another split": ([AB], {"pre_tokenizer": SPLIT}, "pre-tokenizer is Split"),
    "a space before": (
        [AB],
        {"pre_tokenizer": BYTE_LEVEL | {"add_prefix_space": True}},
        "pre-tokenizer",
    ),
    "no pattern": ([AB], {"pre_tokenizer": BYTE_LEVEL | {"use_regex": False}}, "pre-tokenizer"),
    "a normalizer": ([AB], {"normalizer": {"type": "NFC"}}, "normalises"),
    "no end of text": ([AB], {"added_tokens": []}, "added tokens are not just"),
    "an end of text amid ids": ([AB], {"end__id": 3}, "added tokens are not just"),
    "an end of text of two ids": (
        [AB],
        {"vocab": bytes_and("ab") | {END_OF_TEXT: 3}, "end__id": 257},
        "added tokens are not just",
    ),
    "an end of text that texts hold": ([AB], {"end__special": False}, "not special"),
    "another kind": ([], {"model": {"type": "WordPiece", "vocab": {"a": 0}}}, "WordPiece, not BPE"),
    "a list as vocabulary": (
        [],
        {"model": {"type": "Unigram", "vocab": [["a", 0.5]]}},
        "Unigram, not BPE",
    ),
    "gaps": (
        [AB],
        {"vocab": bytes_and() | {"ab": 299}},
        "gaps: 257 tokens, and none of them has id 256",
    ),
    "two tokens of one id": ([AB], {"vocab": bytes_and() | {"ab": 7}}, "gaps: 257 tokens"),
    "negative ids": ([AB], {"vocab": bytes_and() | {"ab": -1}}, "gaps"),
    "too many ids": ([], {"vocab": MANY}, "65,793 ids, and shards hold 16-bit ones"),
    "missing bytes": ([], {"vocab": {"a": 0}}, "255 of the 256 bytes have no token"),
    "letters of no byte": ([], {"vocab": bytes_and("日")}, "token '日' (id 256) is not spelt"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_tiktoken_cannot_express_is_refused_by_name(tmp_path, kind):
    merges, changes, problem = REFUSED[kind]
    path = written(tmp_path, merges, **changes)
    with pytest.raises(SettingsError, match=re.escape(problem)) as error:
        load(path)
    assert str(error.value).startswith(f"{path}: ")


@pytest.mark.parametrize(
    ("changes", "place", "problem"),
    [
        ({"added_tokens": None}, "", r"\$\.added_tokens"),
        ({"added_tokens": [{"id": 257}]}, "", "`content`"),
        ({"model": None}, "model", "got `null`"),
        ({"model": {"type": "BPE", "vocab": bytes_and()}}, "model", "`merges`"),
        ({"model": {"type": "BPE", "merges": []}}, "model", "`vocab`"),
        ({"model__vocab": [["a", 0]]}, "model", r"\$\.vocab"),
        ({"model__vocab": {"a": "0"}}, "model", r"\$\.vocab"),
        ({"model__merges": ["a b c"]}, "merge 0", "not of two tokens"),
        ({"model__merges": [["a", "b", "c"]]}, "model", r"\$\.merges"),
        ({"model__merges": [AB, "ab"]}, "merge 1", "not of two tokens"),
        ({"model__merges": {"a": "b"}}, "model", r"\$\.merges"),
    ],
)
def test_a_file_of_another_shape_is_refused_by_its_place(tmp_path, changes, place, problem):
    path = written(tmp_path, [AB], **changes)
    with pytest.raises(InputError, match=problem) as error:
        load(path)
    assert error.value.place == place
    assert str(path) in str(error.value) and "Copy it anew" in str(error.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"\xff{", b'{"model": {"type": "BPE"'])
def test_a_cut_file_is_named(tmp_path, content):
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(InputError, match=r"tokenizer\.json: not .*Copy it anew"):
        load(tmp_path)


def test_deep_nesting_is_named(tmp_path):
    (tmp_path / "tokenizer.json").write_bytes(b'{"model":' * 90_000)
    with pytest.raises(InputError, match="nested too deeply"):
        load(tmp_path)


def test_a_byte_order_mark_is_named(tmp_path):
    (tmp_path / "tokenizer.json").write_bytes(b"\xef\xbb\xbf{}")
    with pytest.raises(InputError, match="byte order mark"):
        load(tmp_path)


def test_every_cut_of_a_file_is_named(tmp_path):
    whole = written(tmp_path, [AB]).read_bytes()
    rng = random.Random(2)
    for size in rng.sample(range(len(whole)), 50):
        (tmp_path / "tokenizer.json").write_bytes(whole[:size])
        with pytest.raises(InputError):
            load(tmp_path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match="webtext tokenizer train"):
        load(tmp_path)
