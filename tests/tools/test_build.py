import json
import os
from datetime import UTC, datetime
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from pipeline.errors import SettingsError
from pipeline.settings import Settings
from pipeline.settings_file import load
from tools.build import _stage_makers
from tools.cli import main
from tools.demo.captures import Capture, write_warc
from tools.flow import ENGINE_STAGES, STAGES
from tools.inputs import find_inputs

MOMENT = datetime(2015, 3, 1, tzinfo=UTC)
FEW = ("--engine.workers", "1", "--engine.buckets", "2")


def test_the_build_makes_each_stage_that_the_flow_names():
    build = SimpleNamespace(files=SimpleNamespace(digest=None))
    assert tuple(_stage_makers(build, Settings(), base=None)) == ENGINE_STAGES
    assert STAGES[len(ENGINE_STAGES) :] == ("model", "report")


def test_patterns_are_relative_to_the_settings_file_and_give_each_file_once(tmp_path):
    for name in ("b.zst", "a.zst", "c.gz"):
        (tmp_path / name).write_text("")
    (tmp_path / "d.zst").mkdir()
    found = find_inputs(["*.zst", str(tmp_path / "a.zst"), "c.gz"], tmp_path, "input.dumps")
    assert [path.name for path in found] == ["a.zst", "b.zst", "c.gz"]


def test_only_the_pattern_is_one_not_the_folder_nor_a_name_that_is_there(tmp_path):
    folder = tmp_path / "g[1]*"
    (folder / "sub").mkdir(parents=True)
    for name in ("RS[1].zst", "RS1.zst", "sub/RS2.zst"):
        (folder / name).write_text("")
    for patterns, names in {
        ("RS1.zst",): ["RS1.zst"],
        ("RS[1].zst",): ["RS[1].zst"],
        ("RS[12].zst",): ["RS1.zst"],
        ("*.zst",): ["RS1.zst", "RS[1].zst"],
        ("**/*2.zst",): ["RS2.zst"],
        ("sub/../RS1*",): ["RS1.zst"],
        (str(folder / "RS[1].zst"),): ["RS[1].zst"],
        (str(tmp_path / "g*" / "RS1.zst"),): ["RS1.zst"],
    }.items():
        assert [path.name for path in find_inputs(patterns, folder, "input.dumps")] == names


def test_a_build_takes_files_whose_names_are_no_text(inputs, tmp_path):
    name = os.fsdecode(b"web\xff.warc.gz")
    write_warc(tmp_path / name, [Capture("http://a.example/0", MOMENT, b"<p>")], stored=False)
    (tmp_path / "RS.jsonl").rename(tmp_path / os.fsdecode(b"RS\xff.jsonl"))
    inputs.write_text('[input]\ndumps = ["RS*.jsonl"]\nwarcs = ["web*.gz"]\n')
    words = ["build", str(inputs), "--out", str(tmp_path / "b"), "--to", "pages", *FEW]
    assert main([*words, "--input.warcs", name]) == 0
    parts = sorted((tmp_path / "b" / "pages").glob("part-*.parquet"))
    warcs = {warc for part in parts for warc in pq.read_table(part)["warc"].to_pylist()}
    assert warcs == {"web\\xff.warc.gz", None}


@pytest.mark.parametrize(
    ("patterns", "said"),
    [
        ((), "input.dumps names no files"),
        (("*.nothing",), r"input.dumps: no file matches \*.nothing \(relative to"),
    ],
)
def test_input_that_names_no_file_is_refused(tmp_path, patterns, said):
    with pytest.raises(SettingsError, match=said):
        find_inputs(patterns, tmp_path, "input.dumps")


@pytest.fixture
def inputs(tmp_path):
    """Two good links, and a capture of another page."""
    posts = [
        {"id": f"p{n}", "url": f"http://a.example/{n}", "score": 9, "created_utc": 1_350_000_000}
        for n in range(2)
    ]
    (tmp_path / "RS.jsonl").write_text("".join(json.dumps(post) + "\n" for post in posts))
    capture = Capture("http://b.example/", MOMENT, b"<p>A page.")
    write_warc(tmp_path / "web.warc.gz", [capture], stored=False)
    settings = tmp_path / "webtext.toml"
    settings.write_text('[input]\ndumps = ["RS.jsonl"]\nwarcs = ["web.warc.gz"]\n')
    return settings


