"""Texts of the corpus for the page: documents at random, and near copies with their differences."""

import re
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from heapq import nsmallest
from typing import Any

import numpy as np
import xxhash
from markupsafe import Markup, escape

from pipeline.corpus.publish import read_detail
from pipeline.engine.reading import Published
from pipeline.reasons import Reason

PAIRS = 6  # near copies side by side
RANDOM_DOCUMENTS = 10
EXCERPT_CHARS = 900
BEFORE_CHARS = 200  # of equal text before the first difference
_BLANK = np.isin(np.arange(256), [9, 10, 11, 12, 13, 32])


def word_count(texts: Iterable[str]) -> int:
    """The words of all texts: what stands between ASCII's white space."""
    raw = np.frombuffer("\n".join(["", *texts]).encode("utf-8", "surrogatepass"), np.uint8)
    blank = _BLANK[raw]
    return int(np.count_nonzero(blank[:-1] & ~blank[1:]))


def random_documents(corpus: Published) -> Iterator[dict[str, Any]]:
    """Documents of the corpus, those with the lowest hashes of their ids: the same every time."""
    ids = (id for table in corpus.tables(["id"]) for id in table["id"].to_pylist())
    chosen = nsmallest(RANDOM_DOCUMENTS, ids, lambda id: xxhash.xxh3_64_intdigest(id.encode()))
    rows = corpus.rows(chosen)
    for id in chosen:
        yield {**rows[id], "text": excerpt(rows[id]["text"])}


def near_copies(corpus: Published, documents: Published) -> Iterator[dict[str, Any]]:
    """Near copies and their keepers, spread over the range of Jaccard, the least alike first."""
    by_jaccard: dict[float, tuple[float, str, str]] = {}  # one of each hundredth
    for row in corpus.drops((Reason.NEAR_COPY,)):
        copy = read_detail(row["detail"])
        if copy and copy.jaccard is not None:
            pair = (copy.jaccard, row["id"], copy.keeper)
            hundredth = round(copy.jaccard, 2)
            by_jaccard[hundredth] = min(pair, by_jaccard.get(hundredth, pair))
    found = sorted(by_jaccard.values())
    step = max(1, len(found) // PAIRS)
    chosen = found[::step][:PAIRS]
    rows = documents.rows(id for _, *both in chosen for id in both)
    for jaccard, id, keeper in chosen:
        if id in rows and keeper in rows:
            kept, dropped = rows[keeper], rows[id]
            equal_chars, *texts = differing(kept["text"], dropped["text"])
            yield {
                "jaccard": jaccard,
                "equal_chars": equal_chars,
                "kept": {**kept, "text": marked(*texts)},
                "dropped": {**dropped, "text": marked(*texts[::-1])},
            }


def marked(text: str, other: str) -> Markup:
    """The beginning of a text, with the words marked that the beginning of another has not."""
    shown = excerpt(text)
    pieces = re.split(r"(\s+)", shown)  # words at even places, white space between them
    words, others = pieces[::2], other[: 2 * EXCERPT_CHARS].split()
    blocks = SequenceMatcher(None, words, others, autojunk=False).get_matching_blocks()
    alike = {i for block in blocks for i in range(block.a, block.a + block.size)}
    cut = len(words) - 1 if shown != text else len(words)  # the last word is the sign of the cut
    out = Markup()
    for i, word in enumerate(words):
        differs = i not in alike and word and i < cut
        out += Markup("<mark>{}</mark>").format(word) if differs else escape(word)
        out += "".join(pieces[2 * i + 1 : 2 * i + 2])
    return Markup(out.replace("</mark> <mark>", " "))


def differing(text: str, other: str) -> tuple[int, str, str]:
    """Two texts from shortly before their first difference, and how many characters are left out.

    Texts that differ within their excerpts are given whole.
    """
    pairs = enumerate(zip(text, other, strict=False))
    equal = next((i for i, (one, two) in pairs if one != two), min(len(text), len(other)))
    start = text.rfind(" ", 0, equal - BEFORE_CHARS) + 1 if equal > EXCERPT_CHARS // 2 else 0
    return start, text[start:], other[start:]


def excerpt(text: str) -> str:
    """The beginning of a text, with … where it is cut."""
    return text if len(text) <= EXCERPT_CHARS else text[:EXCERPT_CHARS].rsplit(" ", 1)[0] + " …"


def urls_of(documents: Published, ids: Iterable[str]) -> dict[str, str]:
    """The URLs of these documents."""
    return {id: row["url"] for id, row in documents.rows(ids, ["id", "url"]).items()}
