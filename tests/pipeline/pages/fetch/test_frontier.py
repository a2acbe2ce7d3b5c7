"""The frontier in simulated time: politeness is a property of every schedule."""

import heapq
import random
from collections import Counter, defaultdict
from itertools import count, pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pipeline.pages.fetch.frontier import DOMAINS_A_CONNECTION, Frontier, Kind, Visit
from pipeline.pages.fetch.worklist import Link


class Sizes:
    """Work that is only numbers: so many links of each domain."""

    def __init__(self, sizes: list[int]) -> None:
        self.starts = np.cumsum([0, *sizes])

    def domain(self, number: int) -> str:
        return f"site{number}.org"

    def domain_of(self, row: int) -> int:
        return int(np.searchsorted(self.starts, row, side="right")) - 1

    def link(self, row: int) -> Link:
        url = f"http://{self.domain(self.domain_of(row))}/{row}"
        return Link(f"{row:032x}", url, url, None, "", "")


class World:
    """A network in simulated time, which notes who was asked when."""

    def __init__(self, sizes: list[int], connections: int = 4, **more) -> None:
        self.now = 0.0
        rules = {
            "address_connections": 1000, "delay_s": 1.0, "rounds": 3, "round_wait_s": 100.0, **more,
        }  # fmt: skip
        self.connections = connections
        self.frontier = Frontier(
            Sizes(sizes), connections=connections, clock=lambda: self.now, **rules
        )
        self.asked: dict[str, list[tuple[float, float]]] = defaultdict(list)
        self.at_address: Counter[str] = Counter()
        self.most_at_address: Counter[str] = Counter()
        self.most_known = 0
        self.seconds = lambda visit: 0.3
        self.address = lambda visit: visit.domain
        self.then = lambda world, visit: world.frontier.done()
        self.delay = lambda visit: 0.0

    def run(self) -> "World":
        running: list[tuple[float, int, Visit, str]] = []
        serial = count()
        frontier = self.frontier
        while frontier.left:
            while len(running) < self.connections and (visit := frontier.take()):
                address = self.address(visit)
                if frontier.enter(visit, address):
                    ends = self.now + self.seconds(visit)
                    self.asked[visit.domain].append((self.now, ends))
                    self.at_address[address] += 1
                    self.most_at_address |= self.at_address
                    heapq.heappush(running, (ends, next(serial), visit, address))
            self.most_known = max(self.most_known, frontier.domains_known)
            times = [running[0][0]] if running else []
            if len(running) < self.connections and (wait_s := frontier.wait_s()) is not None:
                times.append(self.now + wait_s)
            assert times, "nothing goes on, and links are left"
            self.now = max(self.now, min(times))
            while running and running[0][0] <= self.now:
                ends, _, visit, address = heapq.heappop(running)
                self.at_address[address] -= 1
                frontier.leave(visit, ends, self.delay(visit))
                self.then(self, visit)
        return self

    def is_polite(self, delay_s: float = 1.0) -> bool:
        return all(
            begin >= ended and begin - began >= delay_s - 1e-9
            for times in self.asked.values()
            for (began, ended), (begin, _) in pairwise(times)
        )


@given(
    sizes=st.lists(st.integers(1, 6), min_size=1, max_size=12),
    connections=st.integers(1, 8),
    seed=st.integers(0, 1_000),
)
def test_whatever_answers_a_domain_is_asked_one_by_one_and_every_link_ends(
    sizes, connections, seed
):
    chance = random.Random(seed)
    world = World(sizes, connections, address_connections=chance.randint(1, 3))
    world.seconds = lambda visit: chance.choice([0.01, 0.5, 7.0])
    world.address = lambda visit: f"10.0.0.{len(visit.domain) % 2}"
    world.delay = lambda visit: 3.0 if visit.domain == "site0.org" else 0.0
    ended: Counter[int] = Counter()

    def then(world: World, visit: Visit) -> None:
        fate = chance.random()
        if fate < 0.2 and len(visit.hops) < 3:
            visit.hops.append(None)
            visit.url = f"http://site{chance.randrange(14)}.org/there"
            world.frontier.push(visit)
        elif fate < 0.4:
            ended[visit.row] += not world.frontier.later(visit)
        else:
            ended[visit.row] += 1
            world.frontier.done()

    world.then = then
    world.run()
    assert world.is_polite()
    assert ended == Counter(range(sum(sizes)))
    waits = [b - a for (a, _), (b, _) in pairwise(world.asked["site0.org"])]
    assert all(wait >= 3.0 for wait in waits)
    assert max(world.most_at_address.values()) <= 3


