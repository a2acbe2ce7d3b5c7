import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiktoken
import tokenizers
from tiktoken.load import load_tiktoken_bpe
from tokenizers import decoders, models, pre_tokenizers

from pipeline.errors import SettingsError
from pipeline.tokens.encode import PATTERN, SAMPLES, Encoder
from pipeline.tokens.export import export, files
from pipeline.tokens.tokenizer import END_OF_TEXT, Tokenizer, train
from pipeline.tokens.tokenizer_files import load

PROGRAM = """
from pipeline.tokens.tokenizer import train
texts = [f"{a} {b} and {a}{b}" for a in "abcdefgh" for b in "hgfedcba"]
print(train(texts, 400, 2).digest)
"""


@pytest.fixture
def saved(tokenizer: Tokenizer, tmp_path: Path) -> Path:
    export(tokenizer, tmp_path)
    return tmp_path


def test_end_of_text_is_the_last_id_and_counts_in_the_vocabulary(tokenizer):
    assert tokenizer.vocab_size == 700
    assert tokenizer.eot_id == 699
    assert tokenizer.tokens[699] == END_OF_TEXT.encode()
    assert END_OF_TEXT.encode() not in tokenizer.tokens[:699]
    assert {bytes([byte]) for byte in range(256)} <= set(tokenizer.tokens[:256])


def test_every_merge_makes_a_token(tokenizer):
    assert all(left + right in tokenizer.tokens for left, right in tokenizer.merges)


def test_the_tokenizer_does_not_depend_on_the_order_of_texts(texts, tokenizer):
    shuffled = random.Random(5).sample(texts, len(texts))
    assert train(shuffled, 700, 2) == tokenizer


def test_the_tokenizer_does_not_depend_on_hash_seeds_or_threads():
    digests = set()
    for seed, threads in (("1", "1"), ("2", "4")):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "RAYON_NUM_THREADS": threads}
        result = subprocess.run(
            [sys.executable, "-c", PROGRAM], capture_output=True, env=environment, check=True
        )
        digests.add(result.stdout)
    assert len(digests) == 1


def test_a_small_corpus_gives_the_vocabulary_that_it_can():
    small = train(["ab ab ab"], vocab_size=5000, min_frequency=2)
    assert small.merges == ((b"a", b"b"), (b" ", b"ab"))
    assert small.vocab_size == 259


def test_no_text_at_all_gives_the_bytes():
    assert train([], 5000, 2).vocab_size == 257


def test_a_literal_end_of_text_is_learnt_as_ordinary_text():
    literal = train([END_OF_TEXT * 50] * 50, 400, 2)
    assert literal.tokens.count(END_OF_TEXT.encode()) == 1
    assert b"endoftext" in literal.tokens


def test_saved_files_are_these_and_load_gives_the_same_tokenizer(saved, tokenizer):
    assert sorted(path.name for path in saved.iterdir()) == sorted(files(tokenizer))
    assert load(saved) == tokenizer
    assert load(saved / "tokenizer.json").digest == tokenizer.digest


def test_tokenizers_reads_tokenizer_json(saved, encoder):
    read = tokenizers.Tokenizer.from_file(str(saved / "tokenizer.json"))
    read.encode_special_tokens = True
    for text in SAMPLES:
        assert read.encode(text).ids == encoder.encode(text).tolist()
        assert read.decode(read.encode(text).ids, skip_special_tokens=False) == text


def test_vocab_json_and_merges_txt_are_read_as_gpt2s(saved, encoder):
    model = models.BPE.from_file(str(saved / "vocab.json"), str(saved / "merges.txt"))
    read = tokenizers.Tokenizer(model)
    read.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    read.decoder = decoders.ByteLevel()
    for text in SAMPLES:
        assert read.encode(text).ids == encoder.encode(text).tolist()


def test_merges_that_start_with_a_number_sign_are_kept(tmp_path):
    export(train(["##", "##\n##"], 400, 2), tmp_path)
    lines = (tmp_path / "merges.txt").read_text().splitlines()
    assert "# #" in lines[1:]
    model = models.BPE.from_file(str(tmp_path / "vocab.json"), str(tmp_path / "merges.txt"))
    assert [token.value for token in model.tokenize("##")] == ["##"]


def test_tiktoken_reads_its_own_format(saved, tokenizer, encoder):
    ranks = load_tiktoken_bpe(str(saved / "webtext.tiktoken"))
    read = tiktoken.Encoding(
        "webtext",
        pat_str=PATTERN,
        mergeable_ranks=ranks,
        special_tokens={END_OF_TEXT: tokenizer.eot_id},
        explicit_n_vocab=tokenizer.vocab_size,
    )
    for text in SAMPLES:
        assert read.encode_ordinary(text) == encoder.encode(text).tolist()


def llm_c_tokens(path):
    """The tokens and the id of end-of-text, as llm.c's tokenizer_init reads them."""
    with path.open("rb") as file:
        header = np.fromfile(file, np.uint32, 256)
        assert header[0] == 20240328
        assert header[1] == 2
        table = []
        for _ in range(header[2]):
            length = file.read(1)[0]
            assert length > 0
            table.append(file.read(length))
            assert len(table[-1]) == length
        assert file.read() == b""
    return table, int(header[3])


def test_llm_c_reads_its_own_format(saved, tokenizer, encoder):
    table, eot_id = llm_c_tokens(saved / "tokenizer.bin")
    assert eot_id == tokenizer.eot_id
    assert table == list(tokenizer.tokens)
    for text in SAMPLES:
        assert b"".join(table[i] for i in encoder.encode(text)).decode() == text


def test_a_token_that_is_too_long_for_llm_c_is_refused_by_name_and_its_file_left_out(tmp_path):
    long = train(["-" * 600] * 9, 400, 2)
    number = next(i for i, token in enumerate(long.tokens) if len(token) > 255)
    with pytest.raises(SettingsError, match=rf"bin: token .*id {number}\)"):
        export(long, tmp_path, ["tiktoken", "llm.c"])
    assert list(tmp_path.iterdir()) == []
    export(long, tmp_path)
    assert "tokenizer.json" in files(long) and "tokenizer.bin" not in files(long)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(files(long))


def test_the_config_tells_transformers_class_and_special_tokens(saved, tokenizer):
    config = json.loads((saved / "tokenizer_config.json").read_text())
    assert config["tokenizer_class"] == "GPT2TokenizerFast"
    assert config["add_prefix_space"] is False
    assert config["clean_up_tokenization_spaces"] is False
    for role in ("bos_token", "eos_token", "unk_token"):
        assert config[role] == END_OF_TEXT
    (number, token) = next(iter(config["added_tokens_decoder"].items()))
    assert int(number) == tokenizer.eot_id
    assert token["content"] == END_OF_TEXT
    assert token["special"]


@pytest.mark.real
def test_a_tokenizer_of_real_books_encodes_them_back(shared_data):
    import lzma

    path = shared_data / "text" / "gutenberg_books.jsonl.xz"
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        books = [json.loads(line)["text"] for line, _ in zip(lines, range(4), strict=False)]
    encoder = Encoder(train((book[:300_000] for book in books), 2000, 2))
    for book in books:
        ids = encoder.encode(book)
        assert encoder.decode(ids) == book
        assert len(ids) < len(book.encode()) / 2.5
