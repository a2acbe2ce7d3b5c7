"""The place that a setting names."""

from pathlib import Path
from urllib.parse import urlsplit

from pipeline.errors import SettingsError
from pipeline.pages.commoncrawl.http_place import HttpPlace
from pipeline.pages.commoncrawl.places import FolderPlace, Place
from pipeline.pages.commoncrawl.s3_place import S3Place
from pipeline.pages.owners.agents import PRODUCT


def open_place(
    text: str, connections: int, *, timeout_s: float, agent: str = PRODUCT, ca_file: str = ""
) -> Place:
    """The place that a setting names: `s3://BUCKET/PREFIX`, `https://HOST/PATH`, or a folder.

    Raises SettingsError for what is none. `ca_file` holds certificates that are trusted besides.
    """
    scheme = urlsplit(text).scheme if "://" in text else ""
    if scheme == "s3":
        return S3Place(text, connections)
    if scheme in ("https", "http"):
        return HttpPlace(text, connections, timeout_s, agent, ca_file)
    if scheme:
        raise SettingsError(
            f"{text}: an index lies in a folder, at https://… or at s3://…; {scheme}: is not known"
        )
    if not Path(text).is_dir():
        raise SettingsError(
            f"{text}: there is no such folder; it should hold cc-index and crawl-data"
        )
    return FolderPlace(Path(text))
