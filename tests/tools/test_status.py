import json
import shutil
from pathlib import Path

import pytest

from pipeline.engine import names
from pipeline.engine.manifest import read_manifest
from pipeline.engine.store import Disk
from pipeline.reasons import Reason
from tools.cli import main
from tools.flow import ENGINE_STAGES
from tools.status import status

FIELDS = {"state", "rows_in", "rows_out", "merged", "drops", "parts", "digest"}


def test_the_json_has_exactly_the_promised_form(finished, capsys):
    assert main(["status", str(finished.folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"stages", "digest"}
    assert list(found["stages"]) == [*ENGINE_STAGES, "model"]
    for stage in found["stages"].values():
        assert set(stage) == FIELDS
        assert stage["state"] == "done"
        assert len(stage["digest"]) == 32
        assert all(type(stage[name]) is int for name in ("rows_in", "rows_out", "merged", "parts"))
        assert {Reason(name) for name in stage["drops"]} <= set(Reason)
    assert len(found["digest"]) == 32


def test_the_sums_add_up_in_every_stage_and_from_one_to_the_next(finished):
    stages = status(finished.folder)["stages"]
    for name, stage in stages.items():
        dropped = sum(stage["drops"].values())
        assert stage["rows_in"] == stage["rows_out"] + stage["merged"] + dropped, name
    for before, after in (
        ("links", "pages"), ("pages", "documents"), ("documents", "corpus"), ("corpus", "shards"),
    ):  # fmt: skip
        assert stages[before]["rows_out"] == stages[after]["rows_in"]


def test_people_see_every_stage_with_its_rows_and_the_digest(finished, capsys):
    assert main(["status", str(finished.folder)]) == 0
    told = capsys.readouterr().out
    found = status(finished.folder)
    for name, stage in found["stages"].items():
        row = next(line for line in told.splitlines() if f" {name} " in line)
        assert f"{stage['rows_in']:,}" in row
        assert stage["digest"][:8] in row
    assert found["digest"] in told


def test_a_stage_at_work_is_partial(finished, tmp_path):
    for number in range(3):
        record = tmp_path / names.record("links", "read", f"{number:032x}")
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_text("{}")
    found = status(tmp_path)["stages"]
    assert list(found) == ["links"]
    assert found["links"]["state"] == "partial"
    assert found["links"]["parts"] == 3


@pytest.fixture
def copied(finished, tmp_path):
    """A copy of the finished build whose files can be damaged; it has no hard links."""
    return Path(shutil.copytree(finished.folder, tmp_path / "copied"))


def damaged(folder, capsys):
    """What `status --verify` complains of."""
    assert main(["status", str(folder), "--verify"]) == 1
    told = capsys.readouterr()
    lines = told.err.splitlines()
    assert told.out.endswith(f" again: {len(lines)} of them not as they were written\n")
    assert main(["status", str(folder), "--verify", "--json"]) == 1
    verified = json.loads(capsys.readouterr().out)["verified"]
    assert [f"webtext: {line}" for line in verified["damaged"]] == lines
    return verified["damaged"]


def redo(stage):
    """The mend of a stage's file."""
    return f"; --redo {stage} makes the stage again"


def test_verify_reads_every_file_again_and_names_the_damaged_one(finished, copied, capsys):
    assert main(["status", str(finished.folder), "--verify"]) == 0
    manifests = [read_manifest(Disk(copied), name) for name in ENGINE_STAGES]
    of_stages = sum(len(manifest.all_files()) for manifest in manifests)
    of_model = 3 * len(list((copied / "model").glob("checkpoints/step-*"))) + 1
    told = capsys.readouterr().out
    assert f"read {of_stages + of_model + 1} files of " in told
    assert told.endswith(" again: all as they were written\n")
    table = next((copied / "links").glob("part-*.parquet"))
    table.write_bytes(table.read_bytes()[:-8] + b"turned!!")
    assert damaged(copied, capsys) == [f"{table} has other bytes than were written{redo('links')}"]


@pytest.mark.parametrize(
    "name",
    [
        "shards/shards.json",
        "shards/train_000000.idx",
        "corpus/README.md",
        "tokenizer/tokenizer.json",
        "report.html",
    ],
)
@pytest.mark.parametrize("how", ["one bit", "cut"])
def test_verify_sees_a_change_of_what_people_read(copied, capsys, name, how):
    path = copied / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data if how == "one bit" else data[: len(data) // 2])
    (told,) = damaged(copied, capsys)
    assert told.startswith(f"{path} has ")
    path.unlink()
    if name != "report.html":
        mend = redo(path.parent.name)
        assert damaged(copied, capsys) == [f"{path} is missing{mend}"]


def test_verify_sees_a_change_of_what_is_told_of_the_model(copied, capsys):
    path = copied / "model" / "webtext.json"
    told = path.read_text(encoding="utf-8")
    path.write_text(told.replace('"wall_s": ', '"wall_s": 1'), encoding="utf-8")
    assert damaged(copied, capsys) == [f"{path} has other bytes than were written"]
    path.write_text(told[: len(told) // 2], encoding="utf-8")
    assert main(["status", str(copied), "--verify"]) == 1
    assert f"{path} is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["table", "drops"])
def test_verify_sees_damage_of_what_the_next_build_reads(copied, capsys, what):
    part = read_manifest(Disk(copied), "corpus").parts[0]
    path = copied / part.file(what)
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    mend = redo("corpus")
    assert damaged(copied, capsys) == [f"{path} has other bytes than were written{mend}"]
    path.unlink()
    assert damaged(copied, capsys) == [f"{path} is missing{mend}"]


def test_verify_names_a_damaged_record_with_the_mend(copied, capsys):
    record = next((copied / "parts").glob("pages-*/*.json"))
    record.write_text("{")
    (told,) = damaged(copied, capsys)
    assert f"{record.relative_to(copied)} is damaged" in told
    assert "remove it, and run the same command" in told


def test_verify_reads_the_checkpoints_of_a_model_and_of_a_run_too(finished, tmp_path, capsys):
    shutil.copytree(finished.folder / "model", tmp_path / "model")
    saved = sorted((tmp_path / "model").glob("checkpoints/step-*"))
    for folder, more in ((tmp_path, 1), (tmp_path / "model", 0)):
        assert main(["status", str(folder), "--verify"]) == 0
        assert f"read {3 * len(saved) + more} files of " in capsys.readouterr().out
    weights = saved[-1] / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\xff")
    for folder in (tmp_path, tmp_path / "model"):
        assert main(["status", str(folder), "--verify"]) == 1
        assert f"webtext: {weights} has other bytes than" in capsys.readouterr().err
    (saved[-1] / "manifest.json").write_text("{")
    assert main(["status", str(tmp_path), "--verify"]) == 1
    assert "manifest.json is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["missing", "empty", "file"])
def test_a_folder_that_is_no_build_is_an_error(tmp_path, capsys, what):
    folder = tmp_path / "build"
    if what == "empty":
        folder.mkdir()
    elif what == "file":
        folder.write_text("")
    assert main(["status", str(folder), "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert str(folder) in captured.err
