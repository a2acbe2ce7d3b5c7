import errno
import hashlib
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from train import checkpoint
from train.checkpoint import Checkpointer, load
from train.errors import CheckpointError


def save(run, step, val_loss=None, keep=2, note=pytest.fail):
    saver = Checkpointer(run / "checkpoints", keep, note)
    weights = {"w": torch.full((64,), float(step))}
    saver.save(weights, {"exp_avg/w": torch.zeros(64)}, {"step": step, "val_loss": val_loss})
    saver.wait()


def names(run):
    return sorted(p.name for p in (run / "checkpoints").iterdir())


def flip_a_bit(path):
    raw = bytearray(path.read_bytes())
    raw[-5] ^= 1
    path.write_bytes(raw)


def test_the_newest_checkpoint_comes_back(tmp_path):
    for step in (1, 2):
        save(tmp_path, step)
    found = load(tmp_path, note=pytest.fail)
    assert found.step == 2 and found.model["w"][0] == 2 and set(found.optimizer) == {"exp_avg/w"}


def test_no_checkpoint_is_none(tmp_path):
    assert load(tmp_path, note=pytest.fail) is None


def test_the_newest_and_the_best_are_kept(tmp_path):
    for step, loss in [(1, 3.0), (2, 2.0), (3, 2.5), (4, None), (5, 2.6)]:
        save(tmp_path, step, loss)
    assert names(tmp_path) == ["step-000000002", "step-000000004", "step-000000005"]
    assert load(tmp_path, best=True, note=pytest.fail).step == 2


@pytest.mark.parametrize(
    "file", ["model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"]
)
@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_taken(tmp_path, file, damage):
    for step in (1, 2):
        save(tmp_path, step)
    path = tmp_path / "checkpoints" / "step-000000002" / file
    if damage == "flip":
        flip_a_bit(path)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:20])
    else:
        path.unlink()
    notes = []
    assert load(tmp_path, note=notes.append).step == 1
    assert len(notes) == 1 and "step-000000002" in notes[0]


STATES = ["null", "[]", "{}", '{"step": "2"}', '{"step": 2, "val_loss": "x"}', "[" * 90_000]


@pytest.mark.parametrize("state", STATES, ids=range(len(STATES)))
def test_a_state_of_another_shape_is_named_and_the_one_before_taken(tmp_path, state):
    for step in (1, 2):
        save(tmp_path, step, 3.0)
    folder = tmp_path / "checkpoints" / "step-000000002"
    (folder / "state.json").write_text(state)
    manifest = json.loads((folder / "manifest.json").read_text())
    digest = hashlib.sha256(state.encode()).hexdigest()
    manifest["state.json"] = {"bytes": len(state), "sha256": digest}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    notes = []
    assert load(tmp_path, note=notes.append).step == 1
    assert "step-000000002 is damaged (state.json" in notes[0] and "before it is taken" in notes[0]
    assert load(tmp_path, best=True, note=notes.append).step == 1


@pytest.mark.parametrize("content", ["null", '["a"]', "7"])
@pytest.mark.parametrize("inner", [True, False])
def test_a_manifest_of_another_shape_is_damage(tmp_path, content, inner):
    save(tmp_path, 1)
    path, notes = tmp_path / "checkpoints" / "step-000000001" / "manifest.json", []
    names = dict.fromkeys(json.loads(path.read_text()), json.loads(content))
    path.write_text(json.dumps(names) if inner else content)
    with pytest.raises(CheckpointError, match="all 1 checkpoints are damaged"):
        load(tmp_path, note=notes.append)
    assert len(notes) == 1 and "is damaged (manifest.json" in notes[0] and "taken" not in notes[0]


def test_a_copy_of_a_checkpoint_under_another_name_is_left_alone_and_named_once(tmp_path):
    for step in (1, 2):
        save(tmp_path, step)
    copy = tmp_path / "checkpoints" / "step-000000001-backup"
    shutil.copytree(copy.with_name("step-000000001"), copy)
    notes = []
    assert load(tmp_path, note=notes.append).step == 2
    assert notes == [f"{copy} is no checkpoint by its name, and is left alone"]
    saver = Checkpointer(tmp_path / "checkpoints", 1, pytest.fail)
    assert saver.set_aside(1, "damaged") == ["damaged-step-000000002"]
    save(tmp_path, 3, keep=1)
    assert names(tmp_path) == ["damaged-step-000000002", "step-000000001-backup", "step-000000003"]


def test_weights_alone_are_read_without_the_moments(tmp_path):
    for step in (1, 2):
        save(tmp_path, step)
    (tmp_path / "checkpoints" / "step-000000002" / "optimizer.safetensors").unlink()
    found = load(tmp_path, weights_only=True, note=pytest.fail)
    assert (found.step, found.optimizer) == (2, {}) and found.model["w"][0] == 2
    flip_a_bit(tmp_path / "checkpoints" / "step-000000002" / "model.safetensors")
    assert load(tmp_path, weights_only=True, note=lambda _: None).step == 1


def test_only_damaged_checkpoints_are_an_error(tmp_path):
    save(tmp_path, 1)
    flip_a_bit(tmp_path / "checkpoints" / "step-000000001" / "model.safetensors")
    with pytest.raises(CheckpointError, match="all 1 checkpoints are damaged"):
        load(tmp_path, note=lambda _: None)


def test_a_torn_save_is_not_seen_and_is_swept_up(tmp_path):
    save(tmp_path, 1)
    torn = tmp_path / "checkpoints" / ".tmp-step-000000002"
    torn.mkdir()
    (torn / "model.safetensors").write_bytes(b"half")
    assert load(tmp_path, note=pytest.fail).step == 1
    save(tmp_path, 3)
    assert names(tmp_path) == ["step-000000001", "step-000000003"]


