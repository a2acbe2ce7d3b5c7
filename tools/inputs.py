"""The files that a build reads: found by their patterns, and seen to be of the right kind."""

import glob
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from pipeline.bucket_file import THREADS, BucketFile, InputFile, bucket_files
from pipeline.errors import InputError, SettingsError, printable
from pipeline.links.dumps import form_of
from pipeline.pages.warc import DERIVED_RECORDS, checked, records
from pipeline.settings import Settings
from tools.places import Uri, place_of

CHECKED_FILES = 1000  # at most, evenly spread: the stages check each file again


def find_inputs(patterns: Iterable[str], base: Path, key: str) -> list[InputFile]:
    """The files that these patterns name, sorted by pattern; a file that several name counts once.

    A pattern may be a URI: see `bucket_files`. SettingsError names a pattern without any.
    """
    found: list[InputFile] = []
    for pattern in patterns:
        place = place_of(pattern)
        if isinstance(place, Uri):
            found += _in_bucket(place, key)
            continue
        path = base.absolute() / place
        # A name that is there is no pattern, and neither is the folder that it is relative to.
        escaped = str(Path(glob.escape(str(base.absolute()))) / place)
        found_here = [path] if path.exists() else list(Path(path.anchor).glob(escaped[1:]))
        matches = sorted(p for p in found_here if p.is_file())
        if not matches:
            raise SettingsError(f"{key}: {_nothing_at(pattern, found_here, base)}")
        found += matches
    if not found:
        raise SettingsError(f"{key} names no files; set it in the settings file or as --{key}")
    return list({path.resolve(): path for path in found}.values())


def files_at(uri: Uri) -> list[BucketFile]:
    """The objects that a URI names, SettingsError where it is none, or a pattern of nothing."""
    found = bucket_files(uri)
    if not found:
        raise SettingsError(f"no object matches {uri}; `aws s3 ls` lists what there is")
    return found


def _in_bucket(uri: Uri, key: str) -> list[BucketFile]:
    try:
        return files_at(uri)
    except SettingsError as error:
        raise SettingsError(f"{key}: {error}") from None


def warc_files(settings: Settings, base: Path) -> list[InputFile]:
    """The WARC files of a build; SettingsError where they are its one source, and none is named."""
    if "warc" not in settings.pages.sources:
        return []
    if not settings.input.warcs:
        if len(settings.pages.sources) > 1:
            return []
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


def check_dumps(paths: Sequence[InputFile], *, accept_torn: bool) -> None:
    """SettingsError for a file that is no dump, by its first bytes."""
    _check(paths, "input.dumps", lambda path: form_of(path, accept_torn=accept_torn))


def check_warcs(paths: Sequence[InputFile]) -> None:
    """SettingsError for a file that is no WARC file, or holds no pages (WET, WAT), by its start."""

    def look(path: InputFile) -> None:
        for _ in islice(checked(records(path, accept_torn=True), path), DERIVED_RECORDS):
            pass

    _check(paths, "input.warcs", look)


def _check(paths: Sequence[InputFile], key: str, look: Callable[[InputFile], object]) -> None:
    def checked(path: InputFile) -> None:
        try:
            look(path)
        except InputError as error:
            raise SettingsError(f"{key}: {error}") from None
        except OSError as error:
            told = (
                f"{key}: {printable(path)} cannot be read: {error.strerror}. Check its permissions."
            )
            raise SettingsError(told) from None

    some = paths[:: len(paths) // CHECKED_FILES + 1]
    if any(isinstance(path, BucketFile) for path in some):
        with ThreadPoolExecutor(THREADS) as threads:  # they wait for requests
            list(threads.map(checked, some))
    else:
        for path in some:
            checked(path)
