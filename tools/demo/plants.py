"""What goes wrong on a web, planted one by one: each page here has one known end."""

import random
from dataclasses import replace

from tools.demo import stored
from tools.demo.captures import HTML, Capture, Headers
from tools.demo.grammar import below
from tools.demo.stories import Article, article
from tools.demo.web import CRAWLED, ENCODERS, SITES, Site, Web, render

PLAIN = Site("Odds and Ends", "https://odds.example", "travel", "plain", 0)
BLOG = Site("Margins", "https://margins.example", "travel", "blog", 0)
WIKI = Site("Wikipedia, the free encyclopedia", "https://en.wikipedia.org", "wiki", "wiki", 0)
UNMARKED = replace(WIKI, name="Everything Else")
FAMOUS, COPIED = 900, 12  # karma of an original and of its copies, so that the original stays
NO_CHARSET: Headers = (("Content-Type", "text/html"),)


def plant_all(web: Web) -> None:
    """Everything below, in a fixed order."""
    for plant in (
        redirects, errors, copies, wikipedia, kinds_of_files, limits, encoded_bodies, charsets,
        texts_without_text, bad_texts, several_captures, other_records,
    ):  # fmt: skip
        plant(web)


def page_of(seed: str, genre: str = "travel", site: Site = PLAIN) -> str:
    """A page with a text of its own."""
    return render(site.layout, site, article(genre, seed), f"{site.origin}/{seed}")


def redirects(web: Web) -> None:
    """Shorteners, a chain, a circle, a way too long, one to nowhere."""
    short = "http://shrt.example"
    for number in range(4):
        page = f"{PLAIN.origin}/behind-a-shortener/{number}"
        web.redirect(f"{short}/s{number}", page, 302 if number % 2 else 301)
        web.page(page, page_of(f"short{number}"), linked=False)
        web.link(f"{short}/s{number}", karma=40)
    page = f"{PLAIN.origin}/posted-twice"
    web.page(page, page_of("twice"), karma=FAMOUS)
    web.redirect(f"{short}/twice", page)
    web.link(f"{short}/twice", "same_url", COPIED)

    web.redirect("http://secure.example/page", "https://secure.example/page")
    web.page("https://secure.example/page", page_of("secure"), linked=False)
    web.link("http://secure.example/page", karma=8)

    chain = [f"http://moved.example/{step}" for step in range(4)]
    for here, there in zip(chain, [*chain[1:], f"{PLAIN.origin}/end-of-chain"], strict=True):
        web.redirect(here, there, 302)
    web.page(f"{PLAIN.origin}/end-of-chain", page_of("chain"), linked=False)
    web.link(chain[0], karma=60)

    for number in range(9):
        web.redirect(f"http://moved.example/far/{number}", f"/far/{number + 1}")
    web.page("http://moved.example/far/9", page_of("far"), linked=False)
    web.link("http://moved.example/far/0", "redirect_loop", 30)
    web.redirect("http://moved.example/round/a", "http://moved.example/round/b", 302)
    web.redirect("http://moved.example/round/b", "http://moved.example/round/a", 302)
    web.link("http://moved.example/round/a", "redirect_loop", 25)
    web.redirect("http://moved.example/nowhere", "https://forgotten.example/page")
    web.link("http://moved.example/nowhere", "redirect_lost", 25)
    for number in range(12):
        web.link(f"https://nobody-went-there.example/{number}", "not_captured", 5 + number)


WALLS = {
    "wall_not_found": "The page that you asked for is not here any more, or it never was.",
    "wall_moved": "This page has moved to another address.",
    "wall_login": "To read this page, log in or register.",
    "wall_consent": "Before you continue to this site, accept all cookies.",
    "wall_script": "You need to enable JavaScript to see this page.",
    "wall_challenge": "Checking your browser: please confirm that you are human.",
    "wall_parked": "This domain is for sale.",
    "wall_error": "An unexpected error occurred.",
}
BELOW_A_WALL = (
    "Please start again from the home page, use the search box in the menu, or write to the"
    " webmaster and tell us which address you typed or which of your bookmarks led to us. We are"
    " sorry for the inconvenience, and we thank you for your help."
)


