"""What dedup, tokenizer train and shards are given besides files; what they leave behind."""

import io
import json
import os
import shutil
import subprocess
import sys

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.engine import publish
from pipeline.engine.build import Build
from tools.clean import clean
from tools.cli import main
from tools.demo.stories import article

FEW = ["--workers", "1", "--buckets", "2"]
TEXTS = [article("howto", f"{n}").text for n in range(40)]
ROWS = [{"id": f"t{n}", "text": text, "n": n} for n, text in enumerate([*TEXTS, TEXTS[0]])]


def run(capsys, *words, code=0):
    """What the command says on stdout and stderr."""
    capsys.readouterr()
    assert main([*map(str, words)]) == code, capsys.readouterr().err
    return capsys.readouterr()


def write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def digest(capsys, out, stage="shards"):
    return json.loads(run(capsys, "status", out, "--json").out)["stages"][stage]["digest"]


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    return write(tmp_path_factory.mktemp("texts") / "texts.jsonl", ROWS)


@pytest.fixture(scope="module")
def bpe(texts):
    out = texts.parent / "bpe"
    words = ["tokenizer", "train", str(texts), "--out", str(out), *FEW, "--vocab-size", "300"]
    assert main(words) == 0
    return out


class Piped:
    """stdin with these bytes."""

    def __init__(self, data):
        self.buffer = io.BytesIO(data)


def test_dedup_reads_folders_patterns_and_stdin_in_the_order_given(tmp_path, monkeypatch, capsys):
    write(tmp_path / "f" / "b.jsonl", ROWS[:1])
    write(tmp_path / "f" / "a.jsonl", ROWS[1:2])
    (tmp_path / "f" / "README.md").write_text("About these files.")
    write(tmp_path / "g1.jsonl", ROWS[2:3])
    monkeypatch.setattr(sys, "stdin", Piped(b'{"text": "From a pipe."}\n'))
    out = tmp_path / "d.jsonl"
    told = run(capsys, "dedup", tmp_path / "g?.jsonl", "-", tmp_path / "f", "--out", out)
    assert [line["id"] for line in lines_of(out)] == ["t2", "stdin:1", "t1", "t0"]
    assert f"left out of the folders that were named: {tmp_path}/f/README.md" in told.err
    assert {path.name for path in tmp_path.iterdir()} == {"f", "g1.jsonl", "d.jsonl"}


def test_a_pipe_is_read_once_and_kept_as_a_file_is(texts, tmp_path):
    command = f"{sys.executable} -P -m tools.cli dedup <(cat {texts}) --out d.jsonl --kept k.jsonl"
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, env=paths, check=False)
    assert done.returncode == 0
    assert lines_of(tmp_path / "k.jsonl") == ROWS[:-1]
    assert {path.name for path in tmp_path.iterdir()} == {"d.jsonl", "k.jsonl"}


def test_kept_texts_are_what_the_next_commands_read(texts, tmp_path, capsys):
    kept, fields = tmp_path / "kept.jsonl", ["--text-field", "body", "--id-field", "key"]
    rows = [{"key": row["id"], "body": row["text"], "n": row["n"]} for row in ROWS]
    source = write(tmp_path / "texts.jsonl", rows)
    told = run(capsys, "dedup", source, "--out", tmp_path / "d.jsonl", "--kept", kept, *fields)
    counts = "41 texts, 40 kept, 1 exact copies, 0 near copies, 0 dropped"
    assert told.out.splitlines()[0] == counts
    assert lines_of(kept) == rows[:-1]
    words = [kept, "--out", tmp_path / "bpe", *FEW, *fields]
    run(capsys, "tokenizer", "train", *words, "--vocab-size", "300")
    words = [kept, "--tokenizer", tmp_path / "bpe", "--out", tmp_path / "tokens", *FEW, *fields]
    run(capsys, "shards", *words)
    about = json.loads((tmp_path / "tokens" / "shards" / "shards.json").read_text())
    assert sum(split["documents"] for split in about["splits"].values()) == 40


