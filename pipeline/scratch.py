"""Folders for temporary files: they go when their work ends, after a kill with the next run."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

PREFIX = ".webtext-scratch-"
_LOCK = "lock"


@contextmanager
def scratch_in(parent: Path) -> Iterator[Path]:
    """A new folder in `parent` as long as the context holds.

    What killed runs left in `parent` is removed first: such a folder's lock is held by nobody.
    """
    _remove_left(parent)
    with TemporaryDirectory(dir=parent, prefix=PREFIX) as name:
        folder = Path(name)
        with (folder / "new").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            (folder / "new").rename(folder / _LOCK)  # held from the moment that others see it
            yield folder


def _remove_left(parent: Path) -> None:
    for path in parent.glob(f"{PREFIX}*/{_LOCK}"):
        try:
            with path.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path.parent, ignore_errors=True)
        except OSError:
            continue  # another run works in it, has just ended, or is another user's