def test_a_stage_that_keeps_nothing_stops_the_build_with_reasons_and_what_came_before_stays(
    inputs, tmp_path, capsys
):
    assert main(["build", str(inputs), "--out", str(tmp_path / "build"), *FEW]) == 1
    told = capsys.readouterr().err
    assert "webtext: pages kept nothing of 2 links (not_captured 2); nothing was published" in told
    assert "http://a.example/0: No capture of this URL is in the sources." in told
    assert main(["status", str(tmp_path / "build"), "--json"]) == 0
    stages = json.loads(capsys.readouterr().out)["stages"]
    assert stages["links"]["state"] == "done"
    assert stages["pages"]["state"] == "partial"


def test_the_list_of_urls_comes_with_the_links_of_a_build(inputs, tmp_path, capsys):
    urls = tmp_path / "urls.txt"
    words = ["build", str(inputs), "--out", str(tmp_path / "build"), *FEW, "--urls", str(urls)]
    assert main([*words, "--to", "links"]) == 0
    assert sorted(urls.read_text().split()) == ["http://a.example/0", "http://a.example/1"]
    told = capsys.readouterr()
    assert f"{urls}: 2 URLs" in told.err
    assert f"{tmp_path}/build/links" in told.out  # where it lies
    urls.unlink()
    assert main([*words[:-1], str(tmp_path / "RS.jsonl"), "--to", "links"]) == 2
    assert "is one of the dumps" in capsys.readouterr().err


def test_the_log_tells_when_a_build_began_and_ended_and_a_failed_gate_at_once(
    inputs, tmp_path, capsys
):
    early = {"id": "e", "url": "http://b.example/", "score": 9, "created_utc": 1_350_000_000}
    with (tmp_path / "RS.jsonl").open("a") as file:
        file.writelines(json.dumps({**early, "retrieved_on": 1_350_000_009}) + "\n" for _ in "ab")
    words = ["build", str(inputs), "--out", str(tmp_path / "build"), *FEW, "--to", "pages"]
    assert main(words) == 3
    told = capsys.readouterr().err.splitlines()
    assert told[0].endswith(f"  build: {tmp_path}/build, to pages, by process {os.getpid()}")
    gate = next(n for n, line in enumerate(told) if "  quality gate failed: links:" in line)
    assert told[gate].endswith("; the build goes on, and will end with 3")
    assert gate < next(n for n, line in enumerate(told) if "  pages: " in line)
    assert "  build: done to pages, after " in told[-2]
    assert told[-1].startswith("webtext: quality gate failed: links:")
    log = (tmp_path / "build" / "log.jsonl").read_text().splitlines()
    assert json.loads(log[-1])["gates"] == [told[-1].removeprefix("webtext: quality gate failed: ")]


def test_a_file_in_the_place_of_the_build_is_an_error(inputs, tmp_path, capsys):
    (tmp_path / "build").write_text("")
    assert main(["build", str(inputs), "--out", str(tmp_path / "build")]) == 2
    assert "cannot build in" in capsys.readouterr().err


def test_a_build_keeps_the_settings_that_it_was_made_with(inputs, tmp_path):
    words = ["--to", "links", "--links.karma-min", "5", "--train.steps", "7", "--profile", "clean"]
    assert main(["build", str(inputs), "--out", str(tmp_path / "build"), *FEW, *words]) == 0
    record = tmp_path / "build" / "webtext.toml"
    overrides = {"links.karma_min": 5, "train.steps": "7", "profile": "clean"}
    overrides |= {"engine.workers": 1, "engine.buckets": 2}
    assert load(record) == load(inputs, overrides)
    assert f"# Paths are relative to {tmp_path}\n" in record.read_text()


def test_the_record_of_a_build_is_never_its_settings_file(inputs, tmp_path, monkeypatch, capsys):
    assert (
        main(["build", str(inputs), "--out", str(tmp_path / "build"), "--to", "links", *FEW]) == 0
    )
    before = (tmp_path / "build" / "webtext.toml").read_text()
    monkeypatch.chdir(tmp_path / "build")
    assert main(["build", "--out", ".", "--to", "links", *FEW]) == 2
    assert "is this build's record of its settings" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path / "build" / "links")
    assert main(["build", "--out", "..", "--to", "links", *FEW]) == 2
    assert "no such settings file" in capsys.readouterr().err
    assert (tmp_path / "build" / "webtext.toml").read_text() == before


def test_a_persons_settings_file_is_never_overwritten_by_the_record(inputs, tmp_path, capsys):
    before = inputs.read_text()
    other = tmp_path / "other.toml"
    other.write_text(before)
    for settings in (inputs, other):
        assert main(["build", str(settings), "--out", str(tmp_path), "--to", "links"]) == 2
        assert "is a settings file of yours" in capsys.readouterr().err
    assert inputs.read_text() == before
