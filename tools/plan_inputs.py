"""What the inputs of a build hold, as far as samples of them tell: rows, links, bytes of captures.

Files are sampled evenly, and of each its start; the rules for links judge the first lines there as
a build would. Of copies a sample shows fewer than the whole has, so it tells too many links.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from pipeline.bucket_file import InputFile, bytes_of
from pipeline.lines import Lines
from pipeline.links.canonical import Canonical, canonical, link_id
from pipeline.links.dumps import Form, form_of, rows_as_lines
from pipeline.links.select import Post, ReadRules, Selector
from pipeline.pages.warc import records
from pipeline.settings import LinksSettings, Settings
from tools.flow import reaches
from tools.inputs import find_inputs, warc_files

SAMPLED_FILES = 12  # at most, evenly spread
# Packed bytes that are read of each: some 10,000 submissions, 500 captures.
DUMP_SAMPLE_BYTES, WARC_SAMPLE_BYTES = 2 << 20, 8 << 20
LINES_JUDGED = 10_000  # of a dump
LINKED_MIN = 30  # sampled pages with a link among those that were judged; fewer tell no share
# Unpacking takes 51 us a line of bzip2, 10 of xz, 1 of zstd: with zstd a line takes 26 in all.
SLOW = (".bz2", ".xz")
KARMA: dict[str, Callable[[list[Post]], int]] = {
    "max": lambda posts: max(post.karma for post in posts),
    "sum": lambda posts: sum(post.karma for post in posts),
    "first": lambda posts: min(posts, key=lambda post: post.created_s).karma,
}
CAPTURES = ("response", "revisit", "resource")
PAGE = re.compile(rb"HTTP/\S+ 200\b")


class Sample(NamedTuple):
    """The start of a file: its packed bytes, and how much of what they hold."""

    read_bytes: int
    counts: tuple[int, ...]


class CaptureAt(NamedTuple):
    """Where a capture lies, and the id that a link to it would have."""

    warc: InputFile
    offset: int
    length: int
    link: str


class LinkSample:
    """The links among the submissions that were judged, of all dumps."""

    def __init__(self, rules: LinksSettings) -> None:
        self.judged = 0
        self._judge = Selector(ReadRules.of(rules)).judge
        self._karma, self._karma_min = KARMA[rules.karma_rule], rules.karma_min
        self._posts: dict[str, list[Post]] = {}

    def add(self, line: bytes) -> None:
        """Judge a submission."""
        self.judged += 1
        if isinstance(post := self._judge(line), Post):
            self._posts.setdefault(post.target.id, []).append(post)

    def links(self) -> set[str]:
        """The ids of those that are kept."""
        posts = self._posts.items()
        return {link for link, some in posts if self._karma(some) >= self._karma_min}


def measured_inputs(
    settings: Settings, base: Path, to: str
) -> tuple[dict[str, Any], list[CaptureAt]]:
    """Counts and bytes of the dumps and, where the stage `pages` is made, of the WARC files.

    Besides the sampled pages: the linked ones, where these can be told.
    """
    dumps = find_inputs(settings.input.dumps, base, "input.dumps")
    warcs = warc_files(settings, base) if reaches(to, "pages") else []
    sample = LinkSample(settings.links)
    torn, torn_warc = settings.links.accept_torn, settings.pages.accept_torn
    (submissions,) = extrapolated(
        dumps, lambda path: sampled_dump(path, sample, accept_torn=torn), 1
    )
    pages: list[CaptureAt] = []
    all_records, captures, capture_bytes, all_pages = extrapolated(
        warcs, lambda path: sampled_warc(path, pages, accept_torn=torn_warc), 4
    )
    kept = sample.links()
    judged = sample.judged / submissions if submissions else 0.0
    links = round(len(kept) / judged) if judged else 0
    linked = [page for page in pages if page.link in kept]
    met = None
    if len(linked) >= LINKED_MIN or judged == 1.0:
        found = len({page.link for page in linked})
        met = min(links, round(found * all_pages / (len(pages) or 1) / judged))
    inputs = {
        "dump_bytes": size_of(dumps),
        "slow_dump_bytes": size_of(path for path in dumps if path.suffix in SLOW),
        "warc_bytes": size_of(warcs),
        "submissions": submissions,
        "links": links,
        "records": all_records,
        "captures": captures,
        "capture_bytes": capture_bytes,
        "linked": met,
    }
    return inputs, linked if len(linked) >= LINKED_MIN else pages


def extrapolated(
    paths: Sequence[InputFile], sample: Callable[[InputFile], Sample], counts: int
) -> list[int]:
    """So many counts of all files, reckoned by bytes from those of samples."""
    step = -(-len(paths) // SAMPLED_FILES) or 1
    samples = [sample(path) for path in paths[::step]]
    read = sum(sample.read_bytes for sample in samples)
    share = size_of(paths) / read if read else 0.0
    return [round(share * sum(sample.counts[n] for sample in samples)) for n in range(counts)]


def sampled_dump(path: InputFile, links: LinkSample, *, accept_torn: bool) -> Sample:
    """The submissions of a dump; of a large one of lines by a copy of its start, which is torn."""
    size, form = bytes_of(path), form_of(path, accept_torn=accept_torn)
    if form != "lines" or size <= DUMP_SAMPLE_BYTES:
        return Sample(size, (_rows(path, form, links, accept_torn=accept_torn),))
    with TemporaryDirectory() as folder:
        start = Path(folder, path.name)
        with path.open("rb") as file:
            start.write_bytes(file.read(DUMP_SAMPLE_BYTES))
        return Sample(DUMP_SAMPLE_BYTES, (_rows(start, form, links, accept_torn=True),))


def _rows(path: InputFile, form: Form, links: LinkSample, *, accept_torn: bool) -> int:
    """How many rows a dump has; the first of them are judged."""
    number = 0
    with Lines(path, accept_torn=accept_torn) as lines:
        for number, line in enumerate(rows_as_lines(path, form, lines), 1):
            if number <= LINES_JUDGED:
                links.add(line)
    return number


def sampled_warc(path: InputFile, pages: list[CaptureAt], *, accept_torn: bool) -> Sample:
    """A WARC file by its first records; its pages are added to `pages`."""
    count = captures = capture_bytes = end = 0
    before = len(pages)

    def told(read_bytes: int) -> Sample:
        return Sample(read_bytes, (count, captures, capture_bytes, len(pages) - before))

    for record in records(path, accept_torn=accept_torn):
        count += 1
        end = record.offset + record.length
        if record.kind in CAPTURES:
            captures += 1
            capture_bytes += record.length
            page = canonical(record.headers.get("warc-target-uri", "").strip("<> "))
            if PAGE.match(record.block) and isinstance(page, Canonical):
                pages.append(CaptureAt(path, record.offset, record.length, link_id(page.key)))
        if end >= WARC_SAMPLE_BYTES:
            return told(end)
    return told(bytes_of(path))


def size_of(paths: Iterable[InputFile]) -> int:
    """Bytes of these files together."""
    return sum(map(bytes_of, paths))
