import json

import pytest

from tools.cli import main
from tools.status import status
from train.runs import locked

FIELDS = {
    "state", "step", "steps", "tokens", "tokens_per_s", "loss", "val_loss", "saved_step",
}  # fmt: skip


@pytest.fixture
def run(tmp_path):
    """A run of 9 steps, stopped after 3 of them, as it lies on disk."""
    (tmp_path / "run.json").write_text(json.dumps({"settings": {"steps": 9}}))
    lines = [
        {"kind": "eval", "step": 0, "val_loss": 9.5, "val_tokens": 64},
        *({"kind": "step", "step": n, "loss": 9.0 - n, "tokens": 8 * n} for n in (1, 2)),
        {"kind": "step", "step": 3, "loss": 6.25, "tokens": 1024, "tokens_per_s": 2048.0},
        {"kind": "eval", "step": 3, "val_loss": 7.125, "val_tokens": 64},
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (tmp_path / "checkpoints" / "step-000000002").mkdir(parents=True)
    (tmp_path / "checkpoints" / ".tmp-step-000000003").mkdir()
    return tmp_path


def test_the_folder_of_a_real_run_tells_its_steps_and_losses(finished, capsys):
    folder = finished.folder / "model"
    assert main(["status", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["run"]
    assert set(found) == FIELDS
    assert (found["state"], found["step"], found["steps"]) == ("done", 20, 20)
    assert (found["tokens"], found["saved_step"]) == (20 * 256, 20)
    assert 0 < found["loss"] < 12
    assert 0 < found["val_loss"] < 12
    assert found["tokens_per_s"] > 0


def test_a_run_that_was_left_says_how_far_it_came(run):
    assert status(run)["run"] == {
        "state": "stopped", "step": 3, "steps": 9, "tokens": 1024, "tokens_per_s": 2048.0,
        "loss": 6.25, "val_loss": 7.125, "saved_step": 2,
    }  # fmt: skip


def test_a_run_that_a_process_holds_is_training_and_a_line_at_work_is_no_fault(run):
    with (run / "log.jsonl").open("a") as log:
        log.write('{"kind": "step", "st')
    with locked(run):
        assert status(run)["run"]["state"] == "training"
    assert status(run)["run"]["state"] == "stopped"


def test_a_run_before_its_first_step_has_no_numbers_yet(run):
    (run / "log.jsonl").unlink()
    (run / "checkpoints" / "step-000000002").rmdir()
    assert status(run)["run"] == {
        "state": "stopped", "step": 0, "steps": 9, "tokens": 0, "tokens_per_s": None,
        "loss": None, "val_loss": None, "saved_step": None,
    }  # fmt: skip


def test_people_see_state_steps_and_losses_in_a_table(run, capsys):
    assert main(["status", str(run)]) == 0
    names, values = (
        [cell.strip() for cell in line.replace("┃", "│").split("│")[1:-1]]
        for line in capsys.readouterr().out.splitlines()
        if "│" in line or "┃" in line
    )
    assert dict(zip(names, values, strict=True)) == {
        "state": "stopped", "step": "3", "of": "9", "saved": "2", "tokens": "1,024",
        "tokens/s": "2,048", "loss": "6.250", "held-out loss": "7.125",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["{}", "no JSON", '{"settings": []}'])
def test_a_strange_run_json_is_an_error_that_names_the_folder(run, capsys, text):
    (run / "run.json").write_text(text)
    assert main(["status", str(run)]) == 1
    assert f"{run} is no run of this trainer" in capsys.readouterr().err


def test_a_fault_of_a_step_that_was_undone_is_no_step_of_the_run(run):
    fault = {"kind": "fault", "step": 9, "loss": None, "undone": True}
    with (run / "log.jsonl").open("a") as log:
        log.write(json.dumps(fault) + "\n" + '{"kind": "step", "st')  # and a line on its way
    found = status(run)["run"]
    assert (found["state"], found["step"]) == ("stopped", 3)
