"""The store at a path or URI, of whichever kind."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipeline.engine.store import Disk, Store
from pipeline.errors import SettingsError, printable


def open_store(place: str | Path, scratch: str = "") -> Store:
    """The store at a path or URI; SettingsError if it cannot be used.

    `scratch` is a folder of this machine for unfinished files of a build in a bucket.
    """
    if isinstance(place, str) and place.startswith("file://"):
        place = Path(unquote(urlsplit(place).path))
    if isinstance(place, str) and "://" in place:
        from pipeline.engine.bucket import Bucket  # half a second of libraries

        bucket = Bucket(place, Path(scratch) if scratch else None)
        bucket.check()
        return bucket
    if printable(place) != str(place):
        raise SettingsError(
            f"{printable(place)} is no name in UTF-8, and Arrow writes to no other; "
            "write to another folder or file"
        )
    return Disk(Path(place))
