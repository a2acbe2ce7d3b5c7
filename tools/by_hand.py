"""`webtext extract` without --out: the texts of some pages, at once, with nothing built or kept.

The pages are worked on in a forked child under the limits of [engine], so one that hangs or eats
memory costs itself. At the top is imported what one page of HTML needs and no more: half of the
time that it takes is imports.
"""

import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import ExitStack
from dataclasses import asdict, fields
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

from pipeline.documents.extract import Document, PageAt, host_of, settle
from pipeline.documents.given import NO_LIMIT, Given, extract_given, needs_language
from pipeline.documents.kinds import FilePage, files_of, html_pages, kind_of
from pipeline.engine.fork import Forked
from pipeline.engine.limits import Fault, Limits
from pipeline.errors import InputError, SettingsError, printable
from pipeline.pages.warc import Response, read_page
from pipeline.reasons import Drop, Reason
from pipeline.settings import Settings
from tools.options import BY_HAND, STDIN, SettingsFrom, spelled
from tools.places import Place, Uri

Outcome = Given | Drop | Fault | InputError
Named = tuple[str, FilePage | InputError]


def print_pages(inputs: Sequence[Place], settings_from: SettingsFrom, *, as_json: bool) -> int:
    """Print the text of each page, or its JSON; the exit code.

    1 where a page gives none, and that of the error where an input is missing or broken; stderr
    explains each.
    """
    if not inputs:
        raise SettingsError("name a file or a folder, or - for stdin")
    asked = settings_from.options.keys()
    for key in asked:
        if not BY_HAND & {key, key.partition(".")[0]}:
            option = spelled("extract", key)
            raise SettingsError(f"{option} does nothing without --out; leave it out, or give --out")
    settings = settings_from(None)
    settle(with_languages=needs_language(asked, in_full=as_json))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    limits = Limits(
        cpu_s=settings.engine.item_cpu_s,
        wall_s=settings.engine.item_wall_s,
        memory_bytes=settings.engine.worker_memory_bytes,
    )
    work = partial(_read_and_extract, settings=settings, asked=frozenset(asked), in_full=as_json)
    with ExitStack() as opened:
        pages = chain.from_iterable(_pages(given, settings, opened) for given in inputs)
        extract = opened.enter_context(Forked(work, limits))
        first = list(islice(pages, 2))
        code = 0 if first else 1
        for name, page in chain(first, pages):
            outcome = _outcome(page, extract)
            if as_json and isinstance(page, FilePage) and not isinstance(outcome, InputError):
                print(json.dumps(_row(name, page, outcome), ensure_ascii=False))
            elif isinstance(outcome, Given) and not outcome.refused:
                print(f"==> {name} <==\n{outcome.text}\n" if len(first) > 1 else outcome.text)
            sys.stdout.flush()
            code = max(code, _told(name, outcome))
    return code


def _pages(given: Place, settings: Settings, copies: ExitStack) -> Iterator[Named]:
    """The pages of one input, by name, or why there are none; stdin and pipes are copied first."""
    if isinstance(given, Uri):
        yield from _pages_in_bucket(given, settings, copies)
        return
    try:
        if given != STDIN and (given.is_file() or given.is_dir() or not given.exists()):
            for path in files_of(given):
                yield from _pages_of(path, printable(path), settings)
            return
    except InputError as error:
        yield error.path, error
        return
    from shutil import copyfileobj
    from tempfile import TemporaryDirectory

    name = "-" if given == STDIN else printable(given)
    path = Path(copies.enter_context(TemporaryDirectory(prefix="webtext-")), "-")
    source = 0 if given == STDIN else given  # a socket has no path that could be opened
    with open(source, "rb", closefd=source != 0) as pipe, path.open("wb") as copy:
        copyfileobj(pipe, copy)
    yield from _pages_of(path, name, settings)


