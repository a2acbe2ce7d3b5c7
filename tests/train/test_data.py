import json
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from train.__main__ import main
from train.batches import Batches
from train.data import (
    TokenFile,
    Window,
    documents_in,
    held_out,
    held_out_places,
    open_shards,
)
from train.errors import DataError


@pytest.mark.parametrize("n_ctx", [7, 32, 5000])
def test_held_out_windows_score_every_token_but_the_first_of_a_file_once(shards_folder, n_ctx):
    files = open_shards(shards_folder).split("val")
    targets = np.concatenate([w[1:] for w in held_out(files, n_ctx)])
    assert np.array_equal(targets, np.concatenate([f.read(1, f.tokens - 1) for f in files]))


def test_some_held_out_tokens_are_always_the_same_ones(shards_folder):
    files = open_shards(shards_folder).split("val")
    first, second = (list(held_out(files, 32, 320)) for _ in range(2))
    assert len(first) == 10
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_the_documents_of_windows_are_named_by_id_and_url(copy):
    files = open_shards(copy).split("train")
    tokens = files[0].read(0, files[0].tokens)
    starts = np.flatnonzero(tokens == 96).tolist()

    def named(file, start, stop):
        return documents_in([Window(file, start)], stop - start)

    everything = named(files[0], 0, files[0].tokens)
    assert [url for _, url in everything[:4]] == [
        f"https://{host}.example/{n}" for n, host in enumerate(("few", "many", "many", "few"))
    ]
    assert len({name for name, _ in everything}) == len(starts) == 30
    assert named(files[0], 0, 1) == everything[:1]
    assert named(files[0], starts[3], starts[5]) == everything[3:5]
    assert named(files[0], starts[3] - 1, starts[5] + 1) == everything[2:6]
    # Several windows: each document once, file by file.
    places = [(files[1], 0), (files[0], starts[5]), (files[0], starts[4]), (files[0], starts[5])]
    together = documents_in([Window(*place) for place in places], 1)
    assert together == [*named(files[1], 0, 1), *everything[4:6]]
    (copy / "train_000000.urls.txt").unlink()
    assert named(files[0], 0, 1) == [(everything[0][0], "")]
    (copy / "train_000000.idx").unlink()
    assert named(files[0], 0, 1) == []


@pytest.fixture
def copy(shards_folder, tmp_path):
    return shutil.copytree(shards_folder, tmp_path / "shards")


def test_a_cut_token_file_is_refused_by_name(copy):
    path = copy / "train_000001.bin"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"train_000001\.bin.*header promises"):
        open_shards(copy)


def test_a_token_outside_the_vocabulary_is_refused_by_its_place(copy):
    path = copy / "train_000000.bin"
    raw = bytearray(path.read_bytes())
    raw[1024 + 2 * 40 : 1024 + 2 * 40 + 2] = (500).to_bytes(2, "little")
    path.write_bytes(raw)
    file = open_shards(copy).split("train")[0]
    with pytest.raises(DataError, match=r"train_000000\.bin: token 40 is 500"):
        file.read(8, 100)
    batches = Batches((file,), 32, 8, seed=1)
    with pytest.raises(DataError, match="token 40 is 500"):
        for step in range(batches.epoch_windows // 8 + 1):
            batches.batch(step)


def test_a_missing_token_file_is_refused_by_name(copy):
    (copy / "val_000000.bin").unlink()
    with pytest.raises(DataError, match=r"val_000000\.bin"):
        open_shards(copy)


@pytest.mark.parametrize("size", [8, 20, 64, 400])
def test_an_index_that_was_cut_is_refused_by_name(copy, size):
    path = copy / "train_000000.idx"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DataError, match=r"train_000000\.idx: .* copy it anew"):
        documents_in([Window(open_shards(copy).split("train")[0], 0)], 33)


def test_a_list_of_shards_that_is_no_list_is_refused(copy):
    (copy / "shards.json").write_text('{"files": [{}]}')
    with pytest.raises(DataError, match=r"shards\.json"):
        open_shards(copy)


def test_files_of_llm_c_and_of_nanogpt_are_read_without_a_list(copy):
    listed = open_shards(copy)
    (copy / "shards.json").unlink()
    plain = open_shards(copy)
    assert [f.tokens for f in plain.files] == [f.tokens for f in listed.files]
    assert plain.vocab_size == 50257
    raw = copy.parent / "raw"
    raw.mkdir()
    (raw / "train.bin").write_bytes((copy / "train_000000.bin").read_bytes()[1024:])
    file = open_shards(raw).split("train")[0]
    assert file.tokens == listed.files[0].tokens
    assert np.array_equal(file.read(0, 50), listed.files[0].read(0, 50))


def test_the_digest_follows_the_content(copy):
    before = open_shards(copy).digest
    about = json.loads((copy / "shards.json").read_text())
    about["files"][0]["xxh3_128"] = "f" * 32
    (copy / "shards.json").write_text(json.dumps(about))
    assert open_shards(copy).digest != before


