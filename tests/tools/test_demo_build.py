"""A build of the demo's seeded part is what its author planted, and the same everywhere."""

import json
import re
import shutil

import pytest

from pipeline.engine.manifest import read_manifest
from pipeline.reasons import Reason
from tools.demo import UNREACHABLE
from tools.demo.compare import differences
from tools.model import COMMIT
from tools.status import status
from train.log import read_log

# Where others of the versions that shape rows are installed, only the rows' numbers and ends are
# compared. The digests change with a rule (raise its step's version then) and with the demo.
VERSIONS = {
    "can_ada": "3.0.0",
    "ftfy": "6.3.1",
    "justext": "3.0.2",
    "lxml": "6.1.3",
    "py3langid": "0.4.0",
    "tiktoken": "0.14.0",
    "tokenizers": "0.23.3",
    "trafilatura": "2.3.1",
    "unicode": "14.0.0",
}
DIGESTS = {
    "links": "e70801485ec712e36c87a9900aa88ec0",
    "pages": "dffa16534e930ac60149c0f1b5b3c2ee",
    "documents": "43e8cdc571c5d479beca8dbc5e7b64c5",
    "corpus": "5105f94e170a8be4238bb44673218b26",
    "tokenizer": "a12fd41d6dd5b0009503be2570ef82c7",
    "shards": "f2ae1172e16b7dfac22bf058902d90a6",
}


@pytest.fixture(scope="module")
def stages(finished):
    return status(finished.folder)["stages"]


def test_every_line_link_and_record_becomes_what_its_author_planted(finished):
    assert differences(finished.folder, finished.input.expected_path) == []


@pytest.mark.parametrize("name", DIGESTS)
def test_the_rows_of_each_stage_are_those_that_they_always_were(finished, stages, name):
    manifests = [read_manifest(finished.folder / stage) for stage in DIGESTS]
    steps = [step for manifest in manifests for step in manifest.steps]
    here = {package: version for step in steps for package, version in step.versions.items()}
    if here != VERSIONS:
        pytest.skip(f"taken with other versions: {sorted(VERSIONS.items() ^ here.items())}")
    assert stages[name]["digest"] == DIGESTS[name]


@pytest.fixture(scope="module")
def records(finished):
    """The ledger of the WARC records."""
    return read_manifest(finished.folder / "pages").ledgers["records"]


def test_each_reason_occurs_or_it_is_said_why_it_can_not(stages, records):
    found = {Reason(name) for stage in stages.values() for name in stage["drops"]}
    found |= {Reason(name) for name in records.drops}
    assert found.isdisjoint(UNREACHABLE)
    assert found | set(UNREACHABLE) == set(Reason)
    assert all(len(why) > 20 for why in UNREACHABLE.values())


def test_every_record_of_the_captures_has_one_outcome(records, finished):
    planted = json.loads(finished.input.expected_path.read_text(encoding="utf-8"))["records"]
    assert records.rows_in == planted
    assert planted == records.rows_out + records.drops.total()


def test_the_model_learns(finished, stages):
    assert stages["model"]["rows_out"] == 20
    looks = [entry for entry in read_log(finished.folder / "model") if entry["kind"] == "eval"]
    assert looks[-1]["val_loss"] < looks[0]["val_loss"] - 0.2


def test_the_build_ends_by_telling_the_funnel_the_loss_a_sample_and_where_everything_lies(
    finished, stages
):
    told = finished.told.stdout
    for name in ("links", "pages", "documents", "corpus"):
        assert f"{stages[name]['rows_in']:,} " in told
        assert f"-> {stages[name]['rows_out']:,} " in told
    commit = json.loads((finished.folder / "model" / COMMIT).read_text(encoding="utf-8"))
    assert f"held out {commit['evaluation']['loss']:.3f}" in told
    sample = commit["samples"][0]["samples"][0]["text"].split()
    assert sample[0] in told
    assert str(finished.folder / "report.html") in told


def test_progress_is_told_on_stderr_in_single_lines(finished):
    told = finished.told.stderr.splitlines()
    assert any(line.startswith("documents: extract: ") for line in told)
    assert all(re.match(r"[a-z0-9 ]+[:,/] ?\S|the |first loss ", line) for line in told), told
    assert "documents: extract" not in finished.told.stdout


def test_a_second_run_finds_everything_up_to_date(finished, webtext, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "build")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "build").rglob("part-*")}
    told = webtext(*finished.words, "--out", tmp_path / "build")
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "build").rglob("part-*")}
    assert before == after
    assert told.stderr == ""
    assert status(tmp_path / "build") == status(finished.folder)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_demo_with_the_texts_of_this_installation_meets_its_plan(webtext, tmp_path, finished):
    told = webtext("demo", "--out", tmp_path / "demo", "--to", "corpus")
    assert "Every planted page and submission met the end that was planned for it." in told.stdout
    found, seeded = (status(folder)["stages"] for folder in (tmp_path / "demo", finished.folder))
    assert list(found) == ["links", "pages", "documents", "corpus"]
    assert found["corpus"]["rows_out"] > seeded["corpus"]["rows_out"] + 100
