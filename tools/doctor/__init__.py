"""What keeps a build from its end on this machine, asked before it starts: `webtext doctor`.

machine.py asks about the machine and the environment, network.py about what lies beyond it,
dumps.py about the dumps (ends.py tells a torn file without unpacking it). Nothing stays written,
and no server is asked but the bucket that is named, and the one that --ask names.
"""

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from pipeline.engine.stores import open_store
from pipeline.errors import WebtextError
from pipeline.settings import Settings
from pipeline.settings_file import from_tables, load
from tools.build import RECORD, RECORD_HEAD
from tools.doctor import dumps, machine, network
from tools.doctor.check import Check, ok, warning, wrong
from tools.places import Place

_BASE = re.compile(r"^# Paths are relative to (.+)$", re.MULTILINE)


def examine(build: Place, settings_path: Path | None, ask: str = "") -> Iterator[Check]:
    """The checks, one by one, as they are made.

    `settings_path` None: the record of the build, if it has one, else the defaults. `ask` is a URL
    or host whose address is looked up and whose clock is compared, "": none.
    """
    yield from machine.environment()
    settings, base, check = _settings(build, settings_path)
    yield check
    yield from machine.resources(settings, build)
    yield from network.checks(settings, build, ask)
    yield from dumps.checks(settings, base)


def _settings(build: Place, path: Path | None) -> tuple[Settings, Path, Check]:
    """The settings, the folder that their paths are relative to, and what is told of them."""
    here = Path.cwd()
    try:
        if path:
            return load(path), path.parent, ok("settings", str(path))
        text = _record(build)
        if text:
            found = _BASE.search(text)
            told = f"those that {build} was made with"
            base = Path(found[1]) if found else here
            return from_tables(tomllib.loads(text)), base, ok("settings", told)
    except WebtextError as error:
        return Settings(), here, wrong("settings", str(error), "Mend the file")
    mend = "Name a settings file with --settings; `webtext init` writes one"
    return Settings(), here, warning("settings", "none given: the defaults are looked at", mend)


def _record(build: Place) -> str:
    """The settings that a build keeps for the record, "" without a build."""
    if isinstance(build, Path) and not build.is_dir():
        return ""
    try:
        text = open_store(build).read(RECORD) or b""
    except (WebtextError, OSError):  # the store's own check tells
        return ""
    return text.decode() if text.startswith(RECORD_HEAD.encode()) else ""


def show(check: Check) -> None:
    """One line for a person, as soon as it is known; the mend on a line of its own."""
    print(f"{check.state:<8} {check.name}: {check.told}")
    if check.mend:
        print(f"{'':<8} {check.mend}.")
