"""Pages of the demo's web whose owners ask for something: see pages/owners/preferences.py."""

from tools.demo.captures import HTML, Capture, Headers
from tools.demo.plants import page_of
from tools.demo.web import Web

PLAIN_TEXT: Headers = (("Content-Type", "text/plain"),)
# Name of the page, header, its value, what becomes of the link.
BY_HEADER = (
    ("noai", "X-Robots-Tag", "noindex, noai", "noai"),
    ("scoped", "X-Robots-Tag", "googlebot: noai", "kept"),
    ("mining", "TDM-Reservation", "1", "tdm_reserved"),
    ("usage", "Content-Usage", "train-ai=n, search=y", "content_usage"),
)
# Name of the site, its robots.txt, what becomes of the link.
BY_ROBOTS_TXT = (
    ("closed", "User-agent: *\nDisallow: /\n", "robots_disallowed"),
    (
        *("trainers", "User-agent: GPTBot\nUser-agent: CCBot\nDisallow: /\n"),
        "ai_agents_disallowed",
    ),
    ("signal", "User-agent: *\nContent-Signal: search=yes, ai-train=no\n", "content_signal"),
    ("open", "User-agent: *\nDisallow: /private\nContent-Signal: ai-train=yes\n", "kept"),
)


def plant_owners(web: Web) -> None:
    """Each form of asking once, and owners who ask others, or for nothing that we do."""
    for number, (name, header, value, expected) in enumerate(BY_HEADER):
        page = page_of(f"asking {name}", "fiction")
        headers = (*HTML, (header, value))
        web.page(f"https://{name}.asking.example/", page, expected, 7 + number, headers=headers)
    tag = '<head><meta name="robots" content="noimageai">'
    page = page_of("asking pictures", "fiction").replace("<head>", tag)
    web.page("https://pictures.asking.example/", page, "noimageai", 7)
    for name, asked, expected in BY_ROBOTS_TXT:
        origin = f"https://{name}.asking.example"
        robots = Capture(f"{origin}/robots.txt", web.clock(), asked.encode(), 200, PLAIN_TEXT)
        web.captures.append(robots)
        web.page(f"{origin}/story", page_of(f"asking {name}", "fiction"), expected, 7)