_GOODS = (
    "Garden furniture, Kitchen knives, Bathroom mirrors, Bedroom lamps, Wooden toys, Leather shoes,"
    " Winter coats, Cotton shirts, Silver rings, Travel books, Picture frames, Dinner plates,"
    " Coffee cups, Cooking pots, Office chairs, Writing paper, Music boxes, Walking sticks"
).split(", ")
_LONG = (
    "Internationalization notwithstanding, counterrevolutionaries misunderstood telecommunications"
    " infrastructures; environmentalists characteristically underestimated industrialization,"
    " institutionalization and commercialization."
)
_STUCK = "The ferry leaves from the old harbour at seven, and comes back when the tide allows it. "
BAD_TEXTS = {
    "little_prose": ("All departments", f"<ul>{''.join(f'<li>{one}' for one in _GOODS)}</ul>"),
    "odd_words": ("Multidimensionality", f"<p>{_LONG}</p>"),
    "repetitive": ("The ferry", f"<p>{_STUCK * 15}</p>"),
}


def errors(web: Web) -> None:
    """Pages that are gone, and pages that say so with a good face."""
    for status, count in ((404, 14), (410, 4), (403, 3), (500, 3), (503, 2)):
        for number in range(count):
            body = f"<html><title>{status}</title><body><h1>Error {status}</h1></body></html>"
            url = f"http://dead-links.example/{status}/{number}"
            web.page(url, body, "status_error", 4 + number, status=status)
    for number in range(5):
        body = (
            "<html><body><h1>Page not found</h1><p>Sorry, we could not find that.</p></body></html>"
        )
        web.page(f"https://softly.example/old/{number}", body, "too_short", 6)
    for reason, said in WALLS.items():
        body = f"<html><body><h1>Oh dear</h1><p>{said} {BELOW_A_WALL}</p></body></html>"
        web.page(f"https://softly.example/{reason}", body, reason, 5)


def copies(web: Web) -> None:
    """Print and AMP versions, mirrors, syndication, new editions, the same page at two URLs."""
    near, exact = "near_copy|exact_copy", "exact_copy"
    for number in range(6):
        ledger = SITES[number % 4]
        text = article("news", f"copied {number}")
        url = f"{ledger.origin}/features/{text.slug}"
        first = render("newspaper", ledger, text, url)
        web.page(url, first, karma=FAMOUS)
        web.page(f"{url}/print", render("print", ledger, text, url), near, COPIED)
        web.page(f"{url}/amp", render("amp", ledger, text, url), near, COPIED)
        web.page(f"https://mirror.readinglist.example/{number}", first, exact, COPIED)
        digest = Site("The Daily Digest", "https://dailydigest.example", "news", "app", 0)
        page = render("app", digest, _framed(text), url)
        web.page(f"{digest.origin}/d/{number}", page, "near_copy", COPIED)
        page = render("blog", BLOG, _new_edition(text, number), url)
        web.page(f"{BLOG.origin}/reposted/{number}", page, "near_copy", COPIED + number)
        quote = replace(text, blocks=(*article("travel", f"quote {number}").blocks, text.blocks[1]))
        web.page(f"{BLOG.origin}/quoting/{number}", render("blog", BLOG, quote, url), karma=COPIED)
    for number in range(6):
        body = page_of(f"variants {number}", "howto")
        base = "http://cms.example"
        web.page(f"{base}/index.php?option=show&id={number}", body, karma=FAMOUS)
        web.page(f"{base}/Articles/{number}", body, exact, COPIED)
        web.page(f"{base}/articles/{number}?lang=en", body, exact, COPIED)


def _framed(text: Article) -> Article:
    """A syndicated text: an opening and a closing that the digest puts around everything."""
    opening = "This story was first printed elsewhere; our readers have voted it into the digest."
    closing = (
        "Do you like what you read? The digest comes every morning, free and without pictures."
    )
    return replace(text, blocks=(("p", opening), *text.blocks, ("p", closing)))


