"""Items one after the other in a forked child of this very process: for a command in a hurry.

A worker of the pool imports everything anew, a second of work; a child has it all from its parent,
and what the first item loads is there for the second. One that an item ends is followed by another.
Only for a process whose modules bear a fork: not Beam's.
"""

import os
import pickle
import select
import signal
import time
from collections.abc import Callable
from functools import partial
from types import TracebackType
from typing import Any, BinaryIO, NoReturn, Self

from pipeline.engine.limits import (
    Limits,
    fault_of_death,
    leave_signals_to_parent,
    over_time,
    under_limits,
)

READ_BYTES = 1 << 20
SIZE_BYTES = 8
ASKING = {signal.SIGINT, signal.SIGTERM}


class Forked:
    """A function that is called in a child process: it gives a value, or the Fault that it was.

    A child has the parent's memory as it was at the first call. Each item has the whole limits.
    """

    def __init__(self, function: Callable[[Any], Any], limits: Limits) -> None:
        self._function, self._limits = function, limits
        self._child: _Child | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._child:
            self._child.end(kill=True)
            self._child = None

    def __call__(self, item: Any) -> Any:
        """What the function gives for an item; no child outlives a call that is interrupted."""
        child = self._child = self._child or _Child(self._function, self._limits)
        sent = None
        try:
            sent = child.ask(pickle.dumps(item), time.monotonic() + self._limits.wall_s)
        finally:
            if not sent:
                self._child = None
                exitcode = child.end(kill=sent is None)
        if sent is None:
            return over_time(self._limits)
        return pickle.loads(sent) if sent else fault_of_death(exitcode, self._limits)


class _Child:
    """A forked process that waits for items."""

    def __init__(self, function: Callable[[Any], Any], limits: Limits) -> None:
        items_end, self._items = os.pipe()
        self._values, values_end = os.pipe()
        # Libraries have callbacks around a fork, and what a handler raises in these is swallowed.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, ASKING)
        self._pid = os.fork()
        if self._pid == 0:
            os.close(self._items)
            os.close(self._values)
            _work(function, limits, items_end, values_end, mask)
        os.close(items_end)
        os.close(values_end)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def ask(self, item: bytes, deadline: float) -> bytes | None:
        """The pickled value; b"" where the process ended, None where it takes too long."""
        try:
            with open(self._items, "wb", closefd=False) as file:
                _send(file, item)
        except BrokenPipeError:
            return b""
        size = self._read(SIZE_BYTES, deadline)
        return self._read(int.from_bytes(size, "little"), deadline) if size else size

    def _read(self, size: int, deadline: float) -> bytes | None:
        pieces: list[bytes] = []
        while size:
            wait_s = max(0.0, deadline - time.monotonic())
            if not select.select([self._values], [], [], wait_s)[0]:
                return None
            if not (piece := os.read(self._values, min(size, READ_BYTES))):
                return b""
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def end(self, *, kill: bool) -> int:
        """Wait for the end of the process; its exit code."""
        os.close(self._items)
        os.close(self._values)
        if kill:
            os.kill(self._pid, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])


def _send(file: BinaryIO, data: bytes) -> None:
    file.write(len(data).to_bytes(SIZE_BYTES, "little"))
    file.write(data)


def _work(
    function: Callable[[Any], Any],
    limits: Limits,
    items_end: int,
    values_end: int,
    mask: set[int | signal.Signals],
) -> NoReturn:
    try:
        leave_signals_to_parent()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        with open(items_end, "rb") as items, open(values_end, "wb") as values:
            while size := int.from_bytes(items.read(SIZE_BYTES), "little"):
                item = pickle.loads(items.read(size))
                value, _ = under_limits(partial(function, item), limits)
                _send(values, pickle.dumps(value))
                values.flush()
        os._exit(0)
    finally:  # never back into the parent's code, whose output waits in our buffers too
        os._exit(1)
