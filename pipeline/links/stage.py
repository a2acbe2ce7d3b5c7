"""The stage `links`: Reddit dumps to outbound links.

    read      dump -> posts               one reason a submission; posts go on by link id
    group     posts by link id -> links   all three karmas; kept, since dumps are dear to read
    verdict   links -> links              the karma rule alone: another limit redoes only this

Submissions are booked all the way: a kept link stands for one of its posts, the others are merged
into it; a link below the limit drops all of its posts as karma_low.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.engine.stage import (
    Exchange,
    Inputs,
    Part,
    PartWriter,
    ReduceStep,
    Stage,
    Step,
    one_part_each,
)
from pipeline.lines import Lines, container
from pipeline.links.group import KARMA_LOW, POST, links_table, posts_table, with_verdicts
from pipeline.links.select import Post, ReadRules, Selector
from pipeline.reasons import Reason
from pipeline.records import LINK
from pipeline.settings import LinksSettings

BATCH_LINES = 10_000
# A month whose scores were mostly read within a day of posting says nothing about karma: that was
# seconds in 2023-08, -09, -10 and 2024-03, at least 19 days to the end of 2017.
YOUNG_SHARE_MAX = 0.5


def links_stage(
    rules: LinksSettings, dumps: Sequence[Path], file_digest: Callable[[Path], str]
) -> Stage:
    """The stage over these dumps; `file_digest` is asked only when the stage is planned."""
    read = ReadRules.of(rules)
    Selector(read)  # refuses senseless settings before any work
    return Stage(
        "links",
        "submissions",
        (
            Step(
                name="read",
                version=1,
                plan=partial(_plan_read, tuple(dumps), file_digest),
                work=Read(read),
                schema=POST,
                settings=read,
                versions={"can_ada": version("can_ada")},  # its Unicode tables shape the keys
                exchange=Exchange("id"),
                sampled_drops=True,
            ),
            ReduceStep(
                name="group",
                version=1,
                key="id",
                reduce=group,
                schema=LINK,
                inputs=("read",),
                keep=True,
            ),
            Step(
                name="verdict",
                version=1,
                plan=one_part_each("group"),
                work=Verdict(rules),
                schema=LINK,
                # The gate is evaluated when the stage is published, so it is published anew.
                settings=[rules.karma_min, rules.karma_rule, rules.accept_immature_scores],
                inputs=("group",),
                sampled_drops=True,
            ),
        ),
        gives="links",
        check=partial(_check, rules),
    )


@dataclass(frozen=True)
class Read:
    """A dump to the posts that count."""

    rules: ReadRules

    def __call__(self, part: Part, out: PartWriter) -> None:
        """Every line is a row or a drop; score ages and a torn end are noted."""
        judge = (selector := Selector(self.rules)).judge
        posts: list[Post] = []
        number = booked = 0
        with Lines(Path(part.source["path"]), accept_torn=self.rules.accept_torn) as lines:
            for number, line in enumerate(lines, 1):
                verdict = judge(line)
                if isinstance(verdict, Post):
                    posts.append(verdict)
                else:
                    out.drop(
                        "submissions",
                        verdict.reason,
                        id=verdict.id,
                        url=verdict.url,
                        detail=verdict.detail,
                    )
                if number % BATCH_LINES == 0:
                    _write(posts, number - booked, out)
                    booked = number
                    posts.clear()
                    out.heartbeat(f"line {number:,}")
            _write(posts, number - booked, out)
            out.note("score_ages", selector.score_ages())
            if lines.torn:
                out.note("torn", lines.torn)


def _write(posts: list[Post], lines: int, out: PartWriter) -> None:
    out.write(posts_table(posts))
    out.book("submissions", rows_in=lines, rows_out=len(posts))


def group(tables: dict[str, pa.Table], out: PartWriter) -> None:
    """Posts to links; a submission that is there twice is merged with itself."""
    links = links_table(tables["read"])
    out.write(links)
    posts = pc.sum(links["posts"]).as_py() or 0
    received = tables["read"].num_rows
    out.book("submissions", rows_in=received, rows_out=posts, merged=received - posts)


@dataclass(frozen=True)
class Verdict:
    """Links to links with a verdict."""

    rules: LinksSettings

    def __call__(self, part: Part, out: PartWriter) -> None:
        """A kept link stands for all of its posts, one below the limit drops them."""
        rule = f"karma_{self.rules.karma_rule}"
        out.book("submissions")  # of no links too: then the stage says why it kept nothing
        for batch in pq.ParquetFile(part.source["path"]).iter_batches(BATCH_LINES):
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


def _plan_read(dumps: Sequence[Path], file_digest: Callable[[Path], str], _: Inputs) -> list[Part]:
    for path in dumps:
        container(path)  # a file that is not what it is named stops the build before any work
    return [
        Part(number, path.name, file_digest(path), {"path": str(path)})
        for number, path in enumerate(dumps)
    ]


def _check(rules: LinksSettings, outputs: Inputs) -> list[str]:
    """Quality gates: dumps that were torn, and months whose scores were read too early."""
    notes = [(info.label, info.notes) for info in outputs["read"].parts]
    messages = [
        f"links: {label} is torn ({note['torn']}); what comes before was used"
        for label, note in notes
        if "torn" in note
    ]
    if not rules.accept_immature_scores:
        messages += immature_months([note["score_ages"] for _, note in notes])
    return messages


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
