from dataclasses import replace
from pathlib import Path

import pytest

from train.config import GPTConfig, Recipe
from train.errors import SettingsError
from train.hardware import Choices
from train.resume import choose_again
from train.runs import Run
from train.settings import TrainSettings


@pytest.fixture
def again(monkeypatch):
    """What a run chooses when it goes on: `again(before, given, ranks=1, **settings)`."""
    recipe = Recipe(GPTConfig(2, 2, 32, 32, 97), 40, 256, 3e-3, 4)
    for module in ("hardware", "resume"):
        monkeypatch.setattr(f"train.{module}.cores", lambda: 2)

    def make(before, given=None, ranks=1, **settings):
        first = TrainSettings(**settings)
        old = {"device": "cpu", "dtype": "float32", "compile": False, "micro_batch": 4}
        old |= {"threads": 1, **before}
        given = given or {}
        old = Choices(**old, reasons={})
        run = Run(Path(), first, recipe.config, old, "", "", 96, {}, ranks=1)
        wanted = replace(first, **given)
        return choose_again(wanted, recipe, run, given, ranks)

    return make


def test_a_run_goes_on_as_it_began_and_says_so(again):
    choices, notes = again({"dtype": "bfloat16", "micro_batch": 2})
    assert (choices.dtype, choices.micro_batch, choices.threads) == ("bfloat16", 2, 1)
    assert notes == []
    assert set(choices.reasons.values()) - {choices.reasons["device"]} == {"as the run began"}


def test_the_command_of_before_changes_nothing_and_another_option_does(again):
    # The micro-batch was halved while the run ran, and its command is given once more.
    choices, notes = again({"micro_batch": 4}, {"micro_batch": 8}, micro_batch=8)
    assert (choices.micro_batch, notes) == (4, [])
    choices, notes = again({"dtype": "bfloat16"}, {"dtype": "float32", "threads": 5})
    assert (choices.dtype, choices.threads, notes) == ("float32", 5, [])
    assert choices.reasons["dtype"] == "as set"


@pytest.mark.parametrize("settings", [{}, {"dtype": "bfloat16-master"}])
def test_bf16_masters_are_left_where_they_cannot_be_had(again, settings):
    choices, notes = again({"dtype": "bfloat16-master"}, ranks=2, **settings)
    assert choices.dtype in ("float32", "bfloat16")
    assert any(f"dtype bfloat16-master -> {choices.dtype} (" in note for note in notes)
    with pytest.raises(SettingsError, match="is for one process on a CPU"):
        again({"dtype": "float32"}, {"dtype": "bfloat16-master"}, ranks=2)


def test_another_device_chooses_anew(again):
    before = {"device": "cuda", "dtype": "bfloat16", "compile": True, "micro_batch": 1}
    choices, notes = again(before)
    assert (choices.device, choices.dtype, choices.compile) == ("cpu", "float32", False)
    assert choices.micro_batch == 8
    assert [note.split()[0] for note in notes] == ["device", "dtype", "compile", "micro-batch"]


def test_more_threads_than_cores_are_not_taken_up_again_unless_they_were_set(again):
    choices, notes = again({"threads": 64})
    assert choices.threads == 2 and "threads 64 -> 2" in notes[0]
    assert again({"threads": 64}, threads=64)[0].threads == 64


def test_a_machine_without_a_compiler_goes_on_eagerly(again, monkeypatch):
    for module in ("hardware", "resume"):
        monkeypatch.setattr(f"train.{module}.has_compiler", lambda _: False)
    choices, notes = again({"compile": True}, compile="on")
    assert not choices.compile and "no C++ compiler here" in notes[0]


def test_a_micro_batch_that_more_ranks_cannot_take_is_chosen_anew(again):
    choices, notes = again({"micro_batch": 8}, ranks=2, micro_batch=8)
    assert choices.micro_batch == 4 and "micro-batch 8 -> 4" in notes[0]
