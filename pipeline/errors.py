"""Every error that webtext raises on purpose.

    WebtextError
    ├── SettingsError   before any work: a setting, an option or the machine is not as needed
    ├── InputError      an input is missing or broken: names the file, the place and the mend
    ├── StageError      a stage could not keep its promise: a ledger that does not add up, no rows
    ├── BusyError       another process builds in this folder
    └── Stopped         asked to stop by a signal; everything committed is kept

A bad *row* is never an error: it becomes a counted drop with a reason (see `reasons.py`).
"""

import os
import signal


def printable(path: object) -> str:
    r"""The path as text to print, hash and store: a byte that is not UTF-8 is written as \xff."""
    return os.fsencode(str(path)).decode("utf-8", "backslashreplace")


class WebtextError(Exception):
    """What a person can act on: `webtext` prints its text without a traceback."""

    exit_code = 1


class SettingsError(WebtextError):
    """A setting or an option is wrong; nothing was done yet."""

    exit_code = 2


class InputError(WebtextError):
    """An input is missing or broken. `place` says where ("byte 10240"), `mend` what to do."""

    exit_code = 2

    def __init__(self, path: object, place: str, problem: str, mend: str) -> None:
        self.path, self.place, self.problem, self.mend = printable(path), place, problem, mend
        super().__init__(path, place, problem, mend)

    def __str__(self) -> str:
        where = f"{self.path}, {self.place}" if self.place else self.path
        return f"{where}: {self.problem}. {self.mend}"


class StageError(WebtextError):
    """A stage could not keep its promise; its parts that are committed stay usable."""


class BusyError(WebtextError):
    """Another process holds the build folder's lock."""


class Stopped(WebtextError):  # noqa: N818 (a request that was granted, not an error)
    """A signal asked to stop; the same command goes on where this one left."""

    def __init__(self, signum: int) -> None:
        self.signum = signum
        self.name = "Ctrl-C" if signum == signal.SIGINT else signal.Signals(signum).name
        super().__init__(f"stopped by {self.name}; run the same command to go on")

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        """130 after Ctrl-C, 75 (EX_TEMPFAIL) after SIGTERM."""
        return 130 if self.signum == signal.SIGINT else 75
