"""Winograd schemas: which of two things a pronoun means (Levesque 2012; Trinh & Le 2018).

The files have four lines an item: a sentence with [MASK] in the pronoun's place, the mask, the
candidates with commas between, and the answer. Pronoun disambiguation problems and Winogender
schemas come in the same form.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from train.evaluate.scoring import Subject
from train.evaluate.task import DataFile, Found, Outcome, Task, mean
from train.tree import common

MASK = "[MASK]"
# A candidate of which this is the first word begins lower-case within a sentence.
ARTICLES = frozenset("the a an his her its my your our their some this that these those".split())


@dataclass(frozen=True)
class Schema:
    """A sentence's part before and after the pronoun, the candidates, and the right one's place."""

    id: str
    before: str
    after: str
    candidates: tuple[str, ...]
    answer: int

    def filled(self) -> list[str]:
        """The part up to and with each candidate."""
        space = " " if self.before else ""
        return [f"{self.before}{space}{one}" for one in self.candidates]

    def whole(self) -> str:
        """The sentence with the right candidate."""
        return self.filled()[self.answer] + self.after


def read(files: Sequence[Found]) -> list[Schema]:
    """The items of one file; DataError names an item of another form."""
    (file,) = files
    found: list[Schema] = []
    lines = [line for line in file.lines() if line.strip()]
    for start in range(0, len(lines), 4):
        number = start // 4 + 1
        item = schema(str(number), lines[start : start + 4])
        if item is None:
            raise file.refusal(
                start + start // 4 + 1,
                f"item {number} is not a sentence with one {MASK}, the mask, candidates and one of "
                "them",
            )
        found.append(item)
    return found


def schema(id: str, lines: Sequence[str]) -> Schema | None:
    """The schema of its four lines; None where they are of another form.

    Spaces are made single. The files write "The trophy" for any place in a sentence, and
    Winogender's have no article.
    """
    if len(lines) != 4 or lines[0].count(MASK) != 1 or lines[1].strip() != MASK:
        return None
    before, _, after = " ".join(lines[0].split()).partition(MASK)
    names = [" ".join(one.split()) for one in lines[2].split(",")]
    answer = " ".join(lines[3].split())
    if answer not in names or len(names) < 2 or not after.strip():
        return None
    before, after = before.strip(), re.sub(r"^ (?=['.,;:!?])", "", after.rstrip())
    candidates = tuple(placed(one, before) for one in names)
    return Schema(id, before, after, candidates, names.index(answer))


def placed(candidate: str, before: str) -> str:
    """The candidate with the capital or the small letter that its place in the sentence wants."""
    first = candidate.partition(" ")[0]
    if not before or re.search(r"[.!?]['\"]?$", before):
        return candidate[:1].upper() + candidate[1:]
    small = first.lower() in ARTICLES
    return candidate[:1].lower() + candidate[1:] if small else candidate


def with_article(file: Sequence[Found]) -> list[Schema]:
    """Winogender's items, whose candidates are bare: "technician" becomes "the technician"."""

    def article(item: Schema, candidate: str) -> str:
        bare = candidate[:1].lower() + candidate[1:]
        return candidate if bare == "someone" else placed(f"the {bare}", item.before)

    return [
        Schema(
            item.id, item.before, item.after,
            tuple(article(item, one) for one in item.candidates), item.answer,
        )
        for item in read(file)
    ]  # fmt: skip


def score(subject: Subject, items: Sequence[Schema]) -> Iterator[Outcome]:
    """ln p of what follows each candidate (partial), and of the candidate as well (full)."""
    pairs = [(item, text) for item in items for text in item.filled()]
    requests = [
        subject.request(item.before or "", text[len(item.before) :] + item.after)
        for item, text in pairs
    ]
    tails = [
        max(0, common(subject.begin(text), request.ids) - request.first)
        for (_, text), request in zip(pairs, requests, strict=True)
    ]
    scored = zip(subject.score(requests, shared=True), tails, strict=True)
    sums = [(one.total, sum(one.log_probabilities[tail:])) for one, tail in scored]
    for item in items:
        mine, sums = sums[: len(item.candidates)], sums[len(item.candidates) :]
        full, partial = ([one[at] for one in mine] for at in (0, 1))
        yield {
            "id": item.id,
            "candidates": list(item.candidates),
            "answer": item.candidates[item.answer],
            "full": full,
            "partial": partial,
            "correct_partial": chosen(partial) == item.answer,
            "correct_full": chosen(full) == item.answer,
        }


def chosen(scores: Sequence[float]) -> int:
    """The place of the highest; of equal ones the first."""
    return max(range(len(scores)), key=scores.__getitem__)


PROTOCOL = {
    "context": "end-of-text, then the sentence with each candidate in the pronoun's place",
    "candidates": "an article or possessive is small within a sentence, capital at its beginning",
    "partial": "the candidate after which the rest of the sentence is likeliest",
    "full": "the candidate with which candidate and rest are likeliest",
    "ties": "the first candidate",
}
_PARTIAL, _FULL = "accuracy, partial scoring", "accuracy, full scoring"

WINOGRAD = Task(
    name="winograd",
    title="Winograd schemas (WSC273)",
    files=(
        DataFile(
            ("wsc273.txt",), "43103428d77df28b1bb37156eaf3c43a954a02b5dc7ff72453f5c54abf394bad"
        ),
    ),
    read=read,
    score=score,
    metrics=(
        mean(_PARTIAL, "correct_partial", (None, None, None, 0.7070)),
        mean(_FULL, "correct_full"),
    ),
    protocol=PROTOCOL,
    differs="the paper gives 70.70 % for 1542M by partial scoring, the other sizes in a figure "
    "alone; pairs of schemas share a sentence, so the error over single items is too small",
)
PDP = Task(
    name="pdp",
    title="Pronoun disambiguation problems",
    files=(
        DataFile(("PDP.txt",), "8dce1517ccdbe79c1f411e4a4fd7ade2091a955bc83ebe5c6fb4150e84c83aa9"),
    ),
    read=read,
    score=score,
    metrics=(mean(_PARTIAL, "correct_partial"), mean(_FULL, "correct_full")),
    protocol=PROTOCOL,
    differs="not in the GPT-2 paper; some items have more than two candidates",
)
WINOGENDER = Task(
    name="winogender",
    title="Winogender schemas",
    files=(
        DataFile(
            ("WinoGender.txt",), "505133aed1782bcb61bfffd88a2edf5f72385fc7545299b20c642369f2cd7002"
        ),
    ),
    read=with_article,
    score=score,
    metrics=(mean(_PARTIAL, "correct_partial"), mean(_FULL, "correct_full")),
    protocol=PROTOCOL | {"article": "the, before each candidate but someone"},
    differs="not in the GPT-2 paper; in this form the pronoun, and so its gender, is not scored",
)
