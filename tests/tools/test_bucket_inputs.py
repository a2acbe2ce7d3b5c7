"""Dumps and WARC files in a bucket give what they give as files, and are read by few requests."""

import json
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import s3

from tools import plan as planning
from tools.cli import main
from tools.demo import files
from tools.demo.files import DemoFiles
from tools.places import Uri
from tools.status import status

SHARE = 200  # of the demo's ordinary pages one in so many; those that go wrong are all there
WORDS = ("--to", "shards", "--engine.workers", "1", "--engine.buckets", "1")
VOCABULARY = ("--tokenizer.vocab-size", "600")


@dataclass(frozen=True)
class Inputs:
    """The demo's input twice: as files and in a bucket."""

    files: DemoFiles
    prefix: str

    def words(self, server: s3.Server, port: int | None = None) -> list[str]:
        """Options that name what is in the bucket, perhaps through a proxy."""
        dumps = server.uri(f"{self.prefix}/dumps/", port)
        warcs = server.uri(f"{self.prefix}/warcs/*.warc*", port)
        return ["--input.dumps", dumps, "--input.warcs", warcs]


@pytest.fixture(scope="module")
def inputs(server, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "FAST_SHARE", SHARE)
        found = files.write_demo(tmp_path_factory.mktemp("input"), fast=True)
    for kind, paths in {"dumps": found.dumps, "warcs": found.warcs}.items():
        for path in paths:
            server.put(f"inputs/{kind}/{path.name}", path.read_bytes())
    return Inputs(found, "inputs")


@pytest.fixture(scope="module")
def here(inputs, tmp_path_factory):
    """The digests of a build of files in a folder."""
    folder = tmp_path_factory.mktemp("here") / "build"
    settings = str(inputs.files.settings_path)
    assert main(["build", settings, *WORDS, *VOCABULARY, "--out", str(folder)]) == 0
    return status(folder)


def of_inputs(proxy: s3.Proxy) -> dict[str, dict[str, int]]:
    """The requests for inputs since the last call: of each kind of input, by method."""
    found, proxy.requests = proxy.requests, []
    count = {"dumps": Counter[str](), "warcs": Counter[str](), "listed": Counter[str]()}
    for request in found:
        method, path = request.split()
        kind = "listed" if "list-type" in path else path.split("/")[3]
        count[kind][method] += 1
    return {kind: dict(methods) for kind, methods in count.items()}


@pytest.mark.slow
def test_a_build_in_a_bucket_of_inputs_in_a_bucket_has_the_digests_of_one_of_files(
    server, inputs, here, tmp_path
):
    out, settings = server.uri("from-bucket"), str(inputs.files.settings_path)
    scratch = ("--engine.scratch", str(tmp_path / "scratch"))
    with s3.Proxy(server.port) as proxy:
        words = [*WORDS, *VOCABULARY, *scratch, *inputs.words(server, proxy.port)]
        assert main(["build", settings, *words, "--out", out]) == 0
        first = of_inputs(proxy)
        assert main(["build", settings, *words, "--out", out]) == 0
        again = of_inputs(proxy)
    assert status(Uri(out)) == here
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    # One WARC file of 185 kB and its 188 pages: found twice, checked, indexed, its pages fetched.
    assert first == {
        "dumps": {"HEAD": 8, "GET": 8},
        "warcs": {"HEAD": 6, "GET": 6},
        "listed": {"GET": 4},
    }
    # Found twice; the dumps are looked at before all work.
    assert again == {"dumps": {"HEAD": 4, "GET": 2}, "warcs": {"HEAD": 2}, "listed": {"GET": 4}}


@pytest.mark.slow
def test_a_store_that_fails_now_and_then_gives_the_same_digests(server, inputs, here, tmp_path):
    settings, out = str(inputs.files.settings_path), tmp_path / "build"
    with s3.Proxy(server.port, share=0.3, seed=5) as proxy:
        words = [*WORDS, *VOCABULARY, *inputs.words(server, proxy.port)]
        assert main(["build", settings, *words, "--out", str(out)]) == 0
        assert sum(proxy.faults.values()) > proxy.faults[""]
    assert status(out) == here


