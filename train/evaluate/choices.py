"""Which of several endings: the Children's Book Test and HellaSwag.

Neither file was at hand when its reader was written: both follow their authors' descriptions.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from train.errors import DataError
from train.evaluate.scoring import Subject
from train.evaluate.task import DataFile, Found, Four, Outcome, Task, mean
from train.evaluate.winograd import chosen

BLANK = "XXXXX"
LINES = 21  # twenty sentences of a story, and the one with the blank


@dataclass(frozen=True)
class Choice:
    """A context, the texts that may follow it, and the place of the right one."""

    id: str
    context: str
    endings: tuple[str, ...]
    answer: int
    words: tuple[str, ...]  # what people read of the endings

    def whole(self) -> str:
        """The context with the right ending."""
        return self.context + self.endings[self.answer]


def read_cbt(files: Sequence[Found]) -> list[Choice]:
    """The questions of the Children's Book Test; DataError names a line of another form.

    A question has lines numbered from 1 to 21; the last one has, after tabs, the answer and after
    an empty field the candidates with bars between. An empty line ends it.
    """
    (file,) = files
    found: list[Choice] = []
    story: list[str] = []
    for number, line in enumerate(file.lines(), 1):
        if not line.strip():
            continue
        head, _, rest = line.partition(" ")
        if head != str(len(story) + 1):
            raise file.refusal(number, f"a line {len(story) + 1} of a question is missing")
        if len(story) + 1 < LINES:
            story.append(rest)
            continue
        fields = [field for field in rest.split("\t") if field.strip()]
        words = tuple(word for word in fields[-1].strip().split("|") if word)
        if len(fields) != 3 or fields[0].count(BLANK) != 1 or fields[1] not in words:
            raise file.refusal(number, f"not a sentence with one {BLANK}, its answer, candidates")
        found.append(_question(str(len(found) + 1), story, fields[0], words, fields[1]))
        story = []
    if story:
        raise DataError(f"{file.path}: ends within a question; put back the original file")
    return found


def _question(
    id: str, story: list[str], sentence: str, words: tuple[str, ...], answer: str
) -> Choice:
    """The blank's sentence, filled with each word, is what follows the story and its beginning."""
    before, _, after = " ".join(sentence.split()).partition(BLANK)
    context = natural(" ".join([*story, before]))
    # Each whole text is made natural, so that the seam has the spaces of the text.
    whole = [natural(" ".join([*story, f"{before}{word}{after}"])) for word in words]
    return Choice(
        id, context, tuple(text[len(context) :] for text in whole), words.index(answer), words
    )


def natural(text: str) -> str:
    """CBT's text without the marks and spaces of Penn Treebank's tokenization.

    Not to be undone: brackets and both quotation marks become those that people write.
    """
    text = text.replace("-LRB-", "(").replace("-RRB-", ")")
    text = re.sub(r"`` ?| ?''", '"', re.sub(r"`` ", '"', text))
    text = re.sub(r" (n't|'(?:s|re|ve|ll|m|d)\b)", r"\1", text)
    return re.sub(r" ([,.;:?!)])", r"\1", re.sub(r"\( ", "(", text)).strip()


def read_hellaswag(files: Sequence[Found]) -> list[Choice]:
    """The items of hellaswag_val.jsonl: ctx_a, ctx_b, activity_label, endings and label."""
    (file,) = files
    found = []
    for number, one in enumerate(file.objects(), 1):
        item = _ending(str(number), one)
        if item is None:
            raise file.refusal(number, "not ctx_a, ctx_b, activity_label, endings and a label")
        found.append(item)
    return found


def _ending(id: str, one: dict[str, Any]) -> Choice | None:
    endings, label = one.get("endings"), str(one.get("label"))
    texts = [one.get(key) for key in ("activity_label", "ctx_a", "ctx_b")]
    if not isinstance(endings, list) or not all(isinstance(text, str) for text in endings + texts):
        return None
    if not label.isdigit() or int(label) >= len(endings):
        return None
    activity, a, b = (str(text) for text in texts)
    words = tuple(clean(text) for text in endings)
    ends = tuple(f" {text}" for text in words)
    return Choice(id, clean(f"{activity}: {a} {b.capitalize()}"), ends, int(label), words)


def clean(text: str) -> str:
    """A text of WikiHow without its marks: "[title]" ends a sentence, other brackets go."""
    text = re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". "))
    return re.sub(r" {2,}", " ", text).strip()


def score(subject: Subject, items: Sequence[Choice]) -> Iterator[Outcome]:
    """ln p of each ending, and whether the likeliest is right: as a whole, and by byte."""
    requests = [subject.request(item.context, end) for item in items for end in item.endings]
    found = iter(subject.score(requests, shared=True))
    for item in items:
        totals = [next(found).total for _ in item.endings]
        by_byte = [
            total / len(end.encode()) for total, end in zip(totals, item.endings, strict=True)
        ]
        yield {
            "id": item.id,
            "candidates": list(item.words),
            "answer": item.words[item.answer],
            "log_probabilities": totals,
            "correct": chosen(totals) == item.answer,
            "correct_by_byte": chosen(by_byte) == item.answer,
        }


def _cbt(name: str, title: str, file: str, paper: Four) -> Task:
    return Task(
        name=name,
        title=title,
        files=(DataFile((file,)),),
        read=read_cbt,
        score=score,
        metrics=(mean("accuracy", "correct", paper),),
        protocol={
            "context": "end-of-text, the 20 sentences with spaces between, then the sentence up to "
            "the blank; what does not fit loses its beginning",
            "candidates": "the one with which it and the rest of the sentence are likeliest",
            "text": "Penn Treebank's marks and spaces are made natural",
        },
        differs="the paper says that it takes the joint probability of the candidate and the rest, "
        "on the validation set, detokenized; its detokenizer is not published",
        format_seen=False,
    )


CBT_CN = _cbt(
    "cbt_cn", "CBT, common nouns, validation", "cbtest_CN_valid_2000ex.txt",
    (0.8765, 0.9235, 0.9345, 0.9330),
)  # fmt: skip
CBT_NE = _cbt(
    "cbt_ne", "CBT, named entities, validation", "cbtest_NE_valid_2000ex.txt",
    (0.834, 0.871, 0.880, 0.8905),
)  # fmt: skip
HELLASWAG = Task(
    name="hellaswag",
    title="HellaSwag, validation",
    files=(DataFile(("hellaswag_val.jsonl",)),),
    read=read_hellaswag,
    score=score,
    metrics=(
        mean("accuracy, by byte", "correct_by_byte"),
        mean("accuracy", "correct"),
    ),
    protocol={
        "context": "end-of-text, the activity, a colon, both contexts; WikiHow's marks taken out",
        "endings": "the one that is likeliest; by byte: ln p over the bytes of the ending",
    },
    differs="not in the GPT-2 paper, of the same year",
    format_seen=False,
)
