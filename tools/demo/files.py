"""Writes the demo's input into a folder, and takes its digest."""

import json
from dataclasses import dataclass
from pathlib import Path

import xxhash

from pipeline.lines import Lines
from tools.demo import captures, dumps, posts
from tools.demo.expected import expect
from tools.demo.plants import plant_all
from tools.demo.stories import Article
from tools.demo.texts import handbook, readmes
from tools.demo.web import UNKNOWN, Site, Web, add_site, seeded_sites

PASSING_LINKS = 1_100
SEEDED_WARC, INSTALLED_WARC = "web.warc.gz", "installed.warc.gz"
SETTINGS = """\
# The demo's settings: small, and with a rule for every reason that can be shown.

[input]
dumps = ["RS_*"]
warcs = ["*.warc.gz"]

[links]
date_min = 2012-09-01
date_max = 2020-06-30
over_18 = false
blocked_domains = ["spamfarm.example"]
blocked_subreddits = ["blocked_board"]
removed = ["takedown.example"]

[documents]
body_bytes_max = 1_000_000
text_chars_max = 100_000

[tokenizer]
vocab_size = 8192

[train]
preset = "demo"
"""
DOCS_SITES = (
    Site("Python Handbook", "https://docs.pyhandbook.example", "docs", "docs", 0, "/3/{slug}.html"),
    Site("Batteries", "http://batteries.example", "docs", "plain", 0, "/library/{number}.html"),
    Site("Snake Yard", "https://snakeyard.example", "docs", "app", 0, "/api/{slug}"),
    Site("Modules, explained", "http://modules.example", "docs", "blog", 0, "/?module={number}"),
)
README_SITES = (
    Site("Package Shelf", "https://packageshelf.example", "readme", "app", 0, "/project/{slug}"),
    Site("Readme Mirror", "http://readmes.example", "readme", "table", 0, "/{number}.html"),
    Site("Release Notes", "https://releases.example", "readme", "newspaper", 0, "/r/{number}"),
)


@dataclass(frozen=True)
class DemoFiles:
    """What was written, and where."""

    dumps: tuple[Path, ...]
    warcs: tuple[Path, ...]
    settings_path: Path
    expected_path: Path


def write_demo(folder: Path, *, installed_texts: bool = True) -> DemoFiles:
    """Write dumps, WARC files, webtext.toml and expected.json into the folder, which is made.

    Without `installed_texts` the content of every file is the same on every machine, and so are the
    bytes of the WARC file. It takes about ten seconds with them, three without.
    """
    folder.mkdir(parents=True, exist_ok=True)
    web, installed = Web(), Web()
    seeded_sites(web)
    plant_all(web)
    targets = [*web.targets, *posts.passing_links(PASSING_LINKS)]
    warcs = [folder / SEEDED_WARC]
    captures.write_warc(warcs[0], web.captures, stored=True)
    if installed_texts:
        _installed_sites(installed)
        targets += installed.targets
        warcs.append(folder / INSTALLED_WARC)
        captures.write_warc(warcs[1], installed.captures, stored=False)
    submitted = posts.plan(targets)
    paths, broken = dumps.write_dumps(folder, submitted)
    records = len(web.captures) + len(installed.captures)
    settings_path, expected_path = folder / "webtext.toml", folder / "expected.json"
    settings_path.write_text(SETTINGS, encoding="utf-8")
    truth = expect(targets, submitted, broken, records).tables()
    expected_path.write_text(json.dumps(truth, indent=1, ensure_ascii=False), encoding="utf-8")
    return DemoFiles(tuple(paths), tuple(warcs), settings_path, expected_path)


def digest(files: DemoFiles) -> str:
    """xxh3_128 of the lines of the dumps, the bytes of the WARC file and the truth.

    For files written without `installed_texts`. The dumps are compressed by libraries whose
    versions differ, so it is their lines that count.
    """
    whole = xxhash.xxh3_128()
    for path in files.dumps:
        with Lines(path) as lines:
            for line in lines:
                whole.update(line)
    for path in (*files.warcs, files.expected_path):
        whole.update(path.read_bytes())
    return whole.hexdigest()


def _installed_sites(web: Web) -> None:
    """The texts of this installation, dealt to hosts in turn."""
    for texts, sites in ((handbook(), DOCS_SITES), (readmes(), README_SITES)):
        for place, site in enumerate(sites):
            mine: list[Article] = texts[place :: len(sites)]
            add_site(web, site, mine, UNKNOWN)
