"""The trainer as a build's child, which never outlives the build.

    python -m tools.trainer '[["evaluate", "model"], ["sample", "model"]]'

It runs these commands of the trainer, and `overlap`, one after the other, up to one that fails.
Its stdin is a pipe from the build that nothing is written to. When the build ends, however it ends,
the pipe closes; then this process ends at once, since another build may take up the run from its
last checkpoint.
"""

import json
import os
import signal
import sys
import threading

from train.__main__ import main


def _leave_with_the_build() -> None:
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGKILL)


def _run(words: list[str]) -> int:
    """One command; its exit code."""
    if words[0] != "overlap":
        return main(words, "webtext")
    from tools.cli import main as webtext  # late: the trainer has no need of it

    return webtext(words)


if __name__ == "__main__":
    threading.Thread(target=_leave_with_the_build, daemon=True).start()
    for words in json.loads(sys.argv[1]):
        if code := _run(words):
            sys.exit(code)
