"""The demo's small web: hosts with their articles, and what a link to each page should become."""

import random
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import jinja2

from tools.demo import stored
from tools.demo.captures import HTML, Capture, Headers
from tools.demo.grammar import Writer, below
from tools.demo.stories import LANGUAGES, Article, article

KEPT = "kept"
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


ENCODERS = {
    "gzip": stored.gzip_stored,
    "deflate": stored.zlib_stored,
    "br": stored.brotli_stored,
    "zstd": stored.zstd_stored,
}


def _sites() -> tuple[Site, ...]:
    lines = Path(__file__).with_name("sites.txt").read_text(encoding="utf-8").splitlines()
    sites = []
    for line in lines:
        if line and not line.startswith("#"):
            name, origin, genre, layout, pages, path, charset, encoding = re.split(r" {2,}", line)
            encoding = encoding.replace("-", "")
            sites.append(Site(name, origin, genre, layout, int(pages), path, charset, encoding))
    return tuple(sites)


SITES = _sites()


@dataclass(frozen=True)
class Target:
    """A URL that submissions link to, and what should become of the link.

    `expected` is "kept", a reason's name, or two of them joined by "|" where either is right.
    `karma` is the link's highest; None: drawn, and with it `karma_low` may come first.
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


def add_sites(web: Web, share: int = 1) -> None:
    """The sites whose texts our grammars write, with one in `share` of their pages."""
    for site in SITES:
        pages = range(-(-site.pages // share))
        texts = [article(site.genre, f"{site.origin}/{number}") for number in pages]
        add_site(web, site, texts, "other_language" if site.genre in LANGUAGES else KEPT)


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