def _new_edition(text: Article, number: int) -> Article:
    """A later edition: one paragraph is new, and a note says so."""
    blocks = list(text.blocks)
    blocks[3] = article("news", f"edition {number}").blocks[3]
    return replace(text, blocks=(*blocks, ("p", "This story was corrected on the following day.")))


def wikipedia(web: Web) -> None:
    """Articles, linked openly and through a shortener; a mirror, copies, and a text that marks."""
    for number in range(10):
        text = article("wiki", f"wiki {number}")
        url = f"{WIKI.origin}/wiki/{text.slug.title()}"
        body = render("wiki", WIKI, text, url)
        web.page(url, body, linked=False)
        web.link(url, "wikipedia", 20)
        web.link(f"https://en.m.wikipedia.org/wiki/{text.slug.title()}", "wikipedia", 9)
        if number < 3:
            web.redirect(f"http://shrt.example/w{number}", url)
            web.link(f"http://shrt.example/w{number}", "wikipedia_domain", 15)
            # The copy has more karma, and still goes: Wikipedia's text is what must not remain.
            copy = render("table", UNMARKED, text, url)
            web.page(f"http://homework.example/{number}", copy, "near_copy|exact_copy", 300)
        elif number < 7:
            copy = render("wiki", UNMARKED, text, url)
            web.page(f"https://www.wikiwand.com/en/{text.slug}", copy, "wikipedia_mirror", 30)
        else:
            credit = ("p", f"This article uses material from the Wikipedia article {text.title}.")
            credited = replace(text, blocks=(*text.blocks, credit))
            url = f"https://allfacts.example/{number}"
            web.page(url, render("plain", UNMARKED, credited, url), "wikipedia_mark", 30)


def kinds_of_files(web: Web) -> None:
    """Other files than pages, honest about it or not."""
    pdf = b"%PDF-1.4\n1 0 obj << /Type /Catalog >> endobj\n" + b"0 1 2 3 4 5 6 7 8 9\n" * 400
    png = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4
    for number in range(3):
        url = f"https://library.example/report/{number}"
        web.page(url, pdf, "not_html", 8, headers=HTML)
        honest = (("Content-Type", "application/pdf"),)
        web.page(f"{url}/file", pdf, "not_a_page", 8, headers=honest)
    image, data = (("Content-Type", "image/png"),), (("Content-Type", "application/json"),)
    web.page("https://library.example/scan", png, "not_a_page", 5, headers=image)
    web.page("https://library.example/data", b'{"a": [1, 2]}', "not_a_page", 5, headers=data)
    web.page("https://library.example/archive", b"PK\x03\x04" + bytes(200), "not_html", 5)


def limits(web: Web) -> None:
    """Pages that would hold up an extractor, and a bomb."""
    text = page_of("huge", "listing")
    head, tail = text.split("</body>")
    huge = head + "<p>One more line of a very long page.</p>\n" * 40_000 + "</body>" + tail
    web.page("https://hugepage.example/everything", huge, "body_too_large", 70)
    gzip = (*HTML, ("Content-Encoding", "gzip"))
    web.page(
        "https://hugepage.example/bomb", stored.bomb(4_000), "body_too_large", 13, headers=gzip
    )
    stories = [article("fiction", f"collected {number}").blocks for number in range(60)]
    whole = replace(article("fiction", "all"), blocks=tuple(b for s in stories for b in s))
    url = "https://hugepage.example/collected-stories"
    web.page(url, render("plain", PLAIN, whole, url), "too_long", 21)
    deep = "<html><body>" + "<div>" * 5_000 + text + "</div>" * 5_000
    web.page("https://hostile.example/deep", deep, "too_deep", 9)
    many = " ".join(f"data-a{i}=1" for i in range(60_000))
    web.page(
        "https://hostile.example/attributes",
        f"<html><body><p {many}>{text}",
        "too_many_attributes",
        9,
    )
    blocks = "<html><body>" + "<p>a" * 130_000
    web.page("https://hostile.example/blocks", blocks, "too_many_tags", 9)
    cells = "<html><body><table>" + "<tr><td colspan=100>a" * 2_000
    web.page("https://hostile.example/cells", cells, "too_many_cells", 9)
    unclosed = page_of("unclosed", "fiction").replace("</p>", "").replace("</body>", "")
    web.page("https://hostile.example/unclosed", unclosed.replace("<p>", "<p><a><b>"), "kept", 9)
    misnested = page_of("misnested", "nature").replace("<p>", "<p><i><table><tr>")
    web.page("https://hostile.example/misnested", misnested, "kept", 9)


