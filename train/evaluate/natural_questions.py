"""Natural Questions without a text: what a model knows by heart (Kwiatkowski et al. 2019).

The file is NQ-open.dev.jsonl: one object a line, a "question" and a list of right answers.
"""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from train.evaluate.answers import exact, normalised
from train.evaluate.scoring import Subject
from train.evaluate.task import DataFile, Estimate, Found, Metric, Outcome, Task, mean
from train.evaluate.writing import confidence, cut_beginning, fill, line_end, write

ANSWER_TOKENS = 16
TURN, LAST = "Q: {question}\nA: {answer}\n\n", "Q: {question}\nA:"
# Ours, written for this: no question of the data set.
EXAMPLES = (
    ("who painted the ceiling of the sistine chapel", "Michelangelo"),
    ("what is the chemical symbol of gold", "Au"),
    ("when did the berlin wall fall", "November 9, 1989"),
    ("where do the olympic games have their headquarters", "Lausanne, Switzerland"),
    ("how many strings does a violin have", "four"),
)
KINDS = ("who", "what", "when", "where", "which", "how", "why")
MOST_CONFIDENT = 0.01  # of the questions, as the paper tells of
BINS = 10


@dataclass(frozen=True)
class Question:
    """A question and all of its right answers."""

    id: str
    question: str
    answers: tuple[str, ...]

    def whole(self) -> str:
        """The question with its first answer."""
        return f"{self.question} {self.answers[0]}"

    def prompt(self) -> str:
        """The example pairs, the question, and "A:"."""
        pairs = (fill(TURN, {"question": q, "answer": a}) for q, a in EXAMPLES)
        return "".join(pairs) + fill(LAST, {"question": self.question})


def read(files: Sequence[Found]) -> list[Question]:
    """The questions of a file of JSON lines; DataError names a line of another form."""
    (file,) = files
    found = []
    for number, one in enumerate(file.objects(), 1):
        question, answers = one.get("question"), one.get("answer")
        right = isinstance(answers, list) and all(isinstance(text, str) for text in answers)
        if not (isinstance(question, str) and right and answers):
            raise file.refusal(number, 'no "question" with a list "answer" of texts')
        found.append(Question(str(number), question, tuple(answers)))
    return found


def kind_of(question: str) -> str:
    """The first word of a question that asks; "" where none does."""
    return next((word for word in question.lower().split() if word in KINDS), "")


def commonest(items: Sequence[Question]) -> dict[str, str]:
    """The answer that is right for most questions of each kind, the first of several."""
    counts: dict[str, Counter[str]] = {}
    for item in items:
        right = list(dict.fromkeys(map(normalised, item.answers)))
        counts.setdefault(kind_of(item.question), Counter()).update(right)
    return {kind: max(of, key=lambda answer: of[answer]) for kind, of in counts.items()}


def score(subject: Subject, items: Sequence[Question]) -> Iterator[Outcome]:
    """The answer that greedy decoding writes, its ln p, and whether it is right."""
    cut = [cut_beginning(subject, item.prompt(), ANSWER_TOKENS) for item in items]
    prompts = [ids for ids, _ in cut]
    written = write(subject, prompts, ANSWER_TOKENS, line_end)
    sure, usual = confidence(subject, prompts, written), commonest(items)
    for item, (_, is_cut), one, ln_p in zip(items, cut, written, sure, strict=True):
        yield {
            "id": item.id, "question": item.question, "answer": one.text,
            "answers": list(item.answers), "cut": is_cut, "correct": exact(one.text, item.answers),
            "confidence": math.exp(ln_p),
            "correct_commonest": exact(usual[kind_of(item.question)], item.answers),
        }  # fmt: skip


def most_confident(outcomes: Sequence[Outcome]) -> Estimate:
    """The accuracy of the questions whose answers are the likeliest, one at least."""
    count = max(1, math.ceil(MOST_CONFIDENT * len(outcomes)))
    chosen = sorted(outcomes, key=lambda one: -one["confidence"])[:count]
    share = sum(one["correct"] for one in chosen) / count
    error = math.sqrt(share * (1 - share) / (count - 1)) if count > 1 else None
    return Estimate(share, error)


def calibration_error(outcomes: Sequence[Outcome]) -> Estimate:
    """How far confidence is from accuracy, in ten groups of equally many by confidence."""
    ordered = sorted(outcomes, key=lambda one: one["confidence"])
    total = 0.0
    for number in range(BINS):
        group = ordered[number * len(ordered) // BINS : (number + 1) * len(ordered) // BINS]
        total += abs(sum(one["correct"] - one["confidence"] for one in group))
    return Estimate(total / len(ordered), None)


NATURAL_QUESTIONS = Task(
    name="natural_questions",
    title="Natural Questions, open, development set",
    files=(DataFile(("NQ-open.dev.jsonl",)),),
    read=read,
    score=score,
    metrics=(
        mean("exact match", "correct", (None, None, None, 0.041)),
        mean("exact match of the commonest answer by question word", "correct_commonest"),
        Metric(
            "exact match of the 1 % most confident", most_confident, "share",
            (None, None, None, 0.631),
        ),
        Metric("calibration error", calibration_error, "share"),
        mean("prompts cut", "cut"),
    ),
    protocol={
        "prompt": TURN + LAST,
        "examples": " / ".join(f"{q}? {a}" for q, a in EXAMPLES),
        "too long": "the examples lose their beginning",
        "answer": f"greedy, up to the end of its line, {ANSWER_TOKENS} tokens at most",
        "exact match": "SQuAD's normalisation; any of the right answers",
        "confidence": "the probability of all tokens of the answer, its line end included",
        "commonest answer": "counted in these questions themselves",
    },
    differs="the paper gives 4.1 % for 1542M, and that 117M does not exceed the 1.0 % of the "
    "commonest answer, which it counted elsewhere: counted here it is at its best; its example "
    "pairs are not published; it does not say which questions it took, here those of NQ-open",
    format_seen=False,
)  # fmt: skip
