"""A model is trained for a build in a bucket, kept there, and goes on there on another machine."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.engine import names
from pipeline.engine.bucket import Bucket
from pipeline.engine.digest import file_digest
from pipeline.engine.leftovers import unnamed_files
from pipeline.engine.manifest import read_manifest
from tools.clean import clean
from tools.cli import main
from tools.demo import files
from tools.model_store import ITEMS, OVERLAPS, STAGE, STEP, RunStore
from tools.places import Uri, within
from tools.status import status, verify

SHARE = 200  # of the demo's ordinary pages one in so many; those that go wrong are all there
# Enough of a model to be trained, evaluated and sampled, with a checkpoint now and then.
TINY_MODEL = (
    *("--preset", "demo", "--n-layer", "1", "--n-head", "2", "--n-embd", "16", "--n-ctx", "32"),
    *("--batch-tokens", "256", "--steps", "20", "--eval-tokens", "512", "--threads", "1"),
    *("--device", "cpu", "--save-steps", "5"),
)
OF_A_BUILD = [word.replace("--", "--train.") for word in TINY_MODEL]
WORDS = ("--engine.workers", "1", "--engine.buckets", "1", "--tokenizer.vocab-size", "600")


@dataclass(frozen=True)
class Made:
    """A build in a bucket, whose model was begun on one machine and made on another."""

    uri: Uri
    settings: Path
    folder: Path

    @property
    def store(self) -> Bucket:
        return Bucket(self.uri, self.folder / "third")

    def build(self, machine: str, *more: str) -> int:
        scratch = ("--engine.scratch", str(self.folder / machine))
        words = ["build", str(self.settings), *WORDS, *OF_A_BUILD, "--out", self.uri]
        return main([*words, *scratch, *more])


@pytest.fixture(scope="module")
def begun(server, tmp_path_factory):
    """With the model's first step, which was trained on machine "one"."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "FAST_SHARE", SHARE)
        settings = files.write_demo(folder / "input", fast=True).settings_path
    found = Made(Uri(server.uri("with-model")), settings, folder)
    assert found.build("one", "--train.stop-after", "0") == 75
    return found


@pytest.mark.slow
def test_a_model_goes_on_elsewhere_and_is_that_of_a_run_in_one_piece(begun, tmp_path, capsys):
    uri, store = begun.uri, begun.store
    assert status(uri)["stages"]["model"]["state"] == "partial"
    assert len(store.entries(names.records(STAGE, STEP))) == 1
    assert unnamed_files(store) == []
    assert [entry.name for entry in clean(uri, now=True) if not entry.kept] == []
    capsys.readouterr()

    assert begun.build("other", "--train.stop-after", "2h") == 0
    told = capsys.readouterr().err
    assert "model: goes on from step-000000001, which is in the bucket" in told
    assert "held-out loss" in told
    model = status(uri)["stages"]["model"]
    assert (model["state"], model["rows_out"]) == ("done", 20)
    assert store.entries(names.records(STAGE, STEP)) == unnamed_files(store) == []
    for machine in ("one", "other"):
        assert not [path for path in (begun.folder / machine).rglob("*") if path.is_file()]
    manifest = read_manifest(store, STAGE)
    assert manifest is not None
    for name in (ITEMS, OVERLAPS):
        text = store.read(manifest.files[name].name)
        assert text is not None
        assert "task" in json.loads(text.splitlines()[0])
    report = store.read("report.html")
    assert report is not None
    assert b"held-out loss" in report

    shards, run = within(uri, "shards"), tmp_path / "run"
    assert main(["train", shards, "--out", str(run), *TINY_MODEL]) == 0
    weights = "checkpoints/step-000000020/model.safetensors"
    assert model["digest"] == file_digest(run / weights)
    samples = []
    for place in (uri, run):
        capsys.readouterr()
        assert main(["sample", str(place), "--prompt", "The", "--tokens", "8", "--seed", "1"]) == 0
        samples.append(capsys.readouterr().out)
    assert samples[0] == samples[1] != ""


