"""Labelled pages as the trees of the extractor `combined` are trained on them."""

import json
import logging
import lzma
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.documents.blocks.context import Reals
from pipeline.documents.blocks.features import Described
from pipeline.documents.blocks.page import Page
from pipeline.documents.blocks.words import BlockWords, Hashes, member, runs_of, words_of
from pipeline.documents.combined import ENGINES, opinion, read_page
from tools.benchmarks.extraction import labelled_pages
from tools.training.folds import fold_of

ALONE = "wcxb-other"  # the source that is the only one of its kinds of pages


@dataclass(frozen=True)
class Labelled:
    """A page, its blocks' features and labels, and what each engine took of it."""

    id: str
    set: str
    kind: str  # article, forum, product ...
    fold: int  # by site
    gold: str
    html: str
    page: Page
    counts: BlockWords
    described: Described
    labels: Reals  # the share of each block that stands in the text that a person chose
    shares: dict[str, Reals]  # by the letter of an engine
    sizes: dict[str, int]
    texts: dict[str, str]

    @property
    def source(self) -> str:
        """Where its label is from: what is left out as a whole."""
        if not self.set.startswith("wcxb"):
            return self.set
        return "wcxb-article" if self.kind == "article" else ALONE


def labelled(rows: Iterator[dict[str, Any]], texts: list[dict[str, str]]) -> list[Labelled]:
    """Describe all pages; those without any block are left out.

    `texts` are what the engines gave for each page.
    """
    pages = []
    for row, given in zip(rows, texts, strict=True):
        read = read_page(row["html"])
        if read is None:
            continue
        page, counts, described = read
        own = {letter: words_of(text) for letter, text in given.items()}
        pages.append(
            Labelled(
                id=row["id"],
                set=row["set"],
                kind=row.get("type") or "article",
                fold=fold_of(row),
                gold=row["text"],
                html=row["html"],
                page=page,
                counts=counts,
                described=described,
                labels=member(
                    counts.hashes, counts.offsets, words_of(row["text"]), counts.is_behind
                ),
                shares={
                    letter: member(counts.hashes, counts.offsets, words, counts.is_behind)
                    for letter, words in own.items()
                },
                sizes={letter: len(words) for letter, words in own.items()},
                texts=given,
            )
        )
    return pages


def engine_texts(folder: Path, kept: Path | None) -> list[dict[str, str]]:
    """What each engine gives for each page; `kept` is the file that remembers it."""
    if kept is not None and kept.exists():
        return list(json.loads(lzma.decompress(kept.read_bytes())))
    with ProcessPoolExecutor() as pool:
        texts = list(pool.map(_opinions, labelled_pages(folder), chunksize=8))
    if kept is not None:
        kept.write_bytes(lzma.compress(json.dumps(texts).encode(), preset=1))
    return texts


def _opinions(row: dict[str, str]) -> dict[str, str]:
    logging.disable(logging.CRITICAL)
    return {letter: opinion(letter, row["html"]) for letter in ENGINES}


def f1(gold: Hashes, found: Hashes) -> float:
    """Page F1 as score.py has it, over runs of four words without their case."""
    want, have = _counts(gold), _counts(found)
    whole = want.total() + have.total()
    return 2 * (want & have).total() / whole if whole else 1.0


def _counts(words: Hashes) -> Counter[Any]:
    if len(words) >= 4:
        return Counter(runs_of(words).tolist())
    return Counter([tuple(words.tolist())] if len(words) else [])


def stack(pages: list[Labelled], of: Callable[[Labelled], Any]) -> Any:
    """The values of all blocks of all pages, side by side."""
    return np.concatenate([of(page) for page in pages], axis=-1)


def split(pages: list[Labelled], values: Reals) -> list[Reals]:
    """The opposite of stack."""
    ends = np.cumsum([len(page.labels) for page in pages])
    return np.split(values, ends[:-1])
