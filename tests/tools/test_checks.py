"""Each refusal comes before anything is written: the build folder is not made."""

import json
import shutil

import pytest

from pipeline.engine.build import Build
from pipeline.pages.warc import DERIVED_RECORDS
from pipeline.settings_file import load
from pipeline.tokens import tokenizer
from pipeline.tokens.export import export
from tools import checks, model
from tools.cli import main

POST = {"id": "a", "url": "http://a.example/", "score": 9, "created_utc": 1_336_600_000}
RECORD = (
    "WARC/1.0\r\nWARC-Type: {}\r\nWARC-Target-URI: http://a.example/\r\n"
    "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\nok\r\n\r\n"
)
SETTINGS = '[input]\ndumps = ["RS"]\nwarcs = ["a.warc"]\n'


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a dump, a WARC file, and a settings file that names them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "RS").write_text(json.dumps(POST) + "\n")
    (tmp_path / "a.warc").write_bytes(RECORD.format("resource").encode())
    (tmp_path / "wet").write_bytes(RECORD.format("conversion").encode() * (DERIVED_RECORDS + 1))
    (tmp_path / "torn").write_bytes(b"\x1f\x8b\x08\0")
    (tmp_path / "folder").mkdir()
    (tmp_path / "bad.json").write_text('{"model": {"type": "WordPiece"}}')
    (tmp_path / "half.json").write_text('{"model": {"type": "BP')
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "config.json").write_text('{"model_type": "gpt2"}')
    (tmp_path / "weights" / "model.safetensors").write_bytes(b"\x10\0\0\0\0\0\0\0{")
    (tmp_path / "webtext.toml").write_text(SETTINGS)
    return tmp_path


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--input.warcs="], "input.warcs names no files, so there are no pages; set it in the"),
        (["--input.warcs="], "or make the links alone: --to links"),
        (["--input.dumps="], "input.dumps names no files; set it in the settings file or as --in"),
        (["--input.dumps", "RS_*.zst"], "input.dumps: no file matches RS_*.zst (relative to"),
        (["--input.warcs", "folder"], "folder is a folder; name its files, such as folder/*"),
        (["--input.warcs", "fold*"], "fold* is a folder"),
        (["--input.dumps", "a.warc"], "input.dumps: {place}/a.warc: it is a WARC file. Take the"),
        (["--input.dumps", "torn"], "input.dumps: {place}/torn, byte"),
        (["--input.warcs", "RS"], "input.warcs: {place}/RS, byte 0: this is no WARC file: it"),
        (["--input.warcs", "a.warc,wet"], "input.warcs: {place}/wet, byte 0: this is a WET file"),
        (["--documents.languages", "english"], "did you mean en?"),
        (["--tokenizer.path", "none.json"], "none.json: no such file; `webtext tokenizer train`"),
        (["--tokenizer.path", "bad.json"], "bad.json: its model is WordPiece, not BPE"),
        (["--tokenizer.path", "half.json"], "half.json: not valid JSON"),
        (["--train.tokenizer", "half.json"], "half.json: not valid JSON"),
        (["--train.init", "nowhere"], "train.init: no weights in {place}/nowhere; name the --out"),
        (["--train.init", "folder"], "train.init: no weights in {place}/folder"),
        (["--train.init", "weights"], "weights/model.safetensors: cannot be read ("),
    ],
)
def test_what_keeps_a_build_from_its_end_is_refused_before_anything_is_written(
    place, capsys, options, said
):
    assert main(["build", "--out", "out", *options]) == 2
    told = capsys.readouterr()
    assert said.format(place=place) in told.err
    assert told.err.startswith("webtext: ")
    assert told.err.count("\n") == 1
    assert told.out == ""
    assert not (place / "out").exists()


