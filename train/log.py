"""log.jsonl of a run, and the live line on stderr.

Each line of log.jsonl is a JSON object. `step` counts optimizer steps that are done; losses are
means in nats a token; a number that is not finite is null. By `kind`:

- run: a process begins: step, parameters, ranks, uniform_loss (ln V, of a model that knows
  nothing), unigram_loss (entropy of single tokens), released_loss (of OpenAI's weights of this
  size over these held-out tokens, or null)
- step: loss (of the global batch, before the step), lr (the rate), grad_norm (before clipping),
  tokens (seen in all), tokens_per_s (since the line before, without looks and samples)
- eval: a look at the fixed held-out tokens: val_loss, val_tokens (targets)
- suite: the tasks of --eval-suite: rows, one a metric, as `evaluate --suite --json` gives them
- sample: text
- save: a checkpoint of this step is being written
- fault: a step that was left out: loss, grad_norm, windows (file:first token of each sequence),
  documents (ids) and their urls ("" if not known), undone (true if the run went on from before that
  step, and so made it again); or problem: a checkpoint that could not be
  written, or older ones that made room for it
"""

import json
import math
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

PERPLEXED = math.log(sys.float_info.max)  # nats a token, whose exp is the largest number
LIVE_S, PLAIN_S = 0.2, 30.0  # how often the line is renewed on a terminal, and without one


class RunLog:
    """Appends one JSON object a line: kind "run", "step", "eval", "suite" and so on.

    Lines that the disk has no room for wait in memory until it has; `note` is told once.
    """

    def __init__(self, path: Path | None, note: Callable[[str], None]) -> None:
        """A path of None writes nothing: the ranks after the first."""
        self.path, self.note = path or Path(os.devnull), note
        self._file = self.path.open("ab", buffering=0)
        self._waiting = b""
        self._told = False

    def cut(self, step: int) -> None:
        """Take back torn lines and those after `step`, which a kill undid; faults are marked."""
        if not self.path.is_file():
            return
        before = self.path.read_bytes()
        # Lines are told apart as bytes: one that is torn may end within a character.
        after = b"".join(_after_undoing(line, step) for line in before.split(b"\n"))
        if after == before:
            return
        whole = [line for line in before.split(b"\n")[:-1] if line]  # the last one may be torn
        if damaged := sum(_entry(line) is None for line in whole):
            self.note(f"{self.path}: {damaged:,} damaged lines are left out")
        self._file.close()
        aside = self.path.with_suffix(".tmp")
        aside.write_bytes(after)
        aside.replace(self.path)
        self._file = self.path.open("ab", buffering=0)

    def write(self, kind: str, **values: Any) -> None:
        """One line, on disk at once if there is room; a number that is not finite becomes null."""
        self._waiting += _line({"kind": kind, **plain(values)}).encode()
        try:
            while self._waiting:
                self._waiting = self._waiting[self._file.write(self._waiting) :]
        except OSError as error:
            if not self._told:
                self.note(f"{self.path}: {error.strerror}; its lines wait in memory")
            self._told = True

    def close(self) -> None:
        """Close the file; lines that still wait are lost, and said to be."""
        self._file.close()
        if self._waiting:
            lost = self._waiting.count(b"\n")
            self.note(f"{self.path}: no room was found for the last {lost} lines; they are lost")


def read_log(run: Path) -> list[dict[str, Any]]:
    """The entries of a run's log.jsonl, if there is one; what is no whole entry is left out."""
    path = run / "log.jsonl"
    if not path.is_file():
        return []
    # Not splitlines(): JSON leaves U+2028 and its like as they are, and a model may say them.
    whole = path.read_bytes().split(b"\n")[:-1]
    return [entry for line in whole if (entry := _entry(line))]


def _entry(line: bytes) -> dict[str, Any] | None:
    """What a line says; None for one that is torn, or says neither a kind nor a step."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(entry, dict) and isinstance(entry.get("kind"), str)
    return entry if whole and type(entry.get("step")) is int else None


def _line(entry: dict[str, Any]) -> str:
    return json.dumps(entry, ensure_ascii=False) + "\n"


def _after_undoing(line: bytes, resumed_step: int) -> bytes:
    """A line of the log of a run that goes on from an earlier step; b"" if it does not stand."""
    entry = _entry(line)
    if entry is None:
        return b""
    if entry["kind"] == "run" or entry["step"] <= resumed_step or "problem" in entry:
        return line + b"\n"
    return _line({**entry, "undone": True}).encode() if entry["kind"] == "fault" else b""


class LiveLine:
    """Progress for people: one renewed line on a terminal, else a line every 30 seconds."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.terminal = self.stream.isatty()
        self._last = 0.0
        self._open = False

    def show(self, text: str) -> None:
        """Show the newest state, if it is time."""
        every = LIVE_S if self.terminal else PLAIN_S
        if time.monotonic() - self._last < every:
            return
        self._last = time.monotonic()
        if self.terminal:
            width = max(20, os.get_terminal_size(self.stream.fileno()).columns - 1)
            self.stream.write(f"\r\x1b[K{text[:width]}")
            self._open = True
        else:
            self.stream.write(text + "\n")
        self.stream.flush()

    def note(self, text: str) -> None:
        """A line that stays."""
        if self._open:
            self.stream.write("\n")
            self._open = False
        self.stream.write(text + "\n")
        self.stream.flush()


def plain(value: Any) -> Any:
    """A value for JSON, which has no word for a number that is not finite: None stands for it."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def perplexity(loss: float) -> float | None:
    """exp(loss), a token; None where no number is that large, or the loss is none."""
    return math.exp(loss) if loss < PERPLEXED else None


def told_perplexity(loss: float) -> str:
    """The perplexity for people."""
    found = perplexity(loss)
    if found is None:
        return f"beyond {sys.float_info.max:.0e}" if loss >= PERPLEXED else "not a number"
    return f"{found:.2f}" if found < 1e6 else f"{found:.2e}"


def duration(seconds: float) -> str:
    """A time for people: 45 s, 12 min, 3.4 h, 2.1 days."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 36 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"
