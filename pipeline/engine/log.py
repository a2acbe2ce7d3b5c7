"""The log of a build: runs, versions, faults with their stacks; one JSON object a line."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any, BinaryIO


class Log:
    """`log.jsonl` of a build in a folder."""

    def __init__(self, path: Path) -> None:
        self.place = str(path)
        self._path = path
        self._complained = False

    def write(self, event: str, **facts: Any) -> None:
        """Append one event; a log that cannot be written never stops a build."""
        line = json.dumps({"time": round(time.time(), 3), "event": event, **facts}, default=str)
        try:
            self._append(line + "\n")
        except OSError as error:
            if not self._complained:
                sys.stderr.write(f"{self.place}: {error.strerror or error}\n")
            self._complained = True

    def _append(self, line: str) -> None:
        with self._path.open("a+b") as file:
            if file.tell() and not _ends_a_line(file):  # a full disk cut it
                file.write(b"\n")
            file.write(line.encode())


def _ends_a_line(file: BinaryIO) -> bool:
    file.seek(-1, os.SEEK_END)
    return file.read(1) == b"\n"
