"""One live line on a terminal, a plain one every 30 seconds elsewhere, and a log."""

import io
import json
import re
from collections import Counter

import pytest
import toy
from rich.console import Console

from pipeline.engine import progress
from pipeline.engine.control import Run, run_at_work
from pipeline.engine.ledger import Ledger
from pipeline.engine.log import Log
from pipeline.engine.parts import Committed, Part
from pipeline.engine.progress import Progress
from pipeline.engine.store import Disk
from pipeline.engine.writer import PartWriter
from pipeline.errors import StageError
from pipeline.reasons import Reason


@pytest.fixture
def terminal(monkeypatch) -> io.StringIO:
    """A terminal's stderr."""
    stream = io.StringIO()

    def console(**options) -> Console:
        options.pop("stderr")
        return Console(file=stream, force_terminal=True, width=100, **options)

    monkeypatch.setattr(progress, "Console", console)
    monkeypatch.setattr(progress, "LIVE_EVERY_S", 0.0)
    return stream


def test_a_terminal_gets_a_live_line_and_gets_its_cursor_back(terminal, toys, inline):
    settings = toys.engine
    from pipeline.engine.build import Build
    from pipeline.settings import EngineSettings

    with Build(toys.folder, EngineSettings(**settings)) as build:
        from toy import stage

        build.run(stage())
    text = terminal.getvalue()
    assert "toy: read: 80 posts, 72 kept, url_invalid 8" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") > 0


def test_a_terminal_gets_its_cursor_back_after_a_failure(terminal, toys, inline):
    from toy import Options, stage

    from pipeline.engine.build import Build
    from pipeline.settings import EngineSettings

    with (
        pytest.raises(StageError),
        Build(toys.folder, EngineSettings(**toys.engine)) as build,
    ):
        build.run(stage(options=Options(str(toys.log), {"b": "raise KeyError"})))
    text = terminal.getvalue()
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") > 0


def undated(text: str) -> list[str]:
    """The lines of a build without a terminal, each of which begins with its time."""
    lines = text.splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ", line) for line in lines)
    return [line[21:] for line in lines]


def test_a_status_elsewhere_reads_how_far_the_run_is(tmp_path, monkeypatch):
    now, store, parts = [0.0], Disk(tmp_path), parts_of(4)
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    assert run_at_work(store) is None
    run, shown = Run(store, "run"), Progress(quiet=True)
    run.begin()
    shown.begin("links", "read", parts, Committed(store, "links", "read", parts))
    out = PartWriter(store, "links", "read", parts[1], toy.SCHEMA, run="run")
    out.heartbeat("line 7")
    commit(store, parts[0])
    now[0] = 10.0
    shown.update(run)
    said = run_at_work(store)
    assert (said["stage"], said["step"], said["done"], said["parts"]) == ("links", "read", 1, 4)
    assert (said["rows"], said["unit"], said["left_s"]) == (1000, "posts", 30.0)
    assert [(part["part"], part["item"]) for part in said["at_work"]] == [("1", "line 7")]
    run.end()
    assert run_at_work(store) is None


def parts_of(number: int) -> list[Part]:
    return [Part(n, f"{n}", f"{n}", fingerprint=f"{n:032x}") for n in range(number)]


def commit(store: Disk, part: Part) -> None:
    """A part of a thousand posts."""
    out = PartWriter(store, "links", "read", part, toy.SCHEMA)
    out.drop("posts", Reason.SELF_POST, id="a", count=60)
    out.drop("posts", Reason.REMOVED, id="b", count=40)
    out.book("posts", rows_in=1000, rows_out=700, merged=200)
    out.commit()


def test_elsewhere_a_plain_line_comes_every_thirty_seconds(tmp_path, capsys, monkeypatch):
    now, store, parts = [0.0], Disk(tmp_path), parts_of(10)
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    shown = Progress()
    commit(store, parts[9])  # by an earlier run
    shown.begin("links", "read", parts, Committed(store, "links", "read", parts))
    for second in range(0, 61, 10):
        now[0] = float(second)
        commit(store, parts[second // 10])
        shown.update(Run(store, "run"))
    shown.end({"posts": Ledger(7000, 6000, 400, Counter(self_post=600))})
    assert undated(capsys.readouterr().err) == [
        "links: read: 5 of 10 parts, 5,000 posts, 90% kept, self_post 300, removed 200"
        " (133/s, 38 s left)",
        "links: read: 8 of 10 parts, 8,000 posts, 90% kept, self_post 480, removed 320"
        " (117/s, 17 s left)",
        "links: read: 7,000 posts, 6,000 kept, 400 merged, self_post 600 (60.0 s)",
    ]


def test_a_line_with_nothing_new_names_the_parts_at_work_and_their_items(
    tmp_path, capsys, monkeypatch
):
    now, store = [0.0], Disk(tmp_path)
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    parts = [Part(3, "RS_2019-06.zst", "digest", fingerprint="3"), *parts_of(1)]
    out = PartWriter(store, "links", "read", parts[0], toy.SCHEMA, run="run")
    shown = Progress()
    shown.begin("links", "read", parts, Committed(store, "links", "read", parts))
    out.heartbeat("line 1,340,000")
    now[0] = 31.0
    shown.update(Run(store, "run"))
    out.abandon()
    now[0] = 62.0
    shown.update(Run(store, "run"))
    assert undated(capsys.readouterr().err) == [
        "links: read: 0 of 2 parts; RS_2019-06.zst at line 1,340,000",
        "links: read: 0 of 2 parts",
    ]


def test_a_quiet_build_says_nothing(tmp_path, capsys):
    shown = Progress(quiet=True)
    parts = parts_of(1)
    shown.begin("links", "read", parts, Committed(Disk(tmp_path), "links", "read", parts))
    shown.say("hello")
    shown.end({})
    assert capsys.readouterr().err == ""


def test_the_log_keeps_one_object_a_line(tmp_path):
    log = Log(tmp_path / "log.jsonl")
    log.write("run", folder=tmp_path)
    log.write("fault", stack="a\nb")
    first, second = map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines())
    assert (first["event"], first["folder"]) == ("run", str(tmp_path))
    assert second["stack"] == "a\nb"


def test_a_line_that_a_full_disk_cut_does_not_spoil_the_next(tmp_path):
    path = tmp_path / "log.jsonl"
    Log(path).write("run")
    path.write_text(path.read_text() + '{"time": 1')
    Log(path).write("end")
    assert [json.loads(line)["event"] for line in path.read_text().splitlines()[::2]] == [
        "run",
        "end",
    ]


def test_a_log_that_cannot_be_written_never_stops_a_build(tmp_path, capsys):
    log = Log(tmp_path / "none" / "log.jsonl")
    log.write("run")
    log.write("end")
    assert capsys.readouterr().err == f"{tmp_path}/none/log.jsonl: No such file or directory\n"
