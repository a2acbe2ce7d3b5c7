"""CNN and Daily Mail: a summary after "TL;DR:" (Hermann et al. 2015; See et al. 2017).

The file is cnn_dm_test.jsonl: one object a line, an "article" and its "highlights", one a line.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from train.evaluate.rouge import rouge_l, rouge_n
from train.evaluate.scoring import Subject
from train.evaluate.task import DataFile, Found, Four, Outcome, Task, mean
from train.evaluate.writing import never, room, sentences, write

HINT = "\nTL;DR:"
SUMMARY_TOKENS, SENTENCES, TOP_K, SEED = 100, 3, 2, 1
ROUGE = ("rouge1", "rouge2", "rougeL", "average")


@dataclass(frozen=True)
class Article:
    """An article, and its summary sentence by sentence."""

    id: str
    article: str
    highlights: tuple[str, ...]

    def whole(self) -> str:
        """Article and summary."""
        return " ".join((self.article, *self.highlights))


def read(files: Sequence[Found]) -> list[Article]:
    """The articles of a file of JSON lines; DataError names a line of another form."""
    (file,) = files
    found = []
    for number, one in enumerate(file.objects(), 1):
        article, told = one.get("article"), one.get("highlights")
        highlights = told.split("\n") if isinstance(told, str) else []
        kept = tuple(line.strip() for line in highlights if line.strip())
        if not (isinstance(article, str) and article.strip() and kept):
            raise file.refusal(number, 'no "article" with "highlights"')
        found.append(Article(str(number), article.strip(), kept))
    return found


def prompt(subject: Subject, article: str) -> tuple[list[int], bool]:
    """The ids of article and hint; what does not fit of the article's end is left out, and told."""
    whole, most = subject.begin(article + HINT), room(subject, SUMMARY_TOKENS)
    if len(whole) <= most:
        return whole, False
    hint = subject.text.encode(HINT)
    return [*subject.begin(article)[: max(0, most - len(hint))], *hint][-most:], True


def scores(summary: Sequence[str], highlights: Sequence[str]) -> dict[str, float]:
    """ROUGE-1, -2, -L and their mean."""
    ours, theirs = " ".join(summary), " ".join(highlights)
    found = [rouge_n(ours, theirs, 1), rouge_n(ours, theirs, 2), rouge_l(summary, highlights)]
    return dict(zip(ROUGE, (*found, sum(found) / 3), strict=True))


def at_random(id: str, text: Sequence[str]) -> list[str]:
    """Three sentences of a text in its order, the same ones for an id every time."""
    chosen = random.Random(id).sample(range(len(text)), min(SENTENCES, len(text)))
    return [text[at] for at in sorted(chosen)]


def score(subject: Subject, items: Sequence[Article]) -> Iterator[Outcome]:
    """The first three sentences that are written, and those of the article, first and random."""
    prompts = [prompt(subject, item.article) for item in items]
    written = write(
        subject, [ids for ids, _ in prompts], SUMMARY_TOKENS, never, top_k=TOP_K, seed=SEED
    )
    for item, (_, cut), one in zip(items, prompts, written, strict=True):
        text, summary = sentences(item.article), sentences(one.text)[:SENTENCES]
        told: Mapping[str, Sequence[str]] = {
            "": summary, "lead_": text[:SENTENCES], "random_": at_random(item.id, text),
        }  # fmt: skip
        found = {
            f"{which}{name}": value
            for which, of in told.items()
            for name, value in scores(of, item.highlights).items()
        }
        yield {"id": item.id, "summary": "\n".join(summary), "cut": cut, **found}


def _all_sizes(value: float) -> Four:
    return (value, value, value, value)


CNN_DM = Task(
    name="cnn_dm",
    title="CNN and Daily Mail, test",
    files=(DataFile(("cnn_dm_test.jsonl",)),),
    read=read,
    score=score,
    metrics=(
        mean("ROUGE-1", "rouge1", (None, None, None, 0.2934)),
        mean("ROUGE-2", "rouge2", (None, None, None, 0.0827)),
        mean("ROUGE-L", "rougeL", (None, None, None, 0.2658)),
        mean("ROUGE, mean", "average", (None, None, None, 0.2140)),
        mean("ROUGE, mean, of the first 3 sentences", "lead_average", _all_sizes(0.3155)),
        mean("ROUGE, mean, of 3 random sentences", "random_average", _all_sizes(0.2098)),
        mean("prompts cut", "cut"),
    ),
    protocol={
        "prompt": "the article, then " + repr(HINT),
        "too long": "the article loses its end",
        "summary": f"{SUMMARY_TOKENS} tokens from the {TOP_K} likeliest, seed {SEED} + the item's "
        f"number; the first {SENTENCES} sentences",
        "sentences": "end by . ! ? … with what closes after them and white space, or by a line",
        "ROUGE": "F1, lower case, a-z and 0-9, no stems; L over whole summaries",
    },
    differs="the paper gives 1542M alone, and does not say whether its ROUGE has stems (pyrouge "
    "can), where sentences end, nor what became of articles that do not fit",
    format_seen=False,
)