def test_what_a_build_does_not_reach_is_not_asked_for(place):
    """`--to links` wants no captures, and no tokenizer is read before one is needed."""
    (place / "webtext.toml").write_text('[input]\ndumps = ["RS"]\n')
    settings = load(place / "webtext.toml", {"tokenizer.path": "none", "train.init": "none"})
    checks.check_build(settings, place, place / "out", "links", force=False)
    settings = load(place / "webtext.toml", {"tokenizer.path": "none", "input.warcs": "a.warc"})
    checks.check_build(settings, place, place / "out", "corpus", force=False)


@pytest.mark.parametrize(("key", "name"), [("dumps", "RS"), ("warcs", "a.warc")])
def test_a_file_that_cannot_be_read_is_named_with_what_to_do(place, capsys, key, name):
    (place / name).unlink()
    (place / name).symlink_to("/proc/self/mem")  # whose start gives an error of the disk's
    assert main(["build", "--out", "out"]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"webtext: input.{key}: {place}/{name}")
    assert "cannot be read: Input/output error. Check" in told


def test_paths_in_the_train_table_are_relative_to_the_settings_file(place, monkeypatch):
    settings = load(place / "webtext.toml", {"tokenizer.path": "t.json", "train.init": "w"})
    found = model.with_places({"init": "w", "tokenizer": "/t.json", "steps": 3}, place)
    assert found == {"init": str(place / "w"), "tokenizer": "/t.json", "steps": 3}
    export(tokenizer.train(["a b"], 300, 2), place)
    shutil.move(place / "tokenizer.json", place / "t.json")
    monkeypatch.chdir("/")
    with pytest.raises(checks.SettingsError, match=f"no weights in {place}/w;"):
        checks.check_build(settings, place, place / "out", "model", force=True)


def test_a_model_that_is_made_does_not_need_again_what_it_was_started_from(place):
    (place / "out" / "model").mkdir(parents=True)
    (place / "out" / "model" / model.COMMIT).write_text("{}")
    settings = load(place / "webtext.toml", {"train.init": "nowhere"})
    checks.check_build(settings, place, place / "out", "model", force=True)


@pytest.mark.parametrize("option", ["--redo", "--replay"])
def test_a_stage_after_the_last_one_is_not_asked_for_in_vain(place, capsys, option):
    assert main(["build", "--out", "out", "--to", "pages", option, "shards"]) == 2
    told = capsys.readouterr().err
    assert f"{option} shards: the build ends before that stage, with --to pages" in told
    assert not (place / "out").exists()


@pytest.fixture
def full_disk(monkeypatch):
    monkeypatch.setattr(checks, "free_bytes", lambda out: 1_000_000)


def test_a_disk_that_is_too_small_for_the_links_alone_is_refused(place, monkeypatch, capsys):
    monkeypatch.setattr(checks, "free_bytes", lambda out: 10)
    assert main(["build", "--out", "out", "--to", "links", "--input.warcs="]) == 2
    assert "the disk of out has 10 bytes free, but by `webtext plan`" in capsys.readouterr().err
    assert not (place / "out").exists()


def test_a_disk_that_is_too_small_by_the_plan_is_refused_with_what_to_do(place, full_disk, capsys):
    assert main(["build", "--out", "out"]) == 2
    told = capsys.readouterr().err
    assert (
        "the disk of out has 1.0 MB free, but by `webtext plan` this build needs about 1." in told
    )
    assert "--force" in told
    assert not (place / "out").exists()


def test_force_and_a_build_that_was_begun_are_not_asked_about_the_disk(place, full_disk):
    settings = load(place / "webtext.toml")
    checks.check_build(settings, place, place / "new", "model", force=True)
    with Build(place / "out", quiet=True):
        pass
    checks.check_build(settings, place, place / "out", "model", force=False)


def test_where_the_disk_is_many_times_the_input_nothing_is_sampled(place, monkeypatch):
    settings = load(place / "webtext.toml")
    monkeypatch.setattr(checks, "needed_bytes", pytest.fail)
    monkeypatch.setattr(checks, "free_bytes", lambda out: 1_000_000)
    checks.check_build(settings, place, place / "out", "shards", force=False)
