"""GPT-2's pre-tokens and how often each occurs, by numpy and Arrow: exact, and without a regex.

    '(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+

A text is runs of letters, numbers, white space and all else. What the pattern makes of it depends
on neighbours alone:

- each run is a pre-token, with a space (U+0020) that stands before it;
- white space before another run ends before its last character; that one is the space, or alone;
- an apostrophe by itself, no space before it, takes s, d, m, t, ll, ve or re from the letters.

So the starts of all pre-tokens are found at once, and Arrow's hash table counts what lies between.
Which character is what is asked of Hugging Face's own regex engine: its merges are to be equalled.
"""

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline.rows import without_surrogates

OTHER, LETTER, NUMBER, SPACE, BORDER = range(5)  # BORDER: between two texts
CLASS = {"letter": LETTER, "number": NUMBER, "space": SPACE}
PATTERNS = {"letter": r"\p{L}+", "number": r"\p{N}+", "space": r"\s+"}
SURROGATES = (0xD800, 0xE000)
BORDER_CHAR = chr(SURROGATES[0])  # no text has it: lone surrogates have become U+FFFD
CODE_POINTS = 0x110000
ONE_LETTER, TWO_LETTERS = ("s", "d", "m", "t"), (("l", "l"), ("v", "e"), ("r", "e"))
CLASSES_FILE = Path(__file__).with_name("classes.txt")
BATCH_CHARS = 1 << 20
# Of a pre-token that comes whole: no word of any language, no rule of dashes is longer.
BYTES_MAX = 4096
Mask = npt.NDArray[np.bool_]


def batches(texts: Iterable[str]) -> Iterator[list[str]]:
    """Texts together, about BATCH_CHARS of them."""
    batch: list[str] = []
    chars = 0
    for text in texts:
        batch.append(text)
        chars += len(text)
        if chars >= BATCH_CHARS:
            yield batch
            batch, chars = [], 0
    if batch:
        yield batch


def pretokens(texts: list[str], bytes_max: int = BYTES_MAX) -> tuple[pa.Array, int]:
    """The pre-tokens of these texts in their order, as UTF-8, and how many were cut.

    One of more than `bytes_max` bytes comes in pieces of so many or up to three fewer: characters
    stay whole. A lone surrogate, which no UTF-8 can hold, is U+FFFD, as in encoding.
    """
    joined = BORDER_CHAR.join(map(without_surrogates, texts))
    utf8 = np.frombuffer(joined.encode("utf-8", "surrogatepass"), np.uint8)
    if len(utf8) == len(joined):  # one text of nothing but ASCII
        starts = _starts(utf8)
        offsets = starts
        borders = np.zeros(len(starts), np.bool_)
    else:
        codes = np.frombuffer(joined.encode("utf-32-le", "surrogatepass"), np.uint32)
        starts = _starts(codes)
        # A character's first byte is none of 10xxxxxx, which are below -64 with a sign.
        offsets = np.flatnonzero(utf8.view(np.int8) >= -64)[starts]
        borders = codes[starts] == ord(BORDER_CHAR)
    ends = np.append(offsets[1:], len(utf8))
    long = np.flatnonzero(ends - offsets > bytes_max)
    if len(long):
        cuts = [_cuts(utf8, offsets[at], ends[at], bytes_max) for at in long]
        at = np.repeat(long + 1, [len(each) for each in cuts])
        borders = np.insert(borders, at, values=False)
        offsets = np.insert(offsets, at, np.concatenate(cuts))
    found = _between(offsets, utf8)
    return (found.filter(pa.array(~borders)) if len(texts) > 1 else found), len(long)


def _cuts(utf8: npt.NDArray[np.uint8], start: int, end: int, bytes_max: int) -> list[int]:
    """Where to cut a long pre-token: before the first byte of a character."""
    cuts = []
    while end - start > bytes_max:
        start += bytes_max
        while utf8[start] & 0xC0 == 0x80:
            start -= 1
        cuts.append(start)
    return cuts


def _starts(codes: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Where a pre-token begins, or a border between texts."""
    if not len(codes):
        return np.empty(0, np.int64)
    kinds = _classes()[codes]
    space = codes == ord(" ")
    start = np.empty(len(codes), np.bool_)
    start[0] = True
    np.not_equal(kinds[1:], kinds[:-1], out=start[1:])
    white = kinds == SPACE
    # White space before a run that is no border: its last character begins a pre-token, which a
    # space shares with the run.
    last = white[:-1] & start[1:] & (kinds[1:] != BORDER)
    start[:-1] |= last
    start[1:] &= ~(last & space[:-1])
    _contract(codes, kinds, start)
    return np.flatnonzero(start)


def _contract(codes: npt.NDArray[Any], kinds: npt.NDArray[np.uint8], start: Mask) -> None:
    """Move the starts after apostrophes that take letters."""
    at = np.flatnonzero(codes == ord("'"))
    at = at[start[at]]  # no space before it, and the first of its run
    first, second = (
        np.where(at + n < len(codes), codes.take(at + n, mode="clip"), 0).astype(np.uint64)
        for n in (1, 2)
    )
    one = np.isin(first, [ord(letter) for letter in ONE_LETTER])
    pair = first << np.uint64(32) | second
    two = np.isin(pair, [ord(a) << 32 | ord(b) for a, b in TWO_LETTERS])
    start[at[one | two] + 1] = False
    for taken, ends in ((one, at + 2), (two, at + 3)):
        ends = ends[taken]
        start[ends[ends < len(codes)]] = True


def _between(starts: npt.NDArray[np.int64], utf8: npt.NDArray[np.uint8]) -> pa.Array:
    offsets = np.append(starts, len(utf8)).astype(np.int32)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(utf8)]
    return pa.Array.from_buffers(pa.binary(), len(starts), buffers)


@cache
def _classes() -> npt.NDArray[np.uint8]:
    """The class of each code point."""
    found = np.full(CODE_POINTS, OTHER, np.uint8)
    for line in CLASSES_FILE.read_text().splitlines():
        name, first, last = line.split()
        found[int(first, 16) : int(last, 16) + 1] = CLASS[name]
    found[SURROGATES[0] : SURROGATES[1]] = BORDER
    return found
