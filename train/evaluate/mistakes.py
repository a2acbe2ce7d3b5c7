"""What a model got wrong, item by item, and of LAMBADA of what kind its own word is.

The paper says that most of GPT-2's wrong words are fine there, but not as the last word. Without a
dictionary kinds are told by signs, each named where it is tested.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from train.evaluate.lambada import LAMBADA, Passage
from train.evaluate.scoring import Subject
from train.evaluate.stop_words import STOP_WORDS
from train.evaluate.suite import Prepared, Result
from train.evaluate.task import Outcome
from train.sample import ROWS_AT_ONCE, generate

WORD_TOKENS = 8  # of a word that the model goes on with, at most
SHOWN = 40  # of the mistakes, for people
DETERMINERS = "the a an my your his her its our their this that these those no some every".split()
_NOUN = re.compile(rf"\b(?:{'|'.join(DETERMINERS)}) ([a-z]+)(?=[.,;:!?”\"]|$| (?:of|and|was|is)\b)")
PLAUSIBLE = ("noun", "name")


def nouns_of(texts: Iterable[str]) -> set[str]:
    """Words that somewhere stand after a determiner and end what it begins: nouns, mostly."""
    return {found for text in texts for found in _NOUN.findall(text)}


def kind_of(word: str, context: str, nouns: set[str]) -> str:
    """A stop word, a name, a noun, no word at all, or another word."""
    if not any(c.isalpha() for c in word):
        return "no word"
    if word.lower() in STOP_WORDS:
        return "stop word"
    # A capital where no sentence begins; a word that begins one says nothing of itself.
    begins = re.search(r"[.!?][\"'”’]*\s*$|^\s*$", context)
    if word[:1].isupper() and not begins:
        return "name"
    return "noun" if word.lower() in nouns else "other word"


def first_word(text: str) -> str:
    """The word that a text begins with, or the marks where it begins with none."""
    found = re.match(r"\s*([\w][\w'’-]*|\S+)", text)
    return found[1].rstrip("'’-") or found[1] if found else ""


def words_of(subject: Subject, contexts: Sequence[str]) -> list[str]:
    """The word with which greedy decoding goes on after each context."""
    config, found = subject.model.config, []
    room = max(1, config.n_ctx - WORD_TOKENS)
    for start in range(0, len(contexts), ROWS_AT_ONCE):
        prompts = [subject.begin(text)[-room:] for text in contexts[start : start + ROWS_AT_ONCE]]
        steps = generate(
            subject.model, prompts, WORD_TOKENS, seeds=[1] * len(prompts), temperature=0,
            eot_id=subject.eot_id,
        )  # fmt: skip
        rows = zip(*steps, strict=True)
        found += [
            first_word(subject.text.decode([t for t in row if t is not None])) for row in rows
        ]
    return found


def mistakes(subject: Subject, ready: Prepared, result: Result) -> Iterator[Outcome]:
    """Each wrong item: for LAMBADA both words and their kinds, else what was chosen."""
    keys = [metric.keys[0] for metric in result.task.metrics if metric.keys]
    key = next((one for one in keys if one in ("correct", "correct_partial")), "")
    pairs = [
        (item, one)
        for item, one in zip(ready.items, result.outcomes, strict=True)
        if key and not one[key]
    ]
    if result.task.name == LAMBADA.name:
        yield from _of_lambada(subject, [item for item, _ in pairs], ready.held)
        return
    for _, one in pairs:
        yield one


def _of_lambada(
    subject: Subject, wrong: Sequence[Passage], items: Sequence[Passage]
) -> Iterator[Outcome]:
    nouns = nouns_of(f"{item.context} {item.word}" for item in items)
    for item, word in zip(wrong, words_of(subject, [one.context for one in wrong]), strict=True):
        kind = kind_of(word, item.context, nouns)
        yield {
            "id": item.id,
            "right": item.word,
            "right_kind": kind_of(item.word, item.context, nouns),
            "model": word,
            "model_kind": kind,
            "plausible": kind in PLAUSIBLE,
            "in_passage": bool(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", item.context)),
            "end": item.context[-60:],
        }


def told(task: str, found: Sequence[Outcome], items: int) -> str:
    """The first mistakes as lines, and how many there are of each kind."""
    out = [f"{task}: {len(found):,} of {items:,} items are wrong"]
    if task != LAMBADA.name:
        for one in found[:SHOWN]:
            scores = one.get("partial") or one.get("log_probabilities") or []
            chosen = one["candidates"][scores.index(max(scores))] if scores else "-"
            out.append(f"{one['id']}: {chosen!r}, right is {one.get('answer')!r}")
    else:
        for one in found[:SHOWN]:
            end = " ".join(one["end"].split())
            out.append(f"{one['id']}: …{end} [{one['model']} | {one['right']}] {one['model_kind']}")
        kinds = Counter(one["model_kind"] for one in found)
        out += ["", "The model's word | the right word, and the kind of the model's:"]
        out += [f"{count:,} {kind}" for kind, count in kinds.most_common()]
        plausible = sum(one["plausible"] for one in found)
        inside = sum(one["in_passage"] for one in found)
        out.append(
            f"{plausible:,} could end a sentence there (a noun or a name); {inside:,} stand in the "
            "passage"
        )
    if len(found) > SHOWN:
        out.append(f"The first {SHOWN} are shown; --json gives all.")
    return "\n".join(out)
