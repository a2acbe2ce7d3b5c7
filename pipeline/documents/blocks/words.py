"""Words as numbers: of a page's blocks with what is counted of them, and of any other text.

A word is a run of letters, digits and `_`, ASCII letters in lower case, as a 64-bit number that
depends on nothing but its letters. Everything is a pass of numpy over the characters.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pipeline.documents.blocks.names import WORD_GROUPS, bits_of
from pipeline.documents.blocks.segment import BOLD, LINK, Page

Numbers = NDArray[np.int64]
Hashes = NDArray[np.uint64]

_WORD, _UPPER, _DIGIT, _COMMA, _DOT, _SEPARATOR, _SPACE = (1 << bit for bit in range(7))
_CODES = 1 << 16  # the planes above hold emoji, and rare letters that count as none
_MIX = np.uint64(0x9E3779B97F4A7C15)
_FIRST_WORDS = 30  # of a block, in which its groups of words are looked for
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
    at = np.flatnonzero(_class_of(codes) & _WORD)
    return _hash(codes, at, _starts(at))


def count(page: Page, title: str) -> BlockWords:
    """Count what the blocks of a page hold; `title` is that of its head."""
    blocks = len(page.elements)
    sizes = np.fromiter(map(len, page.pieces), np.int64, len(page.pieces))
    ends = np.concatenate([[0], np.cumsum(sizes)])
    limits = ends[np.asarray(page.starts, np.int64)]
    codes = _codes("".join(page.pieces))
    of_block = np.repeat(np.arange(blocks), np.diff(limits))
    flags = np.repeat(np.asarray(page.flags, np.uint8), sizes)
    classes = _class_of(codes)

    rare = np.flatnonzero(classes & (_COMMA | _DOT | _DIGIT | _SEPARATOR))
    rare_classes, rare_blocks = classes[rare], of_block[rare]

    def of(bit: int) -> Numbers:
        return np.bincount(rare_blocks[(rare_classes & bit) > 0], minlength=blocks)

    at = np.flatnonzero(classes & _WORD)
    is_start = _starts(at, of_block)
    first = at[is_start]
    hashes = _hash(codes, at, is_start)
    in_block = of_block[first]
    words = np.bincount(in_block, minlength=blocks)
    offsets = np.concatenate([[0], np.cumsum(words)])
    seen = np.flatnonzero(classes & _SPACE == 0)
    chars = np.bincount(of_block[seen], minlength=blocks)
    last = codes[seen[np.cumsum(chars) - 1]].astype(np.int64) if blocks else np.zeros(0, np.int64)
    first_code = np.zeros(blocks, np.int64)
    some = words > 0
    first_code[some] = codes[first[offsets[:-1][some]]]
    title_hashes = words_of(title)
    return BlockWords(
        hashes=hashes,
        offsets=offsets,
        words=words,
        link_words=np.bincount(in_block[(flags[first] & LINK) > 0], minlength=blocks),
        bold_words=np.bincount(in_block[(flags[first] & BOLD) > 0], minlength=blocks),
        chars=chars,
        commas=of(_COMMA),
        dots=of(_DOT),
        digits=of(_DIGIT),
        capitals=np.bincount(in_block[(classes[first] & _UPPER) > 0], minlength=blocks),
        separators=of(_SEPARATOR),
        last=last,
        first=first_code,
        groups=_groups(hashes, offsets, in_block, some),
        title_words=np.bincount(in_block[np.isin(hashes, title_hashes)], minlength=blocks)
        if len(title_hashes)
        else np.zeros(blocks, np.int64),
        copies=_copies(hashes, offsets, in_block, some),
    )


def _codes(text: str) -> NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _class_of(codes: NDArray[np.uint32]) -> NDArray[np.uint8]:
    return _classes().take(codes, mode="clip") if len(codes) else np.zeros(0, np.uint8)


def _starts(at: Numbers, of_block: Numbers | None = None) -> NDArray[np.bool_]:
    """Which letters begin a word; the last letter of a block and the next one's are apart."""
    is_start = np.ones(len(at), bool)
    is_start[1:] = np.diff(at) > 1
    if of_block is not None and len(at):
        is_start[1:] |= np.diff(of_block[at]) > 0
    return is_start


