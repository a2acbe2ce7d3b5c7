import json
import shutil

import pytest

from train.__main__ import main
from train.evaluate.lambada import LAMBADA
from train.log import read_log
from train.text import Text


@pytest.fixture
def words(make_shards, tiny, tmp_path, tokenizer_path):
    shards = make_shards(tmp_path / "shards", vocab=Text(tokenizer_path).vocab_size)
    (tmp_path / "data").mkdir()
    lines = [json.dumps({"text": f"nobody knows the city {n}"}) for n in range(5)]
    (tmp_path / "data" / "lambada_test.jsonl").write_text("\n".join(lines) + "\n")
    shutil.copy(tokenizer_path, tmp_path / "tokenizer.json")
    steps = ["--steps", "6", "--eval-every", "3"]
    return [str(shards), "--out", str(tmp_path / "run"), *tiny, *steps]


def suite(tmp_path):
    return [
        "--eval-suite", "lambada", "--eval-suite-data", str(tmp_path / "data"),
        "--tokenizer", str(tmp_path / "tokenizer.json"), "--eval-suite-limit", "4",
    ]  # fmt: skip


def test_each_evaluation_runs_the_tasks_and_changes_no_weight(words, tmp_path, capsys):
    assert main(words) == 0
    held_out = [e["val_loss"] for e in read_log(tmp_path / "run") if e["kind"] == "eval"]
    shutil.rmtree(tmp_path / "run")
    assert main([*words, *suite(tmp_path)]) == 0
    assert "step 3: lambada, perplexity: " in capsys.readouterr().err
    log = read_log(tmp_path / "run")
    assert [e["val_loss"] for e in log if e["kind"] == "eval"] == held_out
    looks = [entry for entry in log if entry["kind"] == "suite"]
    assert [look["step"] for look in looks] == [0, 3, 6]
    row = looks[-1]["rows"][0]
    assert (row["items"], row["items_in_all"], row["protocol"]) == (4, 5, LAMBADA.digest())
    values = [look["rows"][0]["value"] for look in looks]
    assert len(set(values)) == 3
    folder = str(tmp_path / "run")
    command = ["evaluate", folder, "--suite", "lambada", "--data", str(tmp_path / "data")]
    assert main([*command, "--limit", "4", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["rows"][0]
    assert found["value"] == pytest.approx(values[-1], rel=1e-5)


@pytest.mark.parametrize(
    ("left_out", "told"),
    [("--eval-suite-data", "--eval-suite needs"), ("--tokenizer", "--eval-suite needs")],
)
def test_what_the_tasks_need_is_said_before_any_step(words, tmp_path, capsys, left_out, told):
    options = suite(tmp_path)
    at = options.index(left_out)
    assert main([*words, *options[:at], *options[at + 2 :]]) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "run" / "run.json").exists()
