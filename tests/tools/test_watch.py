import fcntl
import json
import os
import socket
from datetime import UTC, datetime

import pytest

from pipeline.engine import names
from pipeline.engine.control import Run
from pipeline.engine.progress import Standing
from pipeline.engine.store import Disk
from tools import watch
from tools.cli import main
from tools.demo.captures import Capture, write_warc
from tools.status import status

MOMENT = datetime(2015, 3, 1, tzinfo=UTC)
POST = {"url": "http://a.example/0", "score": 9, "created_utc": 1_350_000_000}


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
    assert main([*words, "--to", "links", "--links.karma-rule", "first"]) == 3
    return place / "build"


def test_a_stage_made_of_earlier_links_is_out_of_date(build, capsys):
    # Another rule, and the same links: nothing is out of date.
    assert status(build)["stages"]["pages"]["state"] == "done"
    path = build / "links" / "manifest.json"
    before = path.read_text()
    manifest = json.loads(before)
    del manifest["xxh3_128"]
    manifest["steps"][-1]["digest"] = "0" * 32
    path.write_text(json.dumps(manifest))
    try:
        stages = status(build)["stages"]
        assert (stages["links"]["state"], stages["pages"]["state"]) == ("done", "out of date")
        assert main(["status", str(build)]) == 0
        assert "out of date: pages: what they were made of" in capsys.readouterr().out
    finally:
        path.write_text(before)


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
    (tmp_path / "build.json").write_text("{}")
    assert main(["status", str(tmp_path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["stages"] == {}
    assert main(["status", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "no part of a stage is done yet\n"


def test_the_process_at_work_is_named_with_its_parts(tmp_path, monkeypatch):
    """The lock is the kernel's: what a run says counts only while a process holds it."""
    monkeypatch.setattr("sys.argv", ["webtext", "build"])
    store = Disk(tmp_path)
    run = Run(store, "abc")
    run.tell(vars(Standing("documents", "extract", 9, 3, "pages", 12, 9, {}, 2, None, None)))
    beat = {"part": "pages 7", "item": "item 257", "rows": 3}
    store.write_json(f"{names.heartbeats('abc')}/7.json", beat)
    for path in (tmp_path / "runs").rglob("*.json"):
        os.utime(path, (695.0, 695.0))
    who = f"process {os.getpid()} on {socket.gethostname()}"
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        store.write_json(names.FIXED, {})
        found = status(tmp_path)["at_work"]
        assert (found["pid"], found["stage"], found["done"]) == (os.getpid(), "documents", 3)
        assert list(watch.lines(store, {}, 700.0)) == [
            f"{who} works here: webtext build",
            "documents: extract: 3 of 9 parts, 12 pages, 75% kept, 2 faults",
            "  pages 7 at item 257, 3 rows",
            "last sign of life 5 s ago",
        ]
    assert "at_work" not in status(tmp_path)
    (told,) = watch.lines(store, {}, 700.0)
    assert told.startswith(f"nobody works here: {who} was killed; what is done is kept")


def test_how_the_last_build_ended_is_told_and_a_line_cut_by_a_kill_is_no_event(tmp_path):
    end = {"time": 100.0, "event": "end", "error": "Stopped: stopped by SIGTERM"}
    (tmp_path / "log.jsonl").write_text(json.dumps(end) + '\n{"time": 1')
    (told,) = watch.lines(Disk(tmp_path), {}, 700.0)
    assert told.startswith("nobody works here: the last build ended at 19")
    assert told.endswith(": Stopped: stopped by SIGTERM")
