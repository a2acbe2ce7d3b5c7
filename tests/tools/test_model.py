import pytest

from pipeline.errors import SettingsError
from tools.model import _flags, _shaping, check_settings
from train.options import parse
from train.settings import TrainSettings


def test_options_make_the_same_model_from_a_file_and_from_the_command_line():
    file = {"steps": 20, "lr": 1e-3, "preset": "demo", "save_every": "10m"}
    line = {"preset": "demo", "save-every": "60", "lr": "0.001", "steps": "20"}
    assert _shaping(file) == _shaping(line)
    assert _shaping(file) != _shaping({**file, "lr": 2e-3})


def test_what_the_build_sets_itself_is_refused():
    for name in ("data", "out", "resume"):
        with pytest.raises(SettingsError, match=f"train.{name} is set by the build"):
            check_settings({name: "x"})


def test_a_wrong_option_is_the_trainers_own_error():
    with pytest.raises(SettingsError, match=r"did you mean train\.steps"):
        check_settings({"step": 3})
    with pytest.raises(SettingsError, match=r"^train\.steps is 0; it must be 1 or more"):
        check_settings({"steps": 0})
    with pytest.raises(SettingsError, match=r"^train\.batch_tokens is 'many'; it must be a whole"):
        check_settings({"batch_tokens": "many"})


def test_a_build_is_one_process_and_splits_no_model():
    with pytest.raises(SettingsError, match="train on them by torchrun -m train --fsdp"):
        check_settings({"fsdp": True})


def test_the_trainers_parser_reads_back_what_it_is_told():
    options = {"steps": 20, "lr": 0.001, "stop_after": "2h", "qkv_bias": False, "seed": 3}
    settings, given, _ = parse(TrainSettings, ["data", *_flags(check_settings(options))], "train")
    assert settings.stop_after_s == 7200
    assert settings.qkv_bias is False
    assert set(given) == {"data", "steps", "lr", "stop_after_s", "qkv_bias", "seed"}
