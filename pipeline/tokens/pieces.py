"""Long texts in pieces whose ids, one after the other, are the text's.

GPT-2's pattern never reaches over a place where white space follows what is none: a pre-token is
white space alone, or it has at most one space, in front.
"""

import re
from collections.abc import Iterable, Iterator

PIECE_CHARS = 1 << 20
_BORDER = re.compile(r"(?<=\S)(?=[ \n])")
_LAST_BORDER = re.compile(r"(?s:.*)(?<=\S)(?=[ \n])")


def cut(text: str, size: int = PIECE_CHARS) -> Iterator[str]:
    """The text in pieces of `size` characters, each longer where no border comes before."""
    start = 0
    while len(text) - start > size and (border := _BORDER.search(text, start + size)):
        yield text[start : border.start()]
        start = border.start()
    yield text[start:]


def joined(chunks: Iterable[str]) -> Iterator[str]:
    """A text that comes in chunks, in pieces of about their size, longer where no border comes."""
    waiting: list[str] = []
    for chunk in chunks:
        waiting.append(chunk)
        if last := _LAST_BORDER.match(chunk):
            waiting[-1] = chunk[: last.end()]
            yield "".join(waiting)
            waiting = [chunk[last.end() :]]
    yield "".join(waiting)