def _hash(codes: NDArray[np.uint32], at: Numbers, is_start: NDArray[np.bool_]) -> Hashes:
    if len(at) == 0:
        return np.zeros(0, np.uint64)
    letters = codes[at].astype(np.uint64)
    letters += ((letters >= ord("A")) & (letters <= ord("Z"))).astype(np.uint64) << np.uint64(5)
    begin = np.flatnonzero(is_start)
    place = np.arange(len(at)) - begin[np.cumsum(is_start) - 1]
    hashes = np.add.reduceat(letters * _POWERS[place & 63], begin)
    return np.asarray((hashes ^ (hashes >> np.uint64(29))) * _MIX, np.uint64)


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
        place = np.searchsorted(known, hashes).clip(max=len(known) - 1)
        is_first = np.arange(len(hashes)) - offsets[in_block] < _FIRST_WORDS
        found = np.where((known[place] == hashes) & is_first, masks[place], 0)
        groups[some] = np.bitwise_or.reduceat(found, offsets[:-1][some])
    return groups


def _copies(
    hashes: Hashes, offsets: Numbers, in_block: Numbers, some: NDArray[np.bool_]
) -> Numbers:
    copies = np.ones(len(offsets) - 1, np.int64)
    if len(hashes):
        place = np.arange(len(hashes)) - offsets[in_block]
        whole = np.add.reduceat(hashes * _POWERS[place & 63], offsets[:-1][some])
        _, which, counts = np.unique(whole, return_inverse=True, return_counts=True)
        copies[some] = counts[which]
    return copies


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
    _join_short(shares, words, offsets, sizes, known)
    return shares


def runs_of(words: Hashes) -> Hashes:
    """Numbers of the runs of four words, one for each word but the last three."""
    runs = words[:-3] * _POWERS[3]
    for k in (1, 2, 3):
        runs = runs + (words[k : len(words) - 3 + k] ^ (runs >> np.uint64(31))) * _POWERS[3 - k]
    return np.asarray(runs, np.uint64)


def _isin(asked: Hashes, known: Hashes) -> NDArray[np.bool_]:
    """Which numbers are among known ones, which are sorted."""
    place = np.searchsorted(known, asked).clip(max=len(known) - 1)
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
    shares: NDArray[np.float64], words: Hashes, offsets: Numbers, sizes: Numbers, known: Hashes
) -> None:
    blocks = len(shares)
    is_in = shares > 0.5
    number = np.arange(blocks)
    before = np.concatenate([[-1], np.maximum.accumulate(np.where(is_in, number, -1))[:-1]])
    after = np.concatenate(
        [np.minimum.accumulate(np.where(is_in, number, blocks)[::-1])[::-1][1:], [blocks]]
    )
    padded = np.concatenate([words, np.arange(1, 4, dtype=np.uint64)])  # no word has such a number
    for size in (1, 2, 3):
        short = np.flatnonzero(sizes == size)
        if len(short) == 0:
            continue
        own = np.tile(words[offsets[short][:, None] + np.arange(size)], (4, 1))
        left = np.concatenate([before[short], before[short], short - 1, short - 1])
        right = np.concatenate([after[short], short + 1, after[short], short + 1])
        lines = np.concatenate(
            [
                _ends(padded, offsets, sizes, left, last=True),
                own,
                _ends(padded, offsets, sizes, right, last=False),
            ],
            axis=1,
        )
        runs = runs_of(lines.T)
        hit = _isin(runs.ravel(), known).reshape(len(runs), 4, len(short)).any(axis=(0, 1))
        shares[short[hit]] = 1.0


def _ends(
    padded: Hashes, offsets: Numbers, sizes: Numbers, blocks: Numbers, *, last: bool
) -> Hashes:
    """The last, or first, three words of some blocks; where there are none no word stands."""
    is_there = (blocks >= 0) & (blocks < len(sizes))
    known = np.where(is_there, blocks, 0)
    begin, size = offsets[known], np.where(is_there, sizes[known], 0)
    place = np.arange(3)
    if last:
        back = 3 - place
        at = np.where(
            back <= size[:, None], (begin + size)[:, None] - back, len(padded) - 3 + place
        )
    else:
        at = np.where(place < size[:, None], begin[:, None] + place, len(padded) - 3 + place)
    return padded[at]
