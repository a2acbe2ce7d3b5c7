"""Runs whose numbers are not finite: a bad step is left out, a bad state is an error."""

import json
import math
import os
import re
import signal
from pathlib import Path

import pytest
import torch

from train.__main__ import main


def train(shards, out, *options):
    return main([str(shards), "--out", str(out), *options])


def lines(out, kind):
    entries = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [entry for entry in entries if entry["kind"] == kind]


def losses(out):
    return [(entry["step"], entry["loss"]) for entry in lines(out, "step")]


@pytest.fixture
def poisoned(monkeypatch):
    """Makes the loss of given steps NaN."""
    from train import loop, step

    def poison(steps):
        update, made, now = step.update, loop.training_step, []

        def bad(optimizer, loss, rate, clip):
            return update(optimizer, loss * torch.nan if now[-1] in steps else loss, rate, clip)

        def noted(objective, optimizer, tokens, step, **rest):
            now.append(step)
            numbers = made(objective, optimizer, tokens, step, **rest)
            return (lambda: [math.nan, *numbers()[1:]]) if step in steps else numbers

        monkeypatch.setattr(step, "update", bad)
        monkeypatch.setattr(loop, "training_step", noted)

    return poison


def test_a_step_that_is_not_finite_is_left_out_and_its_documents_named(
    shards_folder, tiny, tmp_path, poisoned
):
    poisoned({5, 9})
    assert train(shards_folder, tmp_path / "run", *tiny) == 0
    faults = lines(tmp_path / "run", "fault")
    assert [f["step"] for f in faults] == [6, 10]
    assert len(faults[0]["windows"]) == 8
    assert 1 < len(set(faults[0]["documents"])) == len(faults[0]["urls"])
    assert all(url.startswith("https://") for url in faults[0]["urls"])
    assert lines(tmp_path / "run", "eval")[-1]["val_loss"] < 3.6


def test_a_step_left_out_that_a_kill_undid_counts_once(
    shards_folder, tiny, tmp_path, poisoned, monkeypatch
):
    from train.loop import Loop

    step, run = Loop._step, tmp_path / "run"

    def killed(self, tokens):
        step(self, tokens)
        if self.progress.step == 15:
            raise KeyboardInterrupt  # nothing is saved

    poisoned({5, 12})
    options = [*tiny, "--save-steps", "10", "--eval-every", "0"]
    with monkeypatch.context() as patch:
        patch.setattr(Loop, "_step", killed)
        assert train(shards_folder, run, *options) == 130
    assert train(shards_folder, run, *options, "--resume") == 0
    faults = [(f["step"], f.get("undone")) for f in lines(run, "fault")]
    assert faults == [(6, None), (13, True), (13, None)]
    assert [s for s, _ in losses(run)] == list(range(1, 41))


def test_three_such_steps_in_a_row_stop_the_run(shards_folder, tiny, tmp_path, poisoned, capsys):
    poisoned({25, 26, 27})
    assert train(shards_folder, tmp_path / "run", *tiny) == 1
    error = capsys.readouterr().err
    assert "3 steps in a row were not finite, up to 28" in error
    newest = tmp_path / "run" / "checkpoints" / "step-000000020"
    assert newest.exists() and f"The newest checkpoint from before is {newest}. Begin" in error


def diverged(capsys, run):
    """The last error, which names no checkpoint that is not there."""
    error = capsys.readouterr().err.splitlines()[-1]
    for name in re.findall(r"\S*step-\d+", error):
        assert Path(name).exists(), name
    assert error.startswith("train: ") and "lower --lr" in error
    return error


@pytest.mark.parametrize("steps", ["2", "3", "8"])
@pytest.mark.parametrize("save", [[], ["--save-steps", "1"]], ids=["", "saved"])
def test_a_run_whose_last_state_is_not_finite_diverged_at_whatever_step(
    shards_folder, tiny, tmp_path, steps, save, capsys
):
    run = tmp_path / "run"
    options = [*tiny, "--lr", "1e30", "--warmup-steps", "0", "--steps", steps, *save]
    assert train(shards_folder, run, *options, "--json") == 1
    told = capsys.readouterr()
    assert (told.out == "" and "not finite" in told.err) or "is nan" in told.err
    names = [path.name for path in (run / "checkpoints").iterdir()]
    assert names == (["diverged-step-000000001"] if save else [])
    assert main(["evaluate", str(run)]) == 2
    assert "no checkpoint there yet" in capsys.readouterr().err


