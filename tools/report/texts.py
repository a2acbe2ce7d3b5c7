"""Texts of the corpus for the page: documents at random, and near copies with their differences."""

import re
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import xxhash
from markupsafe import Markup, escape

from pipeline.corpus.publish import read_detail
from pipeline.engine.drops import read_drops
from pipeline.engine.parts import read_sidecars
from pipeline.reasons import Reason

PAIRS = 6  # near copies side by side
RANDOM_DOCUMENTS = 10
EXCERPT_CHARS = 900
BEFORE_CHARS = 200  # of equal text before the first difference


def random_documents(folder: Path, ids: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Documents of the corpus, those with the lowest hashes of their ids: the same every time."""
    chosen = sorted(ids, key=lambda id: xxhash.xxh3_64_intdigest(id.encode()))[:RANDOM_DOCUMENTS]
    rows = _rows(folder, chosen)
    for id in chosen:
        yield {**rows[id], "text": excerpt(rows[id]["text"])}


def near_copies(build: Path) -> Iterator[dict[str, Any]]:
    """Near copies and their keepers, spread over the range of Jaccard, the least alike first."""
    found = []
    for row in read_drops(build / "corpus").to_pylist():
        copy = read_detail(row["detail"]) if row["reason"] == Reason.NEAR_COPY else None
        if copy and copy.jaccard is not None:
            found.append((copy.jaccard, row["id"], copy.keeper))
    found.sort()
    step = max(1, len(found) // PAIRS)
    chosen = found[::step][:PAIRS]
    rows = _rows(build / "documents", [id for _, *both in chosen for id in both])
    for jaccard, id, keeper in chosen:
        if id in rows and keeper in rows:
            kept, dropped = rows[keeper], rows[id]
            equal_chars = _equal_chars(kept["text"], dropped["text"])
            texts = kept["text"][equal_chars:], dropped["text"][equal_chars:]
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


def _equal_chars(text: str, other: str) -> int:
    """How much of two texts is left out, so that the place is shown where they first differ."""
    pairs = enumerate(zip(text, other, strict=False))
    equal = next((i for i, (one, two) in pairs if one != two), min(len(text), len(other)))
    if equal <= EXCERPT_CHARS // 2:
        return 0
    return text.rfind(" ", 0, equal - BEFORE_CHARS) + 1


def excerpt(text: str) -> str:
    """The beginning of a text, with … where it is cut."""
    return text if len(text) <= EXCERPT_CHARS else text[:EXCERPT_CHARS].rsplit(" ", 1)[0] + " …"


def _rows(folder: Path, ids: list[str]) -> dict[str, dict[str, Any]]:
    wanted: dict[str, dict[str, Any]] = {}
    for info in read_sidecars(folder):
        for row in pq.read_table(info.path, filters=[("id", "in", ids)]).to_pylist() if ids else []:
            wanted[row["id"]] = row
    return wanted
