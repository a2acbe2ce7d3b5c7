"""Which blocks are the text: by their scores, and by what stands or falls together.

Rows of a table, items of a list, the parts of the posts of a thread.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.documents.blocks.context import Reals, choose
from pipeline.documents.blocks.copies import once, quotations
from pipeline.documents.blocks.features import AT, Described
from pipeline.documents.blocks.names import (
    CALL,
    CONTENT,
    MEMBER_WORDS,
    REVIEW,
    SIGNATURE,
    TOOL,
)
from pipeline.documents.blocks.page import TAG_NUMBERS, Numbers, Page
from pipeline.documents.blocks.units import mean_by, numbered
from pipeline.documents.blocks.words import BlockWords

Mask = NDArray[np.bool_]

_ROW, _ITEM = TAG_NUMBERS["tr"], TAG_NUMBERS["li"]
_LISTS = (TAG_NUMBERS["ul"], TAG_NUMBERS["ol"])
_ITEMS_MIN, _ITEMS_SHARE = 3, 0.8  # of the blocks of a list, that are its items
_BUTTON_WORDS_MAX = 4
_ASIDE = TAG_NUMBERS["aside"]
_LIST_PARTS = (TAG_NUMBERS["dt"], TAG_NUMBERS["dd"], TAG_NUMBERS["li"])
_FACTS_MIN, _FACT_WORDS_MAX = 3, 8  # of the panels of one kind, all together
_PANEL_WORDS_MAX = 4  # a block, on the mean
# What follows these texts may be cards: so many units, of which so many have a title, a link of so
# many words, and so much of what is kept before them.
_OF_ONE_THING = ("article", "product")
_CARDS_MIN, _CARDS_SHARE, _CARD_WORDS_MIN, _BEFORE_CARDS = 3, 0.8, 4, 0.4
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
        scores = np.where(are_beside_posts(page, counts), 0.0, scores)
    keep, score = choose(with_whole_lists(page, counts, scores), counts.words, *limits)
    level = described.columns[AT["heading"]]
    if page_type == "product":
        keep &= ~are_of_others(page, level)
    if page_type in _OF_ONE_THING:
        keep &= ~are_cards_behind(counts, described, scores, keep, limits[1])
    if page_type not in _WITH_PANELS:
        is_shown = 2 * counts.hidden_words <= counts.words
        keep &= is_shown
        scores = np.where(is_shown, scores, 0.0)
    if page_type == "service":
        keep &= ~are_buttons(page, counts, described)
    kept = np.flatnonzero(keep).tolist()
    blocks = once(page, counts, kept, described.units.unit, is_thread=is_thread)
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

    So short posts stand or fall with long ones, late ones with early ones. A place is told by the
    classes of three elements; without any it may be anywhere.
    """
    kind, parent = page.kinds, np.maximum(page.parents, 0)
    is_named = ~np.isin(kind, list(page.plain_kinds))
    at = page.elements
    place, is_told = kind[at], is_named[at]
    for _ in range(2):
        at = parent[at]
        place = numbered(place * len(kind) + kind[at])
        is_told = is_told | is_named[at]
    return np.where(is_told, mean_by(place, scores, _weight(counts)), scores)


def are_beside_posts(page: Page, counts: BlockWords) -> Mask:
    """Which blocks of a thread are no text of a post: signatures, notices, asides, panels of facts.

    What a signature seems to hold is the text if it is named as content. An aside tells who wrote
    a post or where a link leads, unless it quotes.
    """
    names = page.own
    is_named, is_content = names & (1 << SIGNATURE | 1 << CALL) > 0, names >> CONTENT & 1 > 0
    is_beside = np.zeros(len(names), np.bool_)
    for number in np.flatnonzero(is_named | is_content).tolist():
        is_beside[number : page.ends[number]] = is_named[number]
    quotation = quotations(page)
    for number in np.flatnonzero(page.tags == _ASIDE).tolist():
        inside = slice(number, page.ends[number])
        is_beside[inside] |= not quotation[inside].any()
    return np.asarray(is_beside[page.elements] | _are_facts(page, counts))


