"""What several commands ask of a build's store."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.engine import names
from pipeline.engine.manifest import Manifest
from pipeline.engine.store import Disk, Store
from pipeline.engine.stores import open_store
from tools.places import Place, within

BUILDS_NAMED = 5
FOLDERS_SEEN = 50  # of a bucket, which may have any number; each is asked about by a request


def builds_below(place: Place) -> str:
    """The end of a message about a place that is no build: the builds in it, "" without any.

    `build` is the default of most commands, and the demo is made in build/demo.
    """
    found = list(islice(_builds_in(place), BUILDS_NAMED))
    return f"; name one of the builds in it: {', '.join(found)}" if found else ""


def _builds_in(place: Place) -> Iterator[str]:
    store = open_store(place)
    folders = store.folders("")
    for name in folders if isinstance(place, Path) else folders[:FOLDERS_SEEN]:
        if store.stat(f"{name}/{names.FIXED}"):
            yield str(within(place, name))


def folder_of(store: Store) -> Path | None:
    """The folder of a build that is in one: only there a model lies beside its stages."""
    return store.folder if isinstance(store, Disk) else None


def published_file(store: Store, manifest: Manifest | None, name: str) -> str | None:
    """The file of a store that people see under this name in a stage's folder."""
    return manifest.view().get(f"{manifest.stage}/{name}") if manifest else None


def read_shards(store: Store, manifest: Manifest | None) -> dict[str, Any] | None:
    """What shards.json says of a build's token files; None where there are none."""
    name = published_file(store, manifest, "shards.json")
    found: dict[str, Any] | None = store.read_json(name) if name else None
    return found
