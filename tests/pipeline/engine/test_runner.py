"""Parts through Beam: faults keep their type, runners that would surprise are refused."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import toy

from pipeline.engine import runner
from pipeline.engine.build import Build
from pipeline.engine.store import Disk
from pipeline.engine.task import Task
from pipeline.engine.writer import PartStopped
from pipeline.errors import InputError, SettingsError, StageError
from pipeline.settings import EngineSettings

ROOT = Path(__file__).resolve().parents[3]


def faults(toys) -> list[dict]:
    lines = (toys.folder / "log.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == "fault"]


def test_an_input_error_of_a_worker_arrives_with_its_type_and_its_message(toys):
    toys.engine["workers"] = 1
    with pytest.raises(InputError) as error:
        toys.build("a", "b", do={"b": "raise InputError"})
    assert str(error.value) == (
        "dump.zst, byte 10240: the file ends in the middle of a frame. Mend it"
    )
    assert faults(toys)[0]["part"] == "b"


def test_a_defect_names_its_part_and_leaves_its_stack_in_the_log(toys, inline):
    with pytest.raises(StageError, match=r"toy: read, part b: KeyError: 'colour' .*log.jsonl"):
        toys.build(do={"b": "raise KeyError"})
    (fault,) = faults(toys)
    assert "in _fail" not in fault["error"]
    assert "toy.py" in fault["stack"]
    assert "misbehave" in fault["stack"]


def test_after_a_failure_no_other_part_starts_and_what_was_done_is_kept(toys, inline):
    with pytest.raises(StageError):
        toys.build("a", "b", "c", "d", do={"c": "raise KeyError"})
    assert toys.committed() == {"a", "b"}
    assert toys.done() == {"read": 3, "done": 2}


def test_a_failure_stops_the_parts_at_work(toys):
    # "a" sleeps ten minutes unless its heartbeat hears of the failure of "b".
    with pytest.raises(InputError):
        toys.build("a", "b", do={"a": "sleep", "b": "raise InputError"})
    assert toys.committed() == set()


def test_a_worker_that_dies_under_a_part_is_replaced_once(toys):
    toys.engine["workers"] = 1
    toys.log.write_text("")
    assert toys.build("a", "b", do={"a": "die once"}).ledgers["posts"].rows_in == 40
    assert toys.done()["read"] == 3


@pytest.mark.slow
def test_a_part_that_kills_its_worker_twice_is_named(toys):
    toys.engine["workers"] = 1
    with pytest.raises(StageError, match="ended by exit code 9, twice"):
        toys.build("a", do={"a": "die"})


@pytest.mark.slow
def test_a_part_that_exits_is_a_fault_and_does_not_end_the_driver(toys):
    with pytest.raises(StageError, match=r"part a: .*SystemExit: 3"):
        toys.build("a", do={"a": "exit"})


@pytest.mark.slow
def test_every_part_is_done_once_and_workers_share_them(toys):
    labels = tuple(f"part {n}" for n in range(12))
    toys.build(*labels)
    assert toys.done()["read"] == 12


def test_a_part_at_work_holds_up_none_behind_it(toys):
    # Beam's threads would have been dealt some parts each, and "b" behind "a".
    toys.engine["workers"] = 2
    toys.build(*"abcdefghijkl", do={"a": "meet b", "b": "meet a"})
    assert toys.done()["read"] == 12


def test_items_come_back_in_their_order(toys, request):
    toys.engine["workers"] = 1
    output = toys.build("a", items=True)
    whole = [row for rows in toys.rows(output) for row in rows]
    request.getfixturevalue("inline")
    toys.folder = toys.folder.with_name("plain")
    plain = [row for rows in toys.rows(toys.build("a")) for row in rows]
    assert whole == [{"id": row["id"], "n": row["n"] * 2} for row in plain]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("apache_beam.runners.direct.direct_runner.DirectRunner", "may download another engine"),
        ("DirectRunner", "may download another engine"),
        ("apache_beam.runners.portability.prism_runner.PrismRunner", "downloads its engine"),
        ("apache_beam.runners.direct.direct_runner.BundleBasedDirectRunner", "every row in memory"),
        ("flink", "cannot be loaded"),
        ("no.such.Runner", "cannot be loaded"),
        ("apache_beam.NoSuchRunner", "cannot be loaded"),
    ],
)
def test_a_runner_that_would_surprise_is_refused_with_the_reason(name, why):
    with pytest.raises(SettingsError, match=why):
        runner.Runner(EngineSettings(runner=name), pool=None)


def test_multi_processing_is_refused_with_the_way_out():
    options = ("--direct_running_mode=multi_processing",)
    with pytest.raises(SettingsError, match=r"set engine\.workers instead"):
        runner.Runner(EngineSettings(runner_options=options), pool=None)


def test_a_refused_runner_leaves_no_lock(toys):
    toys.engine["runner"] = "DirectRunner"
    with pytest.raises(SettingsError):
        toys.build("a")
    toys.engine["runner"] = "local"
    with Build(toys.folder, EngineSettings(**toys.engine), quiet=True):
        pass


def test_a_runner_that_fails_is_named_and_its_thread_joined(toys, monkeypatch):
    def broken(self, task, parts):
        raise OSError("no port is free")

    monkeypatch.setattr(runner.Runner, "run", broken)
    with pytest.raises(StageError, match="toy: read: the runner failed: no port is free"):
        toys.build("a")


def test_a_driver_that_fails_joins_the_parts_before_it_lets_go_of_the_lock(
    toys, inline, monkeypatch
):
    def broken(self, run):
        raise ValueError("a defect of the line")

    monkeypatch.setattr("pipeline.engine.progress.Progress.update", broken)
    with pytest.raises(ValueError, match="a defect"):
        toys.build("a", "b", "c", do={"a": "finish slowly"})
    assert toys.committed() <= {"a"}
    toys.log.write_text("")


def test_a_part_that_is_asked_to_stop_is_no_fault(toys, tmp_path):
    task = Task("toy", toy.stage().steps[0], Disk(tmp_path), EngineSettings(), "")
    task.fail(toy.Part(0, "a", "a"), PartStopped("asked"), "")
    assert not task.stopping()


def test_beam_says_nothing_to_people(tmp_path):
    script = f"""
import toy
from pathlib import Path
from pipeline.engine.build import Build
from pipeline.settings import EngineSettings
with Build(Path({str(tmp_path / "b")!r}), EngineSettings(workers=1, free_disk_min_bytes=0)) as b:
    b.run(toy.stage(("a",)))
"""
    run = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", "PATH": ""},
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == ""
    assert [line[21:].partition(" (")[0] for line in run.stderr.splitlines()] == [
        "toy: read: 20 posts, 18 kept, url_invalid 2",
        "toy: group: 18 posts, 1 kept, 17 merged",
    ]


def test_an_engine_is_imported_without_beam():
    code = "import sys, pipeline.engine.build; print('apache_beam' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert run.stdout.strip() == "False"
