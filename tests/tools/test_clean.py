import json
import os
import shutil
import time
from pathlib import Path

import pytest

from pipeline.engine.control import locked
from pipeline.engine.manifest import read_manifest
from tools.clean import clean
from tools.cli import main
from tools.status import status

FEW = ("--engine.workers", "1", "--engine.buckets", "2")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A settings file and a build by it, up to links; tests work on copies."""
    folder = tmp_path_factory.mktemp("made")
    post = {"id": "p1", "url": "http://a.example/", "score": 9, "created_utc": 1_350_000_000}
    (folder / "RS.jsonl").write_text(json.dumps(post) + "\n")
    (folder / "w.toml").write_text('[input]\ndumps = ["RS.jsonl"]\nwarcs = ["RS.jsonl"]\n')
    assert main(words(folder)) == 0
    return folder


def words(folder, *more):
    build = ["build", str(folder / "w.toml"), "--out", str(folder / "build"), "--to", "links"]
    return [*build, *FEW, *more]


@pytest.fixture
def folder(made, tmp_path):
    """A copy of the made folder."""
    return Path(shutil.copytree(made, tmp_path / "copy"))


@pytest.fixture
def build(folder):
    """A build with one of each thing that may lie in .work besides what is kept."""
    work = folder / "build" / ".work"
    for name in (".gone-17", "old-links-17", "links-read-0123456789abcdef", "pages-index-01"):
        put(work / name / ".meta" / "part-00000.json", "x" * 9000)
    return folder / "build"


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def age(build, name, seconds):
    """Make all below a folder older than the last build's start, or younger."""
    at = time.time() - seconds
    top = build / ".work" / name
    for path in (*top.rglob("*"), top):
        os.utime(path, (at, at))


def verdicts(found):
    return {entry.path.name: (entry.kept, entry.why) for entry in found}


def kept_step(build):
    (path,) = (build / ".work").glob("links-group-*")
    return path.name


def test_scratch_goes_and_what_the_next_build_goes_on_from_stays(build):
    age(build, "links-read-0123456789abcdef", 3600)
    told = verdicts(clean(build))
    assert {name for name, (kept, _) in told.items() if not kept} == {
        ".gone-17", "old-links-17", "links-read-0123456789abcdef",
    }  # fmt: skip
    assert told["links"] == (True, "a published stage")
    assert told["pages-index-01"] == (
        True, "pages is not published: the next build goes on from it",
    )  # fmt: skip
    assert "a changed rule starts from them" in told[kept_step(build)][1]
    left = {path.name for path in (build / ".work").iterdir()}
    assert left == {"build.json", "inputs.json", "pages-index-01", kept_step(build)}


def test_a_stage_that_a_killed_redo_was_removing_is_scratch(build):
    put(build / ".gone-18" / "part-00000.parquet", "x")
    assert verdicts(clean(build))[".gone-18"] == (False, "discarded by a build that was killed")
    assert not (build / ".gone-18").exists()


def test_what_the_last_build_was_stopped_at_stays_although_the_stage_is_published(build):
    age(build, "links-read-0123456789abcdef", -60)
    told = verdicts(clean(build))["links-read-0123456789abcdef"]
    assert told == (True, "the last build was stopped at links: the next goes on from it")


def test_a_dry_run_tells_the_same_and_removes_nothing(build):
    age(build, "links-read-0123456789abcdef", 3600)
    before = sorted(build.rglob("*"))
    told = clean(build, dry_run=True)
    assert sorted(build.rglob("*")) == before
    assert verdicts(told) == verdicts(clean(build))


def test_sizes_are_what_is_freed_so_a_file_with_two_names_counts_at_the_one_that_stays(build):
    (entry,) = [e for e in clean(build, dry_run=True) if e.path.name == ".gone-17"]
    assert entry.size_bytes >= 9000
    big = put(build / "links" / "big", "x" * 1_000_000)
    os.link(big, build / ".work" / ".gone-17" / "big")
    assert [e.size_bytes for e in clean(build, dry_run=True) if e.path.name == ".gone-17"] == [
        entry.size_bytes
    ]


def test_after_clean_a_build_finds_all_up_to_date_and_after_all_a_changed_rule_still_holds(folder):
    build = folder / "build"
    before = status(build)
    clean(build, everything=True)
    assert {path.name for path in (build / ".work").iterdir()} == {"build.json", "inputs.json"}
    assert main(words(folder)) == 0
    assert status(build) == before
    fingerprint = read_manifest(build / "links").fingerprint
    assert main(words(folder, "--links.karma-min", "8")) == 0
    assert read_manifest(build / "links").fingerprint != fingerprint
    assert status(build) == before  # the one submission has karma 9


def test_nothing_is_removed_while_a_build_is_made_there(build, capsys):
    before = sorted(build.rglob("*"))
    with locked(build):
        assert main(["clean", str(build)]) == 1
    assert "is being built by process" in capsys.readouterr().err
    assert sorted(build.rglob("*")) == before


def test_a_folder_that_is_no_build_is_left_alone(tmp_path, capsys):
    put(tmp_path / "old-links-1" / "mine", "x")
    assert main(["clean", str(tmp_path)]) == 2
    assert "is not a build folder" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["mine", "old-links-1"]


def test_people_see_what_is_kept_and_what_is_removed_and_why(build, capsys):
    assert main(["clean", str(build), "--dry-run"]) == 0
    told = capsys.readouterr().out
    row = next(line for line in told.splitlines() if ".work/old-links-17" in line)
    assert "would go" in row
    assert "kB" in row
    assert "would go, " in told.splitlines()[-1]
    assert main(["clean", str(build)]) == 0
    assert "removed" in capsys.readouterr().out
