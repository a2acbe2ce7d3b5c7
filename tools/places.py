"""Where a build lies, as people name it: a folder of this machine, or a URI of a bucket.

Imports nothing of the engine: help is quick.
"""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from pipeline.errors import SettingsError, printable

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):/+", re.IGNORECASE)


class Uri(str):
    """A place in a bucket: s3://BUCKET/NAME, perhaps with ?endpoint_override=HOST:PORT."""

    __slots__ = ()


Place = Path | Uri


def place_of(text: str) -> Place:
    """A place as it was written on the command line."""
    if text.startswith("file://"):
        return Path(unquote(urlsplit(text).path))
    return Uri(text) if "://" in text else Path(text)


def within(place: Place, name: str) -> Place:
    """What lies below a place."""
    if isinstance(place, Path):
        return place / name
    path, mark, query = place.partition("?")
    return Uri(f"{path.rstrip('/')}/{name}{mark}{query}")


def above(place: Place) -> tuple[Place, str]:
    """The place that this one lies in, and its name there; "" at the top of a bucket."""
    if isinstance(place, Path):
        return place.absolute().parent, place.name
    path, mark, query = place.partition("?")
    scheme, _, rest = path.rstrip("/").partition("://")
    parent, _, name = rest.rpartition("/")
    return (Uri(f"{scheme}://{parent}{mark}{query}"), name) if parent else (place, "")


def require_folder(out: Path) -> None:
    """Refuse a file where a folder is to be written."""
    if out.exists() and not out.is_dir():
        raise SettingsError(f"--out {printable(out)} is a file; give a folder")


def require_here(path: Path, option: str = "") -> None:
    """SettingsError for a URI where only a path of this machine is taken; `option` gave it."""
    if found := _SCHEME.match(str(path)):
        uri = f"{found[1]}://{str(path)[found.end() :]}"  # a Path has one slash of two
        raise SettingsError(
            f"{option} {uri}".lstrip() + " is a URI, and this must be a file or folder of this "
            "machine; what lies in a bucket is a build, which webtext build --out, status, look, "
            "why, report, clean and train take"
        )
