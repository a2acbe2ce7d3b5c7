"""Train the trees of the extractor `combined` on labelled pages.

    python -m tools.training.blocks DATA/extraction [--texts FILE] [--folds FOLDER]

Needs the extra `extraction` (lightgbm). Two looks at each block are trained. The second learns from
first scores by models that never saw the page's *source*: then it knows how far the first is to be
trusted on foreign pages. Threads, products and other pages that are no articles are of one source
alone; without it nothing is known of their kinds at all, and the second look would learn to believe
the other engines instead (forums 0.72 in place of 0.78 of the first look alone). So of these it
learns from first scores by folds of sites. Figures are by folds of sites, and by leaving each
source out as a whole; site folds overstate. One seed, one thread: the file is the same each time.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from statistics import fmean
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from pipeline.documents.blocks.choice import settled, take
from pipeline.documents.blocks.context import Reals, look_again
from pipeline.documents.blocks.features import AT
from pipeline.documents.blocks.model import MODEL, Model, save_model
from pipeline.documents.blocks.page import TAG_NUMBERS
from pipeline.documents.blocks.page_types import type_named
from pipeline.documents.blocks.words import words_of
from pipeline.documents.combined import AGAIN, FAST, OWN, THOROUGH, TOLD
from tools.benchmarks.extraction import FLOORS, labelled_pages
from tools.training.block_pages import ALONE, Labelled, engine_texts, f1, labelled, split, stack
from tools.training.page_types import type_forests, unseen_types
from tools.training.trees import PARAMS, flatten

WORKERS = os.cpu_count() or 1
ALL = -1
_WORK: Callable[[Any], Any]
FIRST_TREES, SECOND_TREES, DEPTH = 320, 240, 6
SITES, SOURCES = "folds of sites", "sources left out"
# Told of engines, (0.3, 0.6) is 0.0004 worse by folds of sites, and as good with whole sources left
# out; by the blocks alone (0.4, 0.55) is 0.0046 worse with sources left out.
LIMITS = {"first": (0.25, 0.55), "none": (0.2, 0.7), TOLD: (0.2, 0.7)}
_FIRST: dict[str, Any] = {
    **PARAMS,
    "objective": "cross_entropy",
    "learning_rate": 0.05,
    "num_leaves": 31,
    "max_depth": DEPTH,
    "min_data_in_leaf": 40,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.7,
    "lambda_l2": 2.0,
}
_SECOND = {**_FIRST, "num_leaves": 15, "learning_rate": 0.04, "feature_fraction": 0.4}
_SET_WEIGHT = {"aeb": 1.5, "fundus": 1.5, "readability": 0.5}
# Of blocks of under four words a third is trained on, and of a page some hundreds at most.
_SMALL_WORDS, _SMALL_SHARE, _PAGE_BLOCKS_MAX = 4, 0.35, 200
# Pages before 2012 name little, say nothing of themselves, and hardly any is labelled: two fifths
# of the pages come once more without names.
_COPIED_SHARE, _COPY_WEIGHT = 0.4, 0.7
_NEW = "article main nav aside footer header section figure figcaption".split()
_NEW_TAGS = [TAG_NUMBERS[tag] for tag in _NEW]
_NAMED = [
    *(AT[f"in_{tag}"] for tag in _NEW),
    *(AT[name] for name in "page_articles page_mains page_forum page_product unit_people".split()),
    *(AT[name] for name in "said page_said said_words page_front".split()),
    *(at for name, at in AT.items() if name.startswith(("own:", "around:", "kind:", "address:"))),
]
_NAMED.remove(AT["around:comment"])


def weights(page: Labelled) -> Reals:
    """Pages weigh nearly alike: a huge one of rubbish does not rule."""
    words = page.counts.words
    scale = (len(page.gold.split()) + 0.3 * words.sum() + 30.0) ** 0.8
    return np.asarray(2 * np.sqrt(words + 0.3) / scale * _SET_WEIGHT.get(page.set, 1.0))


class Blocks:
    """All blocks of all pages: labels, weights, where each is from, and which are trained on."""

    def __init__(self, pages: list[Labelled]) -> None:
        rng = np.random.default_rng(0)
        sizes = [len(page.labels) for page in pages]
        self.labels: Reals = stack(pages, lambda page: page.labels)
        words = stack(pages, lambda page: page.counts.words)
        share = np.where(words < _SMALL_WORDS, _SMALL_SHARE, 1.0)
        asked = np.add.reduceat(share, np.cumsum([0, *sizes[:-1]]))
        share *= np.repeat(np.minimum(_PAGE_BLOCKS_MAX / np.maximum(asked, 1), 1.0), sizes)
        self.weights = stack(pages, weights) / share
        self.is_asked = rng.random(len(words)) < share
        self.is_copied = np.repeat(rng.random(len(pages)) < _COPIED_SHARE, sizes)
        self.folds = np.repeat([page.fold for page in pages], sizes)
        self.sources = np.repeat([page.source for page in pages], sizes)
        self.is_alone = self.sources == ALONE

    def dataset(self, rows: NDArray[np.float32], *, with_copies: bool) -> "Dataset":
        """The blocks that are trained on; `rows` are [blocks, features]."""
        numbers = np.flatnonzero(self.is_asked)
        learnt, weight = rows[numbers], self.weights[numbers]
        if with_copies:
            copied = np.flatnonzero(self.is_asked & self.is_copied)
            numbers = np.concatenate([numbers, copied])
            learnt = np.concatenate([learnt, nameless(rows[copied])])
            weight = np.concatenate([weight, _COPY_WEIGHT * self.weights[copied]])
        data = lightgbm.Dataset(learnt, self.labels[numbers], weight=weight, params=_FIRST)
        return Dataset(data.construct(), numbers)


@dataclass(frozen=True)
class Dataset:
    """LightGBM's data, and the number of the block that each row is of."""

    data: Any
    numbers: NDArray[np.int64]

    def fit(self, which: NDArray[np.bool_], params: dict[str, Any], trees: int) -> Any:
        """Trees that saw some of the blocks."""
        rows = np.flatnonzero(which[self.numbers])
        return lightgbm.train(params, self.data.subset(rows.tolist(), params), trees)

    def unseen(
        self, groups: Any, asked: NDArray[np.float32], params: dict[str, Any], trees: int
    ) -> tuple[Reals, dict[Any, Any]]:
        """The score of each block by trees that saw no block of its group, and those trees.

        Of folds, which are numbers, those that saw every block are with them, by the key ALL.
        """
        scores = np.zeros(len(asked))
        names = np.unique(groups).tolist()
        if groups.dtype.kind == "i":
            names.append(ALL)

        def one(group: Any) -> tuple[Any, Reals]:
            out = groups == group
            fitted = self.fit(~out, params, trees)
            return fitted, fitted.predict(asked[out], num_threads=1) if out.any() else np.zeros(0)

        found = dict(zip(names, in_processes(one, names), strict=True))
        for group, (_, part) in found.items():
            scores[groups == group] = part
        return np.round(scores, 4), {group: fitted for group, (fitted, _) in found.items()}


