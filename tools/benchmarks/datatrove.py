"""WARC files to a clean corpus without copies: ours beside FineWeb's pipeline by datatrove.

    python -m tools.benchmarks.datatrove FOLDER_OF_WARCS --python PYTHON --rounds 2
        --extractors combined combined-fast --workers 1 2

PYTHON is one of an environment with `pip install 'datatrove[io,processing]' spacy lxml-html-clean`:
trafilatura 1.11, which datatrove asks for, needs the last one. Ours is `webtext build --to corpus`
with the profile clean, from made submissions, one for each URL of the WARC files: it reads the
dump, indexes, joins and extracts in its time, and starts its worker processes, and Beam for every
step. Both sides have as many workers: one alone is datatrove's main process, ours stand beside the
driver. Pages read are all HTML responses, so that dropping early is no advantage. The languages
that ours finds, in a build that is not measured and is not asked for one, are given to datatrove;
ours finds them again in its time. CPU seconds are those of whole trees of processes, one after the
other; peak memory is the sum of proportional set sizes.
"""

import argparse
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fastwarc.warc import ArchiveIterator, WarcRecordType

from pipeline.corpus.exact import url_key
from pipeline.settings import DocumentsSettings
from pipeline.settings_file import load
from tools.benchmarks.measure import Usage, measure, show
from tools.build import run_build
from tools.look import tables
from tools.places import within

POST = {
    **{"score": 9, "created_utc": 1347000000, "is_self": False, "over_18": False},
    **{"subreddit": "all", "title": ""},
}
THEIR_NAME = "datatrove"
Side = tuple[int, str]  # how many workers, and whose
OURS, THEIRS = "tools.benchmarks.datatrove:build", "tools.benchmarks.datatrove_pipeline:run"


def build(settings: str, out: str, overrides: dict[str, str]) -> dict[str, Any]:
    """The URLs and characters of a corpus that is made now."""
    path = Path(settings)
    run_build(Path(out), load(path, overrides), path.parent, to="corpus")
    (corpus,) = tables(within(Path(out), "corpus"))
    rows = list(corpus.rows)
    return {"urls": [row["url"] for row in rows], "chars": sum(len(row["text"]) for row in rows)}


def html_urls(folder: Path) -> Iterator[str]:
    """The URL of each HTML response."""
    for path in sorted(folder.glob("*.warc.gz")):
        with path.open("rb") as file:
            for record in ArchiveIterator(file, record_types=WarcRecordType.response):
                if "html" in (record.http_content_type or ""):
                    yield record.headers["WARC-Target-URI"]


def write_input(folder: Path, warcs: Path, urls: list[str]) -> Path:
    """A dump with a submission for each URL, and the settings file of its build."""
    with (folder / "RS_2012-09").open("w", encoding="utf-8") as dump:
        for number, url in enumerate(dict.fromkeys(urls)):
            dump.write(json.dumps({**POST, "id": f"p{number}", "url": url}) + "\n")
    settings = folder / "webtext.toml"
    wanted = [str(path.resolve()) for path in sorted(warcs.glob("*.warc.gz"))]
    settings.write_text(
        f'profile = "clean"\n[input]\ndumps = ["RS_2012-09"]\nwarcs = {json.dumps(wanted)}\n'
    )
    return settings


def languages_of(settings: str, folder: Path, extractor: str, urls: list[str]) -> dict[str, str]:
    """The language of each URL; a page that gave us no text is English to datatrove."""
    every = {"documents.languages": "", "corpus.quality": "", "documents.extractor": extractor}
    with contextlib.redirect_stdout(None):
        build(settings, str(folder / "languages"), every)
    (documents,) = tables(folder / "languages" / "documents")
    found = {row["final_url"]: row["language"] for row in documents.rows}
    return {url: found.get(url, "en") for url in urls}


def keep_least(runs: dict[Side, Usage], side: Side, run: Usage) -> None:
    """Keep the run of a side that took the least CPU time."""
    if side not in runs or run.cpu_s < runs[side].cpu_s:
        runs[side] = run


def only_in(some: Iterable[str], others: Iterable[str]) -> list[str]:
    """The URLs whose pages only `some` have; ours are canonical, datatrove's as captured."""
    keys = set(map(url_key, others))
    return sorted(url for url in some if url_key(url) not in keys)


def main() -> None:
    """Print pages a CPU-second, memory, and what each side keeps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("warcs", type=Path, help="folder of WARC files")
    parser.add_argument("--python", required=True, help="a Python with datatrove")
    parser.add_argument("--extractors", nargs="+", default=[DocumentsSettings.extractor])
    parser.add_argument("--workers", nargs="+", type=int, default=[1, 2], help="of both sides")
    parser.add_argument("--rounds", type=int, default=1, help="the least CPU time of each counts")
    parser.add_argument("--kept", type=Path, help="file for the URLs that one side alone keeps")
    options = parser.parse_args()
    urls = list(html_urls(options.warcs))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = str(write_input(folder, options.warcs, urls))
        known = folder / "languages.json"
        known.write_text(json.dumps(languages_of(settings, folder, options.extractors[0], urls)))
        runs: dict[Side, Usage] = {}
        for number in range(options.rounds):
            for workers in options.workers:
                for extractor in options.extractors:
                    out = f"{folder}/{extractor}-{number}-{workers}"
                    wanted = {"documents.extractor": extractor, "engine.workers": str(workers)}
                    run = measure(OURS, settings, out, wanted)
                    keep_least(runs, (workers, f"webtext, {extractor}"), run)
                out = f"{folder}/theirs-{number}-{workers}"
                theirs = (str(options.warcs.resolve()), str(known), out, workers)
                run = measure(THEIRS, *theirs, python=options.python)
                keep_least(runs, (workers, THEIR_NAME), run)
                load = f"load {os.getloadavg()[0]:.1f}"
                print(f"round {number + 1}, {workers} workers, {load}", file=sys.stderr)
    rows = [
        [str(workers), side, str(len(urls)), f"{run.cpu_s:.1f}", f"{len(urls) / run.cpu_s:.1f}",
         f"{runs[workers, THEIR_NAME].cpu_s / run.cpu_s:.2f}", f"{run.tree_bytes / 1e6:.0f} MB",
         f"{run.process_bytes / 1e6:.0f} MB", str(len(run.result["urls"])),
         f"{run.result['chars'] / 1e6:.2f} M"]
        for (workers, side), run in runs.items()
    ]  # fmt: skip
    columns = ["workers", "side", "pages read", "CPU-seconds", "pages a CPU-second"]
    columns += ["times datatrove's"]
    show([*columns, "peak memory", "largest process", "kept", "characters kept"], rows)
    if options.kept:
        last = options.workers[-1]
        theirs_kept = runs[last, THEIR_NAME].result["urls"]
        alone = {
            side: {
                "ours": only_in(run.result["urls"], theirs_kept),
                "theirs": only_in(theirs_kept, run.result["urls"]),
            }
            for (workers, side), run in runs.items()
            if workers == last and side != THEIR_NAME
        }
        options.kept.write_text(json.dumps(alone, indent=1))


if __name__ == "__main__":
    main()