@pytest.mark.slow
def test_another_warc_file_under_the_same_name_is_indexed_anew(server, inputs, here, tmp_path):
    warc = inputs.files.warcs[0].read_bytes()
    server.put("changing/warcs/web.warc.gz", warc[: len(warc) // 2])
    out, settings = str(tmp_path / "build"), str(inputs.files.settings_path)
    words = [*WORDS, *VOCABULARY, "--input.warcs", server.uri("changing/warcs/*")]
    assert main(["build", settings, *words, "--out", out, "--pages.accept-torn", "true"]) == 3
    assert status(Path(out))["digest"] != here["digest"]
    server.put("changing/warcs/web.warc.gz", warc)
    assert main(["build", settings, *words, "--out", out]) == 0
    assert status(Path(out)) == here


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main(list(map(str, words))) == 2
    return capsys.readouterr().err


def test_inputs_that_are_not_there_or_not_ours_are_named(server, inputs, tmp_path, capsys):
    settings, out = inputs.files.settings_path, tmp_path / "build"
    build = ("build", settings, "--out", out, "--to", "links")
    told = refused(capsys, *build, "--input.dumps", server.uri("inputs/none.zst"))
    assert "s3://webtext/inputs/none.zst: there is no such object in the bucket" in told
    told = refused(capsys, *build, "--input.dumps", server.uri("inputs/*.zip"))
    assert "input.dumps: no object matches s3://webtext/inputs/*.zip" in told
    told = refused(capsys, *build, "--input.dumps", "s3://me:secret@webtext/a.zst")
    assert "credentials are not taken from a URI" in told
    assert "secret" not in told
    warc = server.uri("inputs/warcs/web.warc.gz")
    told = refused(capsys, *build, "--input.dumps", warc)
    assert "input.dumps: s3://webtext/inputs/warcs/web.warc.gz: it is" in told
    dump = server.uri("inputs/dumps/*.bz2")
    told = refused(capsys, "build", settings, "--out", out, "--input.warcs", dump)
    assert "RS_2012-09.bz2, byte 0: this is compressed with bzip2, no WARC file" in told
    with s3.Proxy(server.port, all_with="403") as proxy:
        dump = server.uri("inputs/dumps/RS_2020-06.zst", proxy.port)
        told = refused(capsys, *build, "--input.dumps", dump)
    assert "the store does not give it" in told
    assert "AWS_ACCESS_KEY_ID" in told
    assert not out.exists()


def test_a_plan_of_inputs_in_a_bucket_is_that_of_files(server, inputs, capsys, monkeypatch):
    monkeypatch.setattr(planning, "slowness", lambda: 1.0)
    extract = planning.measured_pages
    costs = []

    def measured_pages(settings, captures):
        costs.append(extract(settings, captures))
        return replace(costs[-1], cpu_s=0.03)

    monkeypatch.setattr(planning, "measured_pages", measured_pages)

    def planned(*words: str) -> str:
        assert main(["plan", str(inputs.files.settings_path), "--to", "shards", *words]) == 0
        return capsys.readouterr().out.partition("in all")[0]

    assert planned(*inputs.words(server)) == planned()
    assert replace(costs[0], cpu_s=0) == replace(costs[1], cpu_s=0)


def test_links_of_dumps_in_a_bucket_are_those_of_files(server, inputs, tmp_path):
    dumps = map(str, inputs.files.dumps)
    options = ("--workers", "1", "--date-max", "2020-06-30")
    assert main(["links", *dumps, *options, "--out", str(tmp_path / "here")]) == 0
    uri = server.uri("inputs/dumps/*")
    assert main(["links", uri, *options, "--out", str(tmp_path / "there")]) == 0
    assert status(tmp_path / "here") == status(tmp_path / "there")


def test_pages_in_a_bucket_are_extracted_as_files_are(server, inputs, tmp_path, capsys):
    lines = tmp_path / "pages.jsonl"
    rows = ({"id": f"{n}", "html": f"<html><p>{'A page of text. ' * 30}{n}"} for n in range(3))
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    server.put("pages/pages.jsonl", lines.read_bytes())
    warc, paths = inputs.files.warcs[0], [tmp_path / f"{n}.jsonl" for n in "ab"]
    options = ("--workers", "1", "--range-bytes", "60000")
    here = (warc, lines, "--out", paths[0])
    there = (server.uri("inputs/warcs/*"), server.uri("pages/"), "--out", paths[1])
    for words in (here, there):
        assert main(["extract", *map(str, words), *options]) == 0
    assert paths[0].read_bytes() == paths[1].read_bytes() != b""
    assert dropped(paths[0]) == dropped(paths[1]) != b""
    assert not list(tmp_path.glob(".*"))
    capsys.readouterr()
    assert main(["extract", str(lines), "--json"]) == 0
    by_hand = capsys.readouterr().out
    assert main(["extract", server.uri("pages/pages.jsonl"), "--json"]) == 0
    there_by_hand = capsys.readouterr().out
    assert there_by_hand == by_hand.replace(str(lines), "s3://webtext/pages/pages.jsonl")


def dropped(path: Path) -> bytes:
    return path.with_name(path.name + ".drops.jsonl").read_bytes()


def test_texts_in_a_bucket_are_read_as_files_are(server, tmp_path, capsys):
    texts = tmp_path / "texts.jsonl"
    rows = (f"text {n % 7} about something else" for n in range(30))
    texts.write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    server.put("texts/texts.jsonl", texts.read_bytes())
    outs = [tmp_path / f"{n}.jsonl" for n in "ab"]
    for words, out in zip((texts, server.uri("texts/*.jsonl")), outs, strict=True):
        assert main(["dedup", str(words), "--out", str(out)]) == 0
    assert outs[0].read_bytes() == outs[1].read_bytes()
    assert "s3://webtext/texts/texts.jsonl: fetching" in capsys.readouterr().err
    assert "no object matches" in refused(
        capsys, "dedup", server.uri("texts/*.zip"), "--out", outs[0]
    )
