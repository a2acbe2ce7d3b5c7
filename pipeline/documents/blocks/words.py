"""Words as numbers: of a page's blocks with what is counted of them, and of any other text.

A word is a run of letters, digits and `_`, ASCII letters in lower case, as a 64-bit number that
depends on nothing but its letters. Everything is a pass of numpy over the characters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.documents.blocks.kernels import compiled
from pipeline.documents.blocks.names import WORD_GROUPS, bits_of
from pipeline.documents.blocks.page import (
    BOLD,
    CARD,
    HIDDEN,
    ITALIC,
    LINK,
    Numbers,
    Page,
    codes_of,
)

Hashes = NDArray[np.uint64]
Vocabulary = tuple[Hashes, Numbers]  # sorted words, and their masks

_WORD, _UPPER, _DIGIT, _COMMA, _DOT, _SEPARATOR, _SPACE, _MONEY = (1 << bit for bit in range(8))
_RARE = np.array([[_COMMA], [_DOT], [_DIGIT], [_SEPARATOR], [_MONEY]], np.uint8)
_FLAGS = np.array([[LINK], [BOLD], [ITALIC], [HIDDEN], [CARD]], np.uint8)
_TO_SMALL = 4  # shifts _UPPER to the difference of "a" and "A"
_CODES = 1 << 16  # the planes above hold emoji, and rare letters that count as none
_MIX = np.uint64(0x9E3779B97F4A7C15)
_FIRST_WORDS = 30  # of a block, in which its groups of words are looked for
_PLACES = np.arange(6)[:, None]
_NEAR = 4  # blocks to one that a short block may read on into
_NOTHING: Vocabulary = np.zeros(0, np.uint64), np.zeros(0, np.int64)
_POWERS = np.cumprod(np.full(64, 0xD1342543DE82EF95, np.uint64))


@cache
def _classes() -> NDArray[np.uint8]:
    classes = np.zeros(_CODES, np.uint8)
    for code in range(_CODES):
        sign = chr(code)
        if sign.isalnum() or sign == "_":
            classes[code] = _WORD
        elif sign.isspace():
            classes[code] = _SPACE
    classes[ord("A") : ord("Z") + 1] |= _UPPER
    classes[ord("0") : ord("9") + 1] |= _DIGIT
    for signs, bit in (
        (",，、", _COMMA),
        (".!?。！？", _DOT),
        ("|>/", _SEPARATOR),
        ("$€£¥₹", _MONEY),
    ):
        for sign in signs:
            classes[ord(sign)] |= bit
    return classes


@dataclass(frozen=True, slots=True)
class BlockWords:
    """Counts a block (arrays of one length), and the words of all blocks in their order."""

    hashes: Hashes
    offsets: Numbers  # of each block's first word, and the end
    words: Numbers
    link_words: Numbers
    bold_words: Numbers
    italic_words: Numbers
    hidden_words: Numbers
    card_words: Numbers
    chars: Numbers  # that are no space
    commas: Numbers
    dots: Numbers
    digits: Numbers
    capitals: Numbers  # words that begin with one
    separators: Numbers
    moneys: Numbers  # signs of currencies
    last: Numbers  # code point of the last sign
    first: Numbers  # and of the first letter, 0 for none
    groups: Numbers  # masks of WORD_GROUPS
    title_words: Numbers
    whole: Numbers  # a number that depends on all words of the block
    copies: Numbers  # blocks of the same words, itself among them

    @property
    def is_behind(self) -> NDArray[np.bool_]:
        """Which blocks stand back where another says the same: links, and what is hidden."""
        return np.asarray(2 * (self.link_words + self.hidden_words) > self.words)


def words_of(text: str) -> Hashes:
    """The words of a text in their order."""
    codes = codes_of(text)
    if compiled:
        size, flags, starts = (
            np.array([len(codes)], np.int64),
            np.zeros(1, np.uint8),
            np.array([0, 1], np.int64),
        )
        return _counted_by_c(_Pieces(codes, size, flags, starts), _NOTHING)[0]
    classes = _class_of(codes)
    return _hash(codes, classes, _starts(classes))


def count(page: Page, title: str) -> BlockWords:
    """Count what the blocks of a page hold; `title` is that of its head."""
    blocks = len(page.elements)
    counted = _counted_by_c if compiled else _counted
    pieces = _Pieces(page.codes, page.sizes, page.flags, page.starts)
    hashes, counts = counted(pieces, _vocabulary())
    own = dict(zip(_COUNTS, counts, strict=True))
    offsets = _sums(own["words"])
    title_words = np.zeros(blocks, np.int64)
    if len(title_hashes := words_of(title)):
        title_hashes.sort()
        (title_words,) = _within(_isin(hashes, title_hashes)[None], offsets)
    return BlockWords(
        hashes=hashes,
        offsets=offsets,
        title_words=title_words,
        copies=_copies(own["whole"], own["words"] > 0),
        **own,
    )


# Of each block, in the order of compiled.c.
_COUNTS = (
    "words link_words bold_words italic_words hidden_words card_words capitals chars commas"
    " dots digits separators moneys last first groups whole"
).split()


class _Pieces(NamedTuple):
    """Pieces of text as segment.Page has them: `codes` of all, by piece sizes and flags."""

    codes: NDArray[np.uint32]
    sizes: Numbers
    flags: NDArray[np.uint8]
    starts: Numbers  # by block its first piece, and the end


def _counted_by_c(pieces: _Pieces, vocabulary: Vocabulary) -> tuple[Hashes, Numbers]:
    codes, sizes, flags, starts = pieces
    hashes = np.empty((len(codes) + len(starts)) // 2, np.uint64)
    counts = np.empty((len(_COUNTS), len(starts) - 1), np.int64)
    arrays = codes, _classes(), _POWERS, *vocabulary, sizes, flags, starts, hashes, counts
    return hashes[: compiled.count_words(*arrays)], counts


def _counted(pieces: _Pieces, vocabulary: Vocabulary) -> tuple[Hashes, Numbers]:
    """The words of all blocks, and rows of _COUNTS."""
    codes, sizes, flags, starts = pieces
    limits = _sums(sizes)[starts]
    classes = _class_of(codes)
    rare = np.flatnonzero(classes & np.bitwise_or.reduce(_RARE) > 0)
    rares = _within(_RARE & classes[rare] > 0, rare.searchsorted(limits))
    is_start = _starts(classes, limits[:-1])
    first = np.flatnonzero(is_start)
    hashes = _hash(codes, classes, is_start)
    offsets = first.searchsorted(limits)
    words = offsets[1:] - offsets[:-1]
    seen = np.flatnonzero(classes & _SPACE == 0)
    shown = seen.searchsorted(limits)
    first_code = np.zeros(len(words), np.int64)
    some = words > 0
    first_code[some] = codes[first[offsets[:-1][some]]]
    are = np.zeros((len(_FLAGS) + 1, len(hashes)), bool)
    are[:-1] = _FLAGS & np.repeat(flags, sizes)[first] > 0
    are[-1] = classes[first] & _UPPER > 0
    chars, last = shown[1:] - shown[:-1], codes[seen[shown[1:] - 1]]
    groups, whole = _groups_and_whole(hashes, offsets, words, vocabulary)
    rows = [words, *_within(are, offsets), chars, *rares, last]
    return hashes, np.array([*rows, first_code, groups, whole], np.int64)


def _sums(values: NDArray[Any]) -> Numbers:
    """The sum before each value, and of all."""
    sums = np.zeros(len(values) + 1, np.int64)
    values.cumsum(out=sums[1:])
    return sums


def _within(are: NDArray[np.bool_], offsets: Numbers) -> Numbers:
    """How many are one between each offset and the next, of each row."""
    sums = np.zeros((len(are), are.shape[1] + 1), np.int64)
    are.cumsum(axis=1, out=sums[:, 1:])
    return np.asarray(np.diff(sums[:, offsets]))


def _class_of(codes: NDArray[np.uint32]) -> NDArray[np.uint8]:
    return _classes().take(codes, mode="clip") if len(codes) else np.zeros(0, np.uint8)


def _starts(classes: NDArray[np.uint8], borders: Numbers | None = None) -> NDArray[np.bool_]:
    """Which signs begin a word; a word ends before each of the borders."""
    is_letter = classes & _WORD > 0
    is_start = is_letter.copy()
    is_start[1:] &= ~is_letter[:-1]
    if borders is not None:
        is_start[borders] = is_letter[borders]
    return is_start


def _hash(
    codes: NDArray[np.uint32], classes: NDArray[np.uint8], is_start: NDArray[np.bool_]
) -> Hashes:
    at = np.flatnonzero(classes & _WORD > 0)
    if len(at) == 0:
        return np.zeros(0, np.uint64)
    small = codes + ((classes & _UPPER) << _TO_SMALL)
    begin = np.flatnonzero(is_start[at])
    place = np.arange(len(at))
    place -= begin.repeat(_sizes(begin, len(at)))
    place &= 63
    hashes = np.add.reduceat(small[at] * _POWERS[place], begin)
    return np.asarray((hashes ^ (hashes >> np.uint64(29))) * _MIX, np.uint64)


def _sizes(begin: Numbers, end: int) -> Numbers:
    """The sizes of runs that follow one another up to `end`."""
    sizes = np.empty_like(begin)
    sizes[:-1], sizes[-1] = begin[1:] - begin[:-1], end - begin[-1]
    return sizes


@cache
def _vocabulary() -> Vocabulary:
    """The words of WORD_GROUPS, sorted, and their masks."""
    bits = bits_of(WORD_GROUPS)
    hashes = words_of(" ".join(bits))
    order = np.argsort(hashes)
    return hashes[order], np.array([*bits.values()], np.int64)[order]


def _groups_and_whole(
    hashes: Hashes, offsets: Numbers, words: Numbers, vocabulary: Vocabulary
) -> tuple[Numbers, Numbers]:
    """By block the mask of its first words, and a number that depends on all its words."""
    known, masks = vocabulary
    groups, whole = np.zeros((2, len(words)), np.int64)
    if len(hashes):
        in_block = np.repeat(np.arange(len(words)), words)
        place = np.arange(len(hashes)) - offsets[in_block]
        first = np.flatnonzero(place < _FIRST_WORDS)
        at = np.minimum(known.searchsorted(hashes[first]), len(known) - 1)
        is_known = known[at] == hashes[first]
        np.bitwise_or.at(groups, in_block[first[is_known]], masks[at[is_known]])
        some = words > 0
        sums = np.add.reduceat(hashes * _POWERS[place & 63], offsets[:-1][some])
        whole[some] = sums.view(np.int64)
    return groups, whole


def _copies(whole: Numbers, some: NDArray[np.bool_]) -> Numbers:
    """By block how many say the same; `some` are those that say anything."""
    copies = np.ones(len(whole), np.int64)
    said = np.flatnonzero(some)
    if len(said):
        order = said[whole[said].argsort()]
        ordered = whole[order]
        begin = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        many = _sizes(begin, len(order))
        copies[order] = many.repeat(many)
    return copies


def member(
    words: Hashes,
    offsets: Sequence[int] | Numbers,
    other: Hashes,
    is_behind: NDArray[np.bool_] | None = None,
    *,
    with_short: bool = True,
) -> NDArray[np.float64]:
    """The share of each block's words that stand in another text, in runs of four words.

    A block of under four words (if `with_short`) counts whole if it reads on from, or into, what is
    around it, or a block near by that is in the other text. Of blocks with the same beginning only
    so many count as the other text has of it: first those that are not behind, in the page's order.
    """
    offsets = np.asarray(offsets, np.int64)
    blocks = len(offsets) - 1
    shares = np.zeros(blocks)
    if len(other) < 4 or len(words) == 0:
        return shares
    known = np.sort(runs_of(other))
    sizes = np.diff(offsets)
    in_block = np.repeat(np.arange(blocks), sizes)
    if len(words) >= 4:
        is_found = np.zeros(len(words), bool)
        is_found[:-3] = _isin(runs_of(words), known) & (in_block[:-3] == in_block[3:])
        covered = is_found.copy()
        for k in (1, 2, 3):
            covered[k:] |= is_found[:-k]
        shares = np.bincount(in_block[covered], minlength=blocks) / np.maximum(sizes, 1)
        _spare_copies(shares, words, offsets, sizes, known, is_behind)
    if with_short:
        _join_short(shares, words, offsets, other, known)
    return shares


def runs_of(words: Hashes) -> Hashes:
    """Numbers of the runs of four words, one for each word but the last three."""
    runs = words[:-3] * _POWERS[3]
    for k in (1, 2, 3):
        runs = runs + (words[k : len(words) - 3 + k] ^ (runs >> np.uint64(31))) * _POWERS[3 - k]
    return np.asarray(runs, np.uint64)


def _isin(asked: Hashes, known: Hashes) -> NDArray[np.bool_]:
    """Which numbers are among known ones, which are sorted."""
    place = known.searchsorted(asked)
    np.minimum(place, len(known) - 1, out=place)
    return np.asarray(known[place] == asked)


def _spare_copies(
    shares: NDArray[np.float64],
    words: Hashes,
    offsets: Numbers,
    sizes: Numbers,
    known: Hashes,
    is_behind: NDArray[np.bool_] | None,
) -> None:
    inside = np.flatnonzero((shares > 0.5) & (sizes >= 4))
    if len(inside) == 0:
        return
    first = offsets[inside]
    begin = runs_of(words[first[:, None] + np.arange(4)].T)[0]
    allowed = np.searchsorted(known, begin, "right") - np.searchsorted(known, begin, "left")
    if is_behind is None:
        order = np.argsort(begin, kind="stable")
    else:
        order = np.lexsort((is_behind[inside], begin))
    new = np.concatenate([[True], np.diff(begin[order]) != 0])
    rank = np.empty(len(begin), np.int64)
    place = np.arange(len(begin))
    rank[order] = place - np.maximum.accumulate(np.where(new, place, 0))
    shares[inside[(allowed > 0) & (rank >= allowed)]] *= 0.3


def _join_short(
    shares: NDArray[np.float64], words: Hashes, offsets: Numbers, other: Hashes, known: Hashes
) -> None:
    """Count blocks of one to three words whole where a run of four joins them to their sides.

    A side is what stands beside it in the page, or the nearest block that is in the other text, if
    it is near: a menu would read on into any heading.
    """
    blocks, nothing = len(shares), len(words)
    begins, ends = offsets[:-1], offsets[1:]
    short = np.flatnonzero((begins < ends) & (ends < begins + 4))
    own = words[np.minimum(begins[short] + _PLACES[:3], ends[short] - 1)]
    short = short[_isin(own, np.sort(other)).any(axis=0)]
    if len(short) == 0:
        return
    number, is_in = np.arange(blocks), shares > 0.5
    none = blocks + _NEAR  # too far from any, on both sides
    before = np.maximum.accumulate(np.where(is_in, number, -none))
    before = np.append(-none, before)[short]
    after = np.minimum.accumulate(np.where(is_in, number, 2 * none)[::-1])[::-1]
    after = np.append(after, 2 * none)[short + 1]
    begin, end = begins[short], ends[short]
    is_near = short - before <= _NEAR, after - short <= _NEAR
    left = np.where(is_near[0], before, short), np.where(is_near[1], after, short)
    # Each side as a range of words, by all words beside it and by the near block.
    lefts = (np.zeros_like(begin), begin), (begins[left[0]], np.where(is_near[0], ends[left[0]], 0))
    rights = (end, np.full_like(end, nothing)), (
        np.where(is_near[1], begins[left[1]], nothing), ends[left[1]],
    )  # fmt: skip
    lines = []
    for left_first, left_end in lefts:
        # Three words of the left, its own, three of the right; nothing where they have none.
        at = left_end + (_PLACES[:3] - 3)
        first = np.where(at >= left_first, at, nothing)
        for right_first, right_end in rights:
            at = right_first + (_PLACES - (end - begin))
            last = np.where((at < right_end) & (end - begin + 3 > _PLACES), at, nothing)
            last = np.where(end - begin > _PLACES, begin + _PLACES, last)
            lines.append(np.concatenate([first, last]))
    line = np.append(words, np.uint64(1))[np.concatenate(lines, axis=1)]  # 1 is no word
    is_hit = _isin(runs_of(line), known).any(axis=0).reshape(4, -1).any(axis=0)
    shares[short[is_hit]] = 1.0