def test_the_longest_queue_is_never_idle():
    world = World([3] * 50 + [40] + [3] * 50, connections=5)
    world.seconds = lambda visit: 0.2
    world.run()
    times = [began for began, _ in world.asked["site50.org"]]
    assert times[-1] - times[0] < 39 * 1.2 + 1
    assert times[0] == 0.0


def test_a_link_that_fails_comes_again_after_longer_and_longer_waits():
    world = World([1])
    world.then = lambda world, visit: world.frontier.later(visit)
    world.run()
    (first, _), (second, _), (third, _) = world.asked["site0.org"]
    assert 100 < second - first < 102
    assert 300 < third - second < 302


def test_other_links_do_not_wait_for_the_next_round_of_a_domain():
    world = World([5, 1])
    world.then = lambda world, visit: (
        world.frontier.later(visit) if visit.domain == "site1.org" else world.frontier.done()
    )
    world.run()
    assert len(world.asked["site0.org"]) == 5
    assert world.asked["site0.org"][-1][0] < 10
    assert len(world.asked["site1.org"]) == 3


def test_an_address_has_a_limit_and_domains_that_wait_for_it_take_no_connection():
    world = World([2] * 10 + [2] * 10, connections=6, address_connections=2)
    number = {f"site{n}.org": n for n in range(20)}
    world.address = lambda visit: "cdn" if number[visit.domain] < 10 else visit.domain
    world.run()
    assert world.most_at_address["cdn"] == 2
    assert world.is_polite()


def test_the_last_one_at_an_address_wakes_all_that_wait_for_it():
    """Each domain has two addresses; one that was woken for a place may not want it any more."""
    world = World([3] * 6, connections=6, address_connections=1)
    addresses = iter("aaaaaabbbbbb" * 40)
    world.address = lambda visit: next(addresses)
    world.run()
    assert sum(map(len, world.asked.values())) == 18


def test_memory_is_of_the_domains_at_work_not_of_all():
    world = World([1] * 2_000, connections=4)
    world.run()
    assert world.most_known <= 2 * DOMAINS_A_CONNECTION * 4
    assert world.frontier.domains_known <= DOMAINS_A_CONNECTION * 4


def test_while_rules_are_sought_nothing_else_is_asked_of_the_domain():
    world = World([4, 1])
    known: set[str] = set()
    asked: list[tuple[str, Kind]] = []

    def then(world: World, visit: Visit) -> None:
        asked.append((visit.domain, visit.kind))
        if visit.kind is Kind.ROBOTS:
            if visit.domain == "site0.org" and not visit.hops:  # its robots.txt lies elsewhere
                visit.hops.append(None)
                visit.url = "http://site1.org/robots.txt"
                world.frontier.push(visit)
                return
            known.add(visit.origin)
            world.frontier.known(visit.origin)
            return
        world.frontier.done()

    world.then = then
    take = world.frontier.take

    def taken() -> Visit | None:
        while visit := take():
            origin = visit.url.rpartition("/")[0]
            if visit.kind is Kind.PAGE and origin not in known:
                rules = Visit(Kind.ROBOTS, f"{origin}/robots.txt", origin)
                world.frontier.need(visit, rules)
                world.frontier.leave(visit)
                continue
            return visit
        return None

    world.frontier.take = taken
    world.run()
    assert world.is_polite()
    first = asked.index(("site0.org", Kind.PAGE))
    assert ("site1.org", Kind.ROBOTS) in asked[:first]
    assert asked.count(("site0.org", Kind.ROBOTS)) == 1
    assert asked.count(("site0.org", Kind.PAGE)) == 4


def test_private_suffixes_count_as_public_ones():
    world = World([1])
    for host in ("a.blogspot.com", "b.blogspot.com", "www.a.org", "b.a.org"):
        world.frontier.left += 1
        world.frontier.push(Visit(Kind.PAGE, f"http://{host}/"))
    world.run()
    assert {name: len(times) for name, times in world.asked.items()} == {
        "site0.org": 1, "a.blogspot.com": 1, "b.blogspot.com": 1, "a.org": 2,
    }  # fmt: skip
