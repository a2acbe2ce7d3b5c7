"""Every extractor beside the others: page F1 and line F1 by set and kind of page, and their speed.

    python -m tools.benchmarks.extractors DATA/extraction --folds FOLDER [--every 4]
    python -m tools.benchmarks.extractors --speed DATA/pages/*.warc.gz [--pages 240]

`combined` was trained on these very pages, so its figures here are those of the five models of
FOLDER (`python -m tools.training.blocks DATA/extraction --folds FOLDER`): each page is read by the
one that saw no page of its site. Differences to trafilatura without comments, through our
rendering, have a paired 95 % interval: pages of each set are drawn anew 2,000 times.

Speed is CPU time of one process, engine after engine on each page, from the page as text to its
text; pages are whole ones, spread over the files.
"""

import argparse
import logging
import os
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import trafilatura
from numpy.typing import NDArray

from pipeline.documents.blocks.model import load_model
from pipeline.documents.charset import decode_text
from pipeline.documents.clean import clean_text
from pipeline.documents.combined import FAST, THOROUGH, combine
from pipeline.documents.decode import decode_body
from pipeline.documents.engines import by_readability, by_resiliparse, by_trafilatura
from pipeline.errors import InputError
from pipeline.pages.media import content_type
from pipeline.pages.warc import read_page, records
from pipeline.reasons import Drop
from tools.benchmarks.extraction import labelled_pages, line_f1, load_score
from tools.training.folds import fold_of

DRAWS = 2000
BASE = "trafilatura, ours"
TYPED = "wcxb-dev"  # the set that has several kinds of pages
BODY_BYTES_MAX = 8 << 20
Extract = Callable[[dict[str, str]], str]


def defaults(html: str) -> str:
    """trafilatura as it comes, with readers' comments."""
    return trafilatura.extract(html) or ""


def plain(html: str) -> str:
    """trafilatura's own text, without comments."""
    return trafilatura.extract(html, include_comments=False) or ""


def thorough(html: str) -> str:
    """`combined` with the model of the package."""
    return combine(html, THOROUGH).text


def fast(html: str) -> str:
    """`combined-fast` with the model of the package."""
    return combine(html, FAST).text


ENGINES: dict[str, Callable[[str], str]] = {
    "trafilatura, defaults": defaults,
    "trafilatura, comments off": plain,
    BASE: by_trafilatura,
    "readability-lxml": by_readability,
    "resiliparse": by_resiliparse,
    "combined-fast": fast,
    "combined": thorough,
}
_SURE = {"combined-fast": FAST, "combined": THOROUGH}


@dataclass(frozen=True)
class Scored:
    """A page's figures, [engines] each."""

    set: str
    kind: str
    page_f1: list[float]
    line_f1: list[float]


def score_page(data: Path, folds: Path | None, page: dict[str, str]) -> Scored:
    """Score all engines on one page."""
    logging.disable(logging.CRITICAL)
    score = load_score(data)
    found = []
    for name, engine in ENGINES.items():
        if name in _SURE and folds:
            model = load_model(folds / f"{fold_of(page)}.npz")
            text = combine(page["html"], _SURE[name], model).text
        else:
            text = engine(page["html"])
        found.append(clean_text(text))
    return Scored(
        page["set"],
        page.get("type") or "article",
        [score.page_scores(page["text"], text)[2] for text in found],
        [line_f1(page["text"], text) for text in found],
    )


def interval(differences: dict[str, NDArray[np.float64]]) -> tuple[float, float, float]:
    """The mean over sets of the mean difference, and its 95 % interval."""
    rng = np.random.default_rng(1)
    drawn = np.zeros(DRAWS)
    for _, values in sorted(differences.items()):
        drawn += values[rng.integers(0, len(values), (DRAWS, len(values)))].mean(axis=1)
    low, high = np.percentile(drawn / len(differences), [2.5, 97.5])
    return float(np.mean([values.mean() for values in differences.values()])), low, high


