"""The numbers that rules are about, as histograms with the limits: what another limit would take.

Each bin says whether its rows were kept. Numbers that are known of dropped rows alone, such as the
tags of a page, have no histogram.
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc

from pipeline.corpus.publish import read_detail
from pipeline.corpus.quality import EXCEPTED, limits_of
from pipeline.engine.reading import Published
from pipeline.limits import DIGITS, Bound
from pipeline.reasons import Reason

KARMA_EDGES = [-math.inf, 0, 1, 2, 3, 4, 5, 10, 20, 50, 100, 1000, math.inf]
LENGTH_EDGES = [
    0, 200, 500, 1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 128_000, 256_000, 1_000_000,
    math.inf,
]  # fmt: skip
COUNT_EDGES = [0, 1, 2, 3, 4, 5, 6, 8, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, math.inf]
SHARE_EDGES = [n / 10 for n in range(10)] + [math.inf]


@dataclass(frozen=True)
class Bin:
    """How many rows have a number in this range; `limit` is what a rule says at its lower end."""

    name: str
    count: int
    kept: bool = True
    limit: str = ""


@dataclass(frozen=True)
class Histogram:
    """A rule's number over all rows that have one."""

    title: str
    number: str  # what the left column holds, with its unit
    rows: str  # what is counted
    bins: list[Bin]
    note: str = ""


def histograms(stages: Mapping[str, Published]) -> list[Histogram]:
    """One for each rule whose number is known of rows on both sides of its limit."""
    found = []
    if links := stages.get("links"):
        found.append(_karma(links, links.manifest.settings["verdict"]))
    if documents := stages.get("documents"):
        found += _texts(documents, documents.manifest.settings["texts"])
    corpus = stages.get("corpus")
    if corpus and documents and (signed := corpus.manifest.settings.get("sign")):
        found += _quality(documents, signed["quality"])
    if corpus and "walk" in corpus.manifest.settings:  # given texts are not compared
        found.append(_copies(corpus, corpus.manifest.settings["walk"]))
    return [histogram for histogram in found if histogram.bins]


def _karma(links: Published, rule: Sequence[Any]) -> Histogram:
    karma_min, karma_rule = rule[:2]
    values = _column(links, f"karma_{karma_rule}")
    limit = f"karma_min: links below {karma_min:,} are dropped"
    bins = bin_counts(values, KARMA_EDGES, {karma_min: limit}, kept=(karma_min, math.inf))
    return Histogram("Karma of a link", f"karma ({karma_rule})", "links", bins)


def _texts(documents: Published, rules: dict[str, Any]) -> Iterator[Histogram]:
    shortest, longest = rules["text_chars_min"], rules["text_chars_max"]
    others = _details(documents, {Reason.TOO_SHORT, Reason.TOO_LONG}, r"(\d+) characters$")
    lengths = np.concatenate([_column(documents, "text_chars"), others])
    limits = {
        shortest: f"text_chars_min: texts below {shortest:,} are dropped",
        longest + 1: f"text_chars_max: texts above {longest:,} are dropped",
    }
    bins = bin_counts(lengths, LENGTH_EDGES, limits, kept=(shortest, longest + 1))
    yield Histogram("Length of a text", "characters", "texts", bins)
    surest = rules["language_score_min"]
    others = _details(documents, {Reason.LANGUAGE_UNSURE, Reason.OTHER_LANGUAGE}, r"\S+ ([\d.]+)$")
    scores = np.concatenate([_column(documents, "language_score"), others])
    limits = {surest: f"language_score_min: texts below {surest:g} are dropped as unsure"}
    bins = bin_counts(scores, SHARE_EDGES, limits, kept=(surest, math.inf))
    note = "Texts in other languages are counted too, and dropped by another rule."
    yield Histogram("Probability of a text's language", "probability", "texts", bins, note)


