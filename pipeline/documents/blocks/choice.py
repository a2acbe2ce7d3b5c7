"""Which blocks are the text: by their scores, and by what stands or falls together.

Rows of a table, items of a list, the parts of the posts of a thread.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.documents.blocks.context import Reals, choose
from pipeline.documents.blocks.copies import once
from pipeline.documents.blocks.features import AT, Described
from pipeline.documents.blocks.names import CALL, SIGNATURE, TOOL
from pipeline.documents.blocks.segment import TAG_NUMBERS, Page
from pipeline.documents.blocks.units import mean_by, numbered
from pipeline.documents.blocks.words import BlockWords

Mask = NDArray[np.bool_]

_ROW, _ITEM = TAG_NUMBERS["tr"], TAG_NUMBERS["li"]
_LISTS = (TAG_NUMBERS["ul"], TAG_NUMBERS["ol"])
_ITEMS_MIN, _ITEMS_SHARE = 3, 0.8  # of the blocks of a list, that are its items
_BUTTON_WORDS_MAX = 4
# Panels that wait for a click are text here; elsewhere they are menus, and other articles.
_WITH_PANELS = ("product", "service")
# Here a heading over nothing is left of something else; threads that pass for articles have many.
_WITHOUT_BARE_HEADINGS = ("collection", "documentation")


def take(
    page: Page,
    counts: BlockWords,
    described: Described,
    scores: Reals,
    page_type: str,
    limits: tuple[float, float],
) -> tuple[list[int], float]:
    """The blocks that are the text, by the scores of a look, and the page F1 to be expected."""
    if page_type == "forum":
        scores = with_even_posts(page, counts, scores)
    keep, score = choose(with_whole_lists(page, counts, scores), counts.words, *limits)
    if page_type not in _WITH_PANELS:
        keep &= 2 * counts.hidden_words <= counts.words
    if page_type == "service":
        keep &= ~are_buttons(page, counts, described)
    blocks = once(
        page,
        counts,
        np.flatnonzero(keep).tolist(),
        described.units.unit,
        is_thread=page_type == "forum",
    )
    if page_type in _WITHOUT_BARE_HEADINGS:
        blocks = without_bare_headings(blocks, described.columns[AT["heading"]] > 0)
    return blocks, score


def settled(looks: Sequence[Reals], page_type: str) -> Reals:
    """The scores by the last look; of a thread by all, since engines leave out posts."""
    return np.asarray(np.mean(looks, axis=0)) if page_type == "forum" else looks[-1]


def with_even_posts(page: Page, counts: BlockWords, scores: Reals) -> Reals:
    """The scores of a thread, where all blocks of one place in a post have their mean.

    So short posts stand or fall with long ones, late ones with early ones; signatures fall.
    """
    kind, parent = np.array(page.kinds), np.maximum(page.parents, 0)
    at = np.array(page.elements)
    place = kind[at]
    for _ in range(2):
        at = parent[at]
        place = numbered(place * len(kind) + kind[at])
    even = mean_by(place, scores, _weight(counts))
    names = np.array([page.inherited[element] for element in page.elements])
    return np.where(names >> SIGNATURE & 1, 0.0, even)


def with_whole_lists(page: Page, counts: BlockWords, scores: Reals) -> Reals:
    """The scores, where rows of one table, and items of one list, have their mean.

    A list is one whose items are a block each, nearly all of them.
    """
    held: dict[int, list[int]] = {}
    for block, element in enumerate(page.elements):
        if page.tags[element] in (_ROW, _ITEM):
            held.setdefault(page.parents[element], []).append(block)
    groups = np.zeros(len(scores), np.int64)
    for number, (around, blocks) in enumerate(held.items(), 1):
        if page.tags[around] in _LISTS:
            inside = page.end_blocks[around] - page.begin_blocks[around]
            if len(blocks) < max(_ITEMS_MIN, _ITEMS_SHARE * inside):
                continue
        elif page.tags[page.elements[blocks[0]]] != _ROW:
            continue
        groups[blocks] = number
    return np.where(groups > 0, mean_by(groups, scores, _weight(counts)), scores)


def are_buttons(page: Page, counts: BlockWords, described: Described) -> Mask:
    """Which blocks call to act in a few words, by a link or a button that is named so."""
    names = np.array([page.own[element] for element in page.elements]) | np.array(page.inner)
    is_called = names & (1 << TOOL | 1 << CALL) > 0
    is_link = (counts.link_words == counts.words) | (described.columns[AT["in_button"]] > 0)
    is_short = (counts.words <= _BUTTON_WORDS_MAX) & (described.columns[AT["heading"]] == 0)
    return np.asarray(is_called & is_link & is_short)


def without_bare_headings(blocks: Sequence[int], is_heading: Mask) -> list[int]:
    """Some blocks without headings of which nothing is kept, though blocks stand under them."""
    taken = set(blocks)
    kept = []
    for block in blocks:
        if is_heading[block]:
            end = block + 1
            while end < len(is_heading) and not is_heading[end]:
                end += 1
            if end > block + 1 and taken.isdisjoint(range(block + 1, end)):
                continue
        kept.append(block)
    return kept


def _weight(counts: BlockWords) -> Reals:
    return np.asarray(counts.words + 0.5, np.float64)
