import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

import pytest

from train.config import PRESETS
from train.errors import SettingsError
from train.options import GROUPS, flag, from_options, parse, refuse_senseless
from train.resume import resumed
from train.settings import (
    SEED_MAX,
    SEED_MIN,
    EvaluateSettings,
    SampleSettings,
    TrainSettings,
    checked_sampling,
    recipe_for,
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
        ({"stepz": 3}, r"unknown setting train\.stepz; did you mean train\.steps\?"),
        ({"steps": "many"}, "--steps is 'many'; it must be a whole number"),
        ({"steps": 1.5}, "--steps is 1.5; it must be a whole number"),
        ({"steps": True}, "--steps is True; it must be a whole number"),
        ({"lr": "2h"}, "--lr is '2h'; it must be a finite number"),
        ({"stop_after": "2 weeks"}, "it must be a finite number, or a time such as 90, 10m or 2h"),
        ({"resume": "yes"}, "--resume is 'yes'; it must be true or false"),
        ({"schedule": "step"}, "--schedule is 'step'; it must be one of cosine, linear"),
        ({"lr": float("nan")}, "--lr is nan"),
        ({"lr": "inf"}, "--lr is inf; it must be a finite number"),
        ({"weight_decay": "1e999"}, "--weight-decay is inf; it must be a finite number"),
        ({"stop_after": "infd"}, "--stop-after"),
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
        ({"save_steps": -1}, "--save-steps is -1; it must be 0 or more"),
        ({"save_every": "-5m"}, "--save-every is -300.0"),
        ({"stop_after": -1}, "--stop-after is -1.0"),
        ({"sample_every": -1}, "--sample-every is -1"),
        ({"threads": 100_000}, "--threads is 100000; it must be from 1 to 1024"),
        ({"seed": 1 << 64}, r"--seed is 18446744073709551616; it must be from -2\^63"),
        ({"seed": "-9223372036854775809"}, "--seed is -9223372036854775809; it must be"),
    ],
)
def test_values_that_make_no_sense_are_refused(options, message):
    with pytest.raises(SettingsError, match=message):
        refuse_senseless(from_options(TrainSettings, options))


@pytest.mark.parametrize("seed", [SEED_MIN, -1, 0, SEED_MAX])
def test_every_seed_that_is_allowed_draws_weights_and_an_order(shards_folder, tiny, tmp_path, seed):
    from train.__main__ import main

    run = str(tmp_path / "run")
    words = [str(shards_folder), "--out", run, *tiny, "--steps", "2", "--dropout", "0.1"]
    assert main([*words, f"--seed={seed}"]) == 0
    assert main(["--out", run, "--resume", "--steps", "3"]) == 0


@pytest.mark.parametrize(
    "options",
    [{"tokens": 0}, {"samples": 0}, {"temperature": -1.0}, {"top_k": -1}, {"top_p": 0.0},
     {"top_p": 1.5}],
)  # fmt: skip
def test_sampling_settings_that_make_no_sense_are_refused(options):
    (name, value), *_ = options.items()
    with pytest.raises(SettingsError, match=f"--{name.replace('_', '-')} is {value}; it must be"):
        checked_sampling(from_options(SampleSettings, options))


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


@pytest.mark.parametrize(("name", "rate"), [("gpt2", 6e-5), ("gpt2-xl", 2e-5), ("cpu", 1e-4)])
def test_given_weights_are_moved_at_a_tenth_of_the_rate_of_their_size(name, rate):
    shape = PRESETS[name].config
    for preset in ("demo", name):
        settings = TrainSettings(preset=preset)
        found = recipe_for(settings, shape.vocab_size, has_gpu=False, shape=shape)[1]
        assert found.lr == pytest.approx(rate)
    given = recipe_for(TrainSettings(lr=0.5), shape.vocab_size, has_gpu=False, shape=shape)[1]
    assert given.lr == 0.5


