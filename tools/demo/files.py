"""Writes the demo's input into a folder, and takes its digest."""

import json
from dataclasses import dataclass
from pathlib import Path

import xxhash

from pipeline.lines import Lines
from tools.demo import captures, dumps, posts
from tools.demo.expected import expect
from tools.demo.owners import plant_owners
from tools.demo.plants import plant_all
from tools.demo.tasks import FOLDER, write_tasks
from tools.demo.web import Web, add_sites

PASSING_LINKS = 1_100
# What the fast demo has of the sites' pages and of the passing links; of what goes wrong, all.
FAST_SHARE = 4  # one in so many
FAST_VOCABULARY = 4096  # fewer texts have too few pairs for more
WARC = "web.warc.gz"
SETTINGS = """\
# The demo's settings: small, and with a rule for every reason that can be shown.

[input]
dumps = ["RS_2012-09.bz2", "RS_2020-06.zst"]
warcs = ["web.warc.gz"]

[links]
date_min = 2012-09-01
date_max = 2020-06-30
over_18 = false
blocked_domains = ["spamfarm.example"]
blocked_subreddits = ["blocked_board"]
removed_by_request = ["takedown.example"]

[documents]
body_bytes_max = 1_000_000
text_chars_max = 100_000

[corpus]
quality = ["word_chars <= 10", "function_words >= 0.12", "duplicate_5_grams <= 0.55"]

[tokenizer]
vocab_size = 8192

[train]
preset = "demo"
eval_suite = "lambada,wikitext2,winograd"
eval_suite_data = "tasks"
"""


@dataclass(frozen=True)
class DemoFiles:
    """What was written, and where."""

    dumps: tuple[Path, ...]
    warcs: tuple[Path, ...]
    settings_path: Path
    expected_path: Path
    tasks: tuple[Path, ...] = ()


def write_demo(folder: Path, *, fast: bool = False) -> DemoFiles:
    """Write dumps, WARC files, the files of zero-shot tasks, webtext.toml and expected.json.

    The folder is made. Their content is the same on every machine, and so are the bytes of the WARC
    file. `fast` writes fewer ordinary pages; everything that goes wrong is in it too.
    """
    folder.mkdir(parents=True, exist_ok=True)
    share = FAST_SHARE if fast else 1
    web = Web()
    add_sites(web, share)
    plant_all(web)
    plant_owners(web)
    targets = [*web.targets, *posts.passing_links(PASSING_LINKS // share)]
    warc = folder / WARC
    captures.write_warc(warc, web.captures, stored=True)
    submitted = posts.plan(targets)
    paths, broken = dumps.write_dumps(folder, submitted)
    tasks = write_tasks(folder / FOLDER)
    settings_path, expected_path = folder / "webtext.toml", folder / "expected.json"
    settings = SETTINGS.replace("8192", str(FAST_VOCABULARY)) if fast else SETTINGS
    settings_path.write_text(settings, encoding="utf-8")
    truth = expect(targets, submitted, broken, len(web.captures)).tables()
    expected_path.write_text(json.dumps(truth, indent=1, ensure_ascii=False), encoding="utf-8")
    return DemoFiles(tuple(paths), (warc,), settings_path, expected_path, tuple(tasks))


def digest(files: DemoFiles) -> str:
    """xxh3_128 of the lines of the dumps, the bytes of the WARC file, the truth and the tasks.

    The dumps are compressed by libraries whose versions differ, so it is their lines that count.
    """
    whole = xxhash.xxh3_128()
    for path in files.dumps:
        with Lines(path) as lines:
            for line in lines:
                whole.update(line)
    for path in (*files.warcs, files.expected_path, *files.tasks):
        whole.update(path.read_bytes())
    return whole.hexdigest()
