import gzip
import json
import re
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.tokens import tokenizer
from pipeline.tokens.export import export
from tools.cli import main
from tools.status import status

TEXTS = (
    "First text.\nIts second line is long: " + "word " * 200,
    "Zwei, mit Umlauten: äöü",
    "three",
)


@pytest.fixture
def looked(capsys):
    """What `webtext look WORDS` prints: the rows of --json, or the lines for people."""

    def look(*words, code=0):
        assert main(["look", *map(str, words)]) == code
        told = capsys.readouterr()
        if code:
            assert told.out == ""
            return told.err
        return list(map(json.loads, told.out.splitlines())) if "--json" in words else told.out

    return look


@pytest.fixture
def documents(tmp_path):
    path = tmp_path / "documents.parquet"
    pq.write_table(pa.table({"id": ["a", "b", "c"], "text": TEXTS, "n": [1, None, 3]}), path)
    return path


def test_json_has_whole_values_and_people_see_them_cut(looked, documents):
    assert looked(documents, "--json", "--rows", "2") == [
        {"id": "a", "text": TEXTS[0], "n": 1}, {"id": "b", "text": TEXTS[1], "n": None},
    ]  # fmt: skip
    told = looked(documents, "--rows", "2")
    assert told.startswith("documents.parquet: 2 of 3 rows\n")
    assert "First text. Its second line is long: word word" in told
    assert "…" in told
    assert TEXTS[1] in told
    assert "three" not in told
    assert max(map(len, told.splitlines())) <= 120
    assert len(looked(documents, "--json", "--rows", "0")) == 3


def test_a_number_that_json_has_not_is_null(looked, tmp_path):
    numbers = [1.5, float("nan"), float("inf")]
    pq.write_table(pa.table({"n": numbers, "list": [numbers] * 3}), tmp_path / "t.parquet")
    assert looked(tmp_path / "t.parquet", "--json", "--rows", str(10**20)) == [
        {"n": 1.5, "list": [1.5, None, None]},
        {"n": None, "list": [1.5, None, None]},
        {"n": None, "list": [1.5, None, None]},
    ]
    (tmp_path / "t.jsonl").write_text('{"n": {"m": NaN}}\n')
    assert looked(tmp_path / "t.jsonl", "--json") == [{"n": {"m": None}}]


@pytest.mark.parametrize("cut", [20, -4])
def test_where_a_packed_file_is_torn_is_told_behind_its_lines(looked, tmp_path, cut):
    (tmp_path / "t.jsonl.gz").write_bytes(gzip.compress(b'{"id": 1}\n' * 2, mtime=0)[:cut])
    *whole, last = looked(tmp_path / "t.jsonl.gz", "--json")
    assert whole in ([], [{"id": 1}, {"id": 1}])
    assert "torn: the file ends within" in last["fault"]


def test_what_a_terminal_would_obey_is_written_out(looked, tmp_path):
    path = tmp_path / "x.jsonl"
    path.write_text(json.dumps({"text": "a\x1b[31mred\u202e \ud800[bold]b[/bold]"}) + "\n")
    told = looked(path)
    assert "a\\u001b[31mred\\u202e \\ud800[bold]b[/bold]" in told
    assert "\x1b" not in told


@pytest.mark.parametrize("name", ["decisions.jsonl", "drops.jsonl.gz", "log.txt"])
def test_lines_are_shown_as_their_objects_or_as_they_are(looked, tmp_path, name):
    data = b'{"id": 1, "keep": true}\n{broken\n\xff\n{"id": 2}\n'
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    rows = looked(tmp_path / name, "--json")
    assert rows == [{"id": 1, "keep": True}, {"line": "{broken"}, {"line": "\udcff"}, {"id": 2}]
    assert "broken" in looked(tmp_path / name)


def test_a_json_file_is_one_row_and_a_list_many(looked, tmp_path):
    (tmp_path / "manifest.json").write_text(
        json.dumps({"stage": "links", "steps": [1, 2]}, indent=1)
    )
    assert looked(tmp_path / "manifest.json", "--json") == [{"stage": "links", "steps": [1, 2]}]
    assert "stage  links" in looked(tmp_path / "manifest.json")
    (tmp_path / "list.json").write_text('[{"a": 1}, 2]')
    assert looked(tmp_path / "list.json", "--json") == [{"a": 1}, {"value": 2}]


def test_a_tokenizer_is_told_by_its_sizes_and_its_first_tokens(looked, tmp_path):
    export(tokenizer.train(["the the the"], 300, 2), tmp_path)
    rows = looked(tmp_path / "tokenizer.json", "--json")
    assert rows[0]["token"] == "260 tokens, 3 merges; <|endoftext|> is 259"
    learnt = [(256, "he"), (257, "the"), (258, " the")]
    assert [(row["id"], row["token"]) for row in rows[1:4]] == learnt
    assert looked(tmp_path, "--json") == rows


