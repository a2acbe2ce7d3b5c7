"""People build in a bucket and read it from anywhere: the same rows as in a folder."""

import json
import re
import runpy
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import s3

from pipeline.engine.bucket import Bucket
from pipeline.engine.control import Run
from pipeline.engine.manifest import read_manifest
from pipeline.errors import SettingsError
from tools.clean import clean
from tools.cli import main
from tools.demo import files
from tools.fetch import fetch_shards
from tools.look import tables
from tools.places import Uri, above, place_of, within
from tools.report.facts import collect
from tools.status import status, verify
from tools.why import why

ROOT = Path(__file__).resolve().parents[2]
SHARE = 200  # of the demo's ordinary pages one in so many; those that go wrong are all there
WORDS = ("--to", "shards", "--engine.workers", "1", "--engine.buckets", "1")
VOCABULARY = ("--tokenizer.vocab-size", "600")
KILLED = f"data/{'a' * 32}-{'b' * 12}.parquet"
STAGES = ["links", "pages", "documents", "corpus", "tokenizer", "shards"]


@dataclass(frozen=True)
class Built:
    """One build twice: in a bucket and in a folder."""

    uri: Uri
    folder: Path
    settings: Path

    @property
    def store(self) -> Bucket:
        return Bucket(self.uri)


@pytest.fixture(scope="module")
def server_here(server, tmp_path_factory):
    """The object store; copies of its files lie where only these tests do."""
    with pytest.MonkeyPatch.context() as patch:
        here = tmp_path_factory.mktemp("here")
        patch.setattr("tempfile.gettempdir", lambda: str(here))
        yield server


