"""A build of the demo is what its author planted, and the same everywhere.

Most tests read the build of the fast demo (`finished`), in which all that can go wrong does.
"""

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from pipeline.engine.manifest import read_manifest
from pipeline.engine.store import Disk
from pipeline.reasons import Reason
from tools.demo import UNREACHABLE
from tools.demo.compare import differences
from tools.demo.tasks import PASSAGES_OF_PAGES
from tools.demo_command import AS_PLANNED, FAST_LEAVES_OUT
from tools.model import COMMIT
from tools.status import status
from train.log import read_log

ROOT = Path(__file__).resolve().parents[2]
# Where others of the versions that shape rows are installed, only the rows' numbers and ends are
# compared. The digests change with a rule (raise its step's version then) and with the demo;
# demo/renew.py writes the new ones, and the README's session.
VERSIONS = {
    "blocks": "2ba1e6522eff1ce7c43681d04029563f",
    "can_ada": "3.0.0",
    "ftfy": "6.3.1",
    "justext": "3.0.2",
    "lxml": "6.1.3",
    "protego": "0.7.0",
    "py3langid": "0.4.0",
    "resiliparse": "2.0.1",
    "tiktoken": "0.14.0",
    "trafilatura": "2.3.1",
    "unicode": "14.0.0",
}
DIGESTS = {
    "links": "283e90487a0dd445345c02afc01dc371",
    "pages": "86a91056eea3697e66eb6a59a9879eaf",
    "documents": "efd104ef790b949d5e72e407ab605c5d",
    "corpus": "a452b0f0388e026b8d6435012b58e182",
    "tokenizer": "fe5817597b90bebc801b7619b26af367",
    "shards": "3a3a315cad60b26b5a1a7db16fa34ea7",
}


def versions_of(folder):
    """Of the packages that shaped the rows of a build."""
    manifests = [read_manifest(Disk(folder), stage) for stage in DIGESTS]
    steps = [step for manifest in manifests for step in manifest.steps]
    return {package: version for step in steps for package, version in step.versions.items()}


@pytest.fixture(scope="module")
def stages(finished):
    return status(finished.folder)["stages"]


def test_every_line_link_and_record_becomes_what_its_author_planted(finished):
    assert differences(finished.folder, finished.input.expected_path) == []


@pytest.mark.parametrize("name", DIGESTS)
def test_the_rows_of_each_stage_are_those_that_they_always_were(finished, stages, name):
    here = versions_of(finished.folder)
    if here != VERSIONS:
        pytest.skip(f"taken with other versions: {sorted(VERSIONS.items() ^ here.items())}")
    assert stages[name]["digest"] == DIGESTS[name]


@pytest.fixture(scope="module")
def records(finished):
    """The ledger of the WARC records."""
    return read_manifest(Disk(finished.folder), "pages").ledgers["records"]


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


def test_the_trained_model_runs_the_tasks_and_knows_what_of_them_it_was_trained_on(finished):
    commit = json.loads((finished.folder / "model" / COMMIT).read_text(encoding="utf-8"))
    assert {row["task"] for row in commit["suite"]["rows"]} == {"lambada", "wikitext2", "winograd"}
    sets = {one["task"]: one for one in commit["overlap"]["sets"]}
    assert sets["held-out"]["grams"] and sets["winograd"]["found"] == 0
    lambada = sets["lambada"]
    assert 0 < lambada["items_with_any"] <= PASSAGES_OF_PAGES < lambada["items"]
    (accuracy, *_) = (row for row in commit["overlap"]["scores"] if row["metric"] == "accuracy")
    assert accuracy["clean_items"] == lambada["items"] - lambada["items_with_any"]
    items = (finished.folder / "model" / "suite.jsonl").read_text(encoding="utf-8").splitlines()
    assert sum(json.loads(line)["task"] == "lambada" for line in items) == lambada["items"]


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
    for command in ("look", "look --drops", "why URL --build", "sample"):
        assert f"  webtext {command} {finished.folder}  " in told
    assert "1 other reasons" not in told


def test_progress_is_told_on_stderr_in_single_lines(finished):
    told = finished.told.stderr.splitlines()
    moment = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  "
    assert any(re.match(f"{moment}documents: texts: ", line) for line in told)
    line_of_ours = rf"({moment})?([a-z0-9 ]+[:,/] ?\S|the |first loss )"
    assert all(re.match(line_of_ours, line) for line in told), told
    assert "documents: texts" not in finished.told.stdout


def test_a_second_run_finds_everything_up_to_date(finished, webtext, tmp_path):
    shutil.copytree(finished.folder, tmp_path / "build")
    before = written(tmp_path / "build")
    told = webtext(*finished.words, "--out", tmp_path / "build")
    assert written(tmp_path / "build") == before
    lines = [line[21:].partition(",")[0] for line in told.stderr.splitlines()]
    assert lines == [f"build: {tmp_path}/build", "build: done to report"]
    assert status(tmp_path / "build") == status(finished.folder)


def written(build):
    """When each file of the store, and each that people see, was written."""
    names = (f"{stage}/*" for stage in DIGESTS)
    paths = [path for name in ("data/*", "parts/*/*", *names) for path in build.glob(name)]
    return {path: path.stat().st_mtime_ns for path in paths}


def session():
    """The command about the demo that the README shows with its output, and that output."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    command, output = re.search(r"```console\n\$ (webtext why .+)\n((?:.+\n)+)```", text).groups()
    return shlex.split(command)[1:], output


def first_words(output):
    """The stage and the verdict of each line."""
    return [line.split()[:2] for line in output.splitlines()]


def test_the_session_of_the_readme_has_the_lines_that_it_shows(finished, webtext):
    words, shown = session()
    told = webtext(*words[: words.index("--build")], "--build", finished.folder).stdout
    assert first_words(told) == first_words(shown)


@pytest.fixture(scope="module")
def whole(webtext, tmp_path_factory):
    """What `webtext demo` makes, up to the shards, and what it told."""
    folder = tmp_path_factory.mktemp("whole") / "demo"
    return folder, webtext("demo", "--out", folder, "--to", "shards")


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_whole_demo_meets_its_plan_and_only_what_was_planted_are_copies(whole, stages):
    folder, told = whole
    assert AS_PLANNED in told.stdout
    found = status(folder)["stages"]
    for copies in ("near_copy", "exact_copy", "same_url"):
        assert found["corpus"]["drops"][copies] == stages["corpus"]["drops"][copies]
    assert found["corpus"]["rows_out"] > 3 * stages["corpus"]["rows_out"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_session_of_the_readme_tells_what_the_demo_tells(whole, webtext):
    folder, _ = whole
    words, shown = session()
    told = webtext(*words[: words.index("--build")], "--build", folder).stdout
    if versions_of(folder) == VERSIONS:
        assert told == shown
    else:
        assert first_words(told) == first_words(shown)


def test_the_fast_demo_leaves_the_model_out_and_says_so(webtext, tmp_path):
    folder = tmp_path / "fast"
    told = webtext("demo", "--fast", "--out", folder).stdout
    assert told.splitlines()[-1] == FAST_LEAVES_OUT
    assert "webtext sample" not in told
    assert list(status(folder)["stages"]) == list(DIGESTS)
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert 'id="likeness"' in report
    assert 'id="model"' not in report


def test_the_fast_demo_has_no_model_to_stop_at(webtext, tmp_path):
    told = webtext("demo", "--fast", "--to", "model", "--out", tmp_path / "none", code=2)
    assert told.stderr == (
        "webtext: --fast leaves the model out; take --to shards, or leave --fast out\n"
    )
    assert not (tmp_path / "none").exists()
