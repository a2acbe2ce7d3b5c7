"""Speed against page F1: what each step of `combined` costs and gives, from blocks alone to all.

    python -m tools.benchmarks.speed_curve DATA/extraction DATA/pages/*.warc.gz --folds FOLDER

Page F1 is that of labelled pages, each read by the model of FOLDER that saw no page of its site
(extractors.py), less that of trafilatura without comments, through our rendering. Speed is that of
whole pages, by the package's model: CPU time of one process, way after way on each page, as a
multiple of trafilatura's defaults in the same run.
"""

import argparse
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.documents.blocks.model import load_model
from pipeline.documents.clean import clean_text
from pipeline.documents.combined import FAST, THOROUGH, combine
from pipeline.documents.engines import by_resiliparse, by_trafilatura
from pipeline.documents.extract import settle
from tools.benchmarks.extraction import labelled_pages, load_score
from tools.benchmarks.extractors import defaults, interval, whole_pages
from tools.training.folds import fold_of

Reals = NDArray[np.float64]
ENGINES: dict[str, Callable[[str], str]] = {
    "trafilatura, defaults": defaults,
    "trafilatura, ours": by_trafilatura,
    "resiliparse": by_resiliparse,
}
BASE = list(ENGINES).index("trafilatura, ours")
# By the page F1 below which engines are asked.
WAYS: dict[str, float] = {
    "combined-fast": FAST,
    **{f"engines below {sure:.2f}": sure for sure in (0.6, 0.7, 0.8, 0.85, 0.9, 0.95)},
    "combined": THOROUGH,
}


def page_f1(data: Path, folds: Path, page: dict[str, str]) -> tuple[str, list[float]]:
    """The page's set, and the F1 of each engine and way."""
    logging.disable(logging.CRITICAL)
    score, model = load_score(data), load_model(folds / f"{fold_of(page)}.npz")
    texts = [engine(page["html"]) for engine in ENGINES.values()]
    texts += [combine(page["html"], sure, model).text for sure in WAYS.values()]
    return page["set"], [score.page_scores(page["text"], clean_text(text))[2] for text in texts]


def cpu_times(texts: list[str]) -> Reals:
    """CPU seconds of each engine and way on each page, [engines and ways, pages]."""
    logging.disable(logging.CRITICAL)
    settle(with_languages=False)
    ways: list[Callable[[str], object]] = [*ENGINES.values()]
    ways += [partial(combine, sure=sure) for sure in WAYS.values()]
    for text in texts[:5]:
        for way in ways:
            way(text)
    spent = np.zeros((len(ways), len(texts)))
    for number, text in enumerate(texts):
        for which, way in enumerate(ways):
            began = time.process_time()
            way(text)
            spent[which, number] = time.process_time() - began
    return spent


def show(sets: list[str], f1: Reals, spent: Reals) -> None:
    """Print the table; `f1` is [pages, engines and ways]."""
    of_set = np.array(sets)
    names = sorted(set(sets))
    print(f"{len(sets)} labelled pages, {spent.shape[1]} whole ones\n")
    print("| way | pages per CPU-second | times the first | page F1 | less trafilatura, ours |")
    print("|---|---|---|---|---|")
    for number, name in enumerate([*ENGINES, *WAYS]):
        seconds = spent[number].sum()
        mean = np.mean([f1[of_set == one, number].mean() for one in names])
        gaps = {one: (f1[:, number] - f1[:, BASE])[of_set == one] for one in names}
        gap = "{:+.4f} [{:+.4f}, {:+.4f}]".format(*interval(gaps))
        times = spent[0].sum() / seconds
        print(f"| {name} | {spent.shape[1] / seconds:.1f} | {times:.2f} | {mean:.4f} | {gap} |")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("data", type=Path, help="labelled pages: *.jsonl.xz and score.py")
    parser.add_argument("warcs", type=Path, nargs="+", help="WARC files of whole pages")
    parser.add_argument("--folds", type=Path, required=True, help="models of the folds")
    parser.add_argument("--every", type=int, default=1, help="take every so many-th labelled page")
    parser.add_argument("--pages", type=int, default=240, help="whole pages")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    spent = cpu_times(whole_pages(args.warcs, args.pages))
    with ProcessPoolExecutor(args.workers) as pool:
        one = partial(page_f1, args.data, args.folds)
        found = list(pool.map(one, labelled_pages(args.data, args.every), chunksize=8))
    show([each[0] for each in found], np.array([each[1] for each in found]), spent)


if __name__ == "__main__":
    main()
