"""What Linux says of other processes."""

from pathlib import Path


def children_of(pid: int) -> list[int]:
    """The processes that any thread of `pid` started."""
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for thread in threads for child in thread.read_text().split()]


def is_alive(pid: int) -> bool:
    """Whether it runs. One that ended and waits to be collected, by a slow init say, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
