import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.data import open_shards
from train.errors import DataError
from train.plain import characters, not_16_bit
from train.sample import Text

IDS = np.arange(20_000) * 7 % 300


@pytest.mark.parametrize(
    ("kind", "problem"),
    [
        ("<u4", "32-bit tokens"),
        ("<i4", "32-bit tokens"),
        ("<i8", "64-bit tokens"),
        ("<u8", "64-bit tokens"),
    ],
)
def test_wider_tokens_are_refused_by_their_width(tmp_path, kind, problem):
    IDS.astype(kind).tofile(tmp_path / "train.bin")
    with pytest.raises(DataError, match=rf"train\.bin: holds {problem}.*\.astype\('<u2'\)"):
        open_shards(tmp_path)


def test_wide_tokens_of_a_large_vocabulary_are_told(tmp_path):
    (IDS * 400).astype("<u4").tofile(tmp_path / "train.bin")  # up to 120,000
    with pytest.raises(DataError, match="32-bit tokens"):
        open_shards(tmp_path)


@pytest.mark.parametrize("kind", ["<u2", "<i4", "<f8"])
def test_an_array_of_numpy_is_refused_by_what_its_header_says(tmp_path, kind):
    with (tmp_path / "train.bin").open("wb") as file:
        np.save(file, IDS.astype(kind))
    with pytest.raises(DataError, match=f"a NumPy array of {np.dtype(kind)}; .*numpy.load"):
        open_shards(tmp_path)


def test_a_cut_header_of_numpy_is_refused_too():
    assert not_16_bit(b"\x93NUMPY\x01\x00\xff", 9).startswith("a NumPy array of an unknown type")


@pytest.mark.parametrize(
    ("magic", "version", "said"),
    [
        (20240801, 7, r"32-bit tokens \(Llama 3\) \(magic 20240801, version 7\)"),
        (20240522, 1, "questions with answers"),
        (20991231, 3, r"another format \(magic 20991231, version 3\)"),
    ],
)
def test_other_headers_are_refused_by_name(tmp_path, magic, version, said):
    header = np.zeros(256, "<i4")
    header[:3] = magic, version, len(IDS)
    (tmp_path / "train.bin").write_bytes(header.tobytes() + IDS.astype("<u4").tobytes())
    with pytest.raises(DataError, match=said):
        open_shards(tmp_path)


def test_an_odd_number_of_bytes_is_refused(tmp_path):
    (tmp_path / "train.bin").write_bytes(IDS.astype("<u2").tobytes() + b"x")
    with pytest.raises(DataError, match=r"train\.bin: holds an odd number of bytes, 40,001"):
        open_shards(tmp_path)


@given(st.lists(st.integers(0, 50_256), max_size=300), st.integers(3, 50_256))
def test_16_bit_tokens_are_taken(ids, most):
    text = np.array(ids, "<u2") % most
    if len(text) < 64 or text[1::2].max() >= 16:  # chance makes no text of such
        assert not_16_bit(text.tobytes(), 2 * len(text)) == ""


@pytest.mark.parametrize("ids", [[], [0] * 900, [5] * 900, list(range(16)) * 99, [300, 0] * 15])
def test_few_or_low_tokens_are_taken_too(ids):
    raw = np.array(ids, "<u2").tobytes()
    assert not_16_bit(raw, len(raw)) == ""


def folder_of(folder, meta):
    (folder / "meta.pkl").write_bytes(meta if isinstance(meta, bytes) else pickle.dumps(meta))
    (IDS % 7).astype("<u2").tofile(folder / "train.bin")
    return folder


STOI = {letter: i for i, letter in enumerate("\n abcdé")}


def test_characters_say_the_size_of_the_vocabulary(tmp_path):
    shards = open_shards(folder_of(tmp_path, {"vocab_size": 7, "stoi": STOI, "itos": {}}))
    assert (shards.vocab_size, shards.eot_id) == (7, None)
    (tmp_path / "meta.pkl").unlink()
    assert open_shards(tmp_path).vocab_size == 50_257


def test_a_token_that_is_no_character_is_refused(tmp_path):
    folder_of(tmp_path, {"vocab_size": 6})
    with pytest.raises(DataError, match="token 258 is 6, the vocabulary has 6"):
        open_shards(tmp_path).files[0].read(0, 100)


