"""The live web as a source: its settings checked, and the parts of a run put together."""

import asyncio
import resource
import shutil
import ssl
from collections.abc import Callable, Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pyarrow as pa

from pipeline.errors import SettingsError
from pipeline.pages.archive.outcomes import Outcome, Source
from pipeline.pages.archive.segments import Archive
from pipeline.pages.fetch.frontier import Frontier
from pipeline.pages.fetch.guard import Guard
from pipeline.pages.fetch.program import Program, Progress, Rules
from pipeline.pages.fetch.sites import Sites
from pipeline.pages.fetch.transport import Http, Limits, places_of
from pipeline.pages.fetch.worklist import WorkList, as_work, make_worklist
from pipeline.pages.owners.agents import PRODUCT
from pipeline.pages.sources import Collected
from pipeline.settings import FetchSettings, Settings

FILES_SPARE = 200  # open files beside connections
CONNECTION_FILES = 4  # of a connection: itself, and those that are kept alive for a while


async def collect(
    links: Iterable[pa.Table],
    archive: Archive,
    settings: Settings,
    *,
    scratch: Path,
    show: Callable[[Progress], None],
    tell: Callable[[str], None],
) -> Collected:
    """Fetch these links from the live web, which may be more than memory holds; one answer each.

    `show` is called every second or so, `tell` with lines for people.
    """
    lists = scratch / "live"
    shutil.rmtree(lists, ignore_errors=True)
    settled = archive.settled(Source.LIVE)
    work, counts = make_worklist(map(as_work, links), lists, settled)
    made = Collected(known=counts.settled)
    if len(work):
        program = await fetch(work, archive, settings, show, tell)
        progress = program.progress()
        made.outcomes.update(progress.outcomes)
        made.requests = progress.requests
    archive.flush()
    shutil.rmtree(lists, ignore_errors=True)
    return made


async def fetch(
    work: WorkList,
    archive: Archive,
    settings: Settings,
    show: Callable[[Progress], None],
    say: Callable[[str], None],
) -> Program:
    """The program after its run over these links; `show` is called every second or so."""
    rules = settings.fetch
    guard = Guard(rules.networks)
    _raise_file_limit(rules.connections, say)
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
    async with transport:
        program = Program(frontier, sites, transport, archive, asked, tell=show)
        await program.run()
    return program


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


def facts_of(settings: Settings) -> dict[str, str]:
    """What each segment's warcinfo record says of the one who fetched."""
    contact = settings.fetch.contact
    facts = {"http-header-user-agent": user_agent(contact), "operator": contact}
    return {**facts, "robots": "obey"} if settings.pages.respect else facts


def check_settings(rules: FetchSettings) -> None:
    """Raise SettingsError, before any work, for what cannot be or may not be."""
    contact = rules.contact.strip()
    is_sound = contact.isprintable() and contact.isascii()
    if not is_sound or ("@" not in contact and "://" not in contact):
        raise SettingsError(
            "your contact is missing (--contact, or fetch.contact in the settings): an e-mail "
            "address or a web page of yours, by which the owner of a site can reach you. It goes "
            "into every request. Without it nothing is fetched: who asks thousands of servers for "
            "pages must be known to them"
        )
    wrong = [port for port in rules.ports if not port.isdigit() or int(port) > 65_535]
    if wrong:
        raise SettingsError(f"fetch.ports: {wrong[0]} is no port; give numbers such as 80,443")
    try:
        places_of(rules.resolve)
    except ValueError as error:
        raise SettingsError(
            f"fetch.resolve: {error} is not HOST:PORT=ADDRESS:PORT, such as "
            "a.example:80=127.0.0.1:8080, a.example:80=nowhere or *:80=127.0.0.1:8080"
        ) from None
    Guard(rules.networks)


def _tls(rules: FetchSettings) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if rules.accept_invalid_certificates:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _raise_file_limit(connections: int, say: Callable[[str], None]) -> None:
    wanted = connections * CONNECTION_FILES + FILES_SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted or soft == resource.RLIM_INFINITY:
        return
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    if most < wanted:
        needed = max(1, (most - FILES_SPARE) // CONNECTION_FILES)
        say(
            f"fetch: this process may open {most:,} files; {connections:,} connections may need "
            f"{wanted:,}. Raise the limit (ulimit -n), or set fetch.connections to {needed}"
        )
