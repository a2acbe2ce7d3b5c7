"""Ctrl-C and SIGTERM: requests that the loop grants at its next step, or within a long one.

Outside the loop they end the process at once: what is written is written whole or not at all, and
an exception would not do. Within the import of a library it may come out as another error, or not
at all, and torch goes on importing until the first step.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

ASKING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def ending_at_once(told: Callable[[str], str]) -> Iterator[None]:
    """While open, Ctrl-C and SIGTERM end the process with the line `told(name of the signal)`.

    What is ignored stays ignored, and so it is outside the main thread.
    """

    def end(signum: int, _frame: FrameType | None) -> None:
        name, code = ("Ctrl-C", 130) if signum == signal.SIGINT else ("SIGTERM", 75)
        os.write(2, f"\n{told(name)}\n".encode(errors="replace"))
        os._exit(code)

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        heard = [s for s in ASKING if signal.getsignal(s) != signal.SIG_IGN]
        before = {signum: signal.signal(signum, end) for signum in heard}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


class StopSignals:
    """While open, notes SIGTERM and the first Ctrl-C in `received`; the second one interrupts."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopSignals":
        if threading.current_thread() is threading.main_thread():
            for signum in ASKING:
                self._before[signum] = signal.signal(signum, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _note(self, signum: int, _frame: FrameType | None) -> None:
        if self.received == signal.SIGINT == signum:
            raise KeyboardInterrupt
        self.received = signum