def _are_facts(page: Page, counts: BlockWords) -> Mask:
    """Which blocks stand in panels about members, which say when they joined, how much they wrote.

    Panels of one kind are told by what a few of their blocks begin with, and fall as a whole.
    """
    tag, kind, element = page.tags, page.kinds, page.elements
    parent = np.maximum(page.parents, 0)
    panel = np.where(np.isin(tag[element], _LIST_PARTS), parent[element], element)
    place = numbered(kind[panel] * len(kind) + kind[parent[panel]])
    is_fact = (counts.groups >> MEMBER_WORDS & 1) * (counts.words <= _FACT_WORDS_MAX)
    are_short = np.bincount(place, counts.words) <= _PANEL_WORDS_MAX * np.bincount(place)
    return np.asarray(((np.bincount(place, is_fact) >= _FACTS_MIN) & are_short)[place])


def with_whole_lists(page: Page, counts: BlockWords, scores: Reals) -> Reals:
    """The scores, where rows of one table, and items of one list, have their mean.

    A list is one whose items are a block each, nearly all of them.
    """
    element, item = page.elements, _items_of_blocks(page)
    around = np.where(item > 0, page.parents[item], 0)
    many = np.bincount(around, minlength=len(page.tags))
    first = np.zeros(len(page.tags), np.int64)  # block of each table or list
    first[around[::-1]] = np.arange(len(around))[::-1]
    inside = page.end_blocks - page.begin_blocks
    is_list = (page.tags == _LISTS[0]) | (page.tags == _LISTS[1])
    is_whole = many >= np.maximum(_ITEMS_MIN, _ITEMS_SHARE * inside)
    is_one = np.where(is_list, is_whole, page.tags[element[first]] == _ROW)
    groups = np.where(is_one[around], around, 0)
    return np.where(groups > 0, mean_by(groups, scores, _weight(counts)), scores)


def _items_of_blocks(page: Page) -> Numbers:
    """Of each block the row or item that it is, or that holds it alone; 0 where there is none."""
    is_item = (page.tags == _ROW) | (page.tags == _ITEM)
    is_alone = page.end_blocks - page.begin_blocks <= 1
    items = np.zeros(len(page.elements), np.int64)
    asked, at = np.arange(len(items)), page.elements
    while len(asked):
        found = is_item[at]
        items[asked[found]] = at[found]
        around = page.parents[at]
        is_left = ~found & (around > 0) & is_alone[around]
        asked, at = asked[is_left], around[is_left]
    return items


def are_of_others(page: Page, level: NDArray[np.float64]) -> Mask:
    """Which blocks of a page about goods are customers' reviews, or notices of the shop.

    What holds the title is the page, whatever it is named.
    """
    names = page.own & (1 << REVIEW | 1 << CALL)
    found = np.zeros(len(level), np.bool_)
    for number in np.flatnonzero(names).tolist():
        inside = slice(page.begin_blocks[number], page.end_blocks[number])
        found[inside] |= (level[inside] != 1).all()
    return found


def are_buttons(page: Page, counts: BlockWords, described: Described) -> Mask:
    """Which blocks call to act in a few words, by a button or a link that is named so."""
    names = page.own[page.elements] | page.inner
    is_named = (names & (1 << TOOL | 1 << CALL) > 0) & (counts.link_words == counts.words)
    is_short = (counts.words <= _BUTTON_WORDS_MAX) & (described.columns[AT["heading"]] == 0)
    return np.asarray((is_named | (described.columns[AT["in_button"]] > 0)) & is_short)


def are_cards_behind(
    counts: BlockWords, described: Described, scores: Reals, keep: Mask, enough: float
) -> Mask:
    """Which blocks stand in cards behind the text that lead to other articles, or goods.

    They fall together, unless they have a score that is enough on any page.
    """
    unit, group, columns = described.units.unit, described.units.group, described.columns
    is_title = (counts.link_words == counts.words) & (counts.words >= _CARD_WORDS_MIN)
    is_titled = (columns[AT["unit_at"]] == 0) & (np.bincount(unit, is_title) > 0)[unit]
    many = columns[AT["unit_many"]]
    are_cards = np.bincount(group, is_titled)[group] >= _CARDS_SHARE * many
    first = np.zeros(int(group.max()) + 1, np.int64)
    first[group[::-1]] = np.arange(len(group))[::-1]
    before = np.cumsum(counts.words * keep)
    are_cards &= (many >= _CARDS_MIN) & (before[first[group]] >= _BEFORE_CARDS * before[-1]) & keep
    if are_cards.any():
        are_cards &= mean_by(group, scores, _weight(counts)) < enough
    return np.asarray(are_cards)


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
