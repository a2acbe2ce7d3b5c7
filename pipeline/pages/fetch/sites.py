"""What is known of each origin: its robots.txt and tdmrep.json, and whether it fails."""

from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass

from pipeline.documents.decode import decode_body
from pipeline.pages.archive.outcomes import Outcome
from pipeline.pages.fetch.frontier import Kind
from pipeline.pages.fetch.transport import Received
from pipeline.pages.owners.agents import PRODUCT
from pipeline.pages.owners.preferences import Preferences, merged, of_robots_txt, of_tdmrep
from pipeline.pages.owners.robots import ROBOTS_BYTES_MAX, RobotsTxt
from pipeline.pages.owners.tdm import TDMREP_BYTES_MAX, TDMREP_PATH, TdmRules
from pipeline.pages.warc import all_values
from pipeline.reasons import Drop

SITES_KEPT = 20_000
RULES_KEPT_S = 24 * 3600.0  # RFC 9309, 2.4
# A site that asks for more would not be done in this life: its pages wait so long, no longer.
DELAY_MAX_S = 3600.0
PATHS = {Kind.ROBOTS: "/robots.txt", Kind.TDMREP: TDMREP_PATH}
BYTES_MAX = {Kind.ROBOTS: ROBOTS_BYTES_MAX, Kind.TDMREP: TDMREP_BYTES_MAX}
ROBOTS_WORDS = frozenset({"robots", "ai_agents", "content_signal", "content_usage"})
_NO_ROBOTS, _NO_TDM = RobotsTxt(b""), TdmRules()
_NOTHING_SAID = of_robots_txt(_NO_ROBOTS, "http://a.example/")
_NOTHING_SAID_AT_ALL = merged(_NOTHING_SAID, of_tdmrep(_NO_TDM, "http://a.example/"))


@dataclass(slots=True)
class Site:
    """One origin. Rules that are None were not asked for yet, or could not be had.

    `fault` is why nothing may be asked, until `fault_until_s` (monotonic).
    """

    robots: RobotsTxt | None = None
    tdm: TdmRules | None = None
    asked_tdm: bool = False
    rules_until_s: float = 0.0
    fault: tuple[Outcome, str] | None = None
    fault_until_s: float = 0.0
    failures: int = 0  # in a row
    delay_s: float = 0.0

    def preferences(self, url: str) -> Preferences:
        """What its files say of this page."""
        robots = _NOTHING_SAID if self.robots is _NO_ROBOTS else None
        if self.robots is not None and robots is None:
            robots = of_robots_txt(self.robots, url)
        if self.tdm is None:
            return robots or Preferences()
        if self.tdm is _NO_TDM and robots is _NOTHING_SAID:  # most sites have neither file
            return _NOTHING_SAID_AT_ALL
        return merged(robots or Preferences(), of_tdmrep(self.tdm, url))


class Sites:
    """The origins that were asked lately; `respect` are the preferences that are obeyed."""

    def __init__(
        self, respect: Collection[str], *, failures_max: int, pause_s: float, kept: int = SITES_KEPT
    ) -> None:
        self._sites: OrderedDict[str, Site] = OrderedDict()
        self._kept, self._failures_max, self._pause_s = kept, failures_max, pause_s
        self._wants = {
            Kind.ROBOTS: not ROBOTS_WORDS.isdisjoint(respect),
            Kind.TDMREP: "tdm" in respect,
        }

    def __len__(self) -> int:
        return len(self._sites)

    def of(self, origin: str) -> Site:
        """What is known of an origin."""
        site = self._sites.get(origin)
        if site is None:
            site = self._sites[origin] = Site()
            if len(self._sites) > self._kept:
                self._sites.popitem(last=False)
        else:
            self._sites.move_to_end(origin)
        return site

    def lacks(self, site: Site, now: float) -> Kind | None:
        """Which rules must be asked for before a page."""
        if site.rules_until_s <= now:
            site.robots = site.tdm = None
            site.asked_tdm = False
        if self._wants[Kind.ROBOTS] and site.robots is None:
            return Kind.ROBOTS
        if self._wants[Kind.TDMREP] and not site.asked_tdm:
            return Kind.TDMREP
        return None

    def fault(self, site: Site, now: float) -> tuple[Outcome, str] | None:
        """Why nothing may be asked of it now."""
        return site.fault if site.fault and site.fault_until_s > now else None

    def failed(self, site: Site, now: float, outcome: Outcome, detail: str) -> None:
        """It did not answer a page. After so many times in a row it is left alone for a while."""
        site.failures += 1
        if site.failures >= self._failures_max:
            told = f"{site.failures} failures in a row, the last: {outcome} {detail}".rstrip()
            site.fault, site.fault_until_s = (Outcome.HOST_FAILING, told), now + self._pause_s

    def answered(self, site: Site) -> None:
        """It answered, whatever it was."""
        site.failures = 0

    def learn(self, kind: Kind, site: Site, got: Received | None, now: float) -> None:
        """Take the rules from an answer; None: there were more redirects than one follows.

        RFC 9309, 2.3.1: what is not there, or only redirected, allows everything; a server that
        fails, or does not answer, allows nothing for now.
        """
        if kind is Kind.ROBOTS:
            self._learn_robots(site, got, now)
        else:
            site.asked_tdm = True
            content = _content(got, TDMREP_BYTES_MAX) if got else None
            if content is not None:
                site.tdm = TdmRules.parse(content)
            elif got is None or 400 <= got.status < 500:
                site.tdm = _NO_TDM

    def _learn_robots(self, site: Site, got: Received | None, now: float) -> None:
        if got and (fault := _robots_fault(got)):
            kept_s = RULES_KEPT_S if fault[0].is_final else self._pause_s
            site.fault, site.fault_until_s = fault, now + kept_s
            return
        content = _content(got, ROBOTS_BYTES_MAX) if got else None
        site.robots = RobotsTxt(content) if content else _NO_ROBOTS
        site.rules_until_s, site.fault = now + RULES_KEPT_S, None
        site.delay_s = min(DELAY_MAX_S, site.robots.crawl_delay_s(PRODUCT) or 0.0)


def _robots_fault(got: Received) -> tuple[Outcome, str] | None:
    if got.fault and got.fault is not Outcome.HTTP_INVALID:
        return got.fault, f"robots.txt: {got.detail}" if got.detail else "robots.txt"
    if got.fault or got.status >= 500 or got.status in (408, 425, 429):
        return Outcome.ROBOTS_UNAVAILABLE, got.detail or f"status {got.status}"
    return None


def _content(got: Received, bytes_max: int) -> bytes | None:
    """The body of a good answer, without its encodings."""
    if not 200 <= got.status < 300 or got.fault:
        return None
    found = decode_body(
        got.body,
        transfer_encoding="",
        content_encoding=all_values(got.headers, "content-encoding"),
        bytes_max=max(bytes_max, len(got.body)),
    )
    return b"" if isinstance(found, Drop) else found