@pytest.mark.slow
def test_a_made_model_is_kept_verified_and_not_made_again(begun):
    uri, store = begun.uri, begun.store
    if status(uri)["stages"]["model"]["state"] != "done":
        assert begun.build("other", "--train.stop-after", "2h") == 0
    before = [entry.name for entry in store.entries("data")]
    assert begun.build("one", "--train.stop-after", "2h") == 0
    assert [entry.name for entry in store.entries("data")] == before
    assert verify(uri).damaged == []
    kept = {entry.name: entry.why for entry in clean(uri, now=True)}
    assert kept["model"] == "a published stage"
    assert [entry.name for entry in store.entries("data")] == before
    manifest = read_manifest(store, STAGE)
    assert manifest is not None
    weights = manifest.view()["model/checkpoints/step-000000020/model.safetensors"]
    data = store.read(weights)
    assert data is not None
    store.write(weights, data[:-1] + b"?")
    (line,) = verify(uri).damaged
    store.write(weights, data)
    assert line.startswith(f"{store.place}/{weights} has other bytes than were written")
    assert "--redo model" in line


def checkpoint(run: Path, step: int, text: str = "weights") -> Path:
    folder = run / "checkpoints" / f"step-{step:09d}"
    folder.mkdir(parents=True)
    for name in ("model.safetensors", "manifest.json"):
        (folder / name).write_text(f"{text} {step} {name}")
    (run / "run.json").write_text("{}")
    (run / "log.jsonl").write_text(json.dumps({"step": step}) + "\n")
    return folder


def test_each_checkpoint_is_sent_once_and_goes_when_the_run_removed_it(server, tmp_path):
    store, run = Bucket(server.uri("sent"), tmp_path / "s"), tmp_path / "run"
    sent = RunStore(store, "a" * 32, run)
    sent.send()
    assert store.entries("data") == []
    first = checkpoint(run, 5)
    sent.send()
    files = store.entries("data")
    sent.send()
    assert store.entries("data") == files
    assert len(files) == 4
    for path in first.iterdir():
        path.unlink()
    first.rmdir()
    checkpoint(run, 10)
    sent.send()
    assert not {file.name for file in files} & {file.name for file in store.entries("data")}
    assert unnamed_files(store) == []

    elsewhere = tmp_path / "elsewhere"
    assert RunStore(store, "b" * 32, elsewhere).restore() == ""
    assert RunStore(store, "a" * 32, elsewhere).restore() == "step-000000010"
    for path in run.rglob("*"):
        if path.is_file():
            assert (elsewhere / path.relative_to(run)).read_bytes() == path.read_bytes()


def test_a_checkpoint_that_cannot_be_sent_leaves_nothing_and_is_sent_later(
    server, tmp_path, monkeypatch
):
    store, run = Bucket(server.uri("unsent"), tmp_path / "s"), tmp_path / "run"
    checkpoint(run, 5)
    real, calls = Bucket.add, iter(range(99))

    def failing(self: Bucket, path: Path, name: str) -> None:
        if next(calls) == 2:
            raise OSError("the store is away")
        real(self, path, name)

    monkeypatch.setattr(Bucket, "add", failing)
    sent = RunStore(store, "a" * 32, run)
    with pytest.raises(OSError, match="away"):
        sent.send()
    assert store.entries("data") == []
    sent.send()
    assert len(store.entries("data")) == 4
    assert unnamed_files(store) == []
    assert sorted(path.name for path in run.iterdir()) == ["checkpoints", "log.jsonl", "run.json"]


def test_a_checkpoint_that_the_run_removes_meanwhile_is_sent_whole(server, tmp_path, monkeypatch):
    store, run = Bucket(server.uri("meanwhile"), tmp_path / "s"), tmp_path / "run"
    first, real = checkpoint(run, 5), Bucket.add

    def removing(self: Bucket, path: Path, name: str) -> None:
        shutil.rmtree(first, ignore_errors=True)
        real(self, path, name)

    monkeypatch.setattr(Bucket, "add", removing)
    RunStore(store, "a" * 32, run).send()
    assert RunStore(store, "a" * 32, tmp_path / "there").restore() == "step-000000005"
    assert unnamed_files(store) == []


def test_what_was_saved_by_a_run_that_breaks_is_sent(server, tmp_path):
    store, run = Bucket(server.uri("broken"), tmp_path / "s"), tmp_path / "run"
    with pytest.raises(KeyboardInterrupt), RunStore(store, "a" * 32, run).sending(print):
        checkpoint(run, 5)
        raise KeyboardInterrupt
    assert RunStore(store, "a" * 32, tmp_path / "there").restore() == "step-000000005"