def test_a_held_out_loss_that_is_not_finite_ends_the_run(
    shards_folder, tiny, tmp_path, monkeypatch, capsys
):
    from train.loop import Loop, Score

    score, run = Loop._score, tmp_path / "run"

    def broken(self):
        return Score(math.nan, 9) if self.progress.step == 20 else score(self)

    monkeypatch.setattr(Loop, "_score", broken)
    assert train(shards_folder, run, *tiny, "--save-steps", "9", "--eval-every", "10") == 1
    error = diverged(capsys, run)
    assert "the held-out loss of step 20 is nan. The newest checkpoint from before" in error
    assert "step-000000018" in error
    assert [entry["val_loss"] for entry in lines(run, "eval")][-1] is None


@pytest.mark.parametrize("kind", ["weights", "moments"])
def test_a_checkpoint_that_is_not_finite_is_not_written(
    shards_folder, tiny, tmp_path, monkeypatch, kind, capsys
):
    from train.loop import Loop

    step, run = Loop._step, tmp_path / "run"

    def broken(self, tokens):
        step(self, tokens)
        if self.progress.step == 20:
            p = self.model.head_weight
            tensor = p.data if kind == "weights" else self.optimizer.state[p]["exp_avg"]
            tensor[3, 3] = math.inf

    monkeypatch.setattr(Loop, "_step", broken)
    assert train(shards_folder, run, *tiny, "--save-steps", "10", "--eval-every", "0") == 1
    name = "" if kind == "weights" else "exp_avg/"
    error = diverged(capsys, run)
    assert f"{name}transformer.wte.weight is not finite after step 20" in error
    assert [path.name for path in (run / "checkpoints").iterdir()] == ["step-000000010"]


def test_without_held_out_tokens_a_last_step_that_is_not_finite_is_an_error(
    make_shards, tiny, tmp_path, poisoned, capsys
):
    shards = make_shards(tmp_path / "shards")
    about = json.loads((shards / "shards.json").read_text())
    about["files"] = [f for f in about["files"] if f["split"] == "train"]
    about["splits"]["val"] = {"documents": 0, "tokens": 0, "text_bytes": 0}
    (shards / "shards.json").write_text(json.dumps(about))
    poisoned({9})
    assert train(shards, tmp_path / "run", *tiny, "--steps", "10", "--save-steps", "4") == 1
    error = diverged(capsys, tmp_path / "run")
    assert "the last step, 10, was not finite (loss nan)" in error and "step-000000008" in error


def test_a_last_step_that_is_left_out_ends_a_run_whose_held_out_loss_is_finite(
    shards_folder, tiny, tmp_path, poisoned, capsys
):
    poisoned({39})
    assert train(shards_folder, tmp_path / "run", *tiny, "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert result["loss"] is None and result["left_out"] == 1 and result["val_loss"] < 3.6


@pytest.mark.parametrize(
    ("save_steps", "left"),
    [("5", ["diverged-step-000000015", "step-000000010"]), ("0", ["diverged-step-000000017"])],
)
def test_steps_that_are_not_finite_are_counted_over_a_resumption(
    shards_folder, tiny, tmp_path, poisoned, monkeypatch, capsys, save_steps, left
):
    from train.loop import Loop

    run, options = tmp_path / "run", [*tiny, "--eval-every", "0", "--save-steps", save_steps]
    step = Loop._step

    def interrupted(self, tokens):
        step(self, tokens)
        if self.progress.step == 17:
            os.kill(os.getpid(), signal.SIGTERM)

    poisoned({15, 16, 17})
    with monkeypatch.context() as patch:
        patch.setattr(Loop, "_step", interrupted)
        assert train(shards_folder, run, *options) == 75
    assert train(shards_folder, run, *options, "--resume") == 1
    error = diverged(capsys, run)
    assert "3 steps in a row were not finite, up to 18" in error
    # The weights of step 15 are those that gave no finite loss: three batches showed it.
    assert ("step-000000010" in error) == (len(left) == 2)
    assert sorted(path.name for path in (run / "checkpoints").iterdir()) == left


def test_a_save_waits_while_steps_are_not_finite(shards_folder, tiny, tmp_path, poisoned, capsys):
    poisoned({9, 10, 29, 30, 31})
    options = [*tiny, "--eval-every", "0", "--save-steps", "10", "--keep", "1"]
    assert train(shards_folder, tmp_path / "run", *options) == 1
    assert [entry["step"] for entry in lines(tmp_path / "run", "save")] == [12, 20]
    assert "step-000000020" in diverged(capsys, tmp_path / "run")
