from dataclasses import replace
from itertools import pairwise

import pytest

from train.config import PRESETS
from train.schedule import Due, about_rate, due_after, learning_rate
from train.settings import TrainSettings

RECIPE = replace(PRESETS["demo"], steps=100, warmup_steps=10, lr=1e-3)


def test_the_rate_warms_up_and_falls_to_a_tenth():
    rates = [learning_rate(RECIPE, TrainSettings(), step) for step in range(101)]
    assert rates[0] == pytest.approx(1e-4)
    assert rates[9] == rates[10] == max(rates) == 1e-3
    assert rates[100] == pytest.approx(1e-4)
    assert rates[55] == pytest.approx((1e-3 + 1e-4) / 2)
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_a_linear_schedule_falls_evenly():
    settings = TrainSettings(schedule="linear", lr_min_share=0.0)
    rates = [learning_rate(RECIPE, settings, step) for step in range(10, 101)]
    steps = [a - b for a, b in pairwise(rates)]
    assert max(steps) == pytest.approx(min(steps)) and rates[-1] == 0


@pytest.mark.parametrize(
    ("steps", "warmup", "told"),
    [
        (100, 10, "rate: 0.001 after 10 steps of warm-up, then cosine to 0.0001"),
        (10, 1000, "rate: 1e-05 is reached at the last step, 10, and never falls: the run ends "
         "within its 1,000 steps of warm-up to 0.001; take fewer --warmup-steps or more --steps"),
        (10, 10, "rate: 0.001 is reached at the last step, 10, and never falls: the run ends "
         "within its 10 steps of warm-up to 0.001; take fewer --warmup-steps or more --steps"),
    ],
)  # fmt: skip
def test_the_rate_that_is_reached_is_told(steps, warmup, told):
    recipe = replace(RECIPE, steps=steps, warmup_steps=warmup)
    assert about_rate(recipe, TrainSettings()) == told
    rates = [learning_rate(recipe, TrainSettings(), step) for step in range(steps)]
    assert f"{max(rates):g}" == told.split()[1]


def test_what_is_due_follows_from_the_number_of_the_step():
    settings = TrainSettings(log_every=2, eval_every=4, sample_every=6, save_steps=3)
    due = {step: due_after(step, 13, settings) for step in range(1, 14)}
    for name, steps in {
        "log": [2, 4, 6, 8, 10, 12, 13], "evaluate": [4, 8, 12, 13], "sample": [6, 12],
        "save": [3, 6, 9, 12],
    }.items():  # fmt: skip
        assert [step for step, found in due.items() if getattr(found, name)] == steps
    none = TrainSettings(log_every=1, eval_every=0, sample_every=0, save_steps=0)
    assert due_after(5, 9, none) == Due(log=True, evaluate=False, sample=False, save=False)
