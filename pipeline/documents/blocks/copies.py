"""What a page says twice is written once: texts for two widths of a screen, quoted posts.

What elements of one class say again in such of one class is meant so, but not in a thread.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from pipeline.documents.blocks.names import FORUM, POST, QUOTE
from pipeline.documents.blocks.page import TAG_NUMBERS, Numbers, Page
from pipeline.documents.blocks.words import BlockWords

COPY_WORDS = 12  # a block, or a run of blocks, of so many words is a copy, not a refrain
THREAD_COPY_WORDS = 5  # and in a thread: signatures, the title over each post
_GAP = 2  # blocks that a copy of several may leave out
_TWIN_WORDS = 2  # of a block that says again what stands right before it
_AS_THEY_STAND = (TAG_NUMBERS["tr"], TAG_NUMBERS["pre"])
_HEADINGS = tuple(TAG_NUMBERS[f"h{level}"] for level in range(1, 7))
_BLOCKQUOTE = TAG_NUMBERS["blockquote"]


def once(
    page: Page, counts: BlockWords, blocks: Sequence[int], units: Numbers, *, is_thread: bool
) -> list[int]:
    """Some blocks, in the order of the page, without those that say again what stood before.

    `units` has the unit of each block (units.py).
    """
    first_of, meant = _first_of(page, counts, blocks)
    words = counts.words.tolist()
    if is_thread:
        return _once_in_thread(page, words, blocks, first_of)
    tags = page.tags[page.elements].tolist()
    copied = _clones(counts, blocks, units)
    for before, block in pairwise(blocks):
        is_twin = first_of[block] == first_of[before] and words[block] >= _TWIN_WORDS
        if is_twin and block not in meant:  # a heading is more than the last of a path
            copied.add(before if tags[block] in _HEADINGS else block)
    for run in _runs(blocks, first_of):
        if sum(words[block] for block in run) >= COPY_WORDS and not meant.issuperset(run):
            copied.update(block for block in run if len(run) > 1 or block not in meant)
    # Rows are repeated in tables that differ elsewhere.
    copied = {block for block in copied if tags[block] not in _AS_THEY_STAND}
    return [block for block in blocks if block not in copied]


def _clones(counts: BlockWords, blocks: Sequence[int], units: Numbers) -> set[int]:
    """The blocks of units that say all that one before them said: a carousel turns in a circle.

    A unit of one block is none: paragraphs are repeated as they are meant.
    """
    members: dict[int, list[int]] = {}
    numbers = units.tolist()
    for block in blocks:
        if unit := numbers[block]:
            members.setdefault(unit, []).append(block)
    whole, words = counts.whole.tolist(), counts.words.tolist()
    said: set[tuple[int, ...]] = set()
    clones: set[int] = set()
    for some in members.values():
        if len(some) > 1 and sum(words[block] for block in some) >= COPY_WORDS:
            text = tuple(whole[block] for block in some)
            if text in said:
                clones.update(some)
            said.add(text)
    return clones


def _first_of(
    page: Page, counts: BlockWords, blocks: Sequence[int]
) -> tuple[dict[int, int], set[int]]:
    """For each block the first that says the same, and those whose repetition is meant."""
    said: dict[int, int] = {}
    first_of: dict[int, int] = {}
    meant: set[int] = set()
    whole, element = counts.whole.tolist(), page.elements
    kinds, outer = page.kinds[element].tolist(), page.kinds[page.parents[element]].tolist()
    for block in blocks:
        first = first_of[block] = said.setdefault(whole[block], block)
        if (kinds[first], outer[first]) == (kinds[block], outer[block]):
            meant.add(block)
    return first_of, meant


def _runs(blocks: Sequence[int], first_of: dict[int, int]) -> list[list[int]]:
    """Copies that follow one another as what they repeat did."""
    runs: list[list[int]] = []
    last = -1
    for block in blocks:
        first = first_of[block]
        if first == block:
            last = -1
        else:
            if last < 0 or not 0 < first - last <= 1 + _GAP:
                runs.append([])
            runs[-1].append(block)
            last = first
    return runs


def quotations(page: Page) -> Numbers:
    """For each element the outermost quotation that it lies in, 0 where there is none.

    Posts are none, though some are blockquotes and others are named `message js-selectToQuote`.
    """
    tags, names = page.tags, page.own
    is_quote = (tags == _BLOCKQUOTE) | (names >> QUOTE & 1 > 0)
    is_quote &= names & (1 << FORUM | 1 << POST) == 0
    outermost = np.zeros(len(tags), np.int64)
    for number in np.flatnonzero(is_quote).tolist():
        if not outermost[number]:
            outermost[number : page.ends[number]] = number
    return outermost


def _once_in_thread(
    page: Page, words: Sequence[int], blocks: Sequence[int], first_of: dict[int, int]
) -> list[int]:
    """Blocks that are no copies; a quotation goes or stays as a whole, by most of its words.

    A short one stays, which tells what is answered; elsewhere no block of a few words is a copy,
    and no code.
    """
    quotes = quotations(page)[page.elements].tolist()
    tags = page.tags[page.elements].tolist()
    copied = {block for block in blocks if first_of[block] != block}
    many: dict[int, int] = {}
    copies: dict[int, int] = {}
    for block in blocks:
        quote = quotes[block]
        many[quote] = many.get(quote, 0) + words[block]
        copies[quote] = copies.get(quote, 0) + words[block] * (block in copied)
    kept = []
    for block in blocks:
        if quote := quotes[block]:
            stays = many[quote] < COPY_WORDS or 2 * copies[quote] <= many[quote]
        else:
            is_code = tags[block] in _AS_THEY_STAND
            stays = block not in copied or words[block] < THREAD_COPY_WORDS or is_code
        if stays:
            kept.append(block)
    return kept
