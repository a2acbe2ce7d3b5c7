import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from train.config import PRESETS
from train.errors import SettingsError
from train.settings import (
    EvaluateSettings,
    SampleSettings,
    TrainSettings,
    checked,
    from_options,
    parse,
    recipe_for,
    resumed,
    with_recipe,
)

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"steps": "1_000"}, ("steps", 1000)),
        ({"batch-tokens": 4096}, ("batch_tokens", 4096)),
        ({"stop-after": "2h"}, ("stop_after_s", 7200.0)),
        ({"save_every": "90"}, ("save_every_s", 90.0)),
        ({"lr": "6e-4"}, ("lr", 6e-4)),
        ({"lr": 1}, ("lr", 1.0)),
        ({"resume": True}, ("resume", True)),
        ({"schedule": "linear"}, ("schedule", "linear")),
    ],
)
def test_options_are_read_from_text_and_from_toml(options, wanted):
    name, value = wanted
    assert getattr(from_options(TrainSettings, options), name) == value


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stepz": 3}, r"unknown setting train\.stepz; did you mean steps\?"),
        ({"steps": "many"}, "--steps is 'many'; it must be a whole number"),
        ({"steps": 1.5}, "--steps is 1.5; it must be a whole number"),
        ({"steps": True}, "--steps is True; it must be int"),
        ({"lr": "2h"}, "--lr is '2h'; it must be a number"),
        ({"stop_after": "2 weeks"}, "--stop-after"),
        ({"resume": "yes"}, "--resume is 'yes'; it must be true or false"),
        ({"schedule": "step"}, "--schedule is 'step'; it must be one of cosine, linear"),
        ({"lr": float("nan")}, "--lr is nan"),
    ],
)
def test_a_wrong_option_is_refused_with_what_was_wanted(options, message):
    with pytest.raises(SettingsError, match=message):
        from_options(TrainSettings, options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "gpt4"}, "--preset is gpt4; it must be one of demo"),
        ({"steps": 0}, "--steps is 0"),
        ({"n_layer": 0}, "--n-layer is 0"),
        ({"dropout": 1.0}, "--dropout is 1.0"),
        ({"lr": -1.0}, "--lr is -1.0"),
    ],
)
def test_values_that_make_no_sense_are_refused(options, message):
    with pytest.raises(SettingsError, match=message):
        checked(from_options(TrainSettings, options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_embd": 100, "n_head": 3}, "multiple of --n-head 3"),
        ({"batch_tokens": 1000, "n_ctx": 64}, "multiple of n_ctx, such as 1024"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(options, message):
    with pytest.raises(SettingsError, match=message):
        recipe_for(from_options(TrainSettings, options), 500, has_gpu=False)


def test_the_preset_follows_the_machine_and_options_go_over_it():
    assert recipe_for(TrainSettings(), 500, has_gpu=False)[0] == "demo"
    assert recipe_for(TrainSettings(), 500, has_gpu=True)[0] == "gpt2"
    _, recipe = recipe_for(TrainSettings(preset="gpt2", n_ctx=512), 500, has_gpu=False)
    assert recipe.config.n_ctx == 512 and recipe.config.n_layer == 12
    assert recipe.batch_tokens == PRESETS["gpt2"].batch_tokens


def test_what_a_recipe_decided_is_decided_the_same_from_run_json():
    for preset in PRESETS:
        name, recipe = recipe_for(TrainSettings(preset=preset, steps=50), 500, has_gpu=False)
        kept = with_recipe(TrainSettings(preset=preset, steps=50), name, recipe)
        settings, _ = resumed(asdict(kept), {})
        assert recipe_for(settings, 500, has_gpu=True) == (name, recipe)


def test_a_resumed_run_may_get_more_steps_and_no_other_seed():
    old = asdict(TrainSettings(steps=10))
    settings, notes = resumed(old, {"steps": 20, "out": "elsewhere"})
    assert settings.steps == 20 and notes == ["--steps 10 -> 20"]
    with pytest.raises(SettingsError, match="--seed is 7, but the run in --out has 1"):
        resumed(old, {"seed": 7})


@pytest.mark.parametrize("kind", [TrainSettings, EvaluateSettings, SampleSettings])
def test_help_shows_an_example_and_every_option(kind, capsys):
    with pytest.raises(SystemExit) as left:
        parse(kind, ["--help"], "webtext")
    text = capsys.readouterr().out
    assert left.value.code == 0 and "Example: python -m train" in text and "--json" in text


def test_settings_and_help_need_no_torch():
    code = (
        "import sys; from train.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)
