"""`webtext extract` killed and run again: what is done is kept, and the result is the same."""

import json
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipeline.documents.files_stage import _ExtractFiles
from pipeline.documents.quality import measure
from pipeline.engine.parts import read_record
from pipeline.engine.store import Disk
from tools.cli import main
from tools.demo.captures import Capture, write_warc
from tools.demo.stories import article

MOMENT = datetime(2015, 3, 1, tzinfo=UTC)
SIGKILLED = -9
# Kills itself with two parts done and a third one begun.
KILLED = """
import os, signal, sys
from pathlib import Path
from pipeline.documents import files_stage
from tools.cli import main

def dying(pages):
    for number, page in enumerate(pages):
        if number and len(list(Path().glob(".*.work/parts/*/*.json"))) == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        yield page

pages = files_stage._ExtractFiles._pages
files_stage._ExtractFiles._pages = lambda self, source: dying(pages(self, source))
sys.exit(main(sys.argv[1:]))
"""
FILES = ["a.warc.gz", "b.warc.gz", "1.html", "2.html", "c.warc.gz", "pages.jsonl"]
WORDS = ["extract", *FILES, "--out", "o.jsonl"]
WORDS += ["--workers", "1", "--parts-in-flight", "1", "--json"]
PARTS = {"a.warc.gz, warc 0", "b.warc.gz, warc 0", "1.html and on", "c.warc.gz, warc 0"}
PARTS |= {"pages.jsonl, lines 0"}


def page_of(seed: str) -> str:
    text = "".join(f"<p>{block}</p>" for _, block in article("travel", seed).blocks)
    return f"<html><head><title>{seed}</title></head><body><article>{text}</article></body></html>"


def write_pages(path: Path, seeds: str) -> None:
    captures = [Capture(f"http://a.example/{n}", MOMENT, page_of(n).encode()) for n in seeds]
    lost = Capture(f"http://a.example/lost/{path.name}", MOMENT, b"<p>gone", 404)
    write_warc(path, [*captures[:1], lost, *captures[1:]], stored=False)


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with input files of every kind and what a killed run left."""
    folder = tmp_path_factory.mktemp("killed")
    for name, seeds in (("a.warc.gz", "abc"), ("b.warc.gz", "def"), ("c.warc.gz", "ghi")):
        write_pages(folder / name, seeds)
    for name in ("1.html", "2.html"):
        (folder / name).write_text(page_of(name))
    lines = [json.dumps({"id": n, "html": page_of(f"line {n}")}) for n in range(4)]
    (folder / "pages.jsonl").write_text("\n".join([*lines[:2], "no json", *lines[2:]]))
    (folder / "o.jsonl").write_text("earlier\n")
    run = subprocess.run(
        [sys.executable, "-c", KILLED, *WORDS], cwd=folder, capture_output=True, timeout=200
    )
    assert run.returncode == SIGKILLED, run.stderr
    assert (folder / "o.jsonl").read_text() == "earlier\n"
    return folder


@pytest.fixture
def folder(killed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(killed, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The labels of the parts that are done from now on."""
    labels: list[str] = []
    work = _ExtractFiles.__call__

    def counted(self: _ExtractFiles, part: Any, out: Any) -> None:
        labels.append(part.label)
        work(self, part, out)

    monkeypatch.setattr(_ExtractFiles, "__call__", counted)
    return labels


def kept_parts(folder: Path) -> set[str]:
    store = Disk(folder / ".o.jsonl.work")
    records = store.entries("parts/documents-extract")
    return {read_record(store, entry.name).label for entry in records}


def undisturbed(folder: Path, done: list[str], *words: str) -> list[bytes]:
    """What a run gives in a folder where none was before."""
    shutil.rmtree(folder / ".o.jsonl.work", ignore_errors=True)
    done.clear()
    assert main([*WORDS, *words]) == 0
    assert set(done) == PARTS
    return results(folder)


def results(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in ("o.jsonl", "o.jsonl.drops.jsonl")]


def test_after_a_kill_only_what_is_missing_is_done_and_the_result_is_the_same(folder, done, capsys):
    kept = kept_parts(folder)
    assert len(kept) == 2
    assert main(WORDS) == 0
    assert sorted(done) == sorted(PARTS - kept)
    counts = json.loads(capsys.readouterr().out)
    assert {path.name for path in folder.iterdir()} == {*FILES, "o.jsonl", "o.jsonl.drops.jsonl"}
    resumed = results(folder)
    assert resumed == undisturbed(folder, done)
    assert json.loads(capsys.readouterr().out) == counts
    assert (counts["rows_in"], counts["rows_out"]) == (19, 15)
    assert counts["drops"] == {"status_error": 3, "line_invalid": 1}


def test_an_input_is_never_written_over(tmp_path, capsys):
    pages = tmp_path / "pages.jsonl"
    pages.write_text('{"html": "<p>One</p>"}\n')
    assert main(["extract", str(pages), "--out", str(pages)]) == 2
    assert "is an input too" in capsys.readouterr().err
    assert pages.read_text() == '{"html": "<p>One</p>"}\n'


