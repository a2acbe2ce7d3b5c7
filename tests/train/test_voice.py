"""How the trainer speaks: its name first, the mend last, and the exit codes of webtext."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import train.start
from train.__main__ import main

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["data", "--steeps", "3"], "unknown option --steeps; did you mean --steps?"),
        (["data", "--steeps=3"], "unknown option --steeps; did you mean --steps?"),
        (["sample", "run", "--temprature", "1"], "did you mean --temperature?"),
        (["export", "run", "--qqq"], "unknown option --qqq; `NAME export --help` tells what there"),
        (["evaluate", "run", "other"], "'other' is one argument too many; `NAME evaluate --help`"),
        (["evalute", "run"], "evalute: no such command or folder; did you mean evaluate?"),
        (["data", "--steps"], "--steps: expected one argument; `NAME --help` tells what there is"),
        (["absent", "--out", "run"], "absent: no such folder; `webtext shards` writes one"),
        (["evaluate", "absent"], "absent: there is no such folder. Check the name."),
        (["sample", "absent"], "absent: there is no such folder."),
        (["sample", "."], ".: no run.json there; give the --out folder of a training run, or a"),
        (["export", "absent", "--out", "x"], "absent: there is no such folder."),
    ],
)
@pytest.mark.parametrize(("prog", "name"), [("python -m train", "train"), ("webtext", "webtext")])
def test_what_is_wrong_with_a_command_line_or_its_inputs_ends_with_2_in_one_line(
    tmp_path, monkeypatch, capsys, words, said, prog, name
):
    monkeypatch.chdir(tmp_path)
    assert main(words, prog) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith(f"{name}: ")
    assert said.replace("NAME", prog) in told.err
    assert told.err.count("\n") == 1
    assert not list(tmp_path.iterdir()), "nothing is written"


@pytest.mark.parametrize("command", ["sample", "evaluate"])
def test_of_a_build_without_a_model_it_is_said_how_to_train_one(
    tmp_path, monkeypatch, capsys, command
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "build" / "shards").mkdir(parents=True)
    assert main([command, "build"]) == 2
    told = "train: build holds shards and no model; `webtext train build --out RUN` trains one\n"
    assert capsys.readouterr().err == told


@pytest.mark.parametrize("out", [["--out", "run"], ["--out=run"], ["--out", "x", "--out", "run"]])
def test_an_interrupt_names_the_checkpoint_that_stands_and_none_where_there_is_none(
    tmp_path, monkeypatch, capsys, out
):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(train.start, "train", interrupted)
    for words in (["data"], ["data", *out]):
        assert main(words) == 130
        wanted = "train: stopped by Ctrl-C; no checkpoint was written yet; run it again, with"
        assert capsys.readouterr().err.startswith(wanted)
    for step in ("step-000000020", "step-000001000", "step-000002000.aside"):
        (tmp_path / "run" / "checkpoints" / step).mkdir(parents=True)
    assert main(["data", *out]) == 130
    wanted = "the checkpoint of step 1,000 stands; --resume goes on from it"
    assert wanted in capsys.readouterr().err


def test_no_traceback_when_ctrl_c_comes_while_torch_is_imported(tmp_path, shards_folder, tiny):
    for number in range(6):
        words = [str(shards_folder), "--out", str(tmp_path / f"run-{number}"), *tiny]
        trainer = subprocess.Popen(
            [sys.executable, "-P", "-m", "train", *words],
            cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, text=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        # What comes before is the interpreter's own start, which takes as long as it takes.
        maps = Path(f"/proc/{trainer.pid}/maps")
        while maps.exists() and trainer.poll() is None and "/torch/lib/" not in maps.read_text():
            time.sleep(0.02)
        time.sleep(0.4 * number)
        trainer.send_signal(signal.SIGINT)
        _, told = trainer.communicate(timeout=120)
        assert "Traceback" not in told, told
        # By the signal itself where it comes when all is done.
        assert trainer.returncode in (130, 0, -signal.SIGINT)
        if trainer.returncode == 130:
            assert "train: stopped by Ctrl-C" in told