def encoded_bodies(web: Web) -> None:
    """Every encoding, alone and chunked; a damaged one, an unknown one, none where one is said."""
    for label, encode in ENCODERS.items():
        body = page_of(f"encoded {label}", "nature").encode()
        headers = (*HTML, ("Content-Encoding", label))
        web.page(f"https://squeezed.example/{label}", encode(body), karma=7, headers=headers)
        both = (*headers, ("Transfer-Encoding", "chunked"))
        body = encode(page_of(f"chunked {label}", "nature").encode())
        web.page(
            f"https://squeezed.example/{label}/chunked", stored.chunked(body), karma=7, headers=both
        )
    plain = page_of("said gzip", "nature").encode()
    gzip = (*HTML, ("Content-Encoding", "gzip"))
    web.page("https://squeezed.example/not-really", plain, karma=7, headers=gzip)
    noise = _noise(7, 3_000)
    web.page(
        "https://squeezed.example/damaged", b"\x1f\x8b" + noise, "body_undecodable", 7, headers=gzip
    )
    snappy = (*HTML, ("Content-Encoding", "x-snappy"))
    web.page("https://squeezed.example/unknown", noise, "body_undecodable", 7, headers=snappy)
    web.page("https://squeezed.example/empty", b"", "page_empty", 7)
    web.page("https://squeezed.example/blank", b"\n \n", "page_empty", 7)


def charsets(web: Web) -> None:
    """Charsets that are said, not said, wrongly said, and a file in none at all."""
    quotes = page_of("quotes", "review").replace('"', "“").replace("&#34;", "”").replace("'", "’")
    said = quotes.replace("<head>", '<head><meta charset="{}">')
    base = "http://charsets.example"
    latin: Headers = (("Content-Type", "text/html; charset=ISO-8859-1"),)
    web.page(
        f"{base}/windows",
        said.format("windows-1252").encode("cp1252", "replace"),
        karma=7,
        headers=NO_CHARSET,
    )
    other = page_of("header lies", "review").replace(" the ", " thé ")
    web.page(f"{base}/header-lies", other.encode(), karma=7, headers=latin)
    other = page_of("meta lies", "fiction").replace(" a ", " å ")
    other = other.replace("<head>", '<head><meta charset="iso-8859-1">')
    web.page(f"{base}/meta-lies", other.encode(), karma=7, headers=NO_CHARSET)
    web.page(
        f"{base}/mark",
        b"\xff\xfe" + page_of("utf16", "howto").encode("utf-16-le"),
        karma=7,
        headers=NO_CHARSET,
    )
    web.page(
        f"{base}/utf16",
        page_of("utf16 bare", "howto").encode("utf-16-le"),
        karma=7,
        headers=NO_CHARSET,
    )
    one = page_of("one bad byte", "news").encode().replace(b" and ", b" \x96 ", 1)
    web.page(f"{base}/one-bad-byte", one, karma=7)
    silent = page_of("silent", "news").replace(" the ", " thé ").encode("latin-1", "replace")
    web.page(f"{base}/silent", silent, karma=7, headers=NO_CHARSET)
    noise = _noise(8, 4_000).replace(b"\0", b"\1")
    web.page(f"{base}/none", b"<html><body>" + noise, "charset_unknown", 7, headers=NO_CHARSET)


