"""Words as numbers: of a page's blocks with what is counted of them, and of any other text.

A word is a run of letters, digits and `_`, ASCII letters in lower case, as a 64-bit number that
depends on nothing but its letters. Everything is a pass of numpy over the characters.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.documents.blocks.layout import Numbers
from pipeline.documents.blocks.names import WORD_GROUPS, bits_of
from pipeline.documents.blocks.segment import BOLD, HIDDEN, LINK, Page

Hashes = NDArray[np.uint64]

_WORD, _UPPER, _DIGIT, _COMMA, _DOT, _SEPARATOR, _SPACE = (1 << bit for bit in range(7))
_RARE = np.array([[_COMMA], [_DOT], [_DIGIT], [_SEPARATOR]], np.uint8)
_FLAGS = np.array([[LINK], [BOLD], [HIDDEN]], np.uint8)
_TO_SMALL = 4  # shifts _UPPER to the difference of "a" and "A"
_CODES = 1 << 16  # the planes above hold emoji, and rare letters that count as none
_MIX = np.uint64(0x9E3779B97F4A7C15)
_FIRST_WORDS = 30  # of a block, in which its groups of words are looked for
COPY_WORDS = 12  # a block of so many that stands in a page twice is a copy, not a refrain
THREAD_COPY_WORDS = 5  # and in a thread: signatures, the title over each post
_PLACES = np.arange(6)[:, None]
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
    for signs, bit in ((",，、", _COMMA), (".!?。！？", _DOT), ("|>/", _SEPARATOR)):
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
    hidden_words: Numbers
    chars: Numbers  # that are no space
    commas: Numbers
    dots: Numbers
    digits: Numbers
    capitals: Numbers  # words that begin with one
    separators: Numbers
    last: Numbers  # code point of the last sign
    first: Numbers  # and of the first letter, 0 for none
    groups: Numbers  # masks of WORD_GROUPS
    title_words: Numbers
    copies: Numbers  # blocks of the same words, itself among them


def words_of(text: str) -> Hashes:
    """The words of a text in their order."""
    codes = _codes(text)
    classes = _class_of(codes)
    return _hash(codes, classes, _starts(classes))


def count(page: Page, title: str) -> BlockWords:
    """Count what the blocks of a page hold; `title` is that of its head."""
    blocks = len(page.elements)
    sizes = np.fromiter(map(len, page.pieces), np.int64, len(page.pieces))
    ends = _sums(sizes)
    limits = ends[np.asarray(page.starts, np.int64)]
    codes = _codes("".join(page.pieces))
    flags = np.repeat(np.asarray(page.flags, np.uint8), sizes)
    classes = _class_of(codes)

    rare = np.flatnonzero(classes & (_COMMA | _DOT | _DIGIT | _SEPARATOR) > 0)
    rare_classes, rare_offsets = classes[rare], rare.searchsorted(limits)

    commas, dots, digits, separators = _within(_RARE & rare_classes > 0, rare_offsets)
    is_start = _starts(classes, limits[:-1])
    first = np.flatnonzero(is_start)
    hashes = _hash(codes, classes, is_start)
    offsets = first.searchsorted(limits)
    words = offsets[1:] - offsets[:-1]
    in_block = np.repeat(np.arange(blocks), words)

    seen = np.flatnonzero(classes & _SPACE == 0)
    shown = seen.searchsorted(limits)
    first_code = np.zeros(blocks, np.int64)
    some = words > 0
    first_code[some] = codes[first[offsets[:-1][some]]]
    are = np.zeros((5, len(hashes)), bool)
    are[:3] = _FLAGS & flags[first] > 0
    are[3] = classes[first] & _UPPER > 0
    title_hashes = words_of(title)
    title_hashes.sort()
    if len(title_hashes):
        are[4] = _isin(hashes, title_hashes)
    link_words, bold_words, hidden_words, capitals, title_words = _within(are, offsets)
    return BlockWords(
        hashes=hashes,
        offsets=offsets,
        words=words,
        link_words=link_words,
        bold_words=bold_words,
        hidden_words=hidden_words,
        chars=shown[1:] - shown[:-1],
        commas=commas,
        dots=dots,
        digits=digits,
        capitals=capitals,
        separators=separators,
        last=codes[seen[shown[1:] - 1]].astype(np.int64),
        first=first_code,
        groups=_groups(hashes, offsets, in_block, some),
        title_words=title_words,
        copies=_copies(hashes, offsets, in_block, some),
    )


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


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


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
def _vocabulary() -> tuple[Hashes, Numbers]:
    """The words of WORD_GROUPS, sorted, and their masks."""
    bits = bits_of(WORD_GROUPS)
    hashes = words_of(" ".join(bits))
    order = np.argsort(hashes)
    return hashes[order], np.array([*bits.values()], np.int64)[order]


def _groups(
    hashes: Hashes, offsets: Numbers, in_block: Numbers, some: NDArray[np.bool_]
) -> Numbers:
    known, masks = _vocabulary()
    groups = np.zeros(len(offsets) - 1, np.int64)
    if len(hashes):
        first = np.flatnonzero(np.arange(len(hashes)) - offsets[in_block] < _FIRST_WORDS)
        asked = hashes[first]
        place = known.searchsorted(asked)
        np.minimum(place, len(known) - 1, out=place)
        is_known = known[place] == asked
        np.bitwise_or.at(groups, in_block[first[is_known]], masks[place[is_known]])
    return groups


def _copies(
    hashes: Hashes, offsets: Numbers, in_block: Numbers, some: NDArray[np.bool_]
) -> Numbers:
    copies = np.ones(len(offsets) - 1, np.int64)
    if len(hashes):
        place = np.arange(len(hashes)) - offsets[in_block]
        whole = np.add.reduceat(hashes * _POWERS[place & 63], offsets[:-1][some])
        order = whole.argsort()
        ordered = whole[order]
        begin = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        many = _sizes(begin, len(order))
        copies[np.flatnonzero(some)[order]] = many.repeat(many)
    return copies


def once(
    page: Page, counts: BlockWords, blocks: Iterable[int], *, is_thread: bool
) -> Iterator[int]:
    """Some blocks without those that say again what a long one elsewhere before them said.

    Pages hold the same text for two widths of a screen, and posts are quoted whole. What is said
    twice by elements of one class, in such of one class, is meant so, but not in a thread.
    """
    least = THREAD_COPY_WORDS if is_thread else COPY_WORDS
    said: dict[bytes, tuple[int, int]] = {}
    for block in blocks:
        own = counts.hashes[counts.offsets[block] : counts.offsets[block + 1]].tobytes()
        element = page.elements[block]
        place = page.kinds[element], page.kinds[page.parents[element]]
        is_new = own not in said
        is_meant = said.setdefault(own, place) == place and not is_thread
        if is_new or is_meant or counts.words[block] < least:
            yield block


def member(words: Hashes, offsets: Sequence[int] | Numbers, other: Hashes) -> NDArray[np.float64]:
    """The share of each block's words that stand in another text, in runs of four words.

    A block of under four words counts whole if it reads on from, or into, a block that is in the
    other text. Of blocks with the same beginning only so many count as the other text has of it.
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
        _spare_copies(shares, words, offsets, sizes, known)
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
    shares: NDArray[np.float64], words: Hashes, offsets: Numbers, sizes: Numbers, known: Hashes
) -> None:
    inside = np.flatnonzero((shares > 0.5) & (sizes >= 4))
    if len(inside) == 0:
        return
    first = offsets[inside]
    begin = runs_of(words[first[:, None] + np.arange(4)].T)[0]
    allowed = np.searchsorted(known, begin, "right") - np.searchsorted(known, begin, "left")
    order = np.argsort(begin, kind="stable")
    new = np.concatenate([[True], np.diff(begin[order]) != 0])
    rank = np.empty(len(begin), np.int64)
    place = np.arange(len(begin))
    rank[order] = place - np.maximum.accumulate(np.where(new, place, 0))
    shares[inside[(allowed > 0) & (rank >= allowed)]] *= 0.3


