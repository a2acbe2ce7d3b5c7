"""One build a folder at a time.

The lock is the kernel's (flock), so it goes with its process however that ends; the file only names
the holder. A build in a bucket has claims instead (claim.py).
"""

import fcntl
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipeline.engine import names
from pipeline.errors import BusyError


@contextmanager
def locked(build: Path) -> Iterator[None]:
    """Hold the lock of a build in a folder; BusyError names the holder if there is another."""
    build.mkdir(parents=True, exist_ok=True)
    with (build / names.LOCK).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise BusyError(f"{build} is being built by {named(parsed(file.read()))}") from None
        file.truncate(0)
        json.dump(ourselves(), file)
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def ourselves() -> dict[str, Any]:
    """What a lock says of its holder."""
    return {"pid": os.getpid(), "host": socket.gethostname(), "command": " ".join(sys.argv)}


def parsed(text: str) -> dict[str, Any]:
    """What a lock's text says of its holder, {} if it is no such text."""
    with suppress(ValueError):
        holder = json.loads(text)
        if isinstance(holder, dict) and {"pid", "host", "command"} <= holder.keys():
            return holder
    return {}


def named(holder: dict[str, Any]) -> str:
    """A holder as people are told of it."""
    if not holder:
        return "another process"
    return f"process {holder['pid']} on {holder['host']} ({holder['command']})"
