"""The demo's small web: hosts with their articles, and what a link to each page should become."""

import random
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import jinja2

from tools.demo import stored
from tools.demo.captures import HTML, Capture, Headers
from tools.demo.grammar import Writer, below
from tools.demo.stories import Article, article

KEPT = "kept"
UNKNOWN = ""  # a text of the installation: nobody can say beforehand
CRAWLED = datetime(2020, 7, 3, 4, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Site:
    """A host with pages of one genre in one layout; `path` has the fields of `Site.url`."""

    name: str
    origin: str
    genre: str
    layout: str
    pages: int
    path: str = "/{day:%Y}/{day:%m}/{slug}"
    charset: str = "utf-8"
    encoding: str = ""  # Content-Encoding of all its pages

    def url(self, number: int, text: Article) -> str:
        """The address of the site's page `number`."""
        number += 1
        return self.origin + self.path.format(number=number, day=text.day, slug=text.slug)


# fmt: off
SITES = (
    Site("The Valley Ledger", "https://www.valleyledger.example", "news", "newspaper", 39, "/{day:%Y}/{day:%m}/{slug}-{number}"),
    Site("Cairnmouth Courier", "https://cairnmouth-courier.example", "news", "newspaper", 36, "/local/{slug}-{number}.html", encoding="gzip"),
    Site("North County", "http://www.northcounty.example", "news", "oldtable", 33, "/news/{day:%Y%m%d}_{number}.htm", "iso-8859-1"),
    Site("Harbour Post", "https://harbourpost.example", "news", "app", 33, "/p/{slug}-{number}", encoding="br"),
    Site("Spoon and Pot", "https://spoonandpot.example", "recipe", "recipe", 39, "/recipes/{number}/{slug}/"),
    Site("Kitchen Notes", "http://kitchen-notes.example", "recipe", "blog", 33, "/?p={number}"),
    Site("Holloway Farm", "https://recipes.hollowayfarm.example", "recipe", "app", 27, "/r/{slug}-{number}", encoding="gzip"),
    Site("Rusty Bolt", "http://forum.rustybolt.example", "forum", "forum", 39, "/viewtopic.php?f=4&t={number}"),
    Site("Tinkerers' Board", "https://boards.tinkerers.example", "forum", "thread", 33, "/t/{slug}.{number}/"),
    Site("Low Tide Talk", "http://talk.lowtide.example", "forum", "thread", 27, "/thread-{number}.html", encoding="deflate"),
    Site("Slow Roads", "https://slowroads.example", "travel", "blog", 36, "/{day:%Y}/{day:%m}/{slug}-{number}/"),
    Site("Two Boots", "http://two-boots.example", "travel", "blog", 33, "/archives/{number}"),
    Site("The Ferryman", "https://blog.ferryman.example", "travel", "app", 27, "/{slug}-{number}", encoding="zstd"),
    Site("Honest Gear", "https://www.honestgear.example", "review", "newspaper", 33, "/reviews/{slug}-{number}"),
    Site("Workbench Tested", "http://tested.workbench.example", "review", "blog", 30, "/review.aspx?id={number}", "windows-1252"),
    Site("A Second Look", "https://secondlook.example", "review", "app", 27, "/look/{number}", encoding="gzip"),
    Site("Lantern Stories", "https://lanternstories.example", "fiction", "plain", 36, "/{number}.html"),
    Site("Short Fiction Quarterly", "http://www.shortfiction.example", "fiction", "table", 30, "/issue{number}/story.html", "windows-1252"),
    Site("The Seventh Stair", "https://seventhstair.example", "fiction", "blog", 27, "/story/{slug}-{number}"),
    Site("Field Notes", "http://fieldnotes.example", "nature", "blog", 36, "/{day:%Y}/{slug}-{number}.html"),
    Site("Marsh Survey", "https://marshsurvey.example", "nature", "docs", 30, "/reports/{number}.html"),
    Site("Nature Watch", "https://www.naturewatch.example", "nature", "newspaper", 30, "/watch/{slug}-{number}", encoding="br"),
    Site("How to Mend", "https://howtomend.example", "howto", "app", 36, "/guides/{slug}-{number}"),
    Site("Workshop Handbook", "http://handbook.workshop.example", "howto", "docs", 33, "/chapter{number}.html"),
    Site("Old House", "https://oldhouse.example", "howto", "table", 27, "/tips/{number}.htm", "iso-8859-15"),
    Site("Notice Board", "https://noticeboard.example", "listing", "listing", 27, "/week/{number}"),
    Site("Larkspur Classifieds", "http://classifieds.larkspur.example", "listing", "listing", 21, "/list?page={number}&town=larkspur"),
    Site("Nachrichten aus dem Tal", "https://nachrichten-aus-dem-tal.example", "de", "newspaper", 7, "/artikel/{number}"),
    Site("Chroniques", "http://chroniques.example", "fr", "table", 6, "/page{number}.html", "iso-8859-1"),
    Site("El Molino", "https://elmolino.example", "es", "blog", 6, "/entrada/{number}"),
    Site("De Sluis", "https://desluis.example", "nl", "plain", 4, "/{number}.html"),
    Site("O Relógio", "https://orelogio.example", "pt", "blog", 4, "/post/{number}"),
    Site("Письма", "http://pisma.example", "ru", "table", 5, "/{number}.html", "koi8-r"),
    Site("みなと", "http://minato.example", "ja", "table", 5, "/{number}.html", "shift_jis"),
    Site("Fyren", "https://fyren.example", "sv", "newspaper", 4, "/nyhet/{number}"),
)
# fmt: on
FOREIGN = {"de", "fr", "es", "nl", "pt", "ru", "ja", "sv"}

ENCODERS = {
    "gzip": stored.gzip_stored,
    "deflate": stored.zlib_stored,
    "br": stored.brotli_stored,
    "zstd": stored.zstd_stored,
}


@dataclass(frozen=True)
class Target:
    """A URL that submissions link to, and what should become of the link.

    `expected` is "kept", a reason's name, two of them joined by "|" where either is right, or ""
    (UNKNOWN). `karma` is the link's highest; None: drawn, and with it `karma_low` may come first.
    """

    url: str
    expected: str = KEPT
    karma: int | None = None


@dataclass
class Web:
    """What was captured and what is linked, as it grows."""

    captures: list[Capture] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)

    def page(
        self, url: str, body: bytes | str, expected: str = KEPT, karma: int | None = None,
        *, status: int = 200, headers: Headers = HTML, linked: bool = True,
    ) -> None:  # fmt: skip
        """A response, and a link to it unless it is reached by a redirect alone."""
        data = body.encode() if isinstance(body, str) else body
        self.captures.append(Capture(url, self.clock(), data, status, headers))
        if linked:
            self.link(url, expected, karma)

    def redirect(self, url: str, location: str, status: int = 301) -> None:
        """A response that sends on to another URL; it is linked on its own."""
        headers = (("Location", location), ("Content-Type", "text/html"))
        self.captures.append(Capture(url, self.clock(), b"", status, headers))

    def link(self, url: str, expected: str = KEPT, karma: int | None = None) -> None:
        """A URL that submissions link to."""
        self.targets.append(Target(url, expected, karma))

    def clock(self) -> datetime:
        """When the next record is captured: seven seconds after the one before."""
        return CRAWLED + timedelta(seconds=7 * len(self.captures))


