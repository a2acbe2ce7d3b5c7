"""Ctrl-C and SIGTERM as requests that the loop grants at its next step, or within a long one."""

import signal
import threading
from types import FrameType
from typing import Any

ASKING = (signal.SIGINT, signal.SIGTERM)


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
