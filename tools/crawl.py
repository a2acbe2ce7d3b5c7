"""The command `fetch`: links to pages of the live web, into an archive of WARC files."""

import asyncio
import json
import resource
import shutil
import ssl
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.errors import InputError, SettingsError, Stopped
from pipeline.pages.agents import PRODUCT
from pipeline.pages.archive import Archive, Folder
from pipeline.pages.fetch.frontier import Frontier
from pipeline.pages.fetch.guard import Guard
from pipeline.pages.fetch.program import Program, Progress, Rules
from pipeline.pages.fetch.sites import Sites
from pipeline.pages.fetch.transport import Http, Limits, places_of
from pipeline.pages.fetch.worklist import Counts, WorkList, make_worklist, read_links
from pipeline.pages.outcomes import Outcome, Source
from pipeline.settings import FetchSettings, Settings
from tools.progress import Progress as Line

# Above this share of links that no server answered the network, not the links, is to blame.
UNANSWERED_SHARE_MAX = 0.5
UNANSWERED_LINKS_MIN = 100
_FILES_SPARE = 200  # open files beside connections
_CONNECTION_FILES = 4  # of a connection: itself, and those that are kept alive for a while


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
    _check(rules)
    if not links:
        raise SettingsError(
            "name the links: files of `webtext links`, a list of URLs, or - (stdin)"
        )
    work_folder = scratch or out / (f".work-{number}-of-{shards}" if shards > 1 else ".work")
    files = list(_link_files(links))
    facts = {"http-header-user-agent": user_agent(rules.contact), "operator": rules.contact}
    if settings.pages.respect:
        facts["robots"] = "obey"
    with Archive(
        Folder(out),
        work_folder,
        facts=facts,
        segment_bytes=rules.segment_bytes,
        segment_s=rules.segment_s,
        in_background=True,
    ) as archive:
        for sentence in archive.recovered:
            print(sentence, file=sys.stderr)
        counts = Counts()
        tables = (table for path in files for table in read_links(path, counts))
        lists = work_folder / "links"
        shutil.rmtree(lists, ignore_errors=True)
        work, more = make_worklist(tables, lists, archive.settled(Source.LIVE), number, shards)
        counts.given += more.given
        counts.other_shard, counts.doubled = more.other_shard, more.doubled
        counts.settled = more.settled
        stopped_by = asyncio.run(_run(work, archive, settings))
        archive.flush()
        outcomes = _outcomes(archive)
        shutil.rmtree(lists, ignore_errors=True)
    _print(counts, outcomes, as_json=as_json)
    if stopped_by:
        raise Stopped(stopped_by)
    return _gates(outcomes)


async def _run(work: WorkList, archive: Archive, settings: Settings) -> int:
    """The signal that stopped it, 0 if all is done."""
    rules = settings.fetch
    guard = Guard(rules.networks)
    _raise_file_limit(rules.connections)
    frontier = Frontier(
        work,
        connections=rules.connections,
        address_connections=rules.address_connections,
        delay_s=rules.delay_s,
        rounds=rules.rounds,
        round_wait_s=rules.round_wait_s,
        clock=asyncio.get_running_loop().time,
    )
    sites = Sites(
        settings.pages.respect,
        failures_max=rules.host_failures_max,
        pause_s=rules.round_wait_s,
    )
    asked = Rules(
        guard=guard,
        ports=frozenset(map(int, rules.ports)),
        url_chars_max=rules.url_chars_max,
        hops_max=settings.pages.hops_max,
        connections=rules.connections,
        body_bytes_max=rules.body_bytes_max,
        decoded_bytes_max=rules.decoded_bytes_max,
        respect=frozenset(settings.pages.respect),
    )
    limits = Limits(
        dns_s=rules.dns_s,
        connect_s=rules.connect_s,
        idle_s=rules.idle_s,
        total_s=rules.total_s,
        header_bytes_max=rules.header_bytes_max,
    )
    transport = Http(
        guard,
        limits,
        request_headers(rules.contact),
        places=places_of(rules.resolve),
        proxy=rules.proxy,
        tls=_tls(rules),
    )
    with Line() as line:
        async with transport:
            program = Program(
                frontier, sites, transport, archive, asked,
                tell=lambda progress: line(told(progress)),
            )  # fmt: skip
            await program.run()
    return program.stopped_by


def told(progress: Progress) -> str:
    """One line of progress."""
    done = progress.links - progress.left
    captured = progress.outcomes[Outcome.CAPTURED.value]
    return (
        f"fetch: {done:,} of {progress.links:,} links, {captured:,} pages, "
        f"{progress.requests:,} requests, {progress.at_once:,} at once; "
        f"{progress.domains:,} domains at work, {progress.domains_waiting:,} waiting"
    )


def user_agent(contact: str) -> str:
    """How every request names its sender."""
    try:
        number = version("webtext")
    except PackageNotFoundError:
        number = "0"
    return f"{PRODUCT}/{number} (+{contact})"


def request_headers(contact: str) -> dict[str, str]:
    """The headers of every request."""
    headers = {
        "User-Agent": user_agent(contact),
        "Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.1",
        "Accept-Language": "en,*;q=0.5",
        "Accept-Encoding": "gzip, deflate, br",
    }
    if "@" in contact and "://" not in contact:
        headers["From"] = contact
    return headers


def shard_of(told_as: str) -> tuple[int, int]:
    """The number of a shard and how many there are; `0/4` to `3/4`."""
    if not told_as:
        return 0, 1
    number, slash, shards = told_as.partition("/")
    if not (slash and number.isdigit() and shards.isdigit() and int(number) < int(shards)):
        raise SettingsError(f"--shard {told_as}: write I/N, from 0/4 to 3/4 for four machines")
    return int(number), int(shards)


def _check(rules: FetchSettings) -> None:
    """Refuse, before any work, what cannot be or may not be."""
    contact = rules.contact.strip()
    if (
        not contact.isprintable()
        or not contact.isascii()
        or ("@" not in contact and "://" not in contact)
    ):
        raise SettingsError(
            "--contact is missing: an e-mail address or a web page of yours, by which the owner of "
            "a site can reach you. It goes into every request. Without it nothing is fetched: who "
            "asks thousands of servers for pages must be known to them"
        )  # fmt: skip
    wrong = [port for port in rules.ports if not port.isdigit() or int(port) > 65_535]
    if wrong:
        raise SettingsError(f"fetch.ports: {wrong[0]} is no port; give numbers such as 80,443")
    try:
        places_of(rules.resolve)
    except ValueError as error:
        raise SettingsError(
            f"fetch.resolve: {error} is not HOST:PORT=ADDRESS:PORT, such as "
            "a.example:80=127.0.0.1:8080"
        ) from None
    Guard(rules.networks)


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


def _tls(rules: FetchSettings) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if rules.accept_invalid_certificates:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _raise_file_limit(connections: int) -> None:
    wanted = connections * _CONNECTION_FILES + _FILES_SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted or soft == resource.RLIM_INFINITY:
        return
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < wanted:
        needed = (most - _FILES_SPARE) // _CONNECTION_FILES
        print(
            f"fetch: this process may open {most:,} files; {connections:,} connections may need "
            f"{wanted:,}. Raise the limit (ulimit -n), or set --connections {max(1, needed)}",
            file=sys.stderr,
        )


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