def test_tokens_of_other_trainers_are_shown_in_pieces(looked, tmp_path):
    np.arange(300, dtype="<u2").tofile(tmp_path / "train.bin")
    rows = looked(tmp_path / "train.bin", "--json")
    assert [(row["start"], row["tokens"]) for row in rows] == [(0, 256), (256, 44)]
    assert rows[1]["ids"] == list(range(256, 300))
    (tmp_path / "odd.bin").write_bytes(b"abc")
    assert "its size is odd" in looked(tmp_path / "odd.bin", code=2)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("x.parquet", b"PAR1 and then nothing", "damaged Parquet"),
        ("x.json", b"{", "not valid JSON"),
        ("x.safetensors", b"\x08\0\0\0\0\0\0\0{", "no header of weights"),
        ("x.idx", b"WTIDX\0\0\1", "this is no .idx file"),
        ("x.unknown", b"\0\1\2\3", "look does not know"),
        ("x.zst", b"nothing", "named like a zstd file"),
        ("absent", None, "no such file or folder"),
    ],
)
def test_what_cannot_be_shown_is_refused_by_its_name(looked, tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    told = looked(tmp_path / name, code=2)
    assert said in told
    assert name in told
    assert told.count("\n") == 1


def test_options_that_make_no_sense_are_refused(looked, documents, tmp_path):
    assert "--rows is -1; it must be 0 or more" in looked(documents, "--rows=-1", code=2)
    assert "--drops takes a build" in looked(documents, "--drops", code=2)
    (tmp_path / "empty").mkdir()
    assert "holds nothing that look knows" in looked(tmp_path / "empty", code=2)
    assert "holds no dropped rows" in looked(tmp_path / "empty", "--drops", code=2)


def test_a_build_shows_a_row_of_each_stage_and_a_stage_its_first_rows(looked, finished):
    rows = looked(finished.folder, "--json")
    stages = ["links", "pages", "documents", "corpus", "tokenizer.json", "shards"]
    assert list(dict.fromkeys(row["table"] for row in rows)) == stages
    assert len(rows) == len(stages)
    documents = looked(finished.folder / "documents", "--json", "--rows", "7")
    assert len(documents) == 7
    assert len(documents[0]["text"]) > 200
    assert "documents: 5 of " in looked(finished.folder / "documents")


def test_shards_are_shown_as_texts_of_the_corpus_by_the_tokenizer_that_lies_near(looked, finished):
    texts = {row["id"]: row for row in looked(finished.folder / "corpus", "--json", "--rows", "0")}
    shards = looked(finished.folder / "shards", "--json", "--rows", "0")
    assert {row["id"] for row in shards} == set(texts)
    assert all(row["text"] == texts[row["id"]]["text"] for row in shards)
    assert all(row["url"] == texts[row["id"]]["url"] for row in shards)
    first = finished.folder / "shards" / "train_000000"
    assert looked(f"{first}.bin", "--json", "--rows", "1") == shards[:1]
    (row,) = looked(f"{first}.idx", "--json", "--rows", "1")
    assert (row["id"], row["tokens"]) == (shards[0]["id"], shards[0]["tokens"])


def test_dropped_rows_of_a_stage_are_shown_with_their_reasons(looked, finished):
    rows = looked(finished.folder / "documents", "--drops", "--json", "--rows", "0")
    assert {"too_short", "other_language"} <= {row["reason"] for row in rows}
    told = looked(finished.folder, "--drops")
    for stage in ("links", "pages", "documents", "corpus"):
        assert f"drops of {stage}" in told
    assert "drops of tokenizer: none\n" in told


UNITS = {"links": "submissions", "pages": "links"}


def test_rows_that_are_no_kept_rows_or_no_single_drops_are_told_with_both_numbers(looked, finished):
    stages = status(finished.folder)["stages"]
    for stage in ("links", "pages"):
        kept = stages[stage]["rows_out"]
        assert f" rows, {kept:,} of them kept\n" in looked(finished.folder / stage)
        dropped = sum(stages[stage]["drops"].values())
        told = looked(finished.folder / stage, "--drops")
        assert re.search(rf" rows, .*{dropped:,} {UNITS[stage]}\n", told)
    assert looked(finished.folder / "documents").startswith(
        f"documents: 5 of {stages['documents']['rows_out']:,} rows\n"
    )


def test_a_run_its_weights_and_captures_are_shown(looked, finished):
    tables = {row["table"] for row in looked(finished.folder / "model", "--json")}
    assert tables == {"run.json", "log.jsonl"}
    weights = next((finished.folder / "model").glob("checkpoints/*/model.safetensors"))
    assert set(looked(weights, "--json")[0]) == {"tensor", "dtype", "shape"}
    warc = finished.input.settings_path.parent / "web.warc.gz"
    assert [row["type"] for row in looked(warc, "--json", "--rows", "2")] == [
        "warcinfo",
        "response",
    ]


def test_neither_beam_nor_torch_is_imported(finished):
    program = (
        "import sys; from tools.cli import main; code = main(sys.argv[1:])\n"
        "assert not {'apache_beam', 'torch', 'trafilatura'} & set(sys.modules)\nsys.exit(code)"
    )
    words = [sys.executable, "-c", program, "look", str(finished.folder)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
