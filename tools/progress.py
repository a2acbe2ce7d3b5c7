"""How far a command without a build is: a live line on a terminal, else a line every 30 seconds."""

import sys
import time
from types import TracebackType
from typing import Self

PLAIN_EVERY_S = 30.0
LIVE_EVERY_S = 0.2
ERASE = "\r\x1b[K"


class Progress:
    """Called with what is being done, as often as one likes; a context manager, on stderr.

    At its end the terminal's line is as it was before.
    """

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        # The first plain line comes after a while: a short run says nothing.
        self._shown = float("-inf") if self._live else time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: TracebackType | None) -> None:
        if self._live:
            sys.stderr.write(ERASE)
            sys.stderr.flush()

    def __call__(self, text: str) -> None:
        """Show the text if its time has come."""
        now = time.monotonic()
        if now - self._shown < (LIVE_EVERY_S if self._live else PLAIN_EVERY_S):
            return
        self._shown = now
        sys.stderr.write(f"{ERASE}{text}" if self._live else f"{text}\n")
        sys.stderr.flush()
