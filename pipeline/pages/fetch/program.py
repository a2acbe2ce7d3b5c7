"""The program that fetches: turns from the frontier, answers to the archive."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from pipeline.errors import StageError
from pipeline.pages.archive.outcomes import Answer, Hop, Outcome, Source
from pipeline.pages.archive.segments import Archive
from pipeline.pages.archive.warc_records import WarcRecord, request_record, response_record
from pipeline.pages.capture import REDIRECT_STATUSES
from pipeline.pages.fetch.domains import origin_of
from pipeline.pages.fetch.frontier import Frontier, Kind, Visit
from pipeline.pages.fetch.guard import Guard, address_fault
from pipeline.pages.fetch.sites import BYTES_MAX, PATHS, Sites
from pipeline.pages.fetch.transport import NoAddress, Received, Transport
from pipeline.pages.fetch.visit import Meaning, body_cap, joined, meaning_of
from pipeline.pages.owners.preferences import verdict
from pipeline.pages.warc import first_header

# RFC 9309, 2.3.1.2: at least five redirects of a robots.txt are followed.
RULES_HOPS_MAX = 5
# So many requests in a row that nobody answers, of links that are new: the network is down.
SILENT_MAX = 300
TICK_S = 1.0
TURNS_AT_ONCE = 200  # are begun before those that go on are looked after
_UNREACHED = frozenset(
    {
        Outcome.DNS_FAILED,
        Outcome.HOST_NOT_FOUND,
        Outcome.CONNECT_FAILED,
        Outcome.TLS_FAILED,
        Outcome.ANSWER_TIMED_OUT,
        Outcome.CONNECTION_LOST,
    }
)


@dataclass(frozen=True)
class Rules:
    """What is asked, and how far a redirect leads."""

    guard: Guard
    ports: frozenset[int]
    url_chars_max: int
    hops_max: int
    connections: int
    body_bytes_max: int
    decoded_bytes_max: int
    respect: Collection[str]


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    links: int
    left: int
    requests: int
    at_once: int
    domains: int
    domains_waiting: int
    outcomes: Counter[str]


class Program:
    """One run over the links of a frontier."""

    def __init__(
        self,
        frontier: Frontier,
        sites: Sites,
        transport: Transport,
        archive: Archive,
        rules: Rules,
        *,
        tell: Callable[[Progress], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._frontier, self._sites, self._transport = frontier, sites, transport
        self._archive, self._rules, self._tell, self._clock = archive, rules, tell, clock
        self._links = frontier.left
        self._tasks: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._failed: BaseException | None = None
        self._silent = 0
        self._requests = 0
        self.outcomes: Counter[str] = Counter()  # of links that are done, or wait for a round
        self.stopped_by = 0  # the signal that asked to stop

    async def run(self) -> None:
        """Fetch until no link is left, or a signal comes: the first lets what is begun end."""
        with self._signals():
            told_s = self._clock()
            while True:
                self._begin()
                if self._failed:
                    break
                if not self._tasks and (self.stopped_by or not self._frontier.left):
                    break
                await self._wait()
                if self._clock() - told_s >= TICK_S:
                    told_s = self._clock()
                    self._archive.roll()
                    self._tell(self.progress())
            await self._end()
        if self._failed:
            raise self._failed

    def progress(self) -> Progress:
        """How far it is."""
        return Progress(
            self._links,
            self._frontier.left,
            self._requests,
            len(self._tasks),
            self._frontier.domains_at_work,
            self._frontier.domains_waiting,
            self.outcomes,
        )

    def stop(self, signum: int) -> None:
        """Begin no more; the second time end what is going on."""
        if self.stopped_by:
            for task in self._tasks:
                task.cancel()
        self.stopped_by = signum
        self._woken.set()

    @contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        heard = [
            s for s in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(s) != signal.SIG_IGN
        ]
        for signum in heard:
            try:
                loop.add_signal_handler(signum, self.stop, signum)
            except (ValueError, RuntimeError, NotImplementedError):  # not in the main thread
                heard = []
                break
        try:
            yield
        finally:
            for signum in heard:
                loop.remove_signal_handler(signum)

    def _begin(self) -> None:
        for _ in range(TURNS_AT_ONCE):
            if len(self._tasks) >= self._rules.connections or self.stopped_by:
                return
            visit = self._frontier.take()
            if visit is None:
                return
            if self._is_over_at_once(visit):
                continue
            task = asyncio.get_running_loop().create_task(self._turn(visit))
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        self._woken.set()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._failed = self._failed or error
        self._woken.set()

    async def _wait(self) -> None:
        """Until a turn ends, or another one may begin."""
        is_full = len(self._tasks) >= self._rules.connections
        wait_s = None if is_full or self.stopped_by else self._frontier.wait_s()
        handle = asyncio.get_running_loop().call_later(
            TICK_S if wait_s is None else min(TICK_S, wait_s), self._woken.set
        )
        await self._woken.wait()
        self._woken.clear()
        handle.cancel()

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _is_over_at_once(self, visit: Visit) -> bool:
        """Whether the turn ends without a request: nothing may be asked, or rules are lacking."""
        if visit.kind is not Kind.PAGE:
            return False
        link = visit.link
        assert link is not None
        if link.fault and not visit.hops:
            return self._finish(visit, Meaning(Outcome(link.fault), link.detail))
        rules = self._rules
        if fault := address_fault(visit.url, rules.guard, rules.ports, rules.url_chars_max):
            return self._finish(visit, Meaning(*fault))
        origin, now = origin_of(visit.url), self._clock()
        site = self._sites.of(origin)
        if fault := self._sites.fault(site, now):
            return self._finish(visit, Meaning(*fault))
        if kind := self._sites.lacks(site, now):
            self._frontier.need(
                visit, Visit(kind, origin + PATHS[kind], origin, attempt=visit.attempt)
            )
            self._frontier.leave(visit)
            return True
        known = site.preferences(visit.url)
        if forbidden := verdict(known, rules.respect):
            outcome = Outcome(forbidden.reason.value)
            return self._finish(visit, Meaning(outcome, forbidden.detail, preferences=known))
        return False

    def _finish(self, visit: Visit, meaning: Meaning) -> bool:
        """End a link's turn that asked nothing."""
        self._frontier.leave(visit)
        self._answer(visit, meaning, None, ())
        return True

    async def _turn(self, visit: Visit) -> None:
        """One request."""
        try:
            address = await self._transport.address_of(visit.url)
        except NoAddress as error:
            got = Received(visit.url, time.time(), fault=error.outcome, detail=error.detail)
            got.began_s = self._clock()
            self._received(visit, got)
            return
        if not self._frontier.enter(visit, address):
            return
        self._requests += 1
        if visit.kind is Kind.PAGE:
            cap = partial(body_cap, self._rules.body_bytes_max)
        else:
            cap = partial(_rules_cap, visit.kind)
        self._received(visit, await self._transport.get(visit.url, cap))

    def _received(self, visit: Visit, got: Received) -> None:
        self._listen(visit, got)
        if visit.kind is Kind.PAGE:
            self._page(visit, got)
        else:
            self._rules_came(visit, got)

    def _listen(self, visit: Visit, got: Received) -> None:
        self._silent = self._silent + 1 if got.status == 0 and visit.attempt == 1 else 0
        if self._silent >= SILENT_MAX:
            raise StageError(
                f"{SILENT_MAX} requests in a row found no server that answers (the last: "
                f"{got.url}: {got.fault} {got.detail}). Is this machine on the network? What was "
                "fetched is kept; the same command goes on"
            )

    def _page(self, visit: Visit, got: Received) -> None:
        rules, now = self._rules, self._clock()
        site = self._sites.of(origin_of(visit.url))
        known = site.preferences(visit.url)
        meaning = meaning_of(got, known, rules.respect, rules.decoded_bytes_max)
        if got.fault in _UNREACHED:
            self._sites.failed(site, now, meaning.outcome, meaning.detail)
        elif got.status:
            self._sites.answered(site)
        self._frontier.leave(visit, got.began_s, max(site.delay_s, meaning.wait_s))
        records = _records(got) if meaning.is_stored else ()
        if not meaning.target:
            self._answer(visit, meaning, got, records)
            return
        hop = Hop(got.url, got.status)
        seen = {each.url for each in (*visit.hops, hop)}
        if meaning.target in seen or len(visit.hops) >= rules.hops_max:
            loop = Meaning(Outcome.REDIRECT_LOOP, f"to {meaning.target}", "", meaning.preferences)
            self._answer(visit, loop, got, records)
            return
        visit.hops.append(hop)
        visit.url = meaning.target
        self._archive.store(records)
        self._frontier.push(visit)

    def _rules_came(self, visit: Visit, got: Received) -> None:
        """A robots.txt or tdmrep.json, or a redirect on the way to it."""
        site, now = self._sites.of(visit.origin), self._clock()
        self._archive.store(_records(got))
        found: Received | None = got
        if got.status in REDIRECT_STATUSES and not got.fault:
            found = self._moved(visit, got)
            if found is got:  # it goes on elsewhere
                return
        self._sites.learn(visit.kind, site, found, now)
        self._leave_rules(visit, got)
        self._frontier.known(visit.origin)

    def _moved(self, visit: Visit, got: Received) -> Received | None:
        """`got` if the redirect is followed; else what it stands for, None for a file that is not.

        Whether the address may be asked is judged anew.
        """
        location, rules = first_header(got.headers, "location"), self._rules
        target = joined(got.url, location) if location else ""
        if not target or len(visit.hops) >= RULES_HOPS_MAX:
            return None
        if fault := address_fault(target, rules.guard, rules.ports, rules.url_chars_max):
            told = f"{visit.kind.value} is redirected to {target}: {fault[0]}"
            return Received(got.url, got.time_s, fault=Outcome.ROBOTS_UNAVAILABLE, detail=told)
        self._leave_rules(visit, got)
        visit.hops.append(Hop(got.url, got.status))
        visit.url = target
        self._frontier.push(visit)
        return got

    def _leave_rules(self, visit: Visit, got: Received) -> None:
        """The delay is that of the site that was asked, which may just have told it."""
        asked = self._sites.of(origin_of(got.url))
        self._frontier.leave(visit, got.began_s, asked.delay_s)

    def _answer(
        self, visit: Visit, meaning: Meaning, got: Received | None, records: tuple[WarcRecord, ...]
    ) -> None:
        """Write what became of a link; one that may be tried again waits for its next round."""
        link, outcome = visit.link, meaning.outcome
        assert link is not None
        has_response = got is not None and got.status > 0
        response = records[1] if records else None
        self._archive.add(
            Answer(
                id=link.id,
                key=link.key,
                url=link.url,
                source=Source.LIVE,
                outcome=outcome,
                answered_s=int(time.time()),
                first_post_s=link.first_post_s,
                captured_s=int(got.time_s) if got and has_response else None,
                status=got.status if got else 0,
                final_url=visit.url if visit.hops else "",
                redirects=tuple(visit.hops),
                record_id=response.id if response else "",
                payload_digest=response.field("WARC-Payload-Digest") if response else "",
                preferences=str(meaning.preferences),
                detail=meaning.detail,
            ),
            records,
        )
        if outcome.is_final:
            self._frontier.done()
        elif self._frontier.later(visit):
            return
        self.outcomes[outcome.value] += 1


def _rules_cap(kind: Kind, got: Received) -> int:
    return BYTES_MAX[kind]


def _records(got: Received) -> tuple[WarcRecord, ...]:
    """The request and the response, if there is one."""
    if not got.status:
        return ()
    response = response_record(
        got.url, got.time_s, got.head, got.body, address=got.address, truncated=got.truncated,
        shown=(got.status, got.type[0]),
    )  # fmt: skip
    return request_record(got.url, got.time_s, got.request, response.id), response
