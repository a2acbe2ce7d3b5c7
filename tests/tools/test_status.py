import json
import shutil

import pytest

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
    parts = tmp_path / ".work" / "links-read-0123456789abcdef" / ".meta"
    parts.mkdir(parents=True)
    for number in range(3):
        (parts / f"part-{number:05d}.json").write_text("{}")
    found = status(tmp_path)["stages"]
    assert list(found) == ["links"]
    assert found["links"]["state"] == "partial"
    assert found["links"]["parts"] == 3


def test_verify_reads_every_file_again_and_names_the_damaged_one(finished, tmp_path, capsys):
    shutil.copytree(finished.folder / "links", tmp_path / "links")
    assert main(["status", str(tmp_path), "--verify"]) == 0
    sidecars = (tmp_path / "links" / ".meta").glob("part-*.json")
    files = [name for path in sidecars for name in json.loads(path.read_text())["files"]]
    assert f"read {len(files)} files of " in (told := capsys.readouterr().out)
    assert told.endswith(" again: all as they were written\n")
    table = next((tmp_path / "links").glob("part-*.parquet"))
    table.write_bytes(table.read_bytes()[:-8] + b"turned!!")
    assert main(["status", str(tmp_path), "--verify"]) == 1
    assert (
        f"webtext: {table} has other bytes than were written" in (told := capsys.readouterr()).err
    )
    assert told.out.endswith(" again: 1 of them not as they were written\n")
    assert main(["status", str(tmp_path), "--verify", "--json"]) == 1
    verified = json.loads(capsys.readouterr().out)["verified"]
    assert verified["files"] == len(files)
    assert verified["damaged"] == [f"{table} has other bytes than were written"]


def test_verify_reads_the_checkpoints_of_a_model_and_of_a_run_too(finished, tmp_path, capsys):
    shutil.copytree(finished.folder / "model", tmp_path / "model")
    saved = sorted((tmp_path / "model").glob("checkpoints/step-*"))
    for folder in (tmp_path, tmp_path / "model"):
        assert main(["status", str(folder), "--verify"]) == 0
        assert f"read {3 * len(saved)} files of " in capsys.readouterr().out
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