def test_kept_parquet_is_a_data_set(tmp_path, capsys):
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "t.parquet")
    kept = tmp_path / "kept.parquet"
    run(capsys, "dedup", tmp_path / "t.parquet", "--out", tmp_path / "d.parquet", "--kept", kept)
    cache = str(tmp_path / "cache")
    loaded = datasets.load_dataset("parquet", data_files=str(kept), split="train", cache_dir=cache)
    assert loaded.to_list() == ROWS[:-1]
    assert pq.read_table(tmp_path / "d.parquet")["keep"].to_pylist() == [*[True] * 40, False]


def test_results_in_a_folder_that_is_read_are_no_input_the_next_time(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.txt").write_text("<|endoftext|>".join(TEXTS))
    dedup = ["dedup", ".", "--out", "d.jsonl", "--kept", "k.jsonl", "--signatures", "s.parquet"]
    train = ["tokenizer", "train", ".", "--out", "bpe", *FEW, "--vocab-size", "300"]
    first, again = (run(capsys, *dedup) for _ in range(2))
    assert first.out == again.out
    assert again.err == "left out of the folders that were named: d.jsonl, k.jsonl, s.parquet\n"
    for name in ("d.jsonl", "k.jsonl", "s.parquet"):
        (tmp_path / name).unlink()
    run(capsys, *train)
    made = digest(capsys, "bpe", "tokenizer")
    run(capsys, *train)
    assert digest(capsys, "bpe", "tokenizer") == made


# data sets


@pytest.mark.parametrize("form", ["one", "dict", "folder of files"])
def test_a_data_set_gives_what_its_rows_in_a_file_give(texts, bpe, tmp_path, capsys, form):
    made = datasets.Dataset.from_list(ROWS)
    source = tmp_path / "set"
    split = []
    if form == "one":
        made.save_to_disk(source)
    elif form == "dict":
        both = {"test": made, "train": made.select(range(2))}
        datasets.DatasetDict(both).save_to_disk(source)
        split = ["--split", "test"]
    else:
        shutil.copy(texts, write(source / "data" / "train.jsonl", []))
    decisions, kept = tmp_path / "d.jsonl", tmp_path / "kept.parquet"
    told = run(
        capsys, "dedup", "--dataset", source, *split, "--out", decisions, "--kept", kept, "--json"
    )
    assert json.loads(told.out)["kept"] == 40
    assert [line["id"] for line in lines_of(decisions)] == [row["id"] for row in ROWS]
    assert pq.read_table(kept).to_pylist() == ROWS[:-1]
    words = ["--tokenizer", bpe, "--out", tmp_path / "a", *FEW]
    run(capsys, "shards", "--dataset", source, *split, *words)
    words = ["--tokenizer", bpe, "--out", tmp_path / "b", *FEW]
    run(capsys, "shards", texts, *words)
    assert digest(capsys, tmp_path / "a") == digest(capsys, tmp_path / "b")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"set", "d.jsonl", "kept.parquet", "a", "b"}


def test_rows_of_a_data_set_without_ids_are_named_by_it(tmp_path, capsys):
    datasets.Dataset.from_dict({"text": TEXTS[:2]}).save_to_disk(tmp_path / "set")
    run(capsys, "dedup", "--dataset", tmp_path / "set", "--out", tmp_path / "d.jsonl")
    assert [line["id"] for line in lines_of(tmp_path / "d.jsonl")] == ["set:1", "set:2"]


def test_what_is_wrong_with_a_data_set_is_one_message(tmp_path, capsys):
    made = datasets.Dataset.from_dict({"content": TEXTS[:2]})
    made.save_to_disk(tmp_path / "one")
    datasets.DatasetDict({"a": made, "b": made}).save_to_disk(tmp_path / "dict")
    (tmp_path / "empty").mkdir()
    for words, said in (
        (
            ["--dataset", tmp_path / "one"],
            "are content. Name the one that holds the text by --text",
        ),
        (["--dataset", tmp_path / "dict"], "no split 'train'. Its splits are a, b: name one by"),
        (["--dataset", tmp_path / "one", "--split", "b"], "holds one data set: leave --split out"),
        (["--dataset", tmp_path / "empty"], "cannot be read as a data set"),
        ([tmp_path / "one"], "Name it by --dataset"),
    ):
        told = run(capsys, "dedup", *words, "--out", tmp_path / "d.jsonl", code=2)
        assert said in told.err
        assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]
    for words in (["--split", "train"], []):
        run(capsys, "dedup", *words, "--out", tmp_path / "d.jsonl", code=2)


