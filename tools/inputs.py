"""The files that a build reads: found by their patterns, and seen to be of the right kind."""

import glob
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path

from pipeline.errors import InputError, SettingsError, printable
from pipeline.links.dumps import form_of
from pipeline.pages.warc import DERIVED_RECORDS, checked, records
from pipeline.settings import Settings

CHECKED_FILES = 1000  # at most, evenly spread: the stages check each file again


def find_inputs(patterns: Iterable[str], base: Path, key: str) -> list[Path]:
    """The files that these patterns name, sorted by pattern; a file that several name counts once.

    SettingsError names a pattern without any.
    """
    found: list[Path] = []
    for pattern in patterns:
        path = base.absolute() / pattern
        # A name that is there is no pattern, and neither is the folder that it is relative to.
        escaped = str(Path(glob.escape(str(base.absolute()))) / pattern)
        found_here = [path] if path.exists() else list(Path(path.anchor).glob(escaped[1:]))
        matches = sorted(p for p in found_here if p.is_file())
        if not matches:
            raise SettingsError(f"{key}: {_nothing_at(pattern, found_here, base)}")
        found += matches
    if not found:
        raise SettingsError(f"{key} names no files; set it in the settings file or as --{key}")
    return list({path.resolve(): path for path in found}.values())


def warc_files(settings: Settings, base: Path) -> list[Path]:
    """The WARC files of a build; SettingsError where its settings name none."""
    if not settings.input.warcs:
        raise SettingsError(
            "input.warcs names no files, so there are no pages; set it in the settings file or as "
            "--input.warcs 'FOLDER/*.warc.gz', or make the links alone: --to links"
        )
    return find_inputs(settings.input.warcs, base, "input.warcs")


def _nothing_at(pattern: str, found: Sequence[Path], base: Path) -> str:
    if any(path.is_dir() for path in found):
        return f"{pattern} is a folder; name its files, such as {pattern.rstrip('/')}/*"
    place = f" (relative to {base.absolute()})"
    return f"no file matches {pattern}{place if not pattern.startswith('/') else ''}"


def check_dumps(paths: Sequence[Path], *, accept_torn: bool) -> None:
    """SettingsError for a file that is no dump, by its first bytes."""
    _check(paths, "input.dumps", lambda path: form_of(path, accept_torn=accept_torn))


def check_warcs(paths: Sequence[Path]) -> None:
    """SettingsError for a file that is no WARC file, or holds no pages (WET, WAT), by its start."""

    def look(path: Path) -> None:
        for _ in islice(checked(records(path, accept_torn=True), path), DERIVED_RECORDS):
            pass

    _check(paths, "input.warcs", look)


def _check(paths: Sequence[Path], key: str, look: Callable[[Path], object]) -> None:
    for path in paths[:: len(paths) // CHECKED_FILES + 1]:
        try:
            look(path)
        except InputError as error:
            raise SettingsError(f"{key}: {error}") from None
        except OSError as error:
            told = (
                f"{key}: {printable(path)} cannot be read: {error.strerror}. Check its permissions."
            )
            raise SettingsError(told) from None
