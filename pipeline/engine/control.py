"""What a build is fixed to, when to stop, and when the disk is too full.

A request to stop is a file in the store, so that every process and machine at work on the build
sees it.
"""

import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from pipeline.engine import names
from pipeline.engine.store import Store
from pipeline.errors import StageError, Stopped


def check_fixed(store: Store, form: int) -> None:
    """Keep the form of a build's files; StageError for a build of another."""
    place = f"{store.place}/{names.FIXED}"
    if store.stat(f".work/{names.FIXED}"):
        raise StageError(
            f"{store.place} was made by an earlier webtext, in another form; "
            "use the version that made it, or build in another folder"
        )
    try:
        fixed = store.read_json(names.FIXED)
    except ValueError as error:
        raise StageError(f"{place} is damaged ({error}); build in another folder") from None
    if fixed is None:
        store.write_json(names.FIXED, {"format": form})
    elif fixed["format"] != form:
        raise StageError(
            f"{store.place} was made in format {fixed['format']}, this webtext reads format "
            f"{form}; use the version that made it, or build in another folder"
        )


@dataclass(frozen=True)
class Run:
    """One run of a build in its store, from its beginning to its end."""

    store: Store
    id: str

    def begin(self) -> None:
        """Say that this run is at work; what earlier runs left goes."""
        self.store.remove_folder(names.RUNS)
        self.tell({})

    def tell(self, standing: Mapping[str, Any]) -> None:
        """Say how far the run is, for a status that is asked on any machine."""
        command = " ".join(sys.argv)
        facts = {"pid": os.getpid(), "host": socket.gethostname(), "command": command, **standing}
        self.store.write_json(names.run(self.id), facts, durably=False)

    def heartbeats(self) -> list[dict[str, Any]]:
        """The parts at work: part, item, rows, and when each was last heard of."""
        found = []
        for entry in self.store.entries(names.heartbeats(self.id)):
            with suppress(OSError, ValueError):  # no work ends for want of what is told of it
                if told := self.store.read_json(entry.name):  # a finished part takes its away
                    found.append({**told, "time_s": entry.time_s})
        return found

    def end(self) -> None:
        """Leave nothing of the run."""
        self.store.remove_folder(names.RUNS)


def run_at_work(store: Store) -> dict[str, Any] | None:
    """What the run in this store last said, None where none is at work.

    `heard_s` is when it, or one of its parts, last gave a sign of life, by the store's clock. A run
    whose processes were killed stays; its sign of life then grows old.
    """
    for folder in store.folders(names.RUNS):
        run = Run(store, folder.rpartition("/")[2])
        said, entry = store.read_json(names.run(run.id)), store.stat(names.run(run.id))
        if said is not None and entry:
            at_work = run.heartbeats()
            heard = max([entry.time_s, *(part["time_s"] for part in at_work)])
            return {**said, "heard_s": heard, "at_work": at_work}
    return None


@dataclass(frozen=True)
class StopRequest:
    """Asks every part of a run to stop: before it starts, or on its way."""

    store: Store
    run: str

    def make(self, why: str) -> None:
        """Ask all parts to stop."""
        with suppress(OSError):  # a full or read-only disk stops the parts by itself
            self.store.write(names.stop(self.run), why.encode(), durably=False)

    def withdraw(self) -> None:
        """Forget an earlier request."""
        self.store.remove([names.stop(self.run)])

    def is_made(self) -> bool:
        """Whether parts should stop: so those of a run that is over, whose files are gone."""
        try:
            if self.store.stat(names.stop(self.run)):
                return True
            return bool(self.run) and not self.store.stat(names.run(self.run))
        except OSError:  # a store that does not answer stops the parts by itself
            return False


class Signals:
    """Remembers the first SIGINT or SIGTERM; the second ends the process at once.

    Use as a context manager in the main thread; elsewhere it does nothing.
    """

    def __init__(self) -> None:
        self.received: int | None = None

    def __enter__(self) -> "Signals":
        self._old = {}
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM):
                self._old[signum] = signal.signal(signum, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._old.items():
            signal.signal(signum, handler)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if self.received is not None:
            os._exit(Stopped(self.received).exit_code)
        self.received = signum
        # Not sys.stderr: it cannot be entered again where the signal came in the middle of a write.
        os.write(2, b"\nstopping; what is done is kept. Once more to stop at once\n")

    def check(self) -> None:
        """Raise Stopped if a signal came."""
        if self.received is not None:
            raise Stopped(self.received)


def check_disk(folder: Path, free_min_bytes: int, patience_s: float = 0) -> None:
    """Wait up to `patience_s` for space, then raise StageError; everything committed is kept."""
    deadline = time.monotonic() + patience_s
    while (free := shutil.disk_usage(folder).free) < free_min_bytes:
        if time.monotonic() >= deadline:
            raise StageError(
                f"only {free >> 20} MiB are free in {folder}; engine.free_disk_min_bytes asks for "
                f"{free_min_bytes >> 20} MiB. Free some space and run the same command to go on"
            )
        time.sleep(1)
