"""How far a build is: a live line on a terminal, else a plain line every 30 seconds; and its log.

Parts are counted by their sidecars, so this sees the same on every runner.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.status import Status

from pipeline.engine.ledger import Ledgers
from pipeline.engine.parts import read_sidecar

PLAIN_EVERY_S = 30.0
LIVE_EVERY_S = 0.5


class Progress:
    """One line for the step at work, on stderr."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False, quiet=quiet)
        self._live: Status | None = None
        self._label, self._parts = "", 0

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text, markup=False, soft_wrap=True)

    def begin(self, label: str, parts: int) -> None:
        """A step starts (or goes on) with so many parts in all."""
        self.close()
        self._label, self._parts = label, parts
        self._started = self._shown = time.monotonic()
        self._seen: dict[Path, int] = {}
        self._first_done: int | None = None
        if self._console.is_terminal:
            self._live = self._console.status(label)
            self._live.start()

    def update(self, folder: Path) -> None:
        """Look for new sidecars and show the line when its time has come."""
        now = time.monotonic()
        if now - self._shown < (LIVE_EVERY_S if self._live else PLAIN_EVERY_S):
            return
        self._shown = now
        for path in (folder / ".meta").glob("part-*.json"):
            if path not in self._seen:
                self._seen[path] = read_sidecar(path).rows
        if self._first_done is None:
            self._first_done = len(self._seen)
        line = self._line(now)
        if self._live:
            self._live.update(line)
        else:
            self.say(line)

    def end(self, ledgers: Ledgers) -> None:
        """The step is finished: what became of its rows."""
        self.close()
        seconds = time.monotonic() - self._started
        books = "; ".join(
            f"{led.rows_in:,} {unit}, {led.rows_out:,} kept"
            + (f", {led.merged:,} merged" if led.merged else "")
            + "".join(f", {reason} {n:,}" for reason, n in led.drops.most_common(3))
            for unit, led in ledgers.items()
        )
        self.say(f"{self._label}: {books or 'done'} ({seconds:.1f} s)")

    def close(self) -> None:
        """Give the terminal back, also where a step failed."""
        if self._live:
            self._live.stop()
            self._live = None

    def _line(self, now: float) -> str:
        done, seconds = len(self._seen), now - self._started
        line = f"{self._label}: {done} of {self._parts} parts, {sum(self._seen.values()):,} rows"
        fresh = done - (self._first_done or 0)
        if fresh and done < self._parts:
            left_s = seconds / fresh * (self._parts - done)
            line += (
                f", about {left_s / 60:.0f} min left" if left_s > 90 else f", {left_s:.0f} s left"
            )
        return line


class Log:
    """`log.jsonl`: runs, versions, faults with their stacks; one JSON object a line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, event: str, **facts: Any) -> None:
        """Append one event; a log that cannot be written never stops a build."""
        line = json.dumps({"time": round(time.time(), 3), "event": event, **facts}, default=str)
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            sys.stderr.write(f"{self._path}: {error.strerror}\n")
