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
# A heading that is not sure of itself stays here, where what stands under it is kept; so does the
# title of a page. Articles lose by both: their labels leave out what is above the text.
_WITH_HEADINGS = ("collection", "documentation", "product", "service")
_WITH_TITLE = ("collection", "listing", "product", "service")
_HEADING_SCORE_MIN, _TITLE_SCORE_MIN = 0.25, 0.2


def take(
    page: Page,
    counts: BlockWords,
    described: Described,
    scores: Reals,
    page_type: str,
    limits: tuple[float, float],
) -> tuple[list[int], float]:
    """The blocks that are the text, by the scores of a look, and the page F1 to be expected."""
    is_thread = page_type == "forum"
    if is_thread:
        scores = with_even_posts(page, counts, scores)
    keep, score = choose(with_whole_lists(page, counts, scores), counts.words, *limits)
    if page_type not in _WITH_PANELS:
        is_shown = 2 * counts.hidden_words <= counts.words
        keep &= is_shown
        scores = np.where(is_shown, scores, 0.0)
    if page_type == "service":
        keep &= ~are_buttons(page, counts, described)
    kept = np.flatnonzero(keep).tolist()
    blocks = once(page, counts, kept, described.units.unit, is_thread=is_thread)
    level = described.columns[AT["heading"]]
    if page_type in _WITHOUT_BARE_HEADINGS:
        blocks = without_bare_headings(blocks, level)
    if page_type in _WITH_HEADINGS:
        blocks = with_headings(blocks, (level > 0) & (scores >= _HEADING_SCORE_MIN))
    if page_type in _WITH_TITLE:
        blocks = with_title(blocks, level == 1, scores >= _TITLE_SCORE_MIN)
    return blocks, score


def settled(looks: Sequence[Reals], page_type: str) -> Reals:
    """The scores by the last look; of a thread by all, since engines leave out posts."""
    return np.asarray(np.mean(looks, axis=0)) if page_type == "forum" else looks[-1]


def with_even_posts(page: Page, counts: BlockWords, scores: Reals) -> Reals:
    """The scores of a thread, where all blocks of one place in a post have their mean.

    So short posts stand or fall with long ones, late ones with early ones; signatures fall. A place
    is told by the classes of three elements; without any it may be anywhere.
    """
    kind, parent = np.array(page.kinds), np.maximum(page.parents, 0)
    is_named = ~np.isin(kind, list(page.plain_kinds))
    at = np.array(page.elements)
    place, is_told = kind[at], is_named[at]
    for _ in range(2):
        at = parent[at]
        place = numbered(place * len(kind) + kind[at])
        is_told = is_told | is_named[at]
    even = np.where(is_told, mean_by(place, scores, _weight(counts)), scores)
    names = np.array([page.inherited[element] for element in page.elements])
    return np.where(names >> SIGNATURE & 1, 0.0, even)


def with_whole_lists(page: Page, counts: BlockWords, scores: Reals) -> Reals:
    """The scores, where rows of one table, and items of one list, have their mean.

    A list is one whose items are a block each, nearly all of them.
    """
    held: dict[int, list[int]] = {}
    items = _items_around(page)
    for block, element in enumerate(page.elements):
        if item := items[element]:
            held.setdefault(page.parents[item], []).append(block)
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


def _items_around(page: Page) -> list[int]:
    """Of each element the row or item that it is, or that holds it alone; 0 where there is none."""
    items = [0] * len(page.tags)
    for element, tag in enumerate(page.tags):
        around = page.parents[element]
        if tag in (_ROW, _ITEM):
            items[element] = element
        elif items[around] and page.end_blocks[around] - page.begin_blocks[around] <= 1:
            items[element] = items[around]
    return items


def are_buttons(page: Page, counts: BlockWords, described: Described) -> Mask:
    """Which blocks call to act in a few words, by a button or a link that is named so."""
    names = np.array([page.own[element] for element in page.elements]) | np.array(page.inner)
    is_named = (names & (1 << TOOL | 1 << CALL) > 0) & (counts.link_words == counts.words)
    is_short = (counts.words <= _BUTTON_WORDS_MAX) & (described.columns[AT["heading"]] == 0)
    return np.asarray((is_named | (described.columns[AT["in_button"]] > 0)) & is_short)


def without_bare_headings(blocks: Sequence[int], level: NDArray[np.float64]) -> list[int]:
    """Some blocks without headings of which nothing is kept, though blocks stand under them.

    `level` is 0 of what is no heading. The title (1) stays.
    """
    taken = set(blocks)
    levels = level.tolist()
    for block in reversed(blocks):
        if levels[block] > 1:
            end = block + 1
            while end < len(levels) and not 0 < levels[end] <= levels[block]:
                end += 1
            if end > block + 1 and taken.isdisjoint(range(block + 1, end)):
                taken.remove(block)
    return sorted(taken)


def with_headings(blocks: Sequence[int], may_be_kept: Mask) -> list[int]:
    """Some blocks, with the heading right before each, if it may be kept."""
    return sorted({*blocks, *(block - 1 for block in blocks if block and may_be_kept[block - 1])})


def with_title(blocks: Sequence[int], is_title: Mask, may_be_kept: Mask) -> list[int]:
    """Some blocks, with the last title before them that may be kept, if they hold none."""
    if not blocks or is_title[blocks].any():
        return list(blocks)
    titles = np.flatnonzero((is_title & may_be_kept)[: blocks[0]])
    return [*titles[-1:].tolist(), *blocks]


def _weight(counts: BlockWords) -> Reals:
    return np.asarray(counts.words + 0.5, np.float64)