def texts_without_text(web: Web) -> None:
    """Shells, stubs, tables: pages that hold nothing to learn from."""
    shell = "<!doctype html><html><head><title>{}</title></head><body>{}</body></html>"
    draw = random.Random(9)
    for number in range(5):
        script = f"<div id=root></div><script>{f'window.data={{id:{number}}};' * 200}</script>"
        page = shell.format("App", script)
        web.page(f"https://app{number}.example/", page, "no_text", 7)
        heights = [" ".join(f"{draw.random() * 9:.2f}" for _ in range(3)) for _ in range(31)]
        rows = "".join(f"<p>{day:02} {three}</p>" for day, three in enumerate(heights, 1))
        page = shell.format(number, f"<article>{rows}</article>")
        web.page(f"http://tides.example/{number}", page, "language_unsure", 7)
        stub = f"<h1>Photo {number}</h1><p>Seen at the harbour this morning.</p>"
        web.page(f"http://snapshots.example/{number}", shell.format("Photo", stub), "too_short", 7)


def bad_texts(web: Web) -> None:
    """Texts that are no prose: a menu, words that no one says, a page that is stuck."""
    article = "<html><title>{0}</title><body><article><h1>{0}</h1>{1}</article></body></html>"
    for reason, (title, body) in BAD_TEXTS.items():
        web.page(f"https://outlet.example/{reason}", article.format(title, body), reason, 6)


def several_captures(web: Web) -> None:
    """Pages captured more than once, and revisits that refer to one of them, or to nothing."""
    for number in range(5):
        url = f"https://changing.example/page/{number}"
        for year in (2012, 2016, 2020):
            body = page_of(f"edition {number} {year}", "news")
            moment = CRAWLED.replace(year=year, month=10, minute=number)
            web.captures.append(Capture(url, moment, body.encode()))
        web.link(url, karma=20)
    for number in range(3):
        url = f"https://steady.example/page/{number}"
        page = page_of(f"steady {number}", "nature").encode()
        first = Capture(url, CRAWLED.replace(year=2011, minute=number), page)
        web.captures.append(first)
        again = replace(first, captured=web.clock(), kind="revisit", refers_to=url)
        web.captures.append(again)
        web.link(url, karma=20)
    lost = Capture("https://steady.example/lost", web.clock(), b"<p>gone</p>", kind="revisit",
                   refers_to="https://steady.example/never-seen")  # fmt: skip
    web.captures.append(lost)
    web.link(lost.url, "revisit_lost", 20)


def other_records(web: Web) -> None:
    """Requests, metadata, robots.txt, resources, and records that are damaged."""
    fields = b"software: webtext demo\r\nformat: WARC File Format 1.1\r\n"
    web.captures.insert(0, Capture("demo.warc.gz", CRAWLED, kind="warcinfo", block=fields))
    for capture in web.captures[1:200:9]:
        ask = f"GET / HTTP/1.1\r\nHost: {capture.url.split('/')[2]}\r\n\r\n".encode()
        web.captures.append(Capture(capture.url, web.clock(), kind="request", block=ask))
    note = b"fetchTimeMs: 120\r\n"
    web.captures.append(
        Capture(f"{PLAIN.origin}/posted-twice", web.clock(), kind="metadata", block=note)
    )
    text = (("Content-Type", "text/plain"),)
    for site in SITES[:12]:
        web.captures.append(
            Capture(f"{site.origin}/robots.txt", web.clock(), b"User-agent: *\n", 200, text)
        )
        style = (("Content-Type", "text/css"),)
        web.captures.append(Capture(f"{site.origin}/style.css", web.clock(), b"p{}", 200, style))
    resource = Capture("https://attic.example/kept-as-file", web.clock(), kind="resource",
                       headers=HTML, block=page_of("resource", "fiction").encode())  # fmt: skip
    web.captures.append(resource)
    web.link(resource.url, karma=7)
    broken = Capture(
        "https://attic.example/broken", web.clock(), block=b"\0\1 this is no HTTP at all"
    )
    web.captures.append(broken)
    web.link(broken.url, "unreadable", 7)
    for number in range(20):
        page = page_of(f"unlinked {number}", "news")
        web.page(f"https://nobody-links-here.example/{number}", page, linked=False)


def _noise(seed: int, count: int) -> bytes:
    """Bytes that mean nothing, the same on every machine."""
    draw = random.Random(seed)
    return bytes(below(draw, 256) for _ in range(count))
