import json
import os
import shutil
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.engine import leftovers, names
from pipeline.engine.lock import locked
from pipeline.engine.manifest import read_manifest
from pipeline.engine.parts import read_record
from pipeline.engine.store import Disk
from tools.clean import clean
from tools.cli import main
from tools.status import status, verify

FEW = ("--engine.workers", "1", "--engine.buckets", "2")
DAY_S = 24 * 3600
KILLED = f"data/{'a' * 32}-{'b' * 12}.parquet"


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
    return folder / "build"


def put(path: Path, text: str, age_s: float = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    at = time.time() - age_s
    os.utime(path, (at, at))
    return path


def put_part(build, stage, step, age_s=0):
    """A committed part that no manifest names; the names of its record and of its file."""
    store = Disk(build)
    like = read_manifest(store, "links").parts[0]
    fingerprint = names.new_attempt().ljust(32, "0")
    file = replace(like.files["table"], name=f"data/{fingerprint}-{names.new_attempt()}.parquet")
    record = replace(like, fingerprint=fingerprint, files={"table": file})
    name = names.record(stage, step, fingerprint)
    put(build / file.name, "x" * file.bytes, age_s)
    put(build / name, json.dumps(record.to_json()), age_s)
    return name, file.name


def files_of(build):
    return {str(path.relative_to(build)) for path in build.rglob("*") if path.is_file()}


def verdicts(found):
    return {entry.name: (entry.kept, entry.why) for entry in found}


def test_a_killed_attempts_file_goes_after_a_day_and_with_now_at_once(build):
    before = files_of(build)
    put(build / KILLED, "x" * 9000)
    (entry,) = (entry for entry in clean(build) if entry.name == "data: 1 files")
    assert (entry.bytes, entry.kept) == (9000, True)
    assert entry.why.endswith("killed less than a day ago; --now removes them")
    assert (build / KILLED).exists()
    assert verdicts(clean(build, now=True))["data: 1 files"] == (
        False, "nothing names them: attempts were killed",
    )  # fmt: skip
    assert files_of(build) == before
    put(build / KILLED, "x", DAY_S + 60)
    put(build / KILLED.replace("aa", "cc"), "x", DAY_S + 60)
    young = put(build / KILLED.replace("aa", "dd"), "x", DAY_S - 60)
    told = {entry.name: entry.kept for entry in clean(build)}
    assert (told["data: 2 files"], told["data: 1 files"]) == (False, True)
    assert files_of(build) == {*before, f"data/{young.name}"}


@pytest.mark.parametrize(
    "name", ["data/notes.txt", "data/holiday/1.jpg", f"data/{'a' * 32}.parquet", "data/.hidden"]
)
def test_a_strangers_file_among_the_data_stays(build, name):
    put(build / name, "mine", 9 * DAY_S)
    clean(build, now=True, everything=True)
    assert (build / name).read_text() == "mine"


def test_what_a_manifest_a_record_or_a_journal_alone_names_stays_however_old_it_is(build):
    (_, in_record) = put_part(build, "pages", "index", 9 * DAY_S)
    in_journal = put(build / KILLED.replace("aa", "cc"), "x", 9 * DAY_S)
    (journal,) = (build / "steps").iterdir()
    store, name = Disk(build), f"steps/{journal.name}"
    told = store.read_json(name)
    told["parts"][0]["files"]["more"] = {
        **told["parts"][0]["files"]["table"], "name": f"data/{in_journal.name}",
    }  # fmt: skip
    store.write_json(name, told)
    for path in (build / "data").iterdir():
        os.utime(path, (1, 1))
    before = files_of(build)
    clean(build, now=True)
    assert files_of(build) == before
    assert {in_record, f"data/{in_journal.name}"} < before
    assert verify(build).damaged == []


def test_a_stage_that_is_not_published_stays_and_with_all_it_goes(build):
    before = files_of(build)
    put_part(build, "pages", "index", 9 * DAY_S)
    put_part(build, "pages", "index", 9 * DAY_S)
    assert verdicts(clean(build))["pages: 2 parts of index"] == (
        True, "pages is not published: the next build goes on from it",
    )  # fmt: skip
    assert len(files_of(build)) == len(before) + 4
    kept, why = verdicts(clean(build, everything=True))["pages: 2 parts of index"]
    assert not kept
    assert why.endswith("; a build makes it again")
    assert not [name for name in files_of(build) - before if name.startswith(("data", "parts"))]


def test_parts_that_were_begun_with_other_settings_go_when_the_stage_is_published(build):
    before = files_of(build)
    put_part(build, "links", "read", 3600)
    assert verdicts(clean(build))["links: 1 parts of read"] == (
        False, "begun with other settings; links is published",
    )  # fmt: skip
    assert files_of(build) == before


def test_what_the_last_build_was_stopped_at_stays_although_the_stage_is_published(build):
    record, file = put_part(build, "links", "read", -60)
    assert verdicts(clean(build, now=True))["links: 1 parts of read"] == (
        True, "the last build was stopped at links: the next goes on from it",
    )  # fmt: skip
    assert {record, file} < files_of(build)


def test_what_a_killed_build_was_writing_goes(build):
    before = files_of(build)
    put(build / "scratch" / "attempt" / "parquet", "x" * 9000)
    put(build / "runs" / "abc" / "run.json", "{}")
    told = {entry.name: (entry.kept, entry.bytes) for entry in clean(build)}
    assert (told["scratch"], told["runs"]) == ((False, 9000), (False, 2))
    assert files_of(build) == before


def test_a_dry_run_tells_the_same_and_removes_nothing(build):
    put(build / KILLED, "x")
    put(build / "scratch" / "attempt" / "parquet", "x")
    put_part(build, "links", "read", 3600)
    put_part(build, "pages", "index")
    options = {"now": True, "everything": True}
    before = files_of(build)
    told = clean(build, dry_run=True, **options)
    assert files_of(build) == before
    assert verdicts(told) == verdicts(clean(build, **options))
    assert len(before) - len(files_of(build)) > 6


def test_a_size_is_what_is_freed(build):
    put(build / KILLED, "x" * 9000)
    put_part(build, "links", "read", 3600)
    before = sum((build / name).stat().st_size for name in files_of(build) if "data" in name)
    found = clean(build, now=True, everything=True)
    after = sum((build / name).stat().st_size for name in files_of(build) if "data" in name)
    assert sum(entry.bytes for entry in found if not entry.kept) == before - after


def test_after_clean_a_build_finds_all_up_to_date_and_after_all_a_changed_rule_still_holds(folder):
    build, store = folder / "build", Disk(folder / "build")
    before = status(build)
    assert list(leftovers.kept_parts(read_manifest(store, "links")))
    clean(build, now=True, everything=True)
    assert not list(leftovers.kept_parts(read_manifest(store, "links")))
    assert verify(build).damaged == []
    for record in store.entries("parts", below=True):
        for file in read_record(store, record.name).files.values():
            assert store.stat(file.name), f"{record.name} names what is gone"
    assert main(words(folder)) == 0
    assert status(build) == before
    fingerprint = read_manifest(store, "links").fingerprint
    assert main(words(folder, "--links.karma-min", "8")) == 0
    assert read_manifest(store, "links").fingerprint != fingerprint
    assert status(build) == before  # the one submission has karma 9
    assert verify(build).damaged == []


def test_nothing_is_removed_while_a_build_is_made_there(build, capsys):
    put(build / KILLED, "x", 9 * DAY_S)
    before = files_of(build)
    with locked(build):
        assert main(["clean", str(build), "--now", "--all"]) == 1
    assert "is being built by process" in capsys.readouterr().err
    assert files_of(build) == before


def test_a_folder_that_is_no_build_is_left_alone(tmp_path, capsys):
    put(tmp_path / KILLED, "x", 9 * DAY_S)
    assert main(["clean", str(tmp_path)]) == 2
    assert "is not a build folder" in capsys.readouterr().err
    assert files_of(tmp_path) == {KILLED}


def test_people_see_what_is_kept_and_what_is_removed_and_why(build, capsys):
    put(build / KILLED, "x" * 9000, 9 * DAY_S)
    put(build / "holiday.jpg", "x")
    assert main(["clean", str(build), "--dry-run"]) == 0
    told = capsys.readouterr().out
    lines = told.splitlines()
    row = next(line for line in lines if "data: 1 files" in line)
    assert "would go" in row
    assert "9.0 kB" in row
    assert "not made by a build" in next(line for line in lines if "holiday.jpg" in line)
    assert lines[-1].startswith("9.0 kB would go, ")
    assert main(["clean", str(build)]) == 0
    assert "removed" in capsys.readouterr().out
    assert not (build / KILLED).exists()
    assert main(["clean", str(build), "--now"]) == 0
    assert "0 bytes removed" in capsys.readouterr().out
