"""The log of a build: runs, versions, faults with their stacks; one JSON object a line."""

import json
import sys
import time
from pathlib import Path
from typing import Any


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
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line)
