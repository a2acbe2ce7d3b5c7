"""Texts of the corpus for the page: documents at random, and near copies with their differences."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from heapq import nsmallest
from typing import Any

import numpy as np
import xxhash
from markupsafe import Markup, escape

from pipeline.corpus.publish import Copy, read_detail
from pipeline.engine.reading import Published
from pipeline.reasons import Reason

PAIRS = 6  # near copies side by side
SHOWN = 10  # pairs of hosts, and texts with copies
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
    """Near copies and their keepers, spread over the range of likeness, the least alike first."""
    by_likeness: dict[float, tuple[float, str, Copy]] = {}  # one of each hundredth
    for row in corpus.drops((Reason.NEAR_COPY,)):
        copy = read_detail(row["detail"])
        if copy and copy.likeness is not None:
            pair = (copy.likeness, row["id"], copy)
            hundredth = round(copy.likeness, 2)
            by_likeness[hundredth] = min(pair, by_likeness.get(hundredth, pair))
    found = sorted(by_likeness.values())
    step = max(1, len(found) // PAIRS)
    chosen = found[::step][:PAIRS]
    rows = documents.rows(i for _, id, copy in chosen for i in (id, copy.keeper, *copy.others))
    for likeness, id, copy in chosen:
        if id in rows and copy.keeper in rows:
            kept, dropped = rows[copy.keeper], rows[id]
            equal_chars, *texts = differing(kept["text"], dropped["text"])
            starts = (equal_chars, equal_chars)
            if equal_chars == 0:
                starts = shared_starts(kept["text"], dropped["text"])
                texts = [kept["text"][starts[0] :], dropped["text"][starts[1] :]]
            yield {
                "likeness": likeness,
                "keeper_share": copy.containment,
                "others": [rows[other]["url"] for other in copy.others if other in rows],
                "equal_chars": equal_chars,
                "kept": {**kept, "text": marked(*texts), "start": starts[0]},
                "dropped": {**dropped, "text": marked(*texts[::-1]), "start": starts[1]},
            }


def shared_starts(text: str, other: str) -> tuple[int, int]:
    """Where to show two texts from, so that the first words that they share stand in both.

    (0, 0) for texts that share no five words in a row.
    """
    words = [[*re.finditer(r"\S+", each)] for each in (text, other)]
    runs: dict[tuple[str, ...], int] = {}
    for at, run in _runs(words[0]):
        runs.setdefault(run, at)
    for at, run in _runs(words[1]):
        if run in runs:
            before = min(at, BEFORE_CHARS)
            starts = (max(0, runs[run] - before), at - before)
            return _word_start(text, starts[0]), _word_start(other, starts[1])
    return 0, 0


def _runs(words: Sequence[re.Match[str]]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Each five words in a row with the place of the first, in lower case."""
    for first in range(len(words) - 4):
        run = words[first : first + 5]
        yield run[0].start(), tuple(word[0].lower() for word in run)


def _word_start(text: str, at: int) -> int:
    return 0 if at <= 0 else text.rfind(" ", 0, at) + 1


def shared_hosts(corpus: Published, documents: Published) -> dict[str, list[dict[str, Any]]]:
    """Where copies come from: pairs of hosts, and the kept texts with the most of them.

    Many near copies of one text on one host are pages of a template.
    """
    copies = [
        (row["reason"], row["url"], copy.keeper)
        for row in corpus.drops((Reason.SAME_URL, Reason.EXACT_COPY, Reason.NEAR_COPY))
        if (copy := read_detail(row["detail"]))
    ]
    urls = urls_of(documents, {keeper for *_, keeper in copies})
    between = Counter((host_of(url), host_of(urls.get(keeper, ""))) for _, url, keeper in copies)
    of_text: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for reason, url, keeper in copies:
        of_text[keeper].append((reason, host_of(url)))
    most = sorted(of_text, key=lambda keeper: (-len(of_text[keeper]), keeper))[:SHOWN]
    return {
        "hosts": [
            {"dropped": dropped, "kept": kept, "copies": count}
            for (dropped, kept), count in sorted(between.items(), key=lambda x: (-x[1], x[0]))[
                :SHOWN
            ]
        ],
        "texts": [
            {
                "url": urls.get(keeper, keeper),
                "copies": len(of_text[keeper]),
                "near": sum(reason == Reason.NEAR_COPY for reason, _ in of_text[keeper]),
                "hosts": len({host for _, host in of_text[keeper]}),
            }
            for keeper in most
        ],
    }


def host_of(url: str) -> str:
    """The host of a URL, with its port."""
    return re.sub(r"^\w+://(?:[^/?#@]*@)?", "", url).partition("/")[0].lower()


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
