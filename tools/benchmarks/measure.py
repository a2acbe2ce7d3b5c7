"""Runs a function in a fresh process and tells what its whole tree of processes used (Linux)."""

import ctypes
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PR_SET_CHILD_SUBREAPER = 36  # of prctl(2)
SAMPLE_S = 0.1
SAID_CHARS = 2_000  # of what a process that failed said last
SAMPLING_SHARE = 0.01  # of a core, at most: a look at every page of a tree takes its time


@dataclass(frozen=True)
class Usage:
    """What a run used; memory is sampled up to ten times a second.

    `tree_bytes` is the peak of the sum of proportional set sizes (pages that processes share count
    once), `process_bytes` the peak resident size of the largest process.
    """

    wall_s: float
    cpu_s: float
    tree_bytes: int
    process_bytes: int
    result: Any


def measure(function: str, *args: Any, python: str = sys.executable) -> Usage:
    """`function` ("tools.benchmarks.engine:build") of JSON-able arguments, in a new process.

    Raises CalledProcessError, with what it said, if it fails. CPU seconds are those of its whole
    tree, its imports included. `python` may be one of another environment.
    """
    module, name = function.split(":")
    code = f"import json, sys, {module} as m; print(json.dumps(m.{name}(*json.loads(sys.argv[1]))))"
    command = [python, "-c", code, json.dumps(args)]
    started = time.monotonic()
    # What it does not wait for itself (a server that forks, of multiprocessing) becomes our child.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    # A file takes results of any size; a pipe that nobody reads is full after 64 kB.
    with (
        tempfile.TemporaryFile() as output,
        tempfile.TemporaryFile() as complaints,
        subprocess.Popen(
            command, stdout=output, stderr=complaints, start_new_session=True
        ) as process,
    ):
        tree_bytes = process_bytes = 0
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            looked_s = time.thread_time()
            sizes = list(_sizes(process.pid))
            tree_bytes = max(tree_bytes, sum(pss for pss, _ in sizes))
            process_bytes = max([process_bytes, *(rss for _, rss in sizes)])
            time.sleep(max(SAMPLE_S, (time.thread_time() - looked_s) / SAMPLING_SHARE))
        wall_s = time.monotonic() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        cpu_s = usage.ru_utime + usage.ru_stime + _left_s(process.pid)
        output.seek(0)
        complaints.seek(0)
        result, said = output.read(), complaints.read().decode(errors="replace")
    if process.returncode:
        error = subprocess.CalledProcessError(process.returncode, command, result, said)
        error.add_note(said[-SAID_CHARS:])
        raise error
    return Usage(wall_s, cpu_s, tree_bytes, process_bytes, json.loads(result))


def _left_s(group: int) -> float:
    """CPU seconds of what is left of a group of processes, which end without their parent."""
    cpu_s = 0.0
    while True:
        try:
            _, _, usage = os.wait4(-group, 0)
        except ChildProcessError:
            return cpu_s
        cpu_s += usage.ru_utime + usage.ru_stime


def _sizes(session: int) -> Iterator[tuple[int, int]]:
    """Proportional and resident bytes of each process of a session."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if int((path / "stat").read_text().rpartition(")")[2].split()[3]) != session:
                continue
            rollup = (path / "smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        facts = {line.split()[0]: int(line.split()[1]) for line in rollup.splitlines()[1:]}
        yield facts["Pss:"] << 10, facts["Rss:"] << 10


def show(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table."""
    print(f"| {' | '.join(columns)} |")
    print("|---" * len(columns) + "|")
    for row in rows:
        print(f"| {' | '.join(row)} |")
