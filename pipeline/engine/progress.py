"""How far a build is: a live line on a terminal, else a plain line every 30 seconds.

Parts are counted by their records, so this sees the same on every runner. What is seen is told to
the store too (`Standing`), for a status that is asked on any machine.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.status import Status

from pipeline.engine.control import Run
from pipeline.engine.ledger import Ledger, Ledgers, total
from pipeline.engine.log import Log as Log
from pipeline.engine.parts import AnyPart, Committed

PLAIN_EVERY_S = 30.0
LIVE_EVERY_S = 0.5
TELL_EVERY_S = 5.0
PARTS_NAMED = 2


@dataclass(frozen=True)
class Standing:
    """How far a step is. `rows` and `drops` are of the first unit that it books.

    `rows_per_s` and `left_s` are reckoned from this run's parts; None before the first of them.
    """

    stage: str
    step: str
    parts: int
    done: int
    unit: str
    rows: int
    kept: int
    drops: dict[str, int]
    faults: int
    rows_per_s: float | None
    left_s: float | None
    counted: str = "parts"  # what `parts` and `done` count
    also: str = ""

    def line(self) -> str:
        """One line for people."""
        line = f"{self.stage}: {self.step}: {self.done:,} of {self.parts:,} {self.counted}"
        if self.rows:
            line += f", {self.rows:,} {self.unit}, {self.kept / self.rows:.0%} kept"
            line += "".join(f", {reason} {n:,}" for reason, n in list(self.drops.items())[:2])
        if self.left_s is not None and self.rows_per_s is not None:
            line += f" ({self.rows_per_s:,.0f}/s, {told_s(self.left_s)} left)"
        return f"{line}; {self.also}" if self.also else line


def told_s(seconds: float) -> str:
    """A time to come, as people say it."""
    if seconds > 5400:
        return f"about {seconds / 3600:.1f} h"
    return f"about {seconds / 60:.0f} min" if seconds > 90 else f"{seconds:.0f} s"


class Progress:
    """One line for the step at work, on stderr."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._console = Console(stderr=True, highlight=False, quiet=quiet)
        self._live: Status | None = None
        self._shown = self._told = time.monotonic()

    def say(self, text: str) -> None:
        """A line that stays; where no terminal shows it as it comes, with the time."""
        if not self._console.is_terminal:
            text = f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {text}"
        self._console.print(text, markup=False, soft_wrap=True)

    def begin(self, stage: str, step: str, parts: Sequence[AnyPart], committed: Committed) -> None:
        """A step starts (or goes on), with these parts in all."""
        self.close()
        self._step = stage, step, len({part.fingerprint for part in parts})
        self._started = self._shown = self._told = time.monotonic()
        self._committed = committed
        self._sums: Ledgers = {}
        self._faults = 0
        ledger = self._look()[1]
        self._before = len(committed), ledger.rows_in  # parts and rows that were there already
        if self._console.is_terminal:
            self._live = self._console.status(f"{stage}: {step}")
            self._live.start()

    def update(self, run: Run) -> None:
        """Look for new records; show the line and tell the store when their times have come."""
        now = time.monotonic()
        live_s = max(LIVE_EVERY_S, run.store.patience_s)
        show = now - self._shown >= (live_s if self._live else PLAIN_EVERY_S)
        tell = now - self._told >= max(TELL_EVERY_S, run.store.patience_s)
        if not show and not tell:
            return
        before, standing = len(self._committed), self._standing(now)
        if tell:
            self._told = now
            run.tell(asdict(standing))
        if show:
            self._shown, line = now, standing.line()
            if standing.done == before:
                line += _at_work(run)
            if self._live:
                self._live.update(line)
            else:
                self.say(line)

    def show(self, run: Run, standing: Standing) -> None:
        """As `update`, of work that is in no parts."""
        now = time.monotonic()
        if self._live is None and self._console.is_terminal:
            self._live = self._console.status(standing.line())
            self._live.start()
        if now - self._told >= max(TELL_EVERY_S, run.store.patience_s):
            self._told = now
            run.tell(asdict(standing))
        if now - self._shown >= (LIVE_EVERY_S if self._live else PLAIN_EVERY_S):
            self._shown = now
            if self._live:
                self._live.update(standing.line())
            else:
                self.say(standing.line())

    def end(self, ledgers: Ledgers) -> None:
        """The step is finished: what became of its rows."""
        self.close()
        seconds = time.monotonic() - self._started
        books = "; ".join(
            f"{led.rows_in:,} {unit}, {led.rows_out:,} kept"
            + (f", {led.merged:,} merged" if led.merged else "")
            + _commonest(led)
            for unit, led in ledgers.items()
        )
        stage, step, _ = self._step
        self.say(f"{stage}: {step}: {books or 'done'} ({seconds:.1f} s)")

    def close(self) -> None:
        """Give the terminal back, also where a step failed."""
        if self._live:
            self._live.stop()
            self._live = None

    def _look(self) -> tuple[str, Ledger]:
        """Read the records that are new; the step's first unit and its rows so far."""
        fresh = self._committed.refresh()
        self._sums = total([self._sums, *(record.ledgers for record in fresh)])
        self._faults += sum(len(record.faults) for record in fresh)
        return next(iter(self._sums.items()), ("rows", Ledger()))

    def _standing(self, now: float) -> Standing:
        unit, ledger = self._look()
        stage, step, parts = self._step
        done, seconds = len(self._committed), now - self._started
        fresh_parts, fresh_rows = done - self._before[0], ledger.rows_in - self._before[1]
        going = fresh_parts > 0 and done < parts
        return Standing(
            stage=stage,
            step=step,
            parts=parts,
            done=done,
            unit=unit,
            rows=ledger.rows_in,
            kept=ledger.rows_out + ledger.merged,
            drops=dict(ledger.drops.most_common()),
            faults=self._faults,
            rows_per_s=fresh_rows / seconds if going else None,
            left_s=seconds / fresh_parts * (parts - done) if going else None,
        )


def _commonest(ledger: Ledger) -> str:
    """The three commonest reasons of a ledger, and how many rows fell for others."""
    shown = ledger.drops.most_common(3)
    others = ledger.dropped - sum(count for _, count in shown)
    told = "".join(f", {reason} {count:,}" for reason, count in shown)
    return f"{told}, {others:,} for other reasons" if others else told


def _at_work(run: Run) -> str:
    """The parts at work, for a line that would say the same as the one before."""
    named = [
        f"{part['part']} at {part['item'] or 'its start'}"
        for part in run.heartbeats()[:PARTS_NAMED]
    ]
    return f"; {', '.join(named)}" if named else ""
