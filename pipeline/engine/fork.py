"""One item after the other, each in a forked child of this very process: for a command in a hurry.

A worker of the pool imports everything anew, a second of work; a child has it all from its parent
and costs milliseconds. Only for a process whose modules bear a fork: not Beam's.
"""

import os
import pickle
import select
import signal
import time
from collections.abc import Callable
from typing import Any, NoReturn

from pipeline.engine.limits import (
    Limits,
    fault_of_death,
    leave_signals_to_parent,
    over_time,
    under_limits,
)

READ_BYTES = 1 << 20
ASKING = {signal.SIGINT, signal.SIGTERM}


def run_forked(function: Callable[[], Any], limits: Limits) -> Any:
    """What the function gives in a child process, or the Fault that it was.

    The child has the parent's memory as it is now, and a CPU clock of its own. What it changes is
    lost. It ends with the call, also where that is left by an exception.
    """
    read_end, write_end = os.pipe()
    # Libraries have callbacks around a fork, and what a handler raises in these is swallowed.
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ASKING)
    pid = os.fork()
    if pid == 0:
        _work(function, limits, write_end, mask)
    os.close(write_end)
    sent = None
    try:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        sent = _received(read_end, limits.wall_s)
    finally:
        os.close(read_end)
        if sent is None:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    if sent is None:
        return over_time(limits)
    if exitcode := os.waitstatus_to_exitcode(status):
        return fault_of_death(exitcode, limits)
    return pickle.loads(sent)


def _work(
    function: Callable[[], Any], limits: Limits, write_end: int, mask: set[int | signal.Signals]
) -> NoReturn:
    try:
        leave_signals_to_parent()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        value, _ = under_limits(function, limits)
        with open(write_end, "wb") as file:
            pickle.dump(value, file)
        os._exit(0)
    finally:  # never back into the parent's code, whose output waits in our buffers too
        os._exit(1)


def _received(read_end: int, wall_s: float) -> bytes | None:
    """All that comes until the other end closes; None where that takes longer."""
    pieces: list[bytes] = []
    deadline = time.monotonic() + wall_s
    while select.select([read_end], [], [], max(0.0, deadline - time.monotonic()))[0]:
        if not (piece := os.read(read_end, READ_BYTES)):
            return b"".join(pieces)
        pieces.append(piece)
    return None
