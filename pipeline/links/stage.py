"""The stage `links`: Reddit dumps to outbound links.

    read      dump -> copies               one reason a submission; what counts goes on by post id
    once      copies by post id -> posts   a post counts once, not at all if a copy is removed
    group     posts by link id -> links    all three karmas; kept, since dumps are costly to read
    verdict   links -> links               the karma rule alone: another limit redoes only this

Submissions are booked all the way: copies of a post are merged; a kept link stands for one of its
posts, the others are merged into it; a link below the limit drops all of its posts as karma_low.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.bucket_file import InputFile, bytes_of
from pipeline.engine.stage import (
    Exchange,
    Output,
    Part,
    PartWriter,
    Record,
    ReduceStep,
    Stage,
    Step,
    Table,
    one_part_each,
)
from pipeline.errors import InputError
from pipeline.lines import Lines
from pipeline.links.dumps import form_of, rows_as_lines
from pipeline.links.group import KARMA_LOW, POST, links_table, with_verdicts
from pipeline.links.loose import printable
from pipeline.links.once import COPY, MARKS, UNMARKED, copies_table, each_once
from pipeline.links.select import Dropped, Post, ReadRules, Selector
from pipeline.reasons import Reason
from pipeline.records import LINK
from pipeline.settings import LinksSettings

BATCH_LINES = 10_000
USER_INFO = re.compile(r"//[^/?#@]*@")  # RFC 3986, 3.2.1
# A month whose scores were mostly read within a day of posting says nothing about karma: that was
# seconds in 2023-08, -09, -10 and 2024-03, at least 15 days to the end of 2017 where it is known.
YOUNG_SHARE_MAX = 0.5
# Drops that say nothing of the post and much of the file: most lines of a JSON array, of a table
# that lost a column, of a dump of comments. Of a sound dump they are below 1 %.
UNREAD = (
    Reason.LINE_INVALID,
    Reason.LINE_NOT_OBJECT,
    Reason.COMMENT,
    Reason.OTHER_OBJECT,
    Reason.URL_MISSING,
    Reason.TIME_INVALID,
    Reason.FLAG_INVALID,
    Reason.SCORE_MISSING,
)
UNREAD_SHARE_MAX = 0.5
OUTSIDE_SHARE_MAX = 0.5  # a dump of another year, beside months that hold a day of the next


def links_stage(
    rules: LinksSettings,
    dumps: Sequence[InputFile],
    file_digest: Callable[[InputFile], str],
    say: Callable[[str], None] = lambda _: None,
) -> Stage:
    """The stage over these dumps; `file_digest` is asked only when the stage is planned.

    `say` is told what is no fault and should be known: which dumps hold nothing.
    """
    read = ReadRules.of(rules)
    Selector(read)  # refuses senseless settings before any work
    copies = Step(
        name="read",
        version=3,
        plan=partial(_plan_read, tuple(dumps), rules.accept_torn, file_digest),
        work=Read(read),
        schema=COPY,
        settings=read,
        versions={"can_ada": version("can_ada")},  # its Unicode tables shape the keys
        exchange=Exchange("copy_key"),
        sampled_drops=True,
    )
    distinct = ReduceStep(
        name="once",
        version=1,
        inputs=(copies,),
        key="copy_key",
        reduce=once,
        schema=POST,
        exchange=Exchange("id"),
        sampled_drops=True,
    )
    links = ReduceStep(
        name="group",
        version=2,
        inputs=(distinct,),
        key="id",
        reduce=group,
        schema=LINK,
        keep=True,
    )
    judged = Step(
        name="verdict",
        version=1,
        inputs=(links,),
        plan=one_part_each,
        work=Verdict(rules),
        schema=LINK,
        # The gate is evaluated when the stage is published, so it is published anew.
        settings=[rules.karma_min, rules.karma_rule, rules.accept_immature_scores],
        sampled_drops=True,
    )
    return Stage(
        name="links",
        unit="submissions",
        steps=(copies, distinct, links, judged),
        gives="links",
        check=partial(_check, rules, say),
    )


@dataclass(frozen=True)
class Dump:
    """What a part of `read` reads: a whole dump."""

    path: InputFile


@dataclass(frozen=True)
class Read:
    """A dump to the posts that count."""

    rules: ReadRules

    def __call__(self, part: Part[Dump], out: PartWriter) -> None:
        """Every line is a row or a drop; score ages and a torn end are noted.

        InputError for a dump that begins with so many comments and nothing else.
        """
        judge = (selector := Selector(self.rules)).judge
        path = part.source.path
        posts: list[Post] = []
        marks: list[Dropped] = []
        number = booked = comments = 0
        form = form_of(path, accept_torn=self.rules.accept_torn)
        unit = "line" if form == "lines" else "row"
        with Lines(path, accept_torn=self.rules.accept_torn) as lines:
            for number, line in enumerate(rows_as_lines(path, form, lines), 1):
                verdict = judge(line)
                if isinstance(verdict, Post):
                    posts.append(verdict)
                else:
                    comments += verdict.reason is Reason.COMMENT
                    if verdict.mark is not None:
                        marks.append(verdict)
                    _drop(verdict, f"{unit} {number}", out)
                if number % BATCH_LINES == 0:
                    _refuse_comments(path, comments, number)
                    _write(posts, marks, number - booked, out)
                    booked = number
                    out.heartbeat(f"line {number:,}")
            _refuse_comments(path, comments, number)
            _write(posts, marks, number - booked, out)
            out.note("score_ages", selector.score_ages())
            if lines.torn:
                out.note("torn", lines.torn)


def _drop(verdict: Dropped, place: str, out: PartWriter) -> None:
    """Book a dropped submission; the detail ends with its place in the dump."""
    url = without_credentials(printable(verdict.url))
    detail = f"{printable(verdict.detail)}, {place}" if verdict.detail else place
    out.drop("submissions", verdict.reason, id=verdict.id, url=url, detail=detail)


def without_credentials(url: str) -> str:
    """The URL with a sign in place of a user name and password, which are nobody's to keep."""
    return USER_INFO.sub("//…@", url) if "@" in url else url


