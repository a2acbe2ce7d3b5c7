"""Ctrl-C and SIGTERM from the first line of the program on, with real processes."""

import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from pipeline.errors import Stopped
from tools import cli
from tools.cli import NAMES, main

REPO = Path(__file__).resolve().parents[2]
PROGRAM = "import sys; from tools.entry import main; sys.exit(main())"
BOTH = pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])


def started(*words, path=()):
    return subprocess.Popen(
        [sys.executable, "-P", "-c", PROGRAM, *words],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([*map(str, path), str(REPO)])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_the_console_script_is_this_entry():
    project = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["scripts"] == {"webtext": "tools.entry:main"}


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_empty_ones_and_no_file_gets_their_number(tmp_path, closed):
    (tmp_path / "t.jsonl").write_text('{"text": "The ferry left at nine."}\n')
    words = f'"$@" {"- " if "<" in closed else ""}{closed}'
    command = [sys.executable, "-P", "-c", PROGRAM, "dedup", "t.jsonl", "--out", "d.jsonl"]
    told = subprocess.run(
        ["sh", "-c", words, "sh", *command],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(REPO)}, check=False,
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    assert (told.returncode, told.stderr.count("Traceback")) == (0, 0)
    assert (tmp_path / "d.jsonl").read_text().count('"keep":true') == 1


# Short sleeps: a signal that comes just before a long one would be answered after it.
AT_WORK = "import time\nprint('at it', flush=True)\nfor _ in range(600):\n    time.sleep(0.1)"


@BOTH
def test_a_signal_while_libraries_are_imported_ends_without_a_traceback(tmp_path, signum, code):
    (tmp_path / "cyclopts.py").write_text(AT_WORK)
    webtext = started("status", ".", path=[tmp_path])
    assert webtext.stdout.readline() == "at it\n"
    webtext.send_signal(signum)
    _, told = webtext.communicate(timeout=60)
    assert webtext.returncode == code
    assert told == "\nwebtext: stopped before any work; nothing was changed\n"


def test_no_traceback_of_ours_at_any_moment_of_the_first_second(tmp_path):
    codes = set()
    for number in range(16):
        webtext = started("status", str(tmp_path))
        time.sleep(number * 0.06)
        webtext.send_signal(signal.SIGINT)
        _, told = webtext.communicate(timeout=60)
        # The interpreter's own start, some 20 ms, is before our first line; it ends with 1.
        assert str(REPO) not in told.replace(str(REPO / ".venv"), ""), told
        if "init_import_site" not in told:
            codes.add(webtext.returncode)
    assert codes <= {130, 2, -signal.SIGINT}


def test_a_job_that_ignores_ctrl_c_goes_on_ignoring_it(tmp_path):
    (tmp_path / "cyclopts.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\nprint('went on', flush=True)\n"
        "raise SystemExit(7)"
    )
    words = [sys.executable, "-P", "-c", PROGRAM, "status", "."]
    done = subprocess.run(
        words,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{REPO}"},
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )
    assert (done.returncode, done.stdout) == (7, "went on\n")


def test_an_interrupt_that_python_would_lose_in_a_callback_ends_the_process():
    program = (
        "import sys; from tools import entry; sys.unraisablehook = entry._unraisable\n"
        "class Lost:\n    def __del__(self): raise KeyboardInterrupt\n"
        "Lost(); print('went on')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPO, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (130, "")
    assert "Traceback" not in done.stderr


def test_what_would_abort_the_interpreter_as_it_ends_ends_no_command():
    program = (
        "import atexit, os, sys; from tools import cli, entry\n"
        "class Late:\n    def __del__(self): os.abort()\n"
        "late = Late(); cli.main = lambda: 3; atexit.register(print, 'at exit')\n"
        "sys.exit(entry.main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=REPO, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (3, "at exit\n")


@pytest.mark.parametrize("name", NAMES)
@BOTH
def test_each_command_says_what_a_signal_leaves_and_how_to_go_on(
    monkeypatch, capsys, name, signum, code
):
    def stopped(words):
        raise KeyboardInterrupt if signum == signal.SIGINT else Stopped(signum)

    monkeypatch.setattr(cli, "_run", stopped)
    assert main([*name.split(), "x", "--out", "y"]) == code
    told = capsys.readouterr().err
    assert told.startswith(f"webtext: stopped by {'Ctrl-C' if code == 130 else 'SIGTERM'}; ")
    changes = {"demo", "build", "links", "fetch", "extract", "shards"} | {
        "tokenizer count",
        "tokenizer train",
    }
    assert ("the same command goes on" in told) == (name in changes)
    if name in ("status", "look", "why", "plan", "init", "report"):
        assert "nothing was changed; run it again" in told
    assert told.count("\n") == 1
