"""The dumps of a build: names, sizes, whether they break off, memory to unpack, age of scores.

What a whole pass would tell is told from the ends of files and the beginnings of their lines.
"""

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from rich.filesize import decimal

from pipeline.bucket_file import InputFile, bytes_of
from pipeline.errors import WebtextError
from pipeline.lines import Lines, container
from pipeline.links.dumps import form_of, rows_as_lines
from pipeline.links.select import Dropped, ReadRules, Selector
from pipeline.links.stage import OUTSIDE_SHARE_MAX, YOUNG_SHARE_MAX
from pipeline.reasons import Reason
from pipeline.settings import Settings
from tools.doctor.check import Check, ok, warning, wrong
from tools.doctor.ends import End, end_of
from tools.doctor.machine import available_memory
from tools.inputs import find_inputs

MONTHS_TOLD = 6
SAMPLE_LINES = 20_000  # of each dump, from its beginning: half a second
_MONTH = re.compile(r"^RS_(?:v2_)?(\d{4})-(\d\d)(?:-\d\d)?(?=[._]|$)")
_COMMENTS = re.compile(r"^RC_")


def checks(settings: Settings, base: Path) -> Iterator[Check]:
    """The dumps together, then each by itself, then the months of the samples."""
    if not settings.input.dumps:
        mend = "Name them in the settings file: input.dumps"
        yield warning("dumps", "none are named", mend)
        return
    try:
        paths = find_inputs(settings.input.dumps, base, "input.dumps")
    except WebtextError as error:
        yield wrong("dumps", str(error), "Mend input.dumps")
        return
    yield ok("dumps", f"{len(paths):,} files, {decimal(sum(map(bytes_of, paths)))}")
    if gaps := months_missing([path.name for path in paths]):
        more = f" and {len(gaps) - MONTHS_TOLD:,} more" if len(gaps) > MONTHS_TOLD else ""
        told = f"no file for {', '.join(gaps[:MONTHS_TOLD])}{more}"
        yield warning("months", told, "Get these months, or leave it so if they are not wanted")
    ages: Counter[tuple[str, bool]] = Counter()
    windows: list[int] = []
    for path in paths:
        check, window_bytes = _dump(path, settings, ages)
        windows.append(window_bytes)
        yield check
    if any(windows):
        yield _windows(windows, settings)
    yield from _ages(ages, settings)


def months_missing(names: Sequence[str]) -> list[str]:
    """The months between the first and the last of these dumps that none of them is of."""
    found = [_MONTH.match(name) for name in names]
    months = {int(each[1]) * 12 + int(each[2]) - 1 for each in found if each}
    between = range(min(months, default=0), max(months, default=0))
    return [f"{n // 12:04}-{n % 12 + 1:02}" for n in between if n not in months]


def _dump(
    path: InputFile, settings: Settings, ages: Counter[tuple[str, bool]]
) -> tuple[Check, int]:
    """The check of a dump, and the bytes of its window; `ages` counts its sample."""
    name = f"dump {path.name}"
    size = bytes_of(path)
    if not size:
        return warning(name, "it is empty", "Get it again"), 0
    if _COMMENTS.match(path.name):
        mend = "Take the month's RS_* file: comments hold no links"
        return wrong(name, "by its name it holds comments", mend), 0
    try:
        kind = container(path)
        end = end_of(path, kind) if isinstance(path, Path) else End(None)
        outside = _sample(path, settings, ages)
    except WebtextError as error:
        return wrong(name, str(error), "Get it again, or leave it out"), 0
    except OSError as error:
        return wrong(name, f"it cannot be read: {error.strerror}", "Check its permissions"), 0
    told = f"{decimal(size)}, {kind}"
    if end.torn:
        mend = "Get it again, or set links.accept_torn to use what comes before"
        make = warning if settings.links.accept_torn else wrong
        return make(name, f"{told}: {end.torn}", mend), end.window_bytes
    told += ", whole" if end.torn == "" else ", whether it is whole is told when it is read"
    if outside > OUTSIDE_SHARE_MAX:
        told += (
            f"; {outside:.0%} of its first submissions are not of links.date_min "
            f"{settings.links.date_min} to links.date_max {settings.links.date_max}"
        )
        return warning(name, told, "Widen the dates, or leave it out"), end.window_bytes
    if not _MONTH.match(path.name):
        told += "; its name tells no month (RS_YYYY-MM)"
    return ok(name, told), end.window_bytes


def _sample(path: InputFile, settings: Settings, ages: Counter[tuple[str, bool]]) -> float:
    """Count posts by month of posting, and whether their score was read within a day.

    Gives the share of submissions outside the dates of the settings.
    """
    form = form_of(path, accept_torn=True)
    selector = Selector(ReadRules.of(settings.links))
    count = outside = 0
    with Lines(path, accept_torn=True) as lines:
        for line in islice(rows_as_lines(path, form, lines), SAMPLE_LINES):
            verdict = selector.judge(line)
            count += 1
            outside += isinstance(verdict, Dropped) and verdict.reason is Reason.OUTSIDE_DATES
    for month, (known, young) in selector.score_ages().items():
        ages[month, True] += young
        ages[month, False] += known - young
    return outside / (count or 1)


def _windows(windows: Sequence[int], settings: Settings) -> Check:
    """Each worker unpacks a dump of its own, and keeps its window."""
    workers = min(settings.engine.workers or os.cpu_count() or 1, len(windows))
    needed = sum(sorted(windows)[-workers:])
    free = available_memory()
    told = f"unpacking takes up to {decimal(needed)} in {workers} workers"
    if free is None or needed <= free:
        return ok("zstd windows", told)
    told += f", and {decimal(free)} can be had"
    if max(windows) > free:
        mend = "Read the dumps on a machine with more memory, or pack them with a smaller window"
        return wrong("zstd windows", told, mend)
    return warning("zstd windows", told, "Lower engine.workers")


def _ages(ages: Counter[tuple[str, bool]], settings: Settings) -> Iterator[Check]:
    months = sorted({month for month, _ in ages})
    if not months:
        yield ok("scores", "no dump tells when its scores were read")
    for month in months:
        young, old = ages[month, True], ages[month, False]
        name = f"scores of {month}"
        share = young / (young + old)
        told = f"{share:.0%} of {young + old:,} were read less than a day after posting"
        if share <= YOUNG_SHARE_MAX or settings.links.accept_immature_scores:
            yield ok(name, told)
            continue
        mend = (
            "Leave the month out: karma says nothing there; links.accept_immature_scores takes it"
        )
        yield warning(name, told, mend)
