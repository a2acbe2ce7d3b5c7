"""`--profile N`: what the time of N steps goes to, by torch.profiler.

It begins after a few steps, when everything is compiled and allocated, ends by itself, and writes
`profile.json.gz` into the run's folder, which ui.perfetto.dev and chrome://tracing open. A resumed
run does not profile again unless it is told to.
"""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import torch
from torch.profiler import ProfilerActivity, profile

WARM_UP_STEPS = 5
ROWS = 10  # operators that the table names


class StepTrace:
    """A context around the training loop, which calls `step()` before each of its steps."""

    def __init__(self, steps: int, folder: Path, device: str, note: Callable[[str], None]) -> None:
        """`steps` 0 traces nothing."""
        self.path = folder / "profile.json.gz"
        self._steps, self._device, self._note = steps, device, note
        self._done = 0
        self._profile: profile | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._profile:  # the run ended, or broke, on the way
            self._finish()

    def step(self) -> None:
        """Called before each step of the loop: begins or ends where it is time."""
        if not self._steps:
            return
        if self._done == WARM_UP_STEPS:
            kinds = [ProfilerActivity.CPU]
            if self._device == "cuda":
                kinds.append(ProfilerActivity.CUDA)
            self._profile = profile(activities=kinds)
            self._profile.start()
        elif self._done == WARM_UP_STEPS + self._steps:
            self._finish()
        self._done += 1

    def _finish(self) -> None:
        trace, self._profile = self._profile, None
        assert trace is not None
        if self._device == "cuda":
            torch.cuda.synchronize()
        trace.stop()
        trace.export_chrome_trace(str(self.path))
        steps = self._done - WARM_UP_STEPS
        self._note(f"profile of {steps} steps: {self.path}")
        for line in table(trace.key_averages(), self._device):
            self._note(line)


def table(operators: Any, device: str) -> list[str]:
    """The dearest operators by their own time, without what they call."""

    def own(operator: Any) -> float:
        found = (
            operator.self_device_time_total if device == "cuda" else operator.self_cpu_time_total
        )
        return float(found) / 1000

    # On a GPU the kernels are there as well, whose time their operators have already.
    operators = [o for o in operators if o.device_type.name == "CPU"]
    whole = sum(map(own, operators)) or 1.0
    rows = sorted(operators, key=own, reverse=True)[:ROWS]
    lines = [f"{'operator':<48}{'calls':>8}{'own ms':>10}{'share':>8}"]
    lines += [f"{o.key[:47]:<48}{o.count:>8}{own(o):>10.1f}{own(o) / whole:>8.1%}" for o in rows]
    return lines