def _refuse_comments(path: InputFile, comments: int, lines: int) -> None:
    if comments == lines > 0:
        problem = f"{comments:,} lines, all of them comments; links stand in submissions"
        mend = "Take the month's RS_* file, not its RC_* file"
        if path.name.upper().startswith("RS_"):
            mend = "In spite of its name it is the month's RC_* file: get RS_* again"
        raise InputError(path, "line 1", problem, mend)


def _write(posts: list[Post], marks: list[Dropped], lines: int, out: PartWriter) -> None:
    out.write(copies_table(posts, marks))
    out.book("submissions", rows_in=lines, rows_out=len(posts))
    posts.clear()
    marks.clear()


def once(copies: pa.Table, out: PartWriter) -> None:
    """Copies to posts; those of a marked post are dropped for the mark."""
    posts, marked = each_once(copies)
    out.write(posts)
    for row in marked.select(["id", "url", "mark"]).to_pylist():
        reason = MARKS[row["mark"]]
        detail = "says another copy of the submission"
        out.drop("submissions", reason, id=row["id"], url=row["url"], detail=detail)
    received = pc.sum(pc.equal(copies["mark"], UNMARKED)).as_py() or 0
    merged = received - marked.num_rows - posts.num_rows
    out.book("submissions", rows_in=received, rows_out=posts.num_rows, merged=merged)


def group(posts: pa.Table, out: PartWriter) -> None:
    """Posts to links, which stand for all of them."""
    out.write(links_table(posts))
    out.book("submissions", rows_in=posts.num_rows, rows_out=posts.num_rows)