def test_what_a_recipe_decided_is_decided_the_same_from_run_json():
    for preset in PRESETS:
        name, recipe = recipe_for(TrainSettings(preset=preset, steps=50), 500, has_gpu=False)
        kept = with_recipe(TrainSettings(preset=preset, steps=50), name, recipe)
        settings, _ = resumed(kept, {})
        assert recipe_for(settings, 500, has_gpu=True) == (name, recipe)


def test_a_resumed_run_may_get_more_steps_and_no_other_seed():
    old = TrainSettings(steps=10)
    settings, notes = resumed(old, {"steps": 20, "out": "elsewhere"})
    assert settings.steps == 20 and notes == ["--steps 10 -> 20"]
    with pytest.raises(SettingsError, match="--seed is 7, but the run in --out has 1"):
        resumed(old, {"seed": 7})


@pytest.mark.parametrize("kind", [TrainSettings, EvaluateSettings, SampleSettings])
def test_help_shows_an_example_and_every_option(kind, capsys):
    with pytest.raises(SystemExit) as left:
        parse(kind, ["--help"], "webtext")
    text = capsys.readouterr().out
    assert left.value.code == 0 and "--json" in text
    assert "Example: webtext build/" in text


def test_help_breaks_no_option_between_two_lines(capsys, monkeypatch):
    for columns in range(60, 130):
        monkeypatch.setenv("COLUMNS", str(columns))
        with pytest.raises(SystemExit):
            parse(TrainSettings, ["--help"], "python -m train")
        text = capsys.readouterr().out
        assert "--stop-after 2h" in " ".join(text.split("Example: ")[1].split())
        assert not re.search(r"[a-z]-$", text, re.MULTILINE), columns


def test_settings_and_help_need_no_torch():
    code = (
        "import sys; from train.__main__ import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)


def another(about):
    """A value that is not the default."""
    kind = get_type_hints(TrainSettings)[about.name]
    choices = [k for k in get_args(kind) or [kind] if k is not type(None)]
    if get_origin(choices[0]) is Literal:
        choices = list(get_args(choices[0]))
    if isinstance(choices[-1], str):
        return choices[-1]
    if about.name == "preset":
        return "gpt2"
    return {bool: not about.default, int: 7, float: 0.5, str: "other"}[choices[0]]


@pytest.mark.parametrize("about", fields(TrainSettings), ids=lambda about: about.name)
def test_on_resume_each_setting_is_refused_or_noted_as_it_says(about):
    given = {about.name: another(about)}
    if about.metadata["change"] == "locked":
        with pytest.raises(SettingsError, match=f"{flag(about.name)} is .* cannot change it"):
            resumed(TrainSettings(), given)
        return
    settings, notes = resumed(TrainSettings(), given)
    assert getattr(settings, about.name) == given[about.name]
    if about.name not in ("data", "out", "resume"):
        assert notes[0].startswith(f"{flag(about.name)} {about.default} -> ")
        assert ("not bit for bit" in notes[0]) == (about.metadata["change"] == "bits")


def test_help_says_what_resume_may_change(capsys):
    with pytest.raises(SystemExit):
        parse(TrainSettings, ["--help"], "webtext")
    text = capsys.readouterr().out
    titles = [f"\n{title}:\n" for title in (*GROUPS.values(), "result and help")]
    _, files, free, bits, locked, _ = re.split("|".join(map(re.escape, titles)), text)
    assert all(name in files for name in ("--out", "--resume", "--tokenizer"))
    assert "--seed" in locked and "--n-ctx" in locked
    assert "--micro-batch" in bits and "--threads" in bits
    assert "--steps" in free and "--eval-every" in free and "--log-every" in free
    for about in fields(TrainSettings):
        if about.metadata["change"] == "locked":
            assert re.search(rf"\n  {flag(about.name)}[ ,]", f"\n{locked}")


@pytest.mark.parametrize("name", ["fsdp", "checkpoint_activations"])
def test_what_a_resumed_run_may_turn_on_it_may_turn_off(name):
    off = "--no-" + name.replace("_", "-")
    _, given, _ = parse(TrainSettings, [off, "--resume"], "train")
    settings, notes = resumed(TrainSettings(**{name: True}), given)
    assert getattr(settings, name) is False and "True -> False" in notes[0]