@pytest.fixture(scope="module")
def built(server_here, tmp_path_factory):
    folder, uri = tmp_path_factory.mktemp("built"), Uri(server_here.uri("built"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "FAST_SHARE", SHARE)
        settings = files.write_demo(folder / "input", fast=True).settings_path
    scratch = ("--engine.scratch", str(folder / "scratch"))
    words = ["build", str(settings), *WORDS, *VOCABULARY]
    assert main([*words, *scratch, "--out", uri]) == 0
    assert main([*words, "--out", str(folder / "build"), "--force"]) == 0
    return Built(uri, folder / "build", settings)


def told(capsys, *words, code=0):
    assert main([str(word) for word in words]) == code
    out, err = capsys.readouterr()
    return out if code == 0 else err


@pytest.mark.parametrize(
    ("text", "parent", "name"),
    [
        ("s3://b/n?scheme=http", "s3://b?scheme=http", "n"),
        ("s3://b/n/corpus/", "s3://b/n", "corpus"),
        ("s3://b", "s3://b", ""),
        ("/a/b", "/a", "b"),
    ],
)
def test_a_place_is_within_the_one_above_it(text, parent, name):
    place = place_of(text)
    assert isinstance(place, Path) == text.startswith("/")
    found, own = above(place)
    assert (str(found), own) == (parent, name)
    if name:
        assert above(within(found, name)) == (found, name)


def test_a_uri_of_a_file_is_a_path():
    assert place_of("file:///a/b%20c") == Path("/a/b c")


@pytest.mark.slow
def test_a_build_in_a_bucket_has_the_rows_of_one_in_a_folder(built):
    found = status(built.uri)
    assert list(found["stages"]) == STAGES
    assert found == status(built.folder)
    assert {stage["state"] for stage in found["stages"].values()} == {"done"}
    assert built.store.read("webtext.toml").startswith(b"# The settings of the last build")
    assert built.store.entries("lock") == built.store.entries("runs", below=True) == []


@pytest.mark.slow
def test_a_second_build_makes_nothing_and_tells_where_all_lies(built, capsys, tmp_path):
    before = {entry.name: entry.time_s for entry in built.store.entries("data")}
    scratch = ("--engine.scratch", tmp_path)
    words = ("build", built.settings, *WORDS, *VOCABULARY, *scratch, "--out", built.uri)
    shown = told(capsys, *words)
    assert {entry.name: entry.time_s for entry in built.store.entries("data")} == before
    assert f"{within(built.uri, 'corpus')}  manifest.json names its files" in shown
    assert "tokens to train on" in shown
    assert f"webtext look '{built.uri}'" in shown
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.slow
def test_why_tells_the_same_of_both(built):
    links = json.loads((built.settings.parent / "expected.json").read_text())["links"]
    ends = dict(map(reversed, links.items()))
    for url in (ends["kept"], ends["near_copy"], ends["not_captured"]):
        assert why(built.uri, url) == why(built.folder, url)
    assert [chapter.stage for chapter in why(built.uri, ends["kept"])][-1] == "shards"
    assert why(built.uri, "near_copy") == why(built.folder, "near_copy")
    (unknown,) = why(built.uri, ends["kept"] + "x")
    assert ends["kept"] in unknown.text


@pytest.mark.slow
def test_look_shows_the_tables_that_manifests_name(built):
    for stage in STAGES:
        here, there = (tables(within(place, stage)) for place in (built.folder, built.uri))
        if stage == "shards":  # there the table of its documents, here their tokens
            assert there[0].count == here[0].count
        else:
            assert [(t.count, t.note) for t in there] == [(t.count, t.note) for t in here]
            assert list(there[0].rows) == list(here[0].rows)
    here, there = (
        tables(within(place, "corpus"), drops=True) for place in (built.folder, built.uri)
    )
    assert list(there[0].rows) == list(here[0].rows) != []
    assert [table.name for table in tables(built.uri)] == [
        *("links", "pages", "documents", "corpus", "tokenizer.json", "shards"),
    ]  # fmt: skip
    with pytest.raises(SettingsError, match="name one of the builds in it: ") as refused:
        tables(above(built.uri)[0])
    assert str(built.uri) in str(refused.value)  # other tests may build beside it


@pytest.mark.slow
def test_verify_reads_every_file_in_the_bucket_and_names_a_damaged_one(built):
    assert verify(built.uri).damaged == []
    in_stage = verify(within(built.uri, "corpus"))
    assert (in_stage.damaged, in_stage.files > 3) == ([], True)
    name = read_manifest(built.store, "corpus").parts[0].table
    data = built.store.read(name)
    mend = "; --redo corpus makes the stage again"
    place = f"{built.store.place}/{name}"
    try:
        built.store.write(name, data[:-1] + b"?")
        told = f"{place} has other bytes than were written{mend}"
        assert verify(built.uri).damaged == [told]
        built.store.write(name, data[:-1])
        told = f"{place} has {len(data) - 1} bytes, not {len(data)}{mend}"
        assert verify(within(built.uri, "corpus")).damaged == [told]
        built.store.remove([name])
        assert verify(built.uri).damaged == [f"{place} is missing{mend}"]
    finally:
        built.store.write(name, data)


@pytest.mark.slow
def test_the_report_is_written_into_the_bucket_and_verified(built, capsys):
    assert told(capsys, "report", built.uri).strip() == within(built.uri, "report.html")
    text = built.store.read("report.html").decode()
    assert text.count("<html") == 1
    assert "<h1" in text and "near_copy" in text
    there, here = collect(built.uri), collect(built.folder)
    assert [stage.drops for stage in there.funnel] == [stage.drops for stage in here.funnel]
    assert (there.tokens, there.documents) == (here.tokens, here.documents)
    assert there.name == "built"
    built.store.write("report.html", text.replace("near_copy", "near_copx", 1).encode())
    assert [line.split()[0] for line in verify(built.uri).damaged] == [
        f"{built.store.place}/report.html"
    ]
    told(capsys, "report", built.uri)


@pytest.mark.slow
def test_clean_removes_what_killed_attempts_left_and_keeps_the_rest(built):
    before = {entry.name for entry in built.store.entries("", below=True)}
    assert not [entry for entry in clean(built.uri, now=True, dry_run=True) if not entry.kept]
    built.store.write(KILLED, b"x" * 9000)
    built.store.write("holiday.jpg", b"x")
    found = {entry.name: (entry.kept, entry.bytes, entry.why) for entry in clean(built.uri)}
    assert found["data: 1 files"][:2] == (True, 9000)  # it is young
    assert found["holiday.jpg"] == (True, 1, "not made by a build")
    assert found["log"][2] == "the build's log"
    assert {entry.name for entry in clean(built.uri, now=True) if not entry.kept} == {
        "data: 1 files"
    }
    built.store.remove(["holiday.jpg"])
    assert {entry.name for entry in built.store.entries("", below=True)} == before


@pytest.mark.slow
def test_nothing_is_removed_while_a_build_is_made_there(built, capsys):
    with built.store.locked():
        assert "is being built by process" in told(capsys, "clean", built.uri, code=1)


@pytest.mark.slow
def test_a_build_at_work_and_how_the_last_one_ended_are_told(built, capsys):
    run = Run(built.store, "abc")
    run.tell({})
    try:
        assert "works here" in told(capsys, "status", built.uri)
        assert status(built.uri)["at_work"]["pid"]
    finally:
        run.end()
    assert "at_work" not in status(built.uri)
    name = "log/99991231T000000Z-abc.jsonl"
    event = {"time": 1, "event": "end", "error": "StageError: a full moon"}
    built.store.write(name, json.dumps(event).encode() + b'\n{"cut')
    assert "StageError: a full moon" in told(capsys, "status", built.uri)
    built.store.remove([name])


@pytest.mark.slow
def test_the_trainer_gets_the_files_of_the_shards_and_fetches_none_twice(built, tmp_path, capsys):
    for place in (within(built.uri, "shards"), built.uri):
        folder = fetch_shards(place, tmp_path / "run")
    assert capsys.readouterr().err.count("fetching") == 1
    for path in folder.iterdir():
        where = "tokenizer" if path.name == "tokenizer.json" else "shards"
        assert path.read_bytes() == (built.folder / where / path.name).read_bytes()
    assert {"shards.json", "tokenizer.json", "val_000000.bin"} < {p.name for p in folder.iterdir()}
    (folder / "val_000000.bin").write_bytes(b"")
    assert (fetch_shards(built.uri, tmp_path / "run") / "val_000000.bin").stat().st_size
    assert capsys.readouterr().err.startswith("fetching 1 files")


@pytest.mark.slow
def test_the_example_in_the_documentation_reads_the_corpus(built, server, tmp_path, capsys):
    text = (ROOT / "docs" / "files.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(import json.*?)```", text, re.DOTALL)
    options = f'endpoint_override="127.0.0.1:{server.port}", scheme="http", region="us-east-1"'
    block = block.replace("S3FileSystem()", f"S3FileSystem({options})")
    script = tmp_path / "read.py"
    script.write_text(block.replace("BUCKET/NAME", f"{server.bucket}/built"))
    corpus = runpy.run_path(str(script))["corpus"]
    (table,) = (built.folder / "corpus").glob("part-*.parquet")
    assert corpus.to_table().equals(pq.read_table(table))
    assert capsys.readouterr().out.startswith(str(corpus.count_rows()))


@pytest.fixture
def small(tmp_path):
    """A settings file with inputs of nothing."""
    (tmp_path / "RS.jsonl").write_text("{}\n")
    (tmp_path / "w.toml").write_text('[input]\ndumps = ["RS.jsonl"]\nwarcs = ["RS.jsonl"]\n')
    return tmp_path / "w.toml"


@pytest.mark.parametrize(
    ("uri", "wanted"),
    [
        ("s3://nowhere/n?{query}", "there is no bucket nowhere"),
        ("gs://webtext/n", "gs: is not known"),
        ("s3://me:secret@webtext/n", "credentials are not taken from a URI"),
        ("s3://webtext/n?{query}&color=red", "color is not known"),
    ],
)
def test_a_place_that_cannot_be_used_is_refused_before_any_work(
    server_here, small, capsys, uri, wanted
):
    uri = uri.format(query=s3.query(server_here.port))
    for words in (("build", small, "--to", "links", "--out", uri), ("status", uri), ("clean", uri)):
        message = told(capsys, *words, code=2)
        assert wanted in message
        assert message.count("\n") == 1
        assert "secret" not in message


@pytest.mark.parametrize(
    "words",
    [
        ("links", "RS", "--out", "s3://b/n"),
        ("extract", "page.html", "--out", "s3://b/page.jsonl"),
        ("dedup", "t.jsonl", "--out", "s3://b/n.jsonl"),
        ("demo", "--out", "s3://b/n"),
        ("train", "tokens", "--out", "s3://b/n"),
    ],
)
def test_a_uri_where_only_files_are_taken_is_refused(words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    message = told(capsys, *words, code=2)
    uri = next(word for word in words if "://" in word)
    assert f"{uri} is a URI, and this must be a file or folder of this machine" in message
    assert list(tmp_path.iterdir()) == []