def _quality(documents: Published, limits: Sequence[str]) -> Iterator[Histogram]:
    """One for each number that a limit names, over all documents that the stage corpus judges."""
    tables = list(documents.tables(["quality"])) if limits else []
    for limit in limits_of(limits):
        for bound in limit.bounds:
            values = [pc.struct_field(t["quality"].combine_chunks(), bound.name) for t in tables]
            bins = _bounded(np.concatenate([np.zeros(0), *values]), bound, limit.reason)
            others = [one.name for one in limit.bounds if one is not bound]
            note = f"{limit.text}. {', '.join(EXCEPTED[limit.reason]).capitalize()} are kept anyway"
            note += f", and texts that keep to the limit of {others[0]}." if others else "."
            title = f"Quality of a text: {bound.name.replace('_', ' ')}"
            yield Histogram(title, bound.name, "texts", bins, note)


def _bounded(values: "np.ndarray[Any, Any]", bound: Bound, reason: str) -> list[Bin]:
    values = np.round(values.astype(float), DIGITS)
    edges = COUNT_EDGES if values.max(initial=0) > 1 else SHARE_EDGES
    if bound.is_least:
        limits = {bound.limit: f"texts below {bound.limit:g} are {reason}"}
        return bin_counts(values, edges, limits, kept=(bound.limit, math.inf))
    above = float(np.nextafter(bound.limit, math.inf))
    limits = {above: f"texts above {bound.limit:g} are {reason}"}
    return bin_counts(values, edges, limits, kept=(-math.inf, above))


def _copies(corpus: Published, rules: dict[str, Any]) -> Histogram:
    values = []
    for row in corpus.drops((Reason.NEAR_COPY,)):
        copy = read_detail(row["detail"])
        if copy and copy.likeness is not None:
            values.append(copy.likeness)
    threshold = rules["near_threshold"]
    limits = {threshold: f"near_threshold: texts from {threshold:g} on are near copies"}
    bins = bin_counts(np.array(values), SHARE_EDGES, limits, kept=(-math.inf, threshold))
    note = "Texts below the threshold are not stored."
    title = "Similarity of near copies to what is kept"
    return Histogram(title, rules["near_measure"], "near copies", bins, note)


def bin_counts(
    values: "np.ndarray[Any, Any]",
    edges: Sequence[float],
    limits: dict[float, str],
    *,
    kept: tuple[float, float],
) -> list[Bin]:
    """Bins between neighbouring edges and limits; of empty ones at both ends only those at a limit.

    A bin holds its lower edge, not its upper one; `kept` is the range of the kept rows.
    """
    all_edges = sorted({*edges, *limits})
    placed = np.searchsorted(all_edges, values, side="right") - 1
    counts = np.bincount(placed, minlength=len(all_edges)).tolist()
    bins = [
        Bin(_name(low, high), count, kept[0] <= low < kept[1], limits.get(low, ""))
        for low, high, count in zip(all_edges, all_edges[1:], counts, strict=False)
    ]
    full = [i for i, one in enumerate(bins) if one.count]
    if not full:
        return []
    return [one for i, one in enumerate(bins) if full[0] <= i <= full[-1] or one.limit]


def _name(low: float, high: float) -> str:
    if low == -math.inf:
        return f"below {_number(high)}"
    if high == math.inf:
        return f"{_number(low)} and more"
    if isinstance(low, float) or isinstance(high, float):
        return f"{low:g} to {high:g}"
    return f"{low:,}" if high - low == 1 else f"{low:,} to {high - 1:,}"


def _number(value: float) -> str:
    return f"{value:g}" if isinstance(value, float) else f"{value:,}"


def _column(stage: Published, name: str) -> "np.ndarray[Any, Any]":
    columns = [table[name].drop_null().to_numpy() for table in stage.tables([name])]
    return np.concatenate(columns) if columns else np.zeros(0)


def _details(stage: Published, reasons: set[Reason], pattern: str) -> list[float]:
    """The numbers in the details of the drops for these reasons."""
    found = (re.match(pattern, row["detail"]) for row in stage.drops(reasons))
    return [float(match[1]) for match in found if match]
