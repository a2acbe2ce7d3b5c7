"""log.jsonl of a run, and the live line on stderr.

Each line of log.jsonl is a JSON object. `step` counts optimizer steps that are done; losses are
means in nats a token; a number that is not finite is null. By `kind`:

- run: a process begins: step, parameters, ranks, uniform_loss (ln V, of a model that knows
  nothing), unigram_loss (entropy of single tokens), released_loss (of OpenAI's weights of this
  size over these held-out tokens, or null)
- step: loss (of the global batch, before the step), lr (the rate), grad_norm (before clipping),
  tokens (seen in all), tokens_per_s (since the line before, without looks and samples)
- eval: a look at the fixed held-out tokens: val_loss, val_tokens (targets)
- sample: text
- save: a checkpoint of this step is being written
- fault: a step that was left out: loss, grad_norm, windows (file:first token of each sequence),
  documents (ids) and their urls ("" if not known); or problem: a checkpoint that could not be
  written
"""

import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any, TextIO

LIVE_S, PLAIN_S = 0.2, 30.0  # how often the line is renewed on a terminal, and without one


class RunLog:
    """Appends one JSON object a line: kind "run", "step", "eval", "sample", "save" or "fault"."""

    def __init__(self, path: Path | None) -> None:
        """None writes nothing: the ranks after the first."""
        self.path = path or Path(os.devnull)
        self._file = self.path.open("a", encoding="utf-8")

    def cut(self, step: int) -> None:
        """Take back the lines after `step`, which a kill undid, and torn ones."""
        if not self.path.is_file():
            return
        self._file.close()
        kept = [
            line
            for line in self.path.read_text(encoding="utf-8").split("\n")
            if _stands(line, step)
        ]
        aside = self.path.with_suffix(".tmp")
        aside.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
        aside.replace(self.path)
        self._file = self.path.open("a", encoding="utf-8")

    def write(self, kind: str, **values: Any) -> None:
        """One line, on disk at once; a number that is not finite is written as null."""
        plain = {
            k: None if isinstance(v, float) and not math.isfinite(v) else v
            for k, v in values.items()
        }
        self._file.write(json.dumps({"kind": kind, **plain}, ensure_ascii=False) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _stands(line: str, resumed_step: int) -> bool:
    try:
        entry = json.loads(line)
    except ValueError:
        return False
    return entry["kind"] in ("run", "fault") or entry["step"] <= resumed_step


class LiveLine:
    """Progress for people: one renewed line on a terminal, else a line every 30 seconds."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stderr
        self.terminal = self.stream.isatty()
        self._last = 0.0
        self._open = False

    def show(self, text: str, *, now: bool = False) -> None:
        """Show the newest state, if it is time."""
        every = LIVE_S if self.terminal else PLAIN_S
        if not now and time.monotonic() - self._last < every:
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


def duration(seconds: float) -> str:
    """A time for people: 45 s, 12 min, 3.4 h, 2.1 days."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 36 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"
