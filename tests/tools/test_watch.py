import fcntl
import json
import os
from datetime import UTC, datetime

import pytest

from tools import watch
from tools.cli import main
from tools.demo.captures import Capture, write_warc
from tools.status import status

MOMENT = datetime(2015, 3, 1, tzinfo=UTC)
POST = {"url": "http://a.example/0", "score": 9, "created_utc": 1_350_000_000}
HOLDER = {"pid": 4711, "host": "here", "command": "webtext build"}


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    """A build to the pages whose months hold scores of no use, and then other links for it."""
    place = tmp_path_factory.mktemp("watch")
    posts = [{**POST, "id": f"p{n}", "score": n, "retrieved_on": 1_350_000_009} for n in (3, 9)]
    (place / "RS.jsonl").write_text("".join(json.dumps(post) + "\n" for post in posts))
    capture = Capture(POST["url"], MOMENT, b"<p>A page.")
    write_warc(place / "web.warc.gz", [capture], stored=False)
    settings = place / "webtext.toml"
    settings.write_text('[input]\ndumps = ["RS.jsonl"]\nwarcs = ["web.warc.gz"]\n')
    words = ["build", str(settings), "--out", str(place / "build")]
    words += ["--engine.workers", "1", "--engine.buckets", "2"]
    assert main([*words, "--to", "pages"]) == 3
    assert "outdated" not in status(place / "build")
    assert main([*words, "--to", "links", "--links.karma-rule", "first"]) == 3
    return place / "build"


def test_a_stage_made_of_earlier_links_is_out_of_date(build, capsys):
    # Another rule, and the same links: nothing is out of date.
    assert "outdated" not in status(build)
    log = build / "log.jsonl"
    before = log.read_text()
    log.write_text(before + json.dumps({"event": "published", "stage": "links", "digest": "other"}))
    try:
        assert status(build)["outdated"] == ["pages"]
        assert main(["status", str(build)]) == 0
        assert "out of date: pages: what they were made of" in capsys.readouterr().out
    finally:
        log.write_text(before)


def test_failed_gates_stay_with_the_build(build, capsys):
    (gate,) = status(build)["gates"]
    assert gate.startswith("links: 100% of the scores of 2012-10")
    assert main(["status", str(build)]) == 0
    assert f"quality gate failed: {gate}" in capsys.readouterr().out


def test_a_copy_of_one_stage_has_a_status_of_its_own(build, capsys):
    assert main(["status", str(build / "pages"), "--verify", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["stages"] == {"pages": status(build)["stages"]["pages"]}
    assert found["verified"]["files"] > 0


def test_a_build_that_has_committed_nothing_is_one(tmp_path, capsys):
    (tmp_path / ".work").mkdir()
    assert main(["status", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["stages"] == {}
    assert main(["status", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "no part of a stage is done yet\n"


def test_the_process_at_work_is_named_with_its_parts(tmp_path):
    """The lock is the kernel's: what the file says counts only while a process holds it."""
    log = [{"time": 100.0, "event": "run", "pid": 4711}]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(event) + "\n" for event in log))
    step = tmp_path / ".work" / "documents-extract-0123456789abcdef"
    (step / ".aside").mkdir(parents=True)
    beat = {"part": "pages 7", "item": "item 257", "rows": 3}
    (step / ".aside" / "heartbeat-00007.json").write_text(json.dumps(beat))
    os.utime(step / ".aside", (695.0, 695.0))
    (tmp_path / ".work" / "links-read-0123456789abcdef").mkdir()  # finished: no .aside
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        json.dump(HOLDER, lock)
        lock.flush()
        assert status(tmp_path)["building"] == {**HOLDER, "since_s": 100.0}
        assert list(watch.lines(tmp_path, 700.0)) == [
            "process 4711 on here works here for 10 min: webtext build",
            "documents: extract: 0 parts done, pages 7 at item 257 (last sign of life 5 s ago)",
        ]
    assert "building" not in status(tmp_path)
    (told,) = watch.lines(tmp_path, 700.0)
    assert told.startswith("nobody works here: process 4711 on here was killed; what is done is")


def test_how_the_last_build_ended_is_told_and_a_line_cut_by_a_kill_is_no_event(tmp_path):
    end = {"time": 100.0, "event": "end", "error": "Stopped: stopped by SIGTERM"}
    (tmp_path / "log.jsonl").write_text(json.dumps(end) + '\n{"time": 1')
    (told,) = watch.lines(tmp_path, 700.0)
    assert told.startswith("nobody works here: the last build ended at 19")
    assert told.endswith(": Stopped: stopped by SIGTERM")
