"""Repeated structure: a thread is posts, a listing is cards, and each has its parts.

A group is elements of one parent that have the same tag and class, at least three of them with
text. Each block belongs to one of the groups that it lies in: the one that holds the most words
beside its largest element, so that the three columns of a page are no group, but the posts of a
thread are one, not the paragraphs of a post. The element of the group is the block's *unit*; blocks
of the same tag and class in units of the same group play the same *role*: the names of authors, the
dates, the bodies.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipeline.documents.blocks.words import Numbers

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
    _, of = np.unique(pairs, return_inverse=True)
    many = np.bincount(of, sizes > 0).astype(np.int64)
    words = np.bincount(of, sizes).astype(np.int64)
    top = np.zeros(len(many), np.int64)
    np.maximum.at(top, of, sizes)
    return Groups(of, many, words, top)


def find_units(
    groups: Groups, parent: Numbers, depth: Numbers, kind: Numbers, element: Numbers
) -> Units:
    """The unit, group and role of each block; `element` is the block's."""
    worth = np.where(groups.many >= _MANY, groups.words - groups.top, 0)[groups.of]
    unit = np.where(worth > 0, np.arange(len(parent)), 0)
    best = worth.copy()
    # From the top down, a level at a time: what is around is known by then.
    order = np.argsort(depth, kind="stable")
    ends = np.searchsorted(depth[order], np.arange(1, int(depth.max()) + 2))
    for begin, end in pairwise(ends):
        here = order[begin:end]
        outer = parent[here]
        is_less = best[here] <= best[outer]
        unit[here] = np.where(is_less, unit[outer], unit[here])
        best[here] = np.where(is_less, best[outer], best[here])
    own = unit[element]
    group = np.where(own > 0, groups.of[own], groups.of[0])
    _, role = np.unique(group * (int(kind.max()) + 1) + kind[element], return_inverse=True)
    return Units(own, group, role)


def mean_by(
    which: Numbers, values: NDArray[np.float64], weight: NDArray[np.float64]
) -> NDArray[np.float64]:
    """For each block the weighted mean of its class; weights are above 0."""
    sums, weights = np.bincount(which, values * weight), np.bincount(which, weight)
    return np.asarray(sums[which] / weights[which])