def _pages_in_bucket(uri: Uri, settings: Settings, copies: ExitStack) -> Iterator[Named]:
    """Each file is copied first: a page is read by a child, which has no connection."""
    from tempfile import TemporaryDirectory

    from tools.given import copied
    from tools.inputs import files_at

    scratch = Path(copies.enter_context(TemporaryDirectory(prefix="webtext-")))
    for file in files_at(uri):
        yield from _pages_of(copied(file, scratch), str(file), settings)


def _pages_of(path: Path, name: str, settings: Settings) -> Iterator[Named]:
    """The pages of a file that is called `name`; what breaks it is told, and others go on."""
    no_pages = 0
    try:
        if (kind := kind_of(path)) == "html":
            pages = html_pages([(name, path)], settings.documents.body_bytes_max)
        else:
            pages = _records(path, kind, settings)
        for page in pages:
            if isinstance(page.found, Drop) and page.found.reason is Reason.NOT_A_PAGE:
                no_pages += 1
            else:
                yield _name(name, path, page), page
    except InputError as error:
        error.path = name
        yield name, error
    if no_pages:
        told = f"{no_pages:,} records are no pages (requests, redirects, images)"
        print(f"webtext: {name}: {told}", file=sys.stderr)


def _records(path: Path, kind: str, settings: Settings) -> Iterator[FilePage]:
    from pipeline.documents.files import json_pages, warc_pages
    from pipeline.pages.frames import ranges

    if kind == "lines":
        return json_pages(path, 0, NO_LIMIT)
    (whole,) = ranges(path, NO_LIMIT)
    bodies_max = settings.documents.body_bytes_max
    return warc_pages(path, whole, accept_torn=settings.pages.accept_torn, bodies_max=bodies_max)


def _name(file: str, path: Path, page: FilePage) -> str:
    """The file itself, or what a person knows a page in it by."""
    if page.id == file:
        return file
    line = page.id.removeprefix(f"{printable(path.name)}:")
    return f"{file}: {page.url or page.id}" if page.url or line == page.id else f"{file}:{line}"


def _outcome(page: FilePage | InputError, extract: Callable[[Any], Outcome]) -> Outcome:
    if isinstance(page, InputError) or isinstance(page.found, Drop):
        return page if isinstance(page, InputError) else page.found  # type: ignore[return-value]
    return extract(page.found)


def _read_and_extract(
    page: Response | PageAt, *, settings: Settings, asked: Set[str], in_full: bool
) -> Given | Drop | InputError:
    rules = settings.documents
    if isinstance(page, PageAt):
        try:
            page = read_page(Path(page.warc), page.offset, page.length, rules.body_bytes_max)
        except InputError as error:
            return error
    return extract_given(page, rules, asked, in_full=in_full)


def _row(name: str, page: FilePage, outcome: Given | Drop | Fault) -> dict[str, Any]:
    """A page's document, and what a build would make of it; None where a value is not known."""
    document = outcome.document if isinstance(outcome, Given) else None
    drop = outcome.verdict if isinstance(outcome, Given) else outcome
    return {
        "name": name,
        "kept": drop is None,
        "reason": drop and drop.reason,
        "detail": drop and drop.detail,
        "id": page.id,
        "url": page.url,
        "host": host_of(page.url),
        **(asdict(document) if document else dict.fromkeys(f.name for f in fields(Document))),
        "quality": document and _measured(document.text),
    }


def _measured(text: str) -> dict[str, float]:
    """The numbers of a text, as precise as the column that holds them."""
    import pyarrow as pa

    from pipeline.documents.quality import measure
    from pipeline.records import QUALITY

    numbers: dict[str, float] = pa.scalar(measure(text), QUALITY).as_py()
    return numbers


def _told(name: str, outcome: Outcome) -> int:
    """The exit code of a page; stderr is told where it did not give what was asked for."""
    if isinstance(outcome, InputError):
        print(f"webtext: {outcome}", file=sys.stderr)
        return outcome.exit_code
    drop = outcome.refused if isinstance(outcome, Given) else outcome
    if drop:
        told = f"[{drop.reason}] {drop.reason.sentence} {drop.detail}".rstrip()
        print(f"webtext: {name}: {told}", file=sys.stderr)
    return 1 if drop else 0
