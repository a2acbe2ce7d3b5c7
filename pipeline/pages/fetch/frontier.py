"""Who may be asked when: the queue of all links, one turn at a time for each registrable domain.

A turn is one request: for a page, a redirect on its way, a robots.txt. While a domain has its turn,
and until its delay is over, nobody else asks it. An IP address has a limit of turns at once.

Memory does not grow with the links. Only so many domains are at work at once, the longest queue
first, since it decides how long all takes; of the others there is nothing but a row in the list on
disk. A link that is to be tried again is its row number, until its domain's turn comes anew.

Nothing here waits, or knows the network: `take` gives the next turn, `leave` ends it, and the time
is what `clock` says. So a week can be simulated.
"""

import heapq
from array import array
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from math import inf
from typing import Protocol

import numpy as np
import numpy.typing as npt

from pipeline.pages.archive.outcomes import Hop
from pipeline.pages.fetch.domains import host_of, registrable_domain
from pipeline.pages.fetch.worklist import Link

# With so many domains at work for each connection none idles at one request a second, if answers
# take less than so many seconds.
DOMAINS_A_CONNECTION = 16
ROUND_FACTOR = 3  # each round waits so many times longer than the one before


class Work(Protocol):
    """The links by row; see WorkList."""

    starts: npt.NDArray[np.int64]

    def link(self, row: int) -> Link:
        """The link of a row."""

    def domain(self, number: int) -> str:
        """The name of a domain."""

    def domain_of(self, row: int) -> int:
        """The domain that has a row."""


class Kind(Enum):
    """What a request is for. The last two are asked before any page of their origin."""

    PAGE = "page"
    ROBOTS = "robots.txt"
    TDMREP = "tdmrep.json"


@dataclass(slots=True)
class Visit:
    """The way to an answer, which may take several turns; `url` is what is asked next.

    `origin` is that whose rules are sought, of a page "". `row` and `link` are None for rules.
    """

    kind: Kind
    url: str
    origin: str = ""
    row: int = -1
    attempt: int = 1
    link: Link | None = None
    hops: list[Hop] = field(default_factory=list)
    address: str = ""  # while it has a turn that asks
    domain: str = ""  # of the present turn

    @property
    def home(self) -> str:
        """The domain of the next request."""
        return registrable_domain(host_of(self.url))


