"""The whole flow gives the same whatever happens to it: cut otherwise, killed, interrupted."""

import json
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.engine import leftovers
from pipeline.engine.store import Disk
from pipeline.lines import Lines
from tools.clean import clean
from tools.model import WORK
from tools.status import status, verify

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
STAGES = ("links", "pages", "documents", "corpus", "tokenizer", "shards", "model")
SEED = 6


def content(folder):
    """What a build holds, without the number of its parts."""
    found = status(folder)
    for stage in found["stages"].values():
        del stage["parts"]
    return found


def cut_dumps(paths, folder, count):
    """The submissions of all dumps in another order, in so many files."""
    lines = []
    for path in paths:
        with Lines(path) as found:
            lines += [line.rstrip(b"\n") for line in found]
    random.Random(SEED).shuffle(lines)
    folder.mkdir()
    for number in range(count):
        mine = b"".join(line + b"\n" for line in lines[number::count])
        (folder / f"RS_{number}.jsonl").write_bytes(mine)


OTHERWISE = {
    "one dump, one worker": (1, ["--engine.workers", "1", "--engine.buckets", "1"]),
    "seven dumps, other parts": (7, ["--pages.range-bytes", "1000000", "--engine.buckets", "4"]),
    "the runner's shuffle": (2, ["--engine.exchange", "shuffle", "--engine.workers", "3"]),
}


@pytest.mark.parametrize("how", OTHERWISE)
def test_other_parts_workers_and_transports_give_the_same_rows(finished, webtext, tmp_path, how):
    count, words = OTHERWISE[how]
    cut_dumps(finished.input.dumps, tmp_path / "input", count)
    settings = finished.input.settings_path.read_text(encoding="utf-8")
    named = {"dumps": ["RS_*.jsonl"], "warcs": list(map(str, finished.input.warcs))}
    for name, paths in named.items():
        settings = re.sub(rf"(?m)^{name} = .*", f"{name} = {json.dumps(paths)}", settings)
    (tmp_path / "input" / "webtext.toml").write_text(settings, encoding="utf-8")
    out = tmp_path / "build"
    webtext("build", tmp_path / "input" / "webtext.toml", "--out", out, "--to", "shards", *words)
    wanted = content(finished.folder)
    del wanted["stages"]["model"]
    assert content(out) == wanted


class Driver:
    """A build in a process of its own, to be disturbed."""

    def __init__(self, words, out):
        self.out = out
        self.seen = self.events()
        program = [sys.executable, "-P", "-m", "tools.cli"]
        self.process = subprocess.Popen(
            [*program, *words, "--out", str(out)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def events(self):
        path = self.out / "log.jsonl"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def began(self, stage):
        """Whether this run is at the stage."""
        if stage == "model":
            return any((self.out / WORK).glob("model-*/checkpoints/step-*"))
        lines = (self.out / "log.jsonl").read_text().splitlines() if self.events() else []
        events = [json.loads(line) for line in lines[self.seen :]]
        return any(e["event"] == "stage" and e["stage"] == stage for e in events)

    def disturb(self, stage, signum, after_s):
        """Send the signal so long after the stage began; the exit code and stderr."""
        deadline = time.monotonic() + 300
        while not self.began(stage) and self.process.poll() is None:
            assert time.monotonic() < deadline, f"{stage} did not begin"
            time.sleep(0.02)
        time.sleep(after_s)
        self.process.send_signal(signum)
        _, told = self.process.communicate(timeout=100)
        return self.process.returncode, told

    def left(self):
        """The processes that it left behind, if they stay for ten seconds."""
        deadline = time.monotonic() + 10
        while (found := self.living()) and time.monotonic() < deadline:
            time.sleep(0.1)
        return found

    def living(self):
        """Its workers, by their process group, and its trainer, by the folder it works in."""
        found = []
        for path in Path("/proc").glob("[0-9]*"):
            try:
                words = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                state, _, group = (path / "stat").read_text().rpartition(")")[2].split()[:3]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if state != "Z" and (int(group) == self.process.pid or str(self.out) in words):
                found.append(words)
        return found


def test_a_build_that_is_killed_in_every_stage_ends_like_an_undisturbed_one(
    finished, webtext, tmp_path
):
    out, rng = tmp_path / "build", random.Random(SEED)
    for stage in STAGES:
        driver = Driver(finished.words, out)
        code, told = driver.disturb(stage, signal.SIGKILL, rng.uniform(0, 1.5))
        assert code == -signal.SIGKILL, (stage, told)
        assert driver.left() == []
    webtext(*finished.words, "--out", out)
    assert content(out) == content(finished.folder)
    clean(out, now=True)
    assert leftovers.unnamed_files(Disk(out)) == []
    assert not list((out / WORK).iterdir())
    assert verify(out).damaged == []
    assert content(out) == content(finished.folder)


def test_a_build_that_is_interrupted_in_every_stage_leaves_politely_and_can_be_resumed(
    finished, webtext, tmp_path
):
    out, rng = tmp_path / "build", random.Random(SEED)
    for number, stage in enumerate(STAGES):
        signum, wanted = ((signal.SIGINT, 130), (signal.SIGTERM, 75))[number % 2]
        driver = Driver(finished.words, out)
        code, told = driver.disturb(stage, signum, rng.uniform(0, 0.3))
        assert code == wanted, (stage, told)
        assert "stopping; what is done is kept" in told
        assert "what is done is kept; the same command goes on" in told
        assert "Traceback" not in told
        assert driver.left() == []
    webtext(*finished.words, "--out", out)
    assert content(out) == content(finished.folder)
