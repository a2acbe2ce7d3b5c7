"""What items do to the worker that runs them; worker processes import it, so it imports little."""

import ctypes
import os
import re
import resource
import signal
import sys
import time
from pathlib import Path

from pipeline.errors import InputError


class Panic(BaseException):
    """What a library in Rust raises: no Exception."""


def act(what: str) -> str:
    """Do what the item says."""
    match what:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(3)
        case "segfault":
            ctypes.string_at(0)
        case "sleep":
            time.sleep(60)
        case "spin":
            while True:
                pass
        case "hold the lock":
            re.match(r"(a+)+$", "a" * 50 + "b")
        case "eat memory":
            return str(len(bytearray(1 << 30)))
        case "raise":
            raise KeyError("colour")
        case "raise TimeoutError":
            raise TimeoutError("mine")
        case "panic":
            raise Panic("no Exception")
    return f"{what} done"


def die_once(path: str) -> str:
    """Kill the worker, but not twice."""
    if not Path(path).exists():
        Path(path).write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


def look_around(item: tuple[str, int]) -> list[str]:
    """Be seen at work for a while; the item 1 dies once, then tells which others it sees."""
    folder, number = Path(item[0]), item[1]
    if number == 1:
        die_once(f"{folder}/tried")
        return [str(path) for path in folder.parent.glob("*/at-work-*")]
    seen = folder / f"at-work-{number}"
    seen.write_text("")
    time.sleep(0.2)
    seen.unlink()
    return []


def burn(cpu_s: float) -> None:
    """Use so much CPU time."""
    end_s = time.process_time() + cpu_s
    while time.process_time() < end_s:
        pass


def modules() -> list[str]:
    """What the worker has imported."""
    return list(sys.modules)


def limits() -> list[int]:
    """The worker's limits of CPU seconds and memory."""
    return [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_CPU, resource.RLIMIT_AS)]


def pid(item: object) -> int:
    """Which worker this is."""
    return os.getpid()


def raise_input_error() -> None:
    """As a stage's work does for a broken file."""
    raise InputError("dump.zst", "byte 7", "torn", "mend it")


def leave() -> None:
    """Try to end the worker."""
    raise SystemExit(3)