def show_scores(scored: list[Scored]) -> None:
    """Print page F1 and line F1 of all engines, by set and by kind, and differences to BASE."""
    sets = np.array([one.set for one in scored])
    kinds = np.array([one.kind for one in scored])
    typed = sets == TYPED
    base = list(ENGINES).index(BASE)
    names = sorted(set(sets))
    for title, table in (
        ("page F1", np.array([one.page_f1 for one in scored])),
        ("line F1", np.array([one.line_f1 for one in scored])),
    ):
        columns = [(name, sets == name) for name in names]
        columns += [(kind, (kinds == kind) & typed) for kind in sorted(set(kinds[typed]))]
        print(f"\n| {title} | mean | {' | '.join(name for name, _ in columns)} | less {BASE} |")
        print("|---" * (len(columns) + 3) + "|")
        for number, name in enumerate(ENGINES):
            values = table[:, number]
            mean = np.mean([values[sets == one].mean() for one in names])
            row = [f"{values[which].mean():.3f}" for _, which in columns]
            gaps = {one: (values - table[:, base])[sets == one] for one in names}
            gap = "{:+.4f} [{:+.4f}, {:+.4f}]".format(*interval(gaps))
            print(f"| {name} | {mean:.4f} | {' | '.join(row)} | {gap} |")
    print("| pages |", *(f"{name} {count.sum()} |" for name, count in columns))


def whole_pages(warcs: Iterable[Path], pages: int) -> list[str]:
    """So many pages as text, spread over the files."""
    found = [(path, record) for path in warcs for record in records(path)]
    texts: list[str] = []
    for number in np.linspace(0, len(found) - 1, min(2 * pages, len(found))).astype(int):
        path, record = found[number]
        try:
            response = read_page(path, record.offset, record.length, BODY_BYTES_MAX)
        except InputError:
            continue
        if response.status == 200 and len(texts) < pages and (text := _text(response)):
            texts.append(text)
    return texts


def _text(response: Any) -> str:
    headers = {name.lower(): value for name, value in response.headers}
    body = decode_body(
        response.body,
        transfer_encoding=headers.get("transfer-encoding", ""),
        content_encoding=headers.get("content-encoding", ""),
        bytes_max=BODY_BYTES_MAX,
    )
    decoded = body if isinstance(body, Drop) else decode_text(body, content_type(response.headers))
    return "" if isinstance(decoded, Drop) or "<p" not in decoded.html else decoded.html


def show_speed(texts: list[str]) -> None:
    """Print pages per CPU-second of each engine, and how they compare with the first."""
    logging.disable(logging.CRITICAL)
    spent = {name: np.zeros(len(texts)) for name in ENGINES}
    for text in texts[:5]:
        for engine in ENGINES.values():
            engine(text)
    for number, text in enumerate(texts):
        for name, engine in ENGINES.items():
            began = time.process_time()
            engine(text)
            spent[name][number] = time.process_time() - began
    first = next(iter(spent.values())).sum()
    size = np.mean([len(text) for text in texts]) / 1000
    print(f"{len(texts)} pages of {size:.0f} thousand characters on average\n")
    print("| engine | pages per CPU-second | times the first | median ms | worst ms |")
    print("|---|---|---|---|---|")
    for name, times in spent.items():
        rate, median, worst = len(texts) / times.sum(), np.median(times), times.max()
        print(
            f"| {name} | {rate:.1f} | {first / times.sum():.2f} "
            f"| {1000 * median:.1f} | {1000 * worst:.0f} |"
        )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("paths", type=Path, nargs="+")
    parser.add_argument("--folds", type=Path, help="models that saw none of a fold's sites")
    parser.add_argument("--every", type=int, default=1, help="take every so many-th page")
    parser.add_argument("--speed", action="store_true", help="PATHS are WARC files to be timed on")
    parser.add_argument("--pages", type=int, default=240, help="pages to be timed on")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    if args.speed:
        show_speed(whole_pages(args.paths, args.pages))
        return
    if not args.folds:
        print("Without --folds `combined` reads the pages that it was trained on.")
    with ProcessPoolExecutor(args.workers) as pool:
        score = partial(score_page, args.paths[0], args.folds)
        show_scores(list(pool.map(score, labelled_pages(args.paths[0], args.every), chunksize=8)))


if __name__ == "__main__":
    main()
