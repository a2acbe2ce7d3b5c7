"""Repeated structure: a thread is posts, a listing is cards, and each has its parts.

A group is elements of one parent that have the same tag and class, at least three of them with
text. Each block belongs to one of the groups that it lies in: the one that holds the most words
beside its largest element, so that the three columns of a page are no group, but the posts of a
thread are one, not the paragraphs of a post. The element of the group is the block's *unit*; blocks
of the same tag and class in units of the same group play the same *role*: the names of authors, the
dates, the bodies.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.documents.blocks.layout import Layout
from pipeline.documents.blocks.page import Numbers

Reals = NDArray[np.float64]
_MANY = 3


@dataclass(frozen=True, slots=True)
class Units:
    """By block: its unit (an element, 0 where there is none), the unit's group, and its role."""

    unit: Numbers
    group: Numbers
    role: Numbers


@dataclass(frozen=True, slots=True)
class Groups:
    """By element its group; by group how many of it have text, and their words."""

    of: Numbers
    many: Numbers
    words: Numbers
    top: Numbers  # words of the largest


def find_groups(parent: Numbers, kind: Numbers, sizes: Numbers) -> Groups:
    """The groups of a page's elements; `sizes` are the words in each."""
    pairs = parent * (int(kind.max()) + 1) + kind
    pairs[0] = -1
    of = numbered(pairs)
    many = np.bincount(of, sizes > 0).astype(np.int64)
    words = np.bincount(of, sizes).astype(np.int64)
    top = np.zeros(len(many), np.int64)
    np.maximum.at(top, of, sizes)
    return Groups(of, many, words, top)


def find_units(groups: Groups, layout: Layout) -> Units:
    """The unit, group and role of each block."""
    worth = np.where(groups.many >= _MANY, groups.words - groups.top, 0)[groups.of]
    # The greatest worth, of several the outermost.
    last = layout.elements - 1
    best = layout.pass_down(worth * layout.elements + (last - np.arange(layout.elements)))
    found = best[layout.element]
    unit = np.where(found > last, last - found % layout.elements, 0)
    group = np.where(unit > 0, groups.of[unit], groups.of[0])
    kind = layout.kind
    role = numbered(group * (int(kind.max()) + 1) + kind[layout.element])
    return Units(unit, group, role)


def numbered(values: Numbers) -> Numbers:
    """The place of each value among all that there are, in their order."""
    order = values.argsort()
    ordered = values[order]
    numbers = np.empty_like(values)
    places = np.zeros_like(values)
    (ordered[1:] != ordered[:-1]).cumsum(out=places[1:])
    numbers[order] = places
    return numbers


def mean_by(which: Numbers, values: NDArray[Any], weight: Reals | None = None) -> Reals:
    """For each block the mean of its class, by weights that are above 0."""
    if weight is None:
        sums, weights = np.bincount(which, values), np.bincount(which)
    else:
        sums, weights = np.bincount(which, values * weight), np.bincount(which, weight)
    return np.asarray(sums[which] / weights[which])
