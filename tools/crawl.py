"""The command `fetch`: links to pages of the live web, into an archive of WARC files."""

import asyncio
import json
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import InputError, SettingsError, Stopped
from pipeline.pages.archive.outcomes import Outcome, Source
from pipeline.pages.archive.segments import Archive, Folder
from pipeline.pages.fetch.collect import check_settings, facts_of, fetch, told
from pipeline.pages.fetch.worklist import Counts, make_worklist, read_links
from pipeline.settings import Settings
from tools.progress import Progress as Line

# Above this share of links that no server answered the network, not the links, is to blame.
UNANSWERED_SHARE_MAX = 0.5
UNANSWERED_LINKS_MIN = 100


def fetch_links(
    links: Sequence[Path],
    out: Path,
    settings: Settings,
    *,
    shard: str = "",
    scratch: Path | None = None,
    as_json: bool = False,
) -> list[str]:
    """Fetch the links of these files into the archive `out`; the quality gates that failed.

    Prints what became of the links. Raises Stopped after a signal, with all that was fetched kept.
    """
    number, shards = shard_of(shard)
    rules = settings.fetch
    check_settings(rules)
    if not links:
        raise SettingsError(
            "name the links: files of `webtext links`, a list of URLs, or - (stdin)"
        )
    work_folder = scratch or out / (f".work-{number}-of-{shards}" if shards > 1 else ".work")
    files = list(_link_files(links))
    with Archive(
        Folder(out),
        work_folder,
        facts=facts_of(settings),
        segment_bytes=rules.segment_bytes,
        segment_s=rules.segment_s,
        in_background=True,
    ) as archive:
        for sentence in archive.recovered:
            _say(sentence)
        counts = Counts()
        tables = (table for path in files for table in read_links(path, counts))
        lists = work_folder / "links"
        shutil.rmtree(lists, ignore_errors=True)
        work, more = make_worklist(tables, lists, archive.settled(Source.LIVE), number, shards)
        counts.given += more.given
        counts.other_shard, counts.doubled = more.other_shard, more.doubled
        counts.settled = more.settled
        with Line() as line:
            program = asyncio.run(
                fetch(work, archive, settings, lambda progress: line(told(progress)), _say)
            )
        archive.flush()
        outcomes = _outcomes(archive)
        shutil.rmtree(lists, ignore_errors=True)
    _print(counts, outcomes, as_json=as_json)
    if program.stopped_by:
        raise Stopped(program.stopped_by)
    return _gates(outcomes)


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr)


def shard_of(told_as: str) -> tuple[int, int]:
    """The number of a shard and how many there are; `0/4` to `3/4`."""
    if not told_as:
        return 0, 1
    number, slash, shards = told_as.partition("/")
    if not (slash and number.isdigit() and shards.isdigit() and int(number) < int(shards)):
        raise SettingsError(f"--shard {told_as}: write I/N, from 0/4 to 3/4 for four machines")
    return int(number), int(shards)


def _link_files(links: Sequence[Path]) -> Iterator[Path]:
    """The files that are meant: of a folder its Parquet files, or those of its folder links/."""
    for path in links:
        if not path.is_dir():
            if not path.exists():
                raise InputError(path, "", "there is no such file", "Name a file of links")
            yield path
            continue
        inner = path / "links" if (path / "links").is_dir() else path
        found = sorted(inner.glob("*.parquet"))
        if not found:
            raise InputError(path, "", "no Parquet file is in it", "Name the folder of the links")
        yield from found


def _outcomes(archive: Archive) -> Counter[str]:
    """The links of the archive by their last answer of the live web."""
    answers = archive.answers(("source", "outcome"))
    live = answers.filter(pc.equal(answers["source"], Source.LIVE.value))
    counted = (
        pa.table({"outcome": live["outcome"]}).group_by("outcome").aggregate([([], "count_all")])
    )
    return Counter({row["outcome"]: row["count_all"] for row in counted.to_pylist()})


def _print(counts: Counts, outcomes: Counter[str], *, as_json: bool) -> None:
    facts = {
        "links": counts.given,
        "karma_low": counts.karma_low,
        "other_shard": counts.other_shard,
        "doubled": counts.doubled,
        "settled_before": counts.settled,
        "outcomes": dict(outcomes.most_common()),
        "open": sum(n for name, n in outcomes.items() if not Outcome(name).is_final),
    }
    if as_json:
        print(json.dumps(facts))
        return
    print(f"{'links':<22}{counts.given:>12,}")
    for name, n in outcomes.most_common():
        outcome = Outcome(name)
        sentence = outcome.reason.sentence if outcome.reason else "The page is in the archive."
        again = "" if outcome.is_final else " The same command tries again."
        print(f"{name:<22}{n:>12,}  {sentence}{again}")


def _gates(outcomes: Counter[str]) -> list[str]:
    links = sum(outcomes.values())
    unanswered = sum(
        outcomes[each.value]
        for each in (Outcome.DNS_FAILED, Outcome.CONNECT_FAILED, Outcome.ANSWER_TIMED_OUT)
    )
    if links < UNANSWERED_LINKS_MIN or unanswered <= UNANSWERED_SHARE_MAX * links:
        return []
    return [
        f"fetch: {unanswered:,} of {links:,} links were not answered by any server; check the "
        "network of this machine, then run the same command again"
    ]
