"""The second look at a block: the first scores around it, and what other engines took."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.documents.blocks.features import AT, Described
from pipeline.documents.blocks.page import Numbers
from pipeline.documents.blocks.units import mean_by

Reals = NDArray[np.float64]

# Features of the first look that the second is told again.
AGAIN = [
    AT[name]
    for name in (
        "words link_share dots heading last up1_link_share up2_link_share up1_mean in_best best_up"
        " words_near3 words_near8 links_near3 place copies page_link_share page_long page_forum"
        " page_product page_li page_mean page_long_words around:comment around:forum in_li in_p"
        " unit_many unit_share unit_links unit_index unit_at unit_long unit_people unit_dates"
        " role_share role_mean role_links role_distinct role_stops role_words says:am"
        " says:permalink own:byline hidden in_button"
    ).split()
]
_STEPS = (-3, -2, -1, 1, 2, 3)
_REACHES = (3, 8, 20)
_BESIDE = 6
_FEW_WORDS = 12  # fewer say little of what is around them
_FAR = 50
_NONE = -0.1


def look_again(
    described: Described,
    scores: Reals,
    types: Reals,
    shares: Sequence[Reals],
    sizes: Sequence[int],
) -> NDArray[np.float32]:
    """Columns of the second look, [columns, blocks].

    `types` are those of the page (page_types.py), `shares` each engine's (words.member), `sizes`
    the words of their texts. What the page itself has to say counts as two engines more.
    """
    weight = np.asarray(described.words + 0.3, np.float64)
    shares = [*(one for one, _ in described.opinions), *shares]
    sizes = [*(size for _, size in described.opinions), *sizes]
    rows = [
        *_around(described, scores),
        *_alike(described, scores),
        *types,
        *_engines(weight, scores, shares, sizes, described.units.role),
    ]
    columns = np.empty((len(rows) + len(AGAIN), len(scores)), np.float32)
    for number, row in enumerate(rows):
        columns[number] = row
    columns[len(rows) :] = described.columns[AGAIN]
    return columns


def _around(described: Described, scores: Reals) -> list[Reals | float]:
    words = described.words.astype(float)
    weight = words + 0.5
    blocks = len(scores)
    number = np.arange(blocks)
    sums, weights = _sums(scores * weight), _sums(weight)
    taken = np.flatnonzero(scores > 0.5)
    first, last = (taken[0], taken[-1]) if len(taken) else (blocks, -1)
    padded = np.concatenate([np.full(3, _NONE), scores, np.full(3, _NONE)])
    rows: list[Reals | float] = [scores]
    rows += [padded[3 + step : 3 + step + blocks] for step in _STEPS]
    for reach in _REACHES:
        begin, end = np.maximum(number - reach, 0), np.minimum(number + reach + 1, blocks)
        rows.append((sums[end] - sums[begin]) / (weights[end] - weights[begin]))
    begin, end = np.maximum(number - _BESIDE, 0), np.minimum(number + _BESIDE + 1, blocks)
    rows.append((sums[number] - sums[begin]) / np.maximum(weights[number] - weights[begin], 1.0))
    rows.append(
        (sums[end] - sums[number + 1]) / np.maximum(weights[end] - weights[number + 1], 1.0)
    )
    expected = float((words * scores).sum())
    rows.append(sums[:-1] / max(float(sums[-1]), 1e-6))
    rows += [expected / max(float(words.sum()), 1.0), expected]
    which = described.kinds
    rows.append(np.bincount(which, scores * weight)[which] / np.bincount(which, weight)[which])
    rows.append(np.where(number < first, -1, np.where(number > last, 1, 0)))
    rows.append(_to_span(number, first, last))
    which = described.elements
    rows.append(np.bincount(which, scores)[which] / np.bincount(which)[which])
    rows.append(float(scores.max()))
    rows += [_last_long(scores, words), _last_long(scores[::-1], words[::-1])[::-1]]
    return rows


def _alike(described: Described, scores: Reals) -> list[Reals | float]:
    """What the first look says of its role, its unit and the group of that (units.py)."""
    units = described.units
    weight: Reals = np.asarray(described.words + 0.5, np.float64)
    return [
        *(mean_by(one, scores, weight) for one in (units.role, units.unit, units.group)),
        mean_by(units.role, scores > 0.5),
    ]


def _engines(
    weight: Reals, scores: Reals, shares: Sequence[Reals], sizes: Sequence[int], role: Numbers
) -> list[Reals | float]:
    blocks = len(scores)
    if not shares:
        return []
    number = np.arange(blocks)
    begin, end = np.maximum(number - 3, 0), np.minimum(number + 4, blocks)
    weights, whole = _sums(weight), float(weight.sum())
    rows: list[Reals | float] = []

    def near(values: Reals) -> Reals:
        sums = _sums(values * weight)
        return (sums[end] - sums[begin]) / (weights[end] - weights[begin])

    for share, size in zip(shares, sizes, strict=True):
        held = float((share * weight).sum())
        taken = np.flatnonzero(share > 0.5)
        first, last = (taken[0], taken[-1]) if len(taken) else (blocks, -1)
        rows += [share, near(share), held / whole, float(size), held / max(size, 1)]
        rows += [_to_span(number, first, last), mean_by(role, share, weight)]
    sides = [*shares, scores]
    for place, one in enumerate(sides):
        for other in sides[place + 1 :]:
            both = float((one * other * weight).sum())
            rows.append(2 * both / float(((one + other) * weight).sum() + 1e-6))
    votes = sum((side > 0.5).astype(float) for side in sides)
    rows += [votes, near(np.asarray(votes))]
    return rows


def _sums(values: Reals) -> Reals:
    return np.concatenate([[0.0], np.cumsum(values)])


def _to_span(number: Numbers, first: int, last: int) -> Reals:
    """Blocks to the span of those taken: below zero before it, above zero after it."""
    away = np.where(number < first, -np.minimum(first - number, _FAR), 0)
    return np.where(number > last, np.minimum(number - last, _FAR), away).astype(float)


def _last_long(scores: Reals, words: Reals) -> Reals:
    """The score of the last block before each one that has more than a few words."""
    number = np.arange(len(scores))
    last = np.maximum.accumulate(np.where(words >= _FEW_WORDS, number, -1))
    last = np.concatenate([[-1], last[:-1]])
    return np.where(last >= 0, scores[last], _NONE)


def choose(
    scores: Reals, words: Numbers, low: float, high: float
) -> tuple[NDArray[np.bool_], float]:
    """The blocks whose text has the highest expected F1, and that F1.

    Blocks are taken from the likeliest on; the limit between taken and left stays from low to high.
    """
    weight = np.maximum(words, 0.3)
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum((scores * weight)[order])
    whole = float(hits[-1])
    f1 = 2 * hits / (np.cumsum(weight[order]) + whole + 1e-9)
    limit = min(max(float(scores[order[int(np.argmax(f1))]]), low), high)
    keep = scores >= limit
    got = float((scores * weight)[keep].sum())
    return keep, 2 * got / (float(weight[keep].sum()) + whole + 1e-9)