def add_site(web: Web, site: Site, texts: Iterable[Article], expected: str = KEPT) -> None:
    """All pages of a site, each with links to five others."""
    listed = list(texts)
    addresses = [site.url(number, text) for number, text in enumerate(listed)]
    for number, text in enumerate(listed):
        later = [(number + step) % len(listed) for step in (1, 2, 3, 5, 8)]
        related = [(listed[i].title, addresses[i]) for i in dict.fromkeys(later) if i != number]
        page = render(site.layout, site, text, addresses[number], related)
        body = page.encode(site.charset, "xmlcharrefreplace")
        headers = _headers(site)
        if site.encoding:
            body = ENCODERS[site.encoding](body)
        web.page(addresses[number], body, expected, headers=headers)


def _headers(site: Site) -> Headers:
    """Every third site leaves the charset to its pages."""
    charset = (
        "" if len(site.name) % 3 == 0 or "table" in site.layout else f"; charset={site.charset}"
    )
    content_type = ("Content-Type", f"text/html{charset}")
    return (content_type, ("Content-Encoding", site.encoding)) if site.encoding else (content_type,)


def seeded_sites(web: Web) -> None:
    """The sites whose texts our grammars write."""
    for site in SITES:
        texts = [article(site.genre, f"{site.origin}/{number}") for number in range(site.pages)]
        add_site(web, site, texts, "other_language" if site.genre in FOREIGN else KEPT)


def render(
    layout: str, site: Site, text: Article, url: str, related: list[tuple[str, str]] | None = None
) -> str:
    """The page's HTML. Blogs and recipes get readers' comments."""
    writer = Writer(random.Random(url))
    comments = []
    if layout in ("blog", "recipe"):
        for _ in range(below(writer.rng, 4)):
            comments.append((writer.write("nick"), writer.write("comment")))
    return _layouts().get_template(f"{layout}.html").render(
        site=site, article=text, url=url, related=related or [], comments=comments
    )  # fmt: skip


@cache
def _layouts() -> jinja2.Environment:
    folder = Path(__file__).with_name("layouts")
    return jinja2.Environment(loader=jinja2.FileSystemLoader(folder), autoescape=True)