def _join_short(
    shares: NDArray[np.float64], words: Hashes, offsets: Numbers, other: Hashes, known: Hashes
) -> None:
    """Count blocks of one to three words whole where a run of four joins them to their sides.

    A side is the block beside it, or the nearest that is in the other text.
    """
    blocks, nothing = len(shares), len(words)
    begins, ends = np.append(offsets[:-1], 0), np.append(offsets[1:], 0)  # -1 and blocks are empty
    short = np.flatnonzero((begins < ends) & (ends < begins + 4))
    own = words[np.minimum(begins[short] + _PLACES[:3], ends[short] - 1)]
    short = short[_isin(own, np.sort(other)).any(axis=0)]
    if len(short) == 0:
        return
    number, is_in = np.arange(blocks), shares > 0.5
    before = np.maximum.accumulate(np.where(is_in, number, -1))[short - 1]
    before[short == 0] = -1
    after = np.minimum.accumulate(np.where(is_in, number, blocks)[::-1])[::-1]
    after = np.append(after, blocks)[short + 1]
    left = np.concatenate([before, before, short - 1, short - 1])
    right = np.concatenate([after, short + 1, after, short + 1])
    own = np.tile(short, 4)
    # Three words of the left, its own, three of the right; nothing where they have none.
    at = ends[left] + (_PLACES[:3] - 3)
    first = np.where(at >= begins[left], at, nothing)
    size = ends[own] - begins[own]
    at = begins[right] + (_PLACES - size)
    last = np.where((at < ends[right]) & (size + 3 > _PLACES), at, nothing)
    last = np.where(size > _PLACES, begins[own] + _PLACES, last)
    line = np.append(words, np.uint64(1))[np.concatenate([first, last])]  # 1 is no word
    is_hit = _isin(runs_of(line), known).any(axis=0).reshape(4, -1).any(axis=0)
    shares[short[is_hit]] = 1.0