def test_characters_make_a_tokenizer(tmp_path):
    made = characters(folder_of(tmp_path, {"vocab_size": 7, "stoi": STOI})).tokenizer_json()
    (tmp_path / "tokenizer.json").write_text(made)
    text = Text(tmp_path / "tokenizer.json")
    assert text.vocab_size == 7
    assert text.encode("bé\na  d") == [STOI[letter] for letter in "bé\na  d"]
    assert text.decode(text.encode("bé\na  d")) == "bé\na  d"


@pytest.mark.parametrize("stoi", [{}, {"a": 0}, {**STOI, "x": 9}, {"ab": 0, "c": 1}])
def test_characters_that_do_not_add_up_make_none(tmp_path, stoi):
    size = 2 if "ab" in stoi else 7
    assert characters(folder_of(tmp_path, {"vocab_size": size, "stoi": stoi})) is not None
    assert characters(tmp_path).tokenizer_json() is None


class Bomb:
    def __reduce__(self):
        return (print, ("it ran",))


@pytest.mark.parametrize(
    "meta",
    [
        Bomb(),
        {"vocab_size": 7, "stoi": Bomb()},
        {"vocab_size": np.int64(7)},
        b"cos\nsystem\n(S'echo it ran'\ntR.",
        b"",
        b"{",
        pickle.dumps({"vocab_size": 7})[:-3],
        [7],
        {"vocab_size": "7"},
        {"vocab_size": 0},
        {"vocab_size": 70_000},
        {"vocab_size": True},
        {"stoi": {}},
        {"vocab_size": 7, "stoi": None},
        {"vocab_size": 7, "stoi": {"a": "0"}},
        {"vocab_size": 7, "stoi": {0: "a"}},
    ],
)
def test_a_list_of_characters_that_is_another_thing_is_refused_and_not_run(tmp_path, capfd, meta):
    with pytest.raises(DataError, match=r"meta\.pkl: not nanoGPT's list of characters"):
        open_shards(folder_of(tmp_path, meta))
    assert "it ran" not in capfd.readouterr().out


@given(st.data())
def test_any_damage_to_the_list_is_a_refusal_or_a_list(tmp_path_factory, data):
    raw = bytearray(pickle.dumps({"vocab_size": 7, "stoi": STOI}))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "meta.pkl").write_bytes(raw)
    try:
        json.dumps(characters(folder).ids)
    except DataError as error:
        assert "meta.pkl" in str(error)


def words_of(kind):
    return (IDS * 7 % 50_000).astype(kind).tobytes()


@pytest.mark.parametrize("text", ["The city and the sea.\n" * 9, "\u6d77\u2019s caf\u00e9 " * 40])
@pytest.mark.parametrize("odd", [0, 1])
def test_text_is_refused_as_text(tmp_path, text, odd):
    raw = text.encode()
    (tmp_path / "train.bin").write_bytes(raw[: len(raw) // 2 * 2 - odd])
    with pytest.raises(DataError, match=r"train\.bin: holds text, not tokens: `webtext"):
        open_shards(tmp_path)


def test_a_beginning_with_zeros_between_is_not_taken_for_wide_tokens(tmp_path):
    beginning = np.array([300, 0] * 40_000, "<u2").tobytes()
    (tmp_path / "train.bin").write_bytes(beginning + 9 * words_of("<u2"))
    assert open_shards(tmp_path).notes == ()


def test_zeros_between_in_every_place_are_taken_with_a_header_and_told(tmp_path):
    raw = np.array([300, 0] * 90_000, "<u2").tobytes()
    (tmp_path / "train.bin").write_bytes(raw)
    with pytest.raises(DataError, match=r"32-bit tokens, for in 3 places .* by a header as llm\.c"):
        open_shards(tmp_path)
    header = np.zeros(256, "<i4")
    header[:3] = 20240520, 1, len(raw) // 2
    (tmp_path / "train.bin").write_bytes(header.tobytes() + raw)
    shards = open_shards(tmp_path)
    assert shards.tokens("train") == 180_000
    assert "train.bin has a header of 16-bit tokens, but looks as if" in shards.notes[0]


def test_files_that_are_not_read_or_empty_are_named(tmp_path):
    (tmp_path / "train.bin").write_bytes(words_of("<u2"))
    for name in ("val.BIN", "val.npy", "val.bin", "test.bin"):
        (tmp_path / name).touch()
    assert open_shards(tmp_path).notes == (
        "not read, for neither train nor val (valid, validation, dev) is a word of the name: "
        "test.bin",
        "not read, for the name does not end in .bin: val.BIN, val.npy",
        "val.bin holds no token",
    )
