"""What tests of the engine and of its stages share."""

from contextlib import nullcontext
from typing import Any

import pytest


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts run one by one in this process, without Beam's second a step.

    For tests of what is kept, not of where parts run.
    """
    from pipeline.engine import runner, workplace  # here: Beam takes a second

    def run(self: runner.Runner, task: Any, parts: list[Any]) -> None:
        for part in parts:
            list(runner._guarded(task, part, None))

    monkeypatch.setattr(workplace, "pool_of", lambda *_: nullcontext())
    monkeypatch.setattr(runner.Runner, "run", run)
    # These parts are the driver's own work, which is no machine of a cluster.
    monkeypatch.setattr(runner, "check_alike", lambda task: None)
