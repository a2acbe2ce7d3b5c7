"""gigatoken where it is installed, and its check by a stand-in that errs."""

import importlib
import json
import sys
from importlib.util import find_spec
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import SettingsError, StageError
from pipeline.tokens import fast
from pipeline.tokens.encode import SAMPLES, Encoder
from pipeline.tokens.tokenizer import END_OF_TEXT, hugging_face, train

INSTALLED = find_spec("gigatoken") is not None
needs_gigatoken = pytest.mark.skipif(not INSTALLED, reason="the extra `fast` is not installed")
MADE = train([*SAMPLES, "it's what they'll say, don't 123 the theory of the other"] * 3, 500, 2)
ENCODER = Encoder(MADE)
TEXTS = st.lists(
    st.one_of(st.text(max_size=8), st.sampled_from(["'ll", "  ", "\n", "\u3000", END_OF_TEXT])),
    max_size=20,
).map("".join)


@pytest.fixture
def stand_in(monkeypatch):
    """gigatoken as another tokenizer.json would have it: what `change` makes of the right one."""

    def put(change):
        class Backend:
            made = 0

            def __init__(self, content):
                Backend.made += 1
                about = json.loads(content)
                assert END_OF_TEXT not in about["model"]["vocab"]
                self.own = hugging_face(change(MADE))
                self.own.encode_special_tokens = True

            def encode(self, content):
                return np.array(self.own.encode(content.decode()).ids, np.uint32)

        package, module = ModuleType("gigatoken"), ModuleType("gigatoken.gigatoken_rs")
        module.load_hf_json = Backend
        package.gigatoken_rs = module
        monkeypatch.setitem(sys.modules, "gigatoken", package)
        monkeypatch.setitem(sys.modules, "gigatoken.gigatoken_rs", module)
        monkeypatch.setattr(fast, "version", lambda _: "0.0")
        return Backend

    return put


def test_the_strings_hold_every_byte_of_utf8_and_every_token_kind():
    tried = list(fast.strings(MADE))
    assert len(tried) == len(set(tried)) == fast.TRIED
    assert len({byte for text in tried for byte in text.encode()}) == 243  # the others are in none
    assert any(END_OF_TEXT in text for text in tried)
    assert tried == list(fast.strings(MADE))


def test_an_engine_of_another_vocabulary_is_refused(stand_in):
    stand_in(lambda made: train(["the other theory"] * 3, 500, 2))
    with pytest.raises(StageError, match=r"gigatoken 0\.0 does not give this tokenizer's ids"):
        Encoder(MADE, "gigatoken")


@pytest.mark.parametrize(("grown_bytes", "made"), [(1 << 30, 4), (0, 0)])
def test_the_cache_is_made_anew_when_the_process_has_grown(
    stand_in, monkeypatch, grown_bytes, made
):
    backend = stand_in(lambda made: made)
    monkeypatch.setattr(fast, "TEXT_BYTES_MIN", 1000)
    monkeypatch.setattr(fast, "memory_bytes", lambda: 0)
    encoder = Encoder(MADE, "gigatoken")
    monkeypatch.setattr(fast, "memory_bytes", lambda: grown_bytes)
    encoder._fast._seen = backend.made = 0
    text = "the theory of the other " * 10  # 240 bytes
    for _ in range(20):
        assert encoder.encode(text).tolist() == ENCODER.encode(text).tolist()
    assert backend.made == made


def test_every_new_character_is_found_by_how_its_utf8_begins():
    new = [c for c in map(chr, [*range(0xD800), *range(0xE000, 0x110000)]) if fast._NEW.match(c)]
    assert len(new) > 4000
    assert all(fast._NEAR_NEW.match(c.encode()) for c in new)
    assert all(c.encode()[:1] in fast._BEGIN_NEW for c in new)
    assert not fast._NEAR_NEW.search("naïve 中文 한국어 ภาษาไทย हिन्दी 👩‍👩‍👧 “quotes” —".encode())


def test_memory_is_that_of_the_process():
    assert fast.memory_bytes() > 10_000_000 or sys.platform != "linux"


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gigatoken", None)
    with pytest.raises(SettingsError, match=r"pip install .*fast"):
        Encoder(MADE, "gigatoken")


@needs_gigatoken
@given(TEXTS)
def test_gigatoken_gives_the_ids_of_tiktoken(text):
    assert FAST.encode(text).tolist() == ENCODER.encode(text).tolist()


@needs_gigatoken
@pytest.mark.parametrize(
    "text",
    [
        " " * 1_000_000 + "x",
        "a" * 300_000,
        "中" * 300_000,
        "a b " * 600_000,
        "a\ud800b",
        "",
        "a \U00032b66't",
        "1\u0c5c't",
        "\U00016ff41",
    ],
    ids=[
        "spaces",
        "letters",
        "Chinese",
        "words",
        "surrogate",
        "nothing",
        "a new letter",
        "a new letter of Telugu",
        "a new number",
    ],
)
def test_gigatoken_takes_what_is_hard(text):
    assert FAST.encode(text).tolist() == ENCODER.encode(text).tolist()


# GPT-4's pattern, in a form that gigatoken knows.
CL100K = (
    *(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)", r"[^\r\n\p{L}\p{N}]?\p{L}+", r"\p{N}{1,3}"),
    *(r" ?[^\s\p{L}\p{N}]+[\r\n]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+"),
)


@needs_gigatoken
def test_gigatoken_with_another_pre_tokenizer_is_refused(monkeypatch):
    module = importlib.import_module("gigatoken.gigatoken_rs")
    right = module.load_hf_json
    pattern = {"Regex": "|".join(CL100K)}
    split = {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}

    def wrong(content):
        about = json.loads(content)
        level = about["pre_tokenizer"] | {"use_regex": False}
        about["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, level]}
        return right(json.dumps(about))

    monkeypatch.setattr(module, "load_hf_json", wrong)
    with pytest.raises(StageError, match="does not give this tokenizer's ids"):
        Encoder(MADE, "gigatoken")


FAST = Encoder(MADE, "gigatoken") if INSTALLED else ENCODER