@given(
    counts=st.lists(st.integers(0, 70), max_size=6),
    n_ctx=st.integers(1, 9),
    tokens=st.integers(0, 300),
)
def test_held_out_windows_are_all_or_evenly_spread(counts, n_ctx, tokens):
    files = tuple(TokenFile(Path(str(i)), "val", 0, n, 9) for i, n in enumerate(counts))
    every = [(f, start) for f in files for start in range(0, f.tokens - 1, n_ctx)]
    found = list(held_out_places(files, n_ctx, tokens))
    if not tokens or len(every) <= max(1, tokens // n_ctx):
        assert found == every
    else:
        at = [every.index(place) for place in found]
        assert len(at) == max(1, tokens // n_ctx) and at[0] == 0
        gaps = [b - a for a, b in pairwise([*at, len(every)])]
        assert max(gaps) - min(gaps) <= 1


def folder_of(folder, names, tokens=200):
    folder.mkdir(exist_ok=True)
    for name in names:
        (np.arange(tokens) * 7 % 300).astype("<u2").tofile(folder / name)
    return folder


@pytest.mark.parametrize(
    ("names", "train", "val"),
    [
        (["retrieval_train_000001.bin"], ["retrieval_train_000001.bin"], []),
        (
            ["strain_train_000001.bin", "strain_val_000000.bin"],
            ["strain_train_000001.bin"],
            ["strain_val_000000.bin"],
        ),
        (["train.bin", "val.bin"], ["train.bin"], ["val.bin"]),
        (["Train-0.bin", "a.VALID.bin"], ["Train-0.bin"], ["a.VALID.bin"]),
        (["train2.bin", "train1.bin", "dev.bin"], ["train1.bin", "train2.bin"], ["dev.bin"]),
        (["x_train.bin", "validation-01.bin"], ["x_train.bin"], ["validation-01.bin"]),
    ],
)
def test_the_split_is_a_word_of_the_name(tmp_path, names, train, val):
    shards = open_shards(folder_of(tmp_path / "s", names))
    assert [f.path.name for f in shards.split("train")] == train
    assert [f.path.name for f in shards.split("val")] == val
    assert shards.notes == ()


def test_files_of_no_split_are_named_and_not_read(tmp_path):
    names = ["train.bin", "test.bin", "medieval.bin", "strain.bin", "x.bin"]
    shards = open_shards(folder_of(tmp_path / "s", names))
    assert [f.path.name for f in shards.files] == ["train.bin"]
    (note,) = shards.notes
    assert note.startswith("not read, for neither train nor val")
    assert note.endswith(": medieval.bin, strain.bin, test.bin and 1 more")


@pytest.mark.parametrize("name", ["train_val.bin", "val-train-0.bin", "test_train.bin"])
def test_a_file_of_two_splits_is_refused(tmp_path, name):
    with pytest.raises(DataError, match=rf"{name}: its name says .*train.*rename it"):
        open_shards(folder_of(tmp_path / "s", ["train.bin", name]))


@pytest.mark.parametrize("name", ["medieval.bin", "edufineweb_train_000001.npy"])
def test_a_folder_without_tokens_names_what_else_lies_there(tmp_path, name):
    with pytest.raises(DataError, match=rf"neither shards.json nor .*\({name}|: {name}\)"):
        open_shards(folder_of(tmp_path / "s", [name]))


def test_the_commands_say_what_is_not_read_or_never_seen(tmp_path, tiny, capsys):
    names = ["train_0.bin", "train_1.bin", "val.bin", "other.bin"]
    folder = folder_of(tmp_path / "s", names, tokens=2000)
    folder_of(folder, ["train_1.bin"], tokens=32)  # a window has 33
    small = [word.replace("40", "2") for word in tiny]
    assert main([str(folder), "--out", str(tmp_path / "run"), *small]) == 0
    said = capsys.readouterr().err
    assert "data: 2,032 tokens to train on, 2,000 held out" in said
    assert "never seen: a window is 33 tokens of one file, and 1 of 2 files hold none" in said
    assert "data: not read, for neither train nor val" in said and "other.bin" in said
    assert main(["evaluate", str(tmp_path / "run")]) == 0
    assert "not read" in capsys.readouterr().err


def test_files_that_are_all_too_short_are_refused(tmp_path, tiny, capsys):
    folder = folder_of(tmp_path / "s", [f"x_train_{i:06}.bin" for i in range(40)], tokens=32)
    assert main([str(folder), "--out", str(tmp_path / "run"), *tiny]) == 2
    assert "1280 training tokens in 40 files hold no window of 33" in capsys.readouterr().err


def test_shards_are_found_a_folder_below(shards_folder, tmp_path):
    shutil.copytree(shards_folder, tmp_path / "tokens" / "shards")
    assert open_shards(tmp_path / "tokens") == open_shards(tmp_path / "tokens" / "shards")
    with pytest.raises(DataError, match="neither shards"):
        open_shards(tmp_path)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"vocab_size": "97"}, "vocab_size is '97'"), ({"vocab_size": 0}, "vocab_size is 0"),
        ({"eot_id": 97}, "eot_id is 97"), ({"eot_id": "96"}, "eot_id is '96'"),
        ({"eot_id": -1}, "eot_id is -1"), ({"files": None}, "NoneType"), ({"files": [1]}, "int"),
        ({"splits": []}, "list"), ({"splits": {"val": {"text_bytes": "x"}}}, "text_bytes of val"),
    ],
)  # fmt: skip
def test_a_list_of_shards_with_other_types_is_refused_by_its_value(
    make_shards, tmp_path, change, named
):
    path = make_shards(tmp_path) / "shards.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=rf"shards\.json: not a list of shards .*{named}"):
        open_shards(tmp_path)


@pytest.mark.parametrize("content", ["null", "[" * 90_000, "7"], ids=["null", "deep", "number"])
def test_a_list_of_shards_that_is_none_is_refused(tmp_path, content):
    (tmp_path / "shards.json").write_text(content)
    with pytest.raises(DataError, match="not a list of shards"):
        open_shards(tmp_path)


def test_urls_that_are_not_utf_8_are_read(copy):
    path = copy / "train_000000.urls.txt"
    path.write_bytes(path.read_bytes().replace(b"few.example", b"few.example/\xff"))
    (found,) = documents_in([Window(open_shards(copy).split("train")[0], 0)], 1)
    assert found[1] == "https://few.example/\\xff/0"
