"""Runs pip and tells now and then how far it is: minutes of silence look like a fault.

    python -P tools/install.py --editable '.[test,check]'

Needs nothing but Python: the Makefile calls it in an environment that is still empty. Of what pip
prints it shows each large download, the start of the unpacking, and errors; and how much lies in
the environment, every 20 seconds in which nothing else was told. If pip fails, the end of what it
printed follows; the exit code is pip's.
"""

import queue
import re
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path

LARGE_MB = 20  # below that a download is no news
QUIET_S = 20
TAIL_LINES = 30  # of what pip printed, where it fails
_LARGE = re.compile(r"\s*(?:Downloading|Using cached) (\S+?)-\d\S* \(([\d.]+) (MB|GB)\)")


def main(words: list[str]) -> int:
    """Install what the words name into the environment of this Python; pip's exit code."""
    home = Path(sys.prefix)
    say(f"Installing into {home.name}: some minutes, and up to 6 GB where torch brings CUDA along.")
    command = [sys.executable, "-m", "pip", "install", "--progress-bar", "off", *words]
    started = time.monotonic()
    code, printed = run(command, home, quiet_s=QUIET_S)
    took_s = time.monotonic() - started
    if code:
        say("\n".join(printed))
        say(f"pip ended with {code}; the lines above are its last ones.")
    else:
        say(f"Installed: {size_mb(home):,} MB in {home.name}, {took_s:.0f} s.")
    return code


def run(command: list[str], home: Path, *, quiet_s: float) -> tuple[int, list[str]]:
    """Run pip and tell how far it is; its exit code and the last lines that it printed."""
    lines: queue.Queue[str | None] = queue.Queue()
    last: deque[str] = deque(maxlen=TAIL_LINES)
    started = time.monotonic()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as pip:
        assert pip.stdout
        threading.Thread(target=_pass_on, args=(pip.stdout, lines), daemon=True).start()
        for line in _lines(lines, quiet_s):
            if line is None:
                say(f"  {time.monotonic() - started:.0f} s, {size_mb(home):,} MB in {home.name}")
                continue
            last.append(line.rstrip())
            if told := worth_telling(line):
                say(f"  {told}")
    return pip.returncode, list(last)


def worth_telling(line: str) -> str:
    """What to tell of a line of pip's; "" if nothing."""
    if found := _LARGE.match(line):
        name, size, unit = found.groups()
        large = unit == "GB" or float(size) >= LARGE_MB
        return f"{name} ({size} {unit})" if large else ""
    if line.startswith("Installing collected packages:"):
        return f"unpacking {line.count(',') + 1} packages"
    return line.strip() if line.startswith("ERROR") else ""


def size_mb(folder: Path) -> int:
    """What lies in the folder, in MB of 10^6 bytes; files that come and go are no fault."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.lstat().st_size
        except FileNotFoundError:  # pip's temporary files
            continue
    return total // 1_000_000


def say(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, file=sys.stderr, flush=True)


def _pass_on(source: Iterable[str], lines: "queue.Queue[str | None]") -> None:
    for line in source:
        lines.put(line)
    lines.put(None)


def _lines(lines: "queue.Queue[str | None]", quiet_s: float) -> Iterator[str | None]:
    """Lines as they come, and None whenever nothing was told for `quiet_s`."""
    told = time.monotonic()
    while True:
        try:
            line = lines.get(timeout=max(0.01, told + quiet_s - time.monotonic()))
        except queue.Empty:
            told = time.monotonic()
            yield None
            continue
        if line is None:
            return
        if worth_telling(line):
            told = time.monotonic()
        yield line


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