def in_processes(work: Callable[[Any], Any], items: Any) -> list[Any]:
    """Do some work in one process an item, a few at a time; they see all that is here."""
    global _WORK
    _WORK = work
    with get_context("fork").Pool(WORKERS) as pool:
        return pool.map(_work, list(items), chunksize=1)


def _work(item: Any) -> Any:
    return _WORK(item)


def nameless(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Blocks as an old page would have them: nothing has a name, and every section is a `div`."""
    rows = rows.copy()
    rows[:, _NAMED] = 0
    tags = rows[:, AT["tag"]]
    rows[:, AT["tag"]] = np.where(np.isin(tags, _NEW_TAGS), TAG_NUMBERS["div"], tags)
    return rows


def second_rows(
    pages: list[Labelled], scores: Reals, types: list[Reals], tier: str
) -> NDArray[np.float32]:
    """What the second look is told of all blocks, [blocks, columns]."""
    rows = [
        look_again(
            page.described, part, kinds, [page.shares[one] for one in tier],
            [page.sizes[one] for one in tier],
        )
        for page, part, kinds in zip(pages, split(pages, scores), types, strict=True)
    ]  # fmt: skip
    return np.ascontiguousarray(np.concatenate(rows, axis=1).T)


@dataclass(frozen=True)
class Trained:
    """The model of all pages, and for each fold one that saw none of its sites.

    `page_f1` is that by folds of sites, all engines asked: the mean of the sets' means.
    """

    model: Model
    folds: dict[int, Model]
    page_f1: float


def train(pages: list[Labelled], say: Callable[[str], None]) -> Trained:
    """Train both looks at the blocks of all pages, and tell how good they are."""
    blocks = Blocks(pages)
    rows = np.ascontiguousarray(stack(pages, lambda page: page.described.columns).T)
    data = blocks.dataset(rows, with_copies=True)
    say(f"{len(data.numbers)} of {len(rows)} blocks")
    by_site, of_folds = data.unseen(blocks.folds, rows, _FIRST, FIRST_TREES)
    by_source, _ = data.unseen(blocks.sources, rows, _FIRST, FIRST_TREES)
    forests = {"first": flatten(of_folds.pop(ALL), DEPTH)}
    fold_forests = {fold: {"first": flatten(one, DEPTH)} for fold, one in of_folds.items()}
    forests["types"], types_of_folds = type_forests(pages, sorted(fold_forests))
    for fold, one in types_of_folds.items():
        fold_forests[fold]["types"] = one
    types = unseen_types(pages, types_of_folds)
    say("first look")
    learnt_first = np.where(blocks.is_alone, by_site, by_source)
    found: dict[tuple[str, str], list[Chosen]] = {}
    looks = {SITES: [by_site], SOURCES: [learnt_first]}
    for how, scores in ((SITES, by_site), (SOURCES, learnt_first)):
        found["first", how] = chosen(pages, [scores], types, LIMITS["first"])
        say(told(f"first look; {how}", pages, [one.f1 for one in found["first", how]]))
    for tier in (OWN, TOLD):
        name = tier or "none"
        asked = second_rows(pages, by_site, types, tier)
        learnt = second_rows(pages, learnt_first, types, tier)
        data = blocks.dataset(learnt, with_copies=False)
        by_fold, of_folds = data.unseen(blocks.folds, asked, _SECOND, SECOND_TREES)
        forests[name] = flatten(of_folds.pop(ALL), DEPTH)
        for fold, one in of_folds.items():
            fold_forests[fold][name] = flatten(one, DEPTH)
        foreign, _ = data.unseen(blocks.sources, learnt, _SECOND, SECOND_TREES)
        for how, scores in ((SITES, by_fold), (SOURCES, foreign)):
            looks[how].append(scores)
            found[name, how] = chosen(pages, looks[how], types, LIMITS[name])
            say(told(f"second look, {name}; {how}", pages, [one.f1 for one in found[name, how]]))
    for letter in TOLD:
        say(told(letter, pages, [f1(words_of(p.gold), words_of(p.texts[letter])) for p in pages]))
    for name, sure in (("combined-fast", FAST), ("combined", THOROUGH)):
        for how in (SITES, SOURCES):
            all_looks = zip(*(found[look, how] for look in ("first", "none", TOLD)), strict=True)
            ends = [last_look(first, own, told_all, sure) for first, own, told_all in all_looks]
            say(told(f"{name}; {how}", pages, [one.f1 for one in ends]))
    of_folds = {fold: Model(one, LIMITS) for fold, one in fold_forests.items()}
    best = [one.f1 for one in found[TOLD, SITES]]
    return Trained(Model(forests, LIMITS), of_folds, fmean(means(pages, best).values()))


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a look chose of a page: its page F1, and that which it expected."""

    f1: float
    expected: float


def last_look(first: Chosen, own: Chosen, all_told: Chosen, sure: float) -> Chosen:
    """The look that decides, as in combined.combine."""
    if first.expected >= max(AGAIN, sure):
        return first
    return all_told if own.expected < sure else own


def chosen(
    pages: list[Labelled], looks: list[Reals], types: list[Reals], limits: tuple[float, float]
) -> list[Chosen]:
    """What the scores of the looks so far choose of each page."""
    found = []
    of_pages = zip(*(split(pages, scores) for scores in looks), strict=True)
    for page, parts, kinds in zip(pages, of_pages, types, strict=True):
        kind = type_named(kinds)
        scores = settled(parts, kind)
        blocks, expected = take(page.page, page.counts, page.described, scores, kind, limits)
        keep = np.isin(np.arange(len(scores)), blocks)
        own = page.counts.hashes[np.repeat(keep, page.counts.words)]
        found.append(Chosen(f1(words_of(page.gold), own), expected))
    return found


def means(pages: list[Labelled], values: list[float]) -> dict[str, float]:
    """The means of the pages of each set."""
    found: dict[str, list[float]] = {}
    for page, value in zip(pages, values, strict=True):
        found.setdefault(page.set, []).append(value)
    return {name: fmean(of_set) for name, of_set in found.items()}


def told(name: str, pages: list[Labelled], values: list[float]) -> str:
    """Page F1 as the mean of the sets, of each set, and of the two kinds that are hardest."""
    by_set = means(pages, values)
    columns = [f"{one} {mean:.4f}" for one, mean in by_set.items()]
    for kind in ("forum", "product"):
        of_kind = [value for page, value in zip(pages, values, strict=True) if page.kind == kind]
        columns += [f"{kind} {fmean(of_kind):.4f}"] if of_kind else []
    return f"{name:34}  {fmean(by_set.values()):.4f}  {'  '.join(columns)}"


def main() -> None:
    """Train, print figures, and write the model."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path, help="labelled pages: *.jsonl.xz")
    parser.add_argument("--texts", type=Path, help="file that keeps what other engines gave")
    parser.add_argument("--out", type=Path, default=MODEL)
    parser.add_argument("--folds", type=Path, help="folder for the models of the folds")
    args = parser.parse_args()
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.0f} s  {text}", flush=True)

    pages = labelled(labelled_pages(args.folder), engine_texts(args.folder, args.texts))
    say(f"{len(pages)} pages")
    trained = train(pages, say)
    if args.folds:
        args.folds.mkdir(parents=True, exist_ok=True)
        for fold, one in trained.folds.items():
            save_model(one, args.folds / f"{fold}.npz")
    floors = json.loads(FLOORS.read_text())
    if trained.page_f1 < floors["combined_by_folds_min"]:
        parser.exit(
            3, f"{trained.page_f1:.4f} is below the floor of {FLOORS.name}; no model was written\n"
        )
    save_model(trained.model, args.out)
    say(f"{args.out}: {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
