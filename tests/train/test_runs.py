import json
from dataclasses import asdict, replace

import pytest

from train.config import GPTConfig
from train.errors import CheckpointError
from train.hardware import Choices
from train.runs import Run, read_run, write_run
from train.settings import TrainSettings

SHAPE = {"n_layer": 2, "n_head": 2, "n_embd": 32, "n_ctx": 32, "vocab_size": 97}


@pytest.fixture
def run(tmp_path):
    choices = Choices("cpu", "float32", False, 4, 2, {"device": "no GPU"})
    settings = TrainSettings(steps=9, out=str(tmp_path), profile=3)
    return Run(
        tmp_path, settings, GPTConfig(2, 2, 32, 32, 97), choices, "shards", "0f", 96,
        {"torch": "2"}, 1,
    )  # fmt: skip


def test_what_is_written_is_read(run):
    write_run(run)
    assert read_run(run.folder) == run
    checkpoint = run.folder / "checkpoints" / "step-000000001"
    assert read_run(checkpoint) == run
    kept = json.loads((run.folder / "run.json").read_text())
    assert kept["parameters"] == run.config.parameters() and kept["format"] == "webtext-run/1"


def test_a_build_is_read_as_its_model(run, tmp_path):
    build = tmp_path / "build"
    within = replace(run, folder=build / "model")
    within.folder.mkdir(parents=True)
    write_run(within)
    assert read_run(build) == read_run(build / "model") == within
    write_run(replace(run, folder=build))  # a run whose folder has a model/ stays itself
    assert read_run(build).folder == build


def test_a_file_of_an_older_version_has_the_defaults_of_what_came_since(run):
    value = run.to_json()
    del value["settings"]["profile"], value["config"]["attention"], value["parameters"]
    value["settings"]["of_another_version"] = 1
    read = Run.from_json(value, run.folder / "run.json")
    assert read.settings == TrainSettings(**{**asdict(run.settings), "profile": 0})
    assert read.config == run.config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "webtext-run/9"}, "format 'webtext-run/9'; this version reads"),
        ({"config": None}, "run.json: .*NoneType"),
        ({"config": {"n_layer": 2}}, "run.json: 'n_head' is missing"),
        ({"config": {**SHAPE, "heads": 2}}, r"unknown setting train\.heads; did you mean"),
        ({"config": {**SHAPE, "n_embd": "wide"}}, "--n-embd is 'wide'; it must be a whole number"),
        ({"choices": {"device": "cpu"}}, "missing"),
        ({"settings": []}, "run.json: .*list"),
        ({"settings": {"steps": "many"}}, "--steps is 'many'; it must be a whole number"),
        ({"eot_id": "x"}, "eot_id is 'x'; it must be int"),
        ({"eot_id": 97}, "eot_id is 97; the vocabulary has 97"),
        ({"eot_id": -1}, "eot_id is -1; the vocabulary has 97"),
        ({"versions": 3}, "versions is 3; it must be dict"),
        ({"ranks": "1"}, "ranks is '1'; it must be int"),
        ({"data": None}, "data is None; it must be str"),
        ({"choices": None}, "choices is None; it must be dict"),
        ({"config": {**SHAPE, "n_head": 0}}, "n_head is 0; it must be 1 or more"),
    ],
)
def test_what_is_wrong_with_the_file_is_named(run, change, message):
    with pytest.raises(CheckpointError, match=message) as caught:
        Run.from_json({**run.to_json(), **change}, run.folder / "run.json")
    assert str(run.folder / "run.json") in str(caught.value)


@pytest.mark.parametrize(("name", "value"), [("threads", "2"), ("compile", 1), ("reasons", [])])
def test_a_choice_of_another_type_is_named(run, name, value):
    choices = {**asdict(run.choices), name: value}
    with pytest.raises(CheckpointError, match=f"run.json: {name} is .*; it must be"):
        Run.from_json({**run.to_json(), "choices": choices}, run.folder / "run.json")


@pytest.mark.parametrize("key", ["settings", "config", "choices", "data_digest", "ranks"])
def test_what_is_missing_is_named(run, key):
    value = run.to_json()
    del value[key]
    with pytest.raises(CheckpointError, match=f"run.json: '{key}' is missing; put back"):
        Run.from_json(value, run.folder / "run.json")


@pytest.mark.parametrize("text", ["{", "[]", "3", '"webtext-run/1"', "\xff"])
def test_what_is_no_object_is_refused(run, text):
    (run.folder / "run.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(CheckpointError, match=r"run\.json: (not valid JSON|format None)"):
        read_run(run.folder)
