"""What a process of a cluster is, told in plain values.

A driver sends the source of this file, not a function of it: so it is told too where webtext is not
installed, or another Python runs. It imports the standard library alone, and is read by any Python
from 3.8 on.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import pickle
import platform
import socket
import unicodedata
from collections.abc import Iterable
from typing import Any


def tell(
    names: Iterable[str], module: str = "", store: bytes = b"", file: str = ""
) -> dict[str, Any]:
    """The host, the versions of what is named ("" is not there), and two reasons to refuse it.

    "fault" says why `module` cannot be imported, "blind" why the pickled `store` does not show this
    file; both are "" where all is well, or nothing was asked.
    """
    own = {
        "python": ".".join(platform.python_version_tuple()[:2]),
        "unicode": unicodedata.unidata_version,
    }
    versions = {name: own.get(name) or _version(name) for name in names}
    told: dict[str, Any] = {
        "host": socket.gethostname(),
        "versions": versions,
        "fault": "",
        "blind": "",
    }
    try:
        if module:
            importlib.import_module(module)
    except Exception as error:  # noqa: BLE001 (told to the driver)
        told["fault"] = _named(error)
        return told
    try:
        if store and not pickle.loads(store).stat(file):
            told["blind"] = "it is not there"
    except Exception as error:  # noqa: BLE001 (told to the driver)
        told["blind"] = _named(error)
    return told


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _named(error: Exception) -> str:
    return (type(error).__name__ + ": " + str(error)).splitlines()[0]
