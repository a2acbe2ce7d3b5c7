"""How good the documents' text is: words, lines, and what stands in table rows.

    python -m tools.benchmarks.extraction DATA/extraction [--every 4]

DATA/extraction holds labelled pages and score.py, whose page F1 (over 4-word shingles) is taken as
it is. Words say nothing of lines: paragraphs that were joined into one table row score as high as
whole ones. So two figures stand beside it, for each set of pages and as the mean of the sets:

    line F1      over multisets of lines; a line is its words (runs of \\w, in lower case)
    table rows   share of all characters in lines that begin with | or hold " | " twice

Each page goes through the extractor and the cleaning of the stage `documents`, and beside it
through plain trafilatura, whose lines are cleaned alike. The floors in `extraction_floors.json` are
those of our figures on the data with that digest: a test fails below them. A change may raise a
floor; whoever lowers one says why in the commit.
"""

import argparse
import hashlib
import importlib.util
import json
import logging
import lzma
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from statistics import mean
from types import ModuleType

import trafilatura

from pipeline.documents.clean import clean_text
from pipeline.documents.extractors import EXTRACTORS

FLOORS = Path(__file__).with_name("extraction_floors.json")
_WORD = re.compile(r"\w+")
_TABLE_ROW = re.compile(r"^\s*\||^[^\n]* \| [^\n]* \| ")


@dataclass(frozen=True)
class Figures:
    """Of a set of pages: the first two are means over pages, the third is a share of characters."""

    page_f1: float
    line_f1: float
    table_row_share: float


def line_f1(gold: str, found: str) -> float:
    """F1 over the multisets of lines; 1 where neither text has a line."""
    want, have = _lines(gold), _lines(found)
    if not want and not have:
        return 1.0
    return 2 * (want & have).total() / (want.total() + have.total())


def table_row_chars(text: str) -> int:
    """Characters in lines that are table rows: they begin with | or hold " | " twice."""
    return sum(len(line) for line in text.split("\n") if _TABLE_ROW.match(line))


def _lines(text: str) -> Counter[tuple[str, ...]]:
    words = (tuple(_WORD.findall(line.lower())) for line in text.split("\n"))
    return Counter(line for line in words if line)


@cache
def load_score(folder: Path) -> ModuleType:
    """The data's own score.py as a module."""
    spec = importlib.util.spec_from_file_location("score", folder / "score.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def data_digest(folder: Path) -> str:
    """sha256 of score.py and the labelled pages, packed as they lie there."""
    digest = hashlib.sha256()
    for path in [folder / "score.py", *sorted(folder.glob("*.jsonl.xz"))]:
        digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def labelled_pages(folder: Path, every: int = 1) -> Iterator[dict[str, str]]:
    """Every so many-th page, with its set, html and text."""
    number = 0
    for path in sorted(folder.glob("*.jsonl.xz")):
        with lzma.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                number += 1
                if number % every == 0:
                    yield json.loads(line)


def ours(html: str) -> str:
    """The page's text as the stage `documents` writes it."""
    return clean_text(EXTRACTORS["trafilatura"](html).text)


def plain(html: str) -> str:
    """The text of plain trafilatura, its characters cleaned as ours are."""
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    return clean_text(trafilatura.extract(html, include_comments=False) or "")


def measure(
    folder: Path, every: int, extract: Callable[[str], str], workers: int
) -> dict[str, Figures]:
    """Figures by set, and as "mean" those of the sets, each weighing the same."""
    with ProcessPoolExecutor(workers) as pool:
        pages = labelled_pages(folder, every)
        scored = list(pool.map(partial(_score, folder, extract), pages, chunksize=8))
    by_set = {
        name: _figures(one[1:] for one in scored if one[0] == name)
        for name in sorted({one[0] for one in scored})
    }
    names = ("page_f1", "line_f1", "table_row_share")
    means = [mean(getattr(figures, name) for figures in by_set.values()) for name in names]
    return {**by_set, "mean": Figures(*means)}


def _score(
    folder: Path, extract: Callable[[str], str], page: dict[str, str]
) -> tuple[str, float, float, int, int]:
    text = extract(page["html"])
    page_f1 = load_score(folder).page_scores(page["text"], text)[2]
    return page["set"], page_f1, line_f1(page["text"], text), table_row_chars(text), len(text)


def _figures(scored: Iterable[tuple[float, float, int, int]]) -> Figures:
    page_f1, lines, in_rows, chars = zip(*scored, strict=True)
    return Figures(mean(page_f1), mean(lines), sum(in_rows) / max(1, sum(chars)))


def main() -> None:
    """Print our figures and plain trafilatura's, set by set."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1, help="take every so many-th page")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    print(f"{'':12}{'page F1':>18}{'line F1':>18}{'table rows':>18}")
    print(f"{'':12}" + f"{'plain':>9}{'ours':>9}" * 3)
    sides = [measure(args.folder, args.every, side, args.workers) for side in (plain, ours)]
    for name in sides[0]:
        shown = [side[name] for side in sides]
        f1 = (f"{getattr(one, key):9.4f}" for key in ("page_f1", "line_f1") for one in shown)
        rows = (f"{one.table_row_share:9.2%}" for one in shown)
        print(f"{name:12}", *f1, *rows, sep="")
    print(f"data {data_digest(args.folder)}")


if __name__ == "__main__":
    main()