def test_rows_and_drops_come_in_the_order_of_the_input(folder):
    assert main(WORDS) == 0
    rows, drops = ([json.loads(line) for line in part.splitlines()] for part in results(folder))
    titles = ["a", "b", "c", "d", "e", "f", "1.html", "2.html", "g", "h", "i"]
    assert [row["title"] for row in rows] == [*titles, *(f"line {n}" for n in range(4))]
    places = [drop["url"].removeprefix("http://a.example/lost/") or drop["id"] for drop in drops]
    assert places == ["a.warc.gz", "b.warc.gz", "c.warc.gz", "pages.jsonl:3"]


def test_a_document_has_the_numbers_that_a_build_judges_it_by(folder):
    assert main(["extract", "1.html", "a.warc.gz", "--out", "o.parquet"]) == 0
    rows = pq.read_table("o.parquet").to_pylist()
    assert len(rows) == 4
    for row in rows:
        assert row["quality"] == pytest.approx(measure(row["text"]))


def test_a_large_warc_file_is_done_in_ranges_with_the_same_result(folder, done):
    words = ["extract", "a.warc.gz", "--out", "o.jsonl", "--json"]
    assert main(words) == 0
    whole = results(folder)
    done.clear()
    assert main([*words, "--range-bytes", "1000"]) == 0
    assert len(done) > 2
    assert results(folder) == whole


def test_of_a_torn_warc_file_the_records_before_are_used_if_told_so(folder, capsys):
    data = (folder / "a.warc.gz").read_bytes()
    (folder / "a.warc.gz").write_bytes(data[:-100])
    words = ["extract", "a.warc.gz", "--out", "o.jsonl", "--json"]
    assert main(words) == 2
    assert "set pages.accept_torn = true" in capsys.readouterr().err
    assert main([*words, "--accept-torn", "true"]) == 0
    counts = json.loads(capsys.readouterr().out)
    assert (counts["rows_out"], counts["drops"]) == (2, {"status_error": 1, "unreadable": 1})


def test_an_input_that_changed_after_a_kill_is_done_again_and_no_other(folder, done):
    kept = kept_parts(folder)
    changed = sorted(kept)[0]
    name = changed.split(",")[0].split()[0]
    if name.endswith(".warc.gz"):
        write_pages(folder / name, "xyz")
    elif name.endswith(".html"):
        (folder / name).write_text(page_of("x"))
    else:
        (folder / name).write_text(json.dumps({"html": page_of("x")}))
    assert main(WORDS) == 0
    assert sorted(done) == sorted(PARTS - kept | {changed})
    resumed = results(folder)
    assert resumed == undisturbed(folder, done)


def test_a_setting_that_changed_after_a_kill_has_all_done_again(folder, done, capsys):
    limit = ["--text-chars-max", "3000"]
    assert main([*WORDS, *limit]) == 0
    assert set(done) == PARTS
    assert json.loads(capsys.readouterr().out)["drops"]["too_long"] > 0
    resumed = results(folder)
    assert resumed == undisturbed(folder, done, *limit)


def test_a_run_that_ended_when_all_was_done_only_has_its_result_to_write(folder, done, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr("tools.extract._write", interrupted)
        assert main(WORDS) == 130
    assert (folder / "o.jsonl").read_text() == "earlier\n"
    done.clear()
    assert main(WORDS) == 0
    assert done == []
    assert len(results(folder)[0].splitlines()) == 15


@pytest.mark.parametrize("last", ["Build.unpublish", "shutil.rmtree"])
def test_a_run_that_was_killed_as_its_folder_went_can_still_go_on(folder, done, monkeypatch, last):
    with monkeypatch.context() as broken:
        broken.setattr(f"tools.extract.{last}", interrupted_after_the_records)
        assert main(WORDS) == 130
    assert (folder / ".o.jsonl.work").exists()
    for path in (folder / ".o.jsonl.work/data").iterdir():
        path.unlink()
    assert main(WORDS) == 0
    resumed = results(folder)
    assert resumed == undisturbed(folder, done)


def test_settings_that_changed_between_the_work_and_the_result_need_no_leave(
    folder, done, monkeypatch
):
    monkeypatch.setattr("pipeline.engine.stage_run.COSTLY_S", 0)
    with monkeypatch.context() as broken:
        broken.setattr("tools.extract._write", interrupted)
        assert main(WORDS) == 130
    limit = ["--text-chars-max", "3000"]
    assert main([*WORDS, *limit]) == 0
    resumed = results(folder)
    assert resumed == undisturbed(folder, done, *limit)


def interrupted_after_the_records(*_: object, **__: object) -> None:
    if Path("o.jsonl").read_text() != "earlier\n":
        raise KeyboardInterrupt


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt
