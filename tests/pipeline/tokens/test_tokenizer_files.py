import base64
import json
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import InputError, SettingsError, WebtextError
from pipeline.tokens.encode import SAMPLES, Encoder
from pipeline.tokens.export import FORMS, export
from pipeline.tokens.tokenizer import END_OF_TEXT, Tokenizer, train
from pipeline.tokens.tokenizer_files import files_of, load, read

# The files of each form, and which of them a person may name.
NAMED = {
    "hugging-face": ["", "tokenizer.json", "vocab.json", "merges.txt"],
    "openai": ["", "encoder.json", "vocab.bpe"],
    "tiktoken": ["", "webtext.tiktoken"],
    "llm.c": ["", "tokenizer.bin"],
}


@pytest.mark.parametrize(("form", "name"), [(f, name) for f in NAMED for name in NAMED[f]])
def test_each_form_is_read_as_the_tokenizer_that_was_written(tmp_path, tokenizer, form, name):
    export(tokenizer, tmp_path, [form])
    assert load(tmp_path / name) == tokenizer


def test_all_forms_are_tried():
    assert NAMED.keys() == FORMS.keys()


TEXTS = st.lists(st.text("ab #c\n<|endoftext>é中", max_size=30), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(TEXTS)
def test_merges_are_found_again_from_ranks_alone(tmp_path_factory, texts):
    made = train(texts * 3, 330, 1)
    folder = tmp_path_factory.mktemp("ranks")
    for form in ("tiktoken", "llm.c"):
        export(made, folder, [form])
        assert load(folder) == made


def test_transformers_reads_what_was_exported(tmp_path, tokenizer, encoder):
    transformers = pytest.importorskip("transformers")
    export(tokenizer, tmp_path, ["hugging-face"])
    read_ = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert read_.eos_token_id == tokenizer.eot_id and len(read_) == tokenizer.vocab_size
    for text in SAMPLES:
        if END_OF_TEXT not in text:
            ids = read_(text, add_special_tokens=False).input_ids
            assert ids == encoder.encode(text).tolist()
            assert read_.decode(ids, clean_up_tokenization_spaces=False) == text


def openai_encoder(folder: Path) -> tuple[dict[str, int], list[tuple[str, ...]]]:
    """Vocabulary and merges as get_encoder of OpenAI's gpt-2 reads them (src/encoder.py)."""
    vocab = json.loads((folder / "encoder.json").read_text())
    lines = (folder / "vocab.bpe").read_text(encoding="utf-8").split("\n")[1:-1]
    return vocab, [tuple(line.split()) for line in lines]


def test_openais_reader_finds_its_vocabulary_and_merges(tmp_path, tokenizer):
    export(tokenizer, tmp_path, ["openai"])
    vocab, merges = openai_encoder(tmp_path)
    assert vocab[END_OF_TEXT] == tokenizer.eot_id == len(vocab) - 1
    assert len(merges) == len(tokenizer.merges) and all(len(pair) == 2 for pair in merges)
    assert all("".join(pair) in vocab for pair in merges)


def test_a_merge_that_begins_with_a_number_sign_is_no_comment(tmp_path):
    made = train(["##", "##\n##", "#version: ##"] * 3, 400, 2)
    assert (b"#", b"#") in made.merges
    export(made, tmp_path, ["openai"])
    assert load(tmp_path) == made
    lines = (tmp_path / "vocab.bpe").read_text().split("\n")
    (tmp_path / "vocab.bpe").write_text("\r\n".join(lines[1:]))  # no header, saved on Windows
    assert load(tmp_path) == made


def test_the_fullest_form_of_a_folder_is_taken_and_that_below_it(tmp_path, tokenizer):
    other = train(["the the other"], 300, 2)
    (tmp_path / "tokenizer").mkdir()
    export(tokenizer, tmp_path / "tokenizer")
    assert load(tmp_path) == tokenizer
    export(other, tmp_path, ["tiktoken", "llm.c"])
    assert files_of(tmp_path) == (tmp_path / "webtext.tiktoken",)
    export(tokenizer, tmp_path, ["openai"])
    assert [path.name for path in files_of(tmp_path)] == ["encoder.json", "vocab.bpe"]


def test_a_pair_with_a_name_of_its_own_is_found(tmp_path, tokenizer):
    export(tokenizer, tmp_path, ["hugging-face"])
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).rename(tmp_path / f"my-{name}")
    assert load(tmp_path / "my-merges.txt") == tokenizer


BYTES = [bytes([byte]) for byte in range(256)]


def tiktoken_of(tokens: list[bytes]) -> bytes:
    return b"".join(b"%s %d\n" % (base64.b64encode(t), i) for i, t in enumerate(tokens))


def llm_c_of(tokens: list[bytes], **head: int) -> bytes:
    about = {"magic": 20240328, "version": 2, "size": len(tokens), "end": len(tokens) - 1} | head
    packed = struct.pack("<256I", *about.values(), *[0] * 252)
    return packed + b"".join(bytes([len(token)]) + token for token in tokens)


END = END_OF_TEXT.encode()
LETTERS_AND = {"!": 0}
# What a file is called, what it holds, and what is said of it.
REFUSED = {
    "a line of no token": ("x.tiktoken", tiktoken_of(BYTES) + b"?? 256\n", "line 257: b'"),
    "a rank that is none": ("x.tiktoken", b"IQ== 0\nIg== x\n", "line 2: b'Ig== x'"),
    "base64 that is cut": ("x.tiktoken", b"IQ== 0\nIgAAA 1\n", "line 2: b'IgAAA 1'"),
    "a token twice": ("x.tiktoken", b"IQ== 0\nIQ== 1\n", "line 2: token b'!' is there twice"),
    "bytes that are missing": ("x.tiktoken", b"IQ== 0\n", "255 of the 256 bytes have no token"),
    "under 257 entries": ("x.tiktoken", tiktoken_of(BYTES[:255]), "1 of the 256 bytes"),
    "ranks with gaps": (
        "x.tiktoken", tiktoken_of(BYTES) + b"YWI= 300\n", "none of them has id 256"),
    "a token that no ranks make": (
        "x.tiktoken", tiktoken_of([*BYTES, b"abc"]), "made by no merge: token 'abc' (id 256)"),
    "a header that is cut": ("tokenizer.bin", llm_c_of([END])[:500], "is cut within its header"),
    "another version": ("tokenizer.bin", llm_c_of([*BYTES, END], version=3), "is of version 3"),
    "GPT-2's version of another size": (
        "tokenizer.bin", llm_c_of([*BYTES, END], version=1), "is of version 1"),
    "tokens that are cut": (
        "tokenizer.bin", llm_c_of([*BYTES, END])[:-3], "tokens do not end with the file"),
    "more tokens than said": (
        "tokenizer.bin", llm_c_of([*BYTES, END], size=200, end=199), "token 200: its 200 tokens"),
    "an end amid the ids": (
        "tokenizer.bin", llm_c_of([END, *BYTES], end=0), "is not the last id, 256"),
    "an empty token": ("tokenizer.bin", llm_c_of([*BYTES, b"", END]), "a token is empty"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_ranks_that_are_wrong_are_refused_by_their_place(tmp_path, kind):
    name, content, said = REFUSED[kind]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WebtextError) as error:
        load(tmp_path / name)
    assert said in str(error.value) and str(error.value).startswith(str(tmp_path / name))


PAIRS = {
    "no end of text": (lambda v, m: v.pop(END_OF_TEXT), "<|endoftext|> is not there"),
    "an end amid the ids": (lambda v, m: v.update({END_OF_TEXT: 5}), "<|endoftext|> is id 5"),
    "a second special token": (
        lambda v, m: v.update({"<pad>": v[END_OF_TEXT], END_OF_TEXT: v[END_OF_TEXT] + 1}),
        "made by no merge: token '<pad>' (id 699)",
    ),
    "a merge of unknown parts": (lambda v, m: m.append("zq zq"), "'zq' and 'zq', is not of tokens"),
    "merges out of order": (lambda v, m: m.reverse(), "needs merges in the order of their ids"),
    "a merge of three": (lambda v, m: m.append("a b c"), "'a b c' is not of two tokens"),
    "a blank line": (lambda v, m: m.insert(3, ""), "line 5: '' is not of two tokens"),
    "merges that are cut": (lambda v, m: m.pop(), "1 of its tokens are made by no merge"),
}


@pytest.mark.parametrize("kind", PAIRS)
def test_a_vocabulary_and_merges_that_do_not_fit_are_refused(tmp_path, tokenizer, kind):
    export(tokenizer, tmp_path, ["openai"])
    vocab = json.loads((tmp_path / "encoder.json").read_text())
    header, *merges = (tmp_path / "vocab.bpe").read_text(encoding="utf-8").split("\n")[:-1]
    change, said = PAIRS[kind]
    change(vocab, merges)
    (tmp_path / "encoder.json").write_text(json.dumps(vocab))
    (tmp_path / "vocab.bpe").write_text("\n".join([header, *merges, ""]), encoding="utf-8")
    with pytest.raises(WebtextError) as error:
        load(tmp_path)
    assert said in str(error.value)


def test_half_of_a_pair_and_an_empty_folder_say_what_is_missing(tmp_path, tokenizer):
    with pytest.raises(SettingsError, match=r"no tokenizer there: .*`webtext tokenizer train`"):
        load(tmp_path)
    export(tokenizer, tmp_path, ["openai"])
    (tmp_path / "vocab.bpe").unlink()
    with pytest.raises(InputError, match=r"there is no vocab\.bpe beside it"):
        load(tmp_path / "encoder.json")
    with pytest.raises(SettingsError, match="no tokenizer there"):
        load(tmp_path)


def test_a_tokenizer_with_a_token_that_nothing_makes_can_be_looked_at(tmp_path):
    (tmp_path / "x.tiktoken").write_bytes(tiktoken_of([*BYTES, b"ab", b"xyz"]))
    found = read(tmp_path / "x.tiktoken")
    assert found.tokenizer.tokens[256:] == (b"ab", b"xyz", END)
    assert found.problem.startswith("1 of its tokens are made by no merge")


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_ids(tmp_path, tokenizer: Tokenizer, encoder, form):
    export(tokenizer, tmp_path, [form])
    other = Encoder(load(tmp_path))
    for text in SAMPLES:
        assert other.encode(text).tolist() == encoder.encode(text).tolist()
        assert tokenizer.eot_id not in other.encode(text)
