"""What one item may use, and what it is called when it uses more.

The kernel keeps the limits: CPU seconds by RLIMIT_CPU (SIGXCPU ends the process even inside C code,
which no watching thread could), memory by RLIMIT_AS. Wall time is kept by the process that waits:
the pool (pool.py), or the one that forked (fork.py).

This is the one file that catches every exception: whatever an item raises, even a panic that is no
`Exception`, becomes its fault.
"""

import contextlib
import ctypes
import math
import resource
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.reasons import Reason

PR_SET_PDEATHSIG = 1  # of prctl(2)
INFINITE = resource.RLIM_INFINITY


@dataclass(frozen=True)
class Fault:
    """An item that gave no result, and why."""

    reason: Reason
    detail: str


@dataclass(frozen=True)
class Limits:
    """What one item may use. They stand far above the deterministic budgets of the stages."""

    cpu_s: int = 20
    wall_s: int = 60
    memory_bytes: int = 2 << 30  # on top of what the process holds already


def under_limits(function: Callable[[], Any], limits: Limits) -> tuple[Any, float]:
    """What the function gives, or a Fault, and the CPU seconds that it took in this process.

    One that takes more CPU time than allowed ends the process by SIGXCPU.
    """
    start_s = time.process_time()
    set_limits(math.ceil(start_s) + limits.cpu_s, _address_space_bytes() + limits.memory_bytes)
    try:
        value = function()
    except MemoryError:
        value = Fault(Reason.OUT_OF_MEMORY, f"over {limits.memory_bytes >> 20} MiB")
    except BaseException as error:  # noqa: BLE001 (see the top of the file)
        value = Fault(Reason.EXTRACTION_FAILED, f"{type(error).__name__}: {error}"[:200])
    set_limits(INFINITE, INFINITE)  # what follows uses CPU time too
    return value, time.process_time() - start_s


def over_time(limits: Limits) -> Fault:
    """The fault of an item that took too long by the clock."""
    return Fault(Reason.TIMED_OUT, f"over {limits.wall_s} s")


def fault_of_death(exitcode: int, limits: Limits) -> Fault:
    """The fault of an item whose process ended; `exitcode` is less than 0 for a signal."""
    if exitcode == -signal.SIGXCPU:
        return Fault(Reason.TIMED_OUT, f"over {limits.cpu_s} CPU seconds")
    return Fault(Reason.CRASHED, f"the worker ended by {end_of(exitcode)}")


def end_of(exitcode: int) -> str:
    """How a process ended, in words."""
    return f"signal {-exitcode}" if exitcode < 0 else f"exit code {exitcode}"


def leave_signals_to_parent() -> None:
    """Have this process go on at Ctrl-C, leave no core file, and (on Linux) die with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def set_limits(cpu_s: int, memory_bytes: int) -> None:
    """Limit this process: CPU seconds since it began, and its address space."""
    for kind, soft in ((resource.RLIMIT_CPU, cpu_s), (resource.RLIMIT_AS, memory_bytes)):
        hard = resource.getrlimit(kind)[1]
        # macOS refuses limits on the address space; there memory is not limited.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (soft if hard == INFINITE else min(soft, hard), hard))


def _address_space_bytes() -> int:
    try:
        with open("/proc/self/statm", "rb", buffering=0) as file:  # noqa: PTH123 (hot path)
            return int(file.read().split()[0]) * resource.getpagesize()
    except FileNotFoundError:
        return 0