class _Domain:
    """A domain that is at work, or was asked so lately that its delay is not over."""

    __slots__ = (
        *("attempt", "at", "failed", "has_queue", "held", "is_busy", "is_parked", "is_waiting"),
        *("name", "next_s", "number", "pending", "rows", "stop", "urgent"),
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.next_s = 0.0
        self.is_busy = self.is_waiting = self.is_parked = self.has_queue = False
        self.held = 0  # origins whose rules are being sought: only these may be asked for
        self.urgent: deque[Visit] | None = None  # robots.txt and the like
        self.pending: deque[Visit] | None = None  # redirects that lead here
        self.number = -1
        self.attempt = 0
        self.rows: array[int] | None = None  # of a later round; in the first they are a range
        self.at = self.stop = 0
        self.failed: array[int] | None = None

    @property
    def weight(self) -> float:
        """Who comes first where many may be asked: what is begun, then the longest queue."""
        return inf if self.urgent or self.pending else self.stop - self.at


class Frontier:
    """All links that are left; `left` counts them."""

    def __init__(
        self,
        work: Work,
        *,
        connections: int,
        address_connections: int,
        delay_s: float,
        rounds: int,
        round_wait_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._work, self._clock = work, clock
        self._delay_s, self._address_max = delay_s, address_connections
        self._rounds, self._round_wait_s = rounds, round_wait_s
        self._domains_max = DOMAINS_A_CONNECTION * connections
        sizes = np.diff(work.starts)
        self._order = np.argsort(-sizes, kind="stable")  # of the domains, the longest queue first
        self._begun = 0
        self._at_work = 0
        self._domains: dict[str, _Domain] = {}
        self._ready: list[tuple[float, int, _Domain]] = []  # by the time when they may be asked
        self._due: list[tuple[float, int, _Domain]] = []  # those that may be asked now, by weight
        self._later: list[tuple[float, int, int, int, array[int]]] = []
        self._serial = 0
        self._addresses: dict[str, int] = {}
        self._parked: dict[str, deque[_Domain]] = {}
        self.left = int(sizes.sum())

    @property
    def domains_at_work(self) -> int:
        """Domains with links that wait for their turn."""
        return self._at_work

    @property
    def domains_known(self) -> int:
        """Domains that are in memory."""
        return len(self._domains)

    @property
    def domains_waiting(self) -> int:
        """Domains that are not begun, or wait for a later round."""
        return len(self._order) - self._begun + len(self._later)

    def take(self) -> Visit | None:
        """The next turn, which `leave` ends; None if there is none now (see `wait_s`)."""
        now = self._clock()
        self._begin_domains(now)
        while self._ready and self._ready[0][0] <= now:
            _, serial, domain = heapq.heappop(self._ready)
            heapq.heappush(self._due, (-domain.weight, serial, domain))
        while self._due:
            _, _, domain = heapq.heappop(self._due)
            domain.is_waiting = False
            if visit := self._next_of(domain):
                domain.is_busy = True
                visit.domain = domain.name
                return visit
            self._rest(domain)
            self._begin_domains(now)
        return None

    def wait_s(self) -> float | None:
        """Seconds until `take` may have a turn; None if only the end of another turn gives one."""
        if self._due:
            return 0.0
        times = [self._ready[0][0]] if self._ready else []
        if self._later and self._at_work < self._domains_max:
            times.append(self._later[0][0])
        return max(0.0, min(times) - self._clock()) if times else None

    def enter(self, visit: Visit, address: str) -> bool:
        """Whether the turn may ask this address now.

        If not, the turn is over: the visit comes again when another one leaves the address.
        """
        asked = self._addresses.get(address, 0)
        if asked >= self._address_max:
            domain = self._domains[visit.domain]
            self._queue_of(domain, visit).appendleft(visit)
            domain.is_busy, domain.is_parked = False, True
            self._parked.setdefault(address, deque()).append(domain)
            return False
        self._addresses[address] = asked + 1
        visit.address = address
        return True

    def leave(self, visit: Visit, began_s: float | None = None, delay_s: float = 0.0) -> None:
        """End a turn. `began_s` is when its answer began, or failed; None if nothing was asked.

        The domain's next turn comes `delay_s` after that, or later if the settings say so.
        """
        domain = self._domains[visit.domain]
        domain.is_busy = False
        if began_s is not None:
            domain.next_s = max(domain.next_s, began_s + max(delay_s, self._delay_s))
        if visit.address:
            self._leave_address(visit.address)
            visit.address = ""
        self._wake(domain)

    def push(self, visit: Visit) -> None:
        """Queue a visit for its next request, at whatever domain that is."""
        domain = self._known(visit.home)
        self._queue_of(domain, visit).append(visit)
        self._wake(domain)

    def need(self, visit: Visit, rules: Visit) -> None:
        """Have the rules of an origin sought before this visit, whose turn it is, goes on.

        Until `known` is called nothing else is asked of the domain; the turn must still be left.
        """
        domain = self._domains[visit.domain]
        domain.held += 1
        self._queue_of(domain, visit).appendleft(visit)
        self._queue_of(domain, rules).append(rules)

    def known(self, origin: str) -> None:
        """The rules of this origin are known, or it is known that there are none."""
        domain = self._domains[registrable_domain(host_of(origin))]
        domain.held -= 1
        self._wake(domain)

    def later(self, visit: Visit) -> bool:
        """Whether the link gets another round; if not, it is done."""
        if visit.attempt >= self._rounds:
            self.done()
            return False
        number = self._work.domain_of(visit.row)
        domain = self._domains.get(self._work.domain(number))
        if domain and domain.has_queue and domain.attempt == visit.attempt:
            if domain.failed is None:
                domain.failed = array("Q")
            domain.failed.append(visit.row)
        else:
            self._wait(number, visit.attempt, array("Q", [visit.row]))
        return True

    def done(self) -> None:
        """A link has its outcome."""
        self.left -= 1

    def _begin_domains(self, now: float) -> None:
        """Have as many domains at work as there may be."""
        while self._at_work < self._domains_max:
            if self._later and self._later[0][0] <= now:
                _, _, number, attempt, rows = heapq.heappop(self._later)
                domain = self._known(self._work.domain(number))
                if domain.has_queue:  # of an earlier round still
                    self._wait(number, attempt - 1, rows)
                    continue
                domain.rows, domain.at, domain.stop = rows, 0, len(rows)
            elif self._begun < len(self._order):
                number, attempt = int(self._order[self._begun]), 1
                self._begun += 1
                domain = self._known(self._work.domain(number))
                domain.rows = None
                domain.at = int(self._work.starts[number])
                domain.stop = int(self._work.starts[number + 1])
            else:
                return
            domain.number, domain.attempt, domain.has_queue = number, attempt, True
            self._at_work += 1
            self._wake(domain)

    def _next_of(self, domain: _Domain) -> Visit | None:
        if domain.urgent:
            return domain.urgent.popleft()
        if domain.held:
            return None
        if domain.pending:
            return domain.pending.popleft()
        if domain.at < domain.stop:
            row = domain.rows[domain.at] if domain.rows else domain.at
            domain.at += 1
            link = self._work.link(row)
            return Visit(Kind.PAGE, link.url, row=row, attempt=domain.attempt, link=link)
        return None

    def _queue_of(self, domain: _Domain, visit: Visit) -> deque[Visit]:
        if visit.kind is Kind.PAGE:
            if domain.pending is None:
                domain.pending = deque()
            return domain.pending
        if domain.urgent is None:
            domain.urgent = deque()
        return domain.urgent

    def _known(self, name: str) -> _Domain:
        domain = self._domains.get(name)
        if domain is None:
            domain = self._domains[name] = _Domain(name)
        return domain

    def _wake(self, domain: _Domain) -> None:
        """Have the domain looked at when its delay is over."""
        if not (domain.is_busy or domain.is_waiting or domain.is_parked):
            domain.is_waiting = True
            self._serial += 1
            heapq.heappush(self._ready, (domain.next_s, self._serial, domain))

    def _rest(self, domain: _Domain) -> None:
        """A domain whose delay is over has nothing to do: forget it, unless it is held."""
        if domain.held:
            return
        if domain.has_queue:
            domain.has_queue, domain.rows = False, None
            self._at_work -= 1
            if domain.failed:
                self._wait(domain.number, domain.attempt, domain.failed)
                domain.failed = None
        del self._domains[domain.name]

    def _wait(self, number: int, attempt: int, rows: "array[int]") -> None:
        """Have these rows of a domain, which failed in this round, tried in the next one."""
        due_s = self._clock() + self._round_wait_s * ROUND_FACTOR ** (attempt - 1)
        self._serial += 1
        heapq.heappush(self._later, (due_s, self._serial, number, attempt + 1, rows))

    def _leave_address(self, address: str) -> None:
        asked = self._addresses[address] - 1
        parked = self._parked.get(address) or deque[_Domain]()
        # One comes for the one that went. It may ask another address, and the last wakes all.
        for _ in range(1 if asked else len(parked)):
            if parked:
                domain = parked.popleft()
                domain.is_parked = False
                self._wake(domain)
        if not parked:
            self._parked.pop(address, None)
        if asked:
            self._addresses[address] = asked
        else:
            del self._addresses[address]
