"""How far a build is: a live line on a terminal, else a plain line every 30 seconds.

Parts are counted by their records, so this sees the same on every runner.
"""

import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.status import Status

from pipeline.engine import names
from pipeline.engine.ledger import Ledger, Ledgers, total
from pipeline.engine.log import Log as Log
from pipeline.engine.parts import Committed, Part
from pipeline.engine.store import Store

PLAIN_EVERY_S = 30.0
LIVE_EVERY_S = 0.5
PARTS_NAMED = 2


class Progress:
    """One line for the step at work, on stderr."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False, quiet=quiet)
        self._live: Status | None = None
        self._label, self._parts = "", 0

    def say(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text, markup=False, soft_wrap=True)

    def begin(self, label: str, parts: Sequence[Part], committed: Committed) -> None:
        """A step starts (or goes on), with these parts in all."""
        self.close()
        self._label, self._parts = label, len({part.fingerprint for part in parts})
        self._started = self._shown = time.monotonic()
        self._committed = committed
        self._sums: Ledgers = {}
        ledger = self._look()[1]
        self._before = len(committed), ledger.rows_in  # parts and rows that were there already
        if self._console.is_terminal:
            self._live = self._console.status(label)
            self._live.start()

    def update(self, store: Store, run: str) -> None:
        """Look for new records and show the line when its time has come."""
        now = time.monotonic()
        live_s = max(LIVE_EVERY_S, store.patience_s)
        if now - self._shown < (live_s if self._live else PLAIN_EVERY_S):
            return
        self._shown, before = now, len(self._committed)
        line = self._line(now, *self._look())
        if len(self._committed) == before:
            line += _at_work(store, run)
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

    def _look(self) -> tuple[str, Ledger]:
        """Read the records that are new; the step's first unit and its rows so far."""
        fresh = self._committed.refresh()
        self._sums = total([self._sums, *(record.ledgers for record in fresh)])
        return next(iter(self._sums.items()), ("rows", Ledger()))

    def _line(self, now: float, unit: str, ledger: Ledger) -> str:
        done, seconds = len(self._committed), now - self._started
        line = f"{self._label}: {done} of {self._parts} parts"
        if ledger.rows_in:
            kept = (ledger.rows_out + ledger.merged) / ledger.rows_in
            line += f", {ledger.rows_in:,} {unit}, {kept:.0%} kept"
            line += "".join(f", {reason} {n:,}" for reason, n in ledger.drops.most_common(2))
        fresh_parts, fresh_rows = done - self._before[0], ledger.rows_in - self._before[1]
        if fresh_parts and done < self._parts:
            left_s = seconds / fresh_parts * (self._parts - done)
            left = f"about {left_s / 60:.0f} min" if left_s > 90 else f"{left_s:.0f} s"
            line += f" ({fresh_rows / seconds:,.0f}/s, {left} left)"
        return line


def heartbeats(store: Store, run: str) -> list[dict[str, Any]]:
    """The parts at work in a run: part, item, rows, and when each was last heard of."""
    found = []
    for entry in store.entries(names.heartbeats(run)):
        if told := store.read_json(entry.name):  # a part that is finished takes its own away
            found.append({**told, "time_s": entry.time_s})
    return found


def _at_work(store: Store, run: str) -> str:
    """The parts at work, for a line that would say the same as the one before."""
    at_work = heartbeats(store, run)[:PARTS_NAMED]
    named = [f"{part['part']} at {part['item'] or 'its start'}" for part in at_work]
    return f"; {', '.join(named)}" if named else ""
