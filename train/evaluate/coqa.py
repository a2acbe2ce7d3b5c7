"""CoQA: questions on a text, one after the other, with short answers (Reddy et al. 2018).

The file is coqa-dev-v1.0.json: each story with its questions, an answer to each, and those of three
more people.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from train.evaluate.answers import f1_among
from train.evaluate.scoring import Subject
from train.evaluate.task import DataFile, Estimate, Found, Metric, Outcome, Task, mean, ratio
from train.evaluate.writing import cut_beginning, fill, line_end, write

ANSWER_TOKENS = 32
START, TURN, LAST = "{story}\n\n", "Q: {question}\nA: {answer}\n", "Q: {question}\nA:"
# A name: words with capitals in a row that do not begin a sentence.
_NAME = re.compile(r"(?<=[\w,;:] )[A-Z][\w'’-]*(?: [A-Z][\w'’-]*)*")


@dataclass(frozen=True)
class Question:
    """A question on a story after those before it, and the answers of one or more people."""

    id: str
    story: str
    before: tuple[tuple[str, str], ...]
    question: str
    answers: tuple[str, ...]

    def whole(self) -> str:
        """Story, question and the first answer."""
        return f"{self.story} {self.question} {self.answers[0]}"

    def prompt(self) -> str:
        """The story, questions and answers so far, the question, and "A:"."""
        turns = (fill(TURN, {"question": q, "answer": a}) for q, a in self.before)
        return "".join(
            (
                fill(START, {"story": self.story}),
                *turns,
                fill(LAST, {"question": self.question}),
            )
        )


def read(files: Sequence[Found]) -> list[Question]:
    """The questions of all stories; DataError for a story of another form."""
    (file,) = files
    found: list[Question] = []
    stories = file.json().get("data")
    if not isinstance(stories, list):
        raise file.refusal(1, 'no list "data" of stories')
    for number, story in enumerate(stories, 1):
        try:
            found += _questions(story)
        except (LookupError, TypeError, AttributeError) as error:
            told = f"story {number} is not of CoQA's form ({error!r})"
            raise file.refusal(1, told) from None
    return found


def _questions(story: dict[str, Any]) -> Iterator[Question]:
    text, others = story["story"].strip(), story.get("additional_answers") or {}
    people = [story["answers"], *(others[key] for key in sorted(others))]
    asked = [str(one["input_text"]).strip() for one in story["questions"]]
    told = [[str(one["input_text"]).strip() for one in answers] for answers in people]
    for turn, question in enumerate(asked):
        before = tuple(zip(asked[:turn], told[0][:turn], strict=True))
        answers = tuple(one[turn] for one in told)
        yield Question(f"{story['id']}/{turn + 1}", text, before, question, answers)


def name_of(story: str) -> str:
    """The name that a story has most often, the first of several; "" where it has none."""
    names = Counter(_NAME.findall(story))
    return max(names, key=lambda name: names[name], default="")


def score(subject: Subject, items: Sequence[Question]) -> Iterator[Outcome]:
    """The answer that greedy decoding writes, its F1, and that of a name from the text."""
    prompts = [cut_beginning(subject, item.prompt(), ANSWER_TOKENS) for item in items]
    written = write(subject, [ids for ids, _ in prompts], ANSWER_TOKENS, line_end)
    for item, (_, cut), one in zip(items, prompts, written, strict=True):
        who = item.question.lower().startswith("who")
        found, named = f1_among(one.text, item.answers), f1_among(name_of(item.story), item.answers)
        yield {
            "id": item.id, "question": item.question, "answer": one.text,
            "answers": list(item.answers), "cut": cut, "f1": found, "who": who,
            "f1_who": found * who, "f1_name": named * who,
        }  # fmt: skip


def among(top: str, bottom: str) -> Callable[[Sequence[Outcome]], Estimate]:
    """The mean of `top` over the outcomes that `bottom` counts; NaN where there are none."""
    whole = ratio(top, bottom)

    def estimate(outcomes: Sequence[Outcome]) -> Estimate:
        some = any(one[bottom] for one in outcomes)
        return whole(outcomes) if some else Estimate(math.nan, None)

    return estimate


COQA = Task(
    name="coqa",
    title="CoQA, development set",
    files=(DataFile(("coqa-dev-v1.0.json",)),),
    read=read,
    score=score,
    metrics=(
        mean("F1", "f1", (None, None, None, 0.55)),
        mean("prompts cut", "cut"),
        Metric("F1, who questions", among("f1_who", "who"), "share"),
        Metric("F1 of the text's commonest name, who questions", among("f1_name", "who"), "share"),
    ),
    protocol={
        "prompt": START + TURN + LAST,
        "history": "all questions before, with the first person's answers",
        "too long": "the story loses its beginning",
        "answer": f"greedy, up to the end of its line, {ANSWER_TOKENS} tokens at most",
        "F1": "CoQA's official script: best of people, averaged over leaving each out",
    },
    differs="the paper gives 55 F1 for 1542M alone; of its prompt it says: the document, the "
    "conversation so far, and a final A:",
    format_seen=False,
)