def test_a_save_that_fails_names_the_newest_that_stands(tmp_path, monkeypatch):
    save(tmp_path, 1)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("train.checkpoint.save_file", full)
    with pytest.raises(CheckpointError, match=r"No space left.*step-000000001"):
        save(tmp_path, 2)
    assert names(tmp_path) == ["step-000000001"]


FULL = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
    # What safetensors raises on a disk that is full.
    SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
]


@pytest.fixture
def disk_for(monkeypatch):
    """A disk on which so many checkpoints fit; on any other save it raises the error given."""
    real = checkpoint.save_file

    def fill(run, number, error):
        def limited(tensors, path):
            if len(list((run / "checkpoints").glob("step-*"))) >= number:
                raise error
            real(tensors, path)

        monkeypatch.setattr("train.checkpoint.save_file", limited)

    return fill


@pytest.mark.parametrize("error", FULL, ids=["disk", "quota", "safetensors"])
def test_on_a_full_disk_older_ones_make_room_but_not_the_newest_nor_the_best(
    tmp_path, disk_for, error
):
    for step, loss in [(1, None), (2, 2.0), (3, None), (4, 3.0)]:
        save(tmp_path, step, loss, keep=5)
    disk_for(tmp_path, 3, error)
    told = []
    save(tmp_path, 5, keep=5, note=told.append)
    assert names(tmp_path) == [f"step-00000000{n}" for n in (2, 4, 5)]
    assert told == ["the disk is full: step-000000001, step-000000003 made room for the newest"]
    disk_for(tmp_path, 2, error)
    with pytest.raises(CheckpointError, match="newest that is complete: step-000000005"):
        save(tmp_path, 6, keep=5, note=told.append)
    assert names(tmp_path) == [f"step-00000000{n}" for n in (2, 5)]
    assert load(tmp_path, note=pytest.fail).step == 5


def test_an_error_of_the_disk_itself_removes_nothing(tmp_path, disk_for):
    for step in (1, 2, 3):
        save(tmp_path, step, keep=5)
    disk_for(tmp_path, 0, OSError(errno.EIO, "Input/output error"))
    with pytest.raises(CheckpointError, match="Input/output error"):
        save(tmp_path, 4, keep=5)
    assert len(names(tmp_path)) == 3


def test_the_state_on_disk_is_that_of_the_moment_of_saving(tmp_path):
    saver = Checkpointer(tmp_path / "checkpoints", 2, pytest.fail)
    weights = {"w": torch.zeros(1_000_000)}
    saver.save(weights, {}, {"step": 1, "val_loss": None})
    weights["w"].fill_(7)
    saver.wait()
    found = load(tmp_path, note=pytest.fail)
    assert found.model["w"].abs().max() == 0
    assert json.loads((found.path / "state.json").read_text())["step"] == 1


def test_a_loss_that_is_not_finite_is_never_the_best(tmp_path):
    for step, loss in [(1, float("nan")), (2, 2.0), (3, float("nan"))]:
        save(tmp_path, step, loss, keep=9)
    assert load(tmp_path, best=True, note=pytest.fail).step == 2


def test_a_step_that_is_saved_again_is_there_at_every_moment(tmp_path, monkeypatch):
    save(tmp_path, 1)
    seen, rename = [], Path.rename

    def looked(self, target):
        made = rename(self, target)
        seen.append(load(tmp_path, note=pytest.fail).step)
        return made

    monkeypatch.setattr(Path, "rename", looked)
    save(tmp_path, 1, 2.5)
    assert seen == [1, 1] and names(tmp_path) == ["step-000000001"]
    assert load(tmp_path, note=pytest.fail).state["val_loss"] == 2.5


@pytest.mark.parametrize("at", [0, 1])
def test_a_kill_while_a_step_is_saved_again_leaves_one_of_the_two(tmp_path, monkeypatch, at):
    save(tmp_path, 1)
    rename, renamed = Path.rename, []

    def killed(self, target):
        renamed.append(rename(self, target))
        if len(renamed) == at + 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "rename", killed)
        saver = Checkpointer(tmp_path / "checkpoints", 2, pytest.fail)
        saver._write({"model": {"w": torch.ones(1)}, "optimizer": {}}, {"step": 1, "val_loss": 2.5})
    loss = load(tmp_path, note=pytest.fail).state["val_loss"]
    assert loss == (2.5 if at else None)
    Checkpointer(tmp_path / "checkpoints", 2, pytest.fail)
    assert names(tmp_path) == ["step-000000001"]
    assert load(tmp_path, note=pytest.fail).state["val_loss"] == loss


def test_a_manifest_that_names_no_file_proves_nothing(tmp_path):
    save(tmp_path, 1)
    save(tmp_path, 2)
    (tmp_path / "checkpoints" / "step-000000002" / "manifest.json").write_text("{}")
    notes = []
    assert load(tmp_path, note=notes.append).step == 1
    assert "manifest.json names no file" in notes[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_a_number_that_is_not_finite_is_found_wherever_it_stands(dtype, bad):
    large = torch.full((1001,), 3e38, dtype=dtype)  # the sum overflows, the numbers do not
    assert checkpoint.not_finite({"large": large, "none": torch.empty(0)}) is None
    for at in (0, 500, 1000):
        tensor = torch.randn(1001).to(dtype)
        tensor[at] = bad
        assert checkpoint.not_finite({"large": large, "bad": tensor}) == "bad"
    both = torch.tensor([float("inf"), float("-inf")], dtype=dtype)
    assert checkpoint.not_finite({"both": both}) == "both"