def test_a_download_that_fails_says_so_once(tmp_path):
    command = [sys.executable, "-P", "-m", "tools.cli", "dedup", "--dataset", "no-one/no-set"]
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "d.jsonl")],
        capture_output=True, text=True, env=offline, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 2, done.stderr
    first, message = done.stderr.splitlines()
    assert first == "no-one/no-set: streaming the data set into a file"
    assert message.startswith("webtext: --dataset no-one/no-set: cannot be read as a data set")
    assert "Offline, name a folder that `datasets` saved" in message


def test_datasets_is_imported_for_a_data_set_alone(texts, tmp_path):
    code = (
        "import sys; from tools.cli import main; "
        f"main(['dedup', {str(texts)!r}, '--out', {str(tmp_path / 'd.jsonl')!r}]); "
        "sys.exit({'datasets', 'datasketch'}.isdisjoint(sys.modules) - 1)"
    )
    subprocess.run([sys.executable, "-P", "-c", code], check=True)


# what is refused, and what is left behind


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (["--kept", "t.jsonl"], "--kept t.jsonl is an input too"),
        (["--kept", "d.jsonl"], "--kept d.jsonl is --out too"),
        (["--signatures", "folder"], "--signatures folder is a folder"),
        (["--signatures", "s.npy"], "--signatures s.npy: its name must end in .parquet"),
        (["--kept", "pipe.jsonl"], "--kept pipe.jsonl is no regular file"),
        (
            ["--kept", "new/"],
            "--kept new: its name must end in .jsonl, .jsonl.gz, .jsonl.zst or .p",
        ),
        (["--kept", "k.csv"], "--kept k.csv: its name must end in"),
        (["--kept", "k.jsonl.xz"], "--kept k.jsonl.xz: its name must end in"),
        (["--kept", "-"], "--kept -: its name must end in"),
    ],
)
def test_dedup_writes_over_nothing_that_it_needs(tmp_path, monkeypatch, capsys, option, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe.jsonl")
    source = write(tmp_path / "t.jsonl", ROWS[:2])
    told = run(capsys, "dedup", "t.jsonl", "--out", "d.jsonl", *option, code=2)
    assert said in told.err
    assert lines_of(source) == ROWS[:2]
    assert {path.name for path in tmp_path.iterdir()} == {"folder", "pipe.jsonl", "t.jsonl"}


def test_a_tokenizer_that_cannot_be_read_is_refused_before_the_texts(tmp_path, capsys):
    bad = tmp_path / "bad.json"
    bad.write_text("no json")
    words = [tmp_path / "gone.jsonl", "--tokenizer", bad, "--out", tmp_path / "o"]
    assert f"{bad}" in run(capsys, "shards", *words, code=2).err
    assert not (tmp_path / "o").exists()


def test_no_second_copy_of_the_texts_stays_and_a_rerun_makes_nothing_again(
    texts, bpe, tmp_path, capsys
):
    words = ["shards", texts, "--tokenizer", bpe, "--out", tmp_path / "o", *FEW]
    run(capsys, *words)
    out = tmp_path / "o"
    assert not copies_of_texts(out)
    run(capsys, "status", out, "--verify")
    state = json.loads(run(capsys, "status", out, "--json").out)
    assert state["stages"]["corpus"]["rows_out"] == 41
    assert run(capsys, "report", out).out == f"{out}/report.html\n"
    made = (out / "shards" / "manifest.json").stat().st_ino
    run(capsys, *words)
    assert (out / "shards" / "manifest.json").stat().st_ino == made
    assert not copies_of_texts(out)
    assert json.loads(run(capsys, "status", out, "--json").out) == state


def copies_of_texts(build):
    """The tables of a build that hold texts."""
    tables = [*build.glob("corpus/part-*.parquet"), *build.glob("data/*.parquet")]
    return [path for path in tables if "text" in pq.read_schema(path).names]


def test_a_stopped_command_keeps_the_texts_and_goes_on(texts, tmp_path, monkeypatch, capsys):
    words = ["tokenizer", "train", texts, "--out", tmp_path / "o", *FEW, "--vocab-size", "300"]

    def stopped(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tools.stages.tokenizer_stage", stopped)
        run(capsys, *words, code=130)
    (part,) = (tmp_path / "o" / "corpus").glob("part-*.parquet")
    assert pq.read_table(part).num_rows == 41
    run(capsys, *words)
    assert not part.exists()
    assert not copies_of_texts(tmp_path / "o")


def test_other_settings_read_the_texts_again(texts, tmp_path, capsys):
    words = ["tokenizer", "train", texts, "--out", tmp_path, *FEW, "--vocab-size"]
    run(capsys, *words, "300")
    run(capsys, *words, "310")
    stages = json.loads(run(capsys, "status", tmp_path, "--json").out)["stages"]
    assert stages["tokenizer"]["rows_out"] == 310


def test_readers_find_what_they_need_a_folder_below(texts, bpe, tmp_path, capsys):
    out = tmp_path / "tokens"
    run(capsys, "shards", texts, "--tokenizer", bpe, "--out", out, *FEW)
    for given, to in ((out, "a"), (out / "shards", "b")):
        run(capsys, "tokens", "export", given, "--out", tmp_path / to)
    assert (tmp_path / "a/train.bin").read_bytes() == (tmp_path / "b/train.bin").read_bytes()
    shape = ["--n-layer", "1", "--n-head", "2", "--n-embd", "16", "--n-ctx", "32"]
    size = ["--batch-tokens", "256", "--steps", "3", "--eval-tokens", "512", "--threads", "1"]
    build = tmp_path / "build"
    run(capsys, "train", out, "--out", build / "model", "--device", "cpu", *shape, *size)
    assert (build / "model" / "tokenizer.json").exists()
    scores = [run(capsys, "evaluate", each, "--json").out for each in (build, build / "model")]
    assert scores[0] == scores[1]
    assert run(capsys, "sample", build, "--prompt", "How", "--tokens", "3").out.startswith("How")
    run(capsys, "export", build, "--out", tmp_path / "theirs")
    assert (tmp_path / "theirs" / "tokenizer.json").exists()
    words = ["train", out, "--out", tmp_path / "tuned", "--device", "cpu", "--init", build, *size]
    run(capsys, *words)


@pytest.mark.parametrize("last", ["hide", "write_manifest"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_rows_that_a_kill_left_half_removed_are_made_again_or_go(
    texts, bpe, tmp_path, monkeypatch, capsys, last, when
):
    words = ["shards", texts, "--tokenizer", bpe, "--out", tmp_path, *FEW]
    run(capsys, *words)
    before = digest(capsys, tmp_path)
    shutil.rmtree(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("tools.stages.Build.remove_rows", half_removed(patch, last, when))
        run(capsys, *words, code=130)
    assert copies_of_texts(tmp_path)
    shutil.rmtree(tmp_path / "shards")
    run(capsys, *words)
    assert digest(capsys, tmp_path) == before
    clean(tmp_path, now=True)
    assert not copies_of_texts(tmp_path)
    run(capsys, "status", tmp_path, "--verify")


def half_removed(patch, last, when):
    """Removes rows, but before or after a function of publish.py a Ctrl-C comes."""
    remove_rows, whole = Build.remove_rows, getattr(publish, last)

    def stopped(*given):
        if when == "after":
            whole(*given)
        raise KeyboardInterrupt

    def half(build, name):
        patch.setattr(publish, last, stopped)
        remove_rows(build, name)

    return half