@dataclass(frozen=True)
class Verdict:
    """Links to links with a verdict."""

    rules: LinksSettings

    def __call__(self, part: Part[Table], out: PartWriter) -> None:
        """A kept link stands for all of its posts, one below the limit drops them."""
        rule = f"karma_{self.rules.karma_rule}"
        out.book("submissions")  # of no links too: then the stage says why it kept nothing
        for batch in out.store.batches(part.source.name, BATCH_LINES):
            out.heartbeat()
            links = with_verdicts(pa.Table.from_batches([batch]), self.rules)
            out.write(links)
            posts = pc.sum(links["posts"]).as_py()
            low = links.filter(pc.equal(links["verdict"], KARMA_LOW))
            kept = links.num_rows - low.num_rows
            kept_posts = posts - (pc.sum(low["posts"]).as_py() or 0)
            out.book("submissions", rows_in=posts, rows_out=kept, merged=kept_posts - kept)
            for row in low.select(["id", "url", rule, "posts"]).to_pylist():
                out.drop(
                    "submissions",
                    Reason.KARMA_LOW,
                    id=row["id"],
                    url=row["url"],
                    detail=f"{rule} {row[rule]}",
                    count=row["posts"],
                )


def _plan_read(
    dumps: Sequence[InputFile], accept_torn: bool, file_digest: Callable[[InputFile], str]
) -> list[Part[Dump]]:
    for path in dumps:
        form_of(path, accept_torn=accept_torn)  # what is no dump stops the build before any work
    if dumps and not any(bytes_of(path) for path in dumps):
        what = "the file is empty" if len(dumps) == 1 else f"all {len(dumps)} dumps are empty"
        raise InputError(dumps[0], "byte 0", what, "Download it again")
    return [
        Part(number, path.name, file_digest(path), Dump(path)) for number, path in enumerate(dumps)
    ]


def _check(rules: LinksSettings, say: Callable[[str], None], read: Output, *_: Output) -> list[str]:
    """Quality gates: dumps that were torn or hardly read, months with scores read too early."""
    parts = read.parts
    if empty := [part.label for part in parts if not part.ledgers["submissions"].rows_in]:
        names = ", ".join(empty[:3]) + (", ..." if len(empty) > 3 else "")
        say(f"links: {len(empty):,} of {len(parts):,} dumps hold nothing: {names}")
    if outside := [part.label for part in parts if _is_outside(part)]:
        names = ", ".join(outside[:3]) + (", ..." if len(outside) > 3 else "")
        say(
            f"links: most submissions of {len(outside):,} of {len(parts):,} dumps are not of "
            f"links.date_min {rules.date_min} to links.date_max {rules.date_max}: {names}"
        )
    notes = [(part.label, part.notes) for part in parts]
    messages = [
        f"links: {label} is torn ({note['torn']}); what comes before was used"
        for label, note in notes
        if "torn" in note
    ]
    messages += [message for part in parts if (message := _mostly_unread(part))]
    if not rules.accept_immature_scores:
        messages += immature_months([note["score_ages"] for _, note in notes])
    return messages


def _is_outside(part: Record) -> bool:
    """Whether most submissions of a dump were dropped for their date."""
    ledger = part.ledgers["submissions"]
    return ledger.drops[Reason.OUTSIDE_DATES] > OUTSIDE_SHARE_MAX * ledger.rows_in


def _mostly_unread(part: Record) -> str:
    """A message for a dump of which most lines could not be read as submissions, or ""."""
    ledger = part.ledgers["submissions"]
    faulty = {reason: ledger.drops[reason] for reason in UNREAD if ledger.drops[reason]}
    if sum(faulty.values()) <= UNREAD_SHARE_MAX * ledger.rows_in:
        return ""
    reason = max(faulty, key=faulty.__getitem__)
    return (
        f"links: {part.label}: {sum(faulty.values()):,} of {ledger.rows_in:,} lines could not be "
        f"read as submissions, most often {reason}: {reason.sentence} Is it a dump of submissions, "
        "one JSON object a line?"
    )


def immature_months(ages: Sequence[dict[str, list[int]]]) -> list[str]:
    """A message for each month whose karma cannot be trusted; see `Selector.score_ages`."""
    known: Counter[str] = Counter()
    young: Counter[str] = Counter()
    for by_month in ages:
        for month, (posts, early) in by_month.items():
            known[month] += posts
            young[month] += early
    return [
        f"links: {young[month] / known[month]:.0%} of the scores of {month} were read less than a "
        "day after posting, so karma says nothing; leave the month out, or set "
        "links.accept_immature_scores"
        for month in sorted(known)
        if young[month] > YOUNG_SHARE_MAX * known[month]
    ]
