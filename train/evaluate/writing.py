"""Answers that a model writes: prompts by plain substitution, batches, and where an answer ends."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from train.evaluate.scoring import Request, Subject
from train.sample import generate

# Rows of a batch: each keeps keys and values of its whole prompt, 75 MB at GPT-2 small.
CPU_ROWS, GPU_ROWS = 8, 64
_FIELD = re.compile(r"\{(\w+)\}")
# The end of a sentence: its mark, what may close after it, and white space.
SENTENCE_END = re.compile(r"[.!?…][\"'”’)\]]*(?=\s)")


def fill(template: str, fields: Mapping[str, str]) -> str:
    """The template with {name} replaced by its field, once: a field's own braces stay."""
    return _FIELD.sub(lambda found: fields[found[1]], template)


def sentences(text: str) -> list[str]:
    """The sentences of a text, by their marks alone; a line ends one too."""
    found = []
    for line in text.splitlines():
        start = 0
        for end in SENTENCE_END.finditer(line):
            found.append(line[start : end.end()].strip())
            start = end.end()
        found.append(line[start:].strip())
    return [sentence for sentence in found if sentence]


def line_end(text: str) -> int | None:
    """Where the first line that says something ends; None while it goes on."""
    at = text.find("\n", len(text) - len(text.lstrip()))
    return at if at >= 0 else None


def sentence_end(text: str) -> int | None:
    """Where the first sentence ends, or its line."""
    found = SENTENCE_END.search(text)
    ends = [at for at in (found.end() if found else None, line_end(text)) if at is not None]
    return min(ends, default=None)


def never(text: str) -> int | None:
    """No end but that of the tokens."""
    return None


@dataclass(frozen=True)
class Written:
    """What was written after a prompt: the answer, and all tokens up to where it ended."""

    text: str
    ids: tuple[int, ...]


def write(
    subject: Subject, prompts: Sequence[Sequence[int]], tokens: int,
    ends: Callable[[str], int | None], *, top_k: int = 1, seed: int = 1,
) -> list[Written]:  # fmt: skip
    """What the model writes after each prompt, in order; the k likeliest tokens, 1: greedy.

    A prompt must leave room for `tokens` in the context. The prompt of number n has its own seed,
    `seed` + n, whatever the batches.
    """
    is_gpu = subject.model.head_weight.device.type == "cuda"
    rows = GPU_ROWS if is_gpu else CPU_ROWS
    order = sorted(range(len(prompts)), key=lambda at: len(prompts[at]))
    found: dict[int, Written] = {}
    for start in range(0, len(order), rows):
        batch = order[start : start + rows]
        steps = generate(
            subject.model, [prompts[at] for at in batch], tokens, seeds=[seed + at for at in batch],
            temperature=0.0 if top_k == 1 else 1.0, top_k=top_k, eot_id=subject.eot_id,
        )  # fmt: skip
        written = _until_all_end(subject, steps, len(batch), ends)
        found |= dict(zip(batch, written, strict=True))
    return [found[at] for at in range(len(prompts))]


def _until_all_end(
    subject: Subject, steps: Iterator[list[int | None]], rows: int,
    ends: Callable[[str], int | None],
) -> list[Written]:  # fmt: skip
    ids: list[list[int]] = [[] for _ in range(rows)]
    going = set(range(rows))
    for step in steps:
        for row in list(going):
            token = step[row]
            if token is None:
                going.discard(row)
                continue
            ids[row].append(token)
            if ends(subject.text.decode(ids[row])) is not None:
                going.discard(row)
        if not going:
            break
    return [_written(subject, tuple(own), ends) for own in ids]


def _written(subject: Subject, ids: tuple[int, ...], ends: Callable[[str], int | None]) -> Written:
    text = subject.text.decode(ids)
    return Written(text[: ends(text)].strip(), ids)


def confidence(
    subject: Subject, prompts: Sequence[Sequence[int]], written: Sequence[Written]
) -> list[float]:
    """ln p of what was written after each prompt, all of its tokens; 0 for nothing."""
    pairs = list(zip(prompts, written, strict=True))
    requests = [Request([*ids, *one.ids], len(ids)) for ids, one in pairs if one.ids]
    found = iter(subject.score(requests))
    return [next(found).total if one.ids else 0.0 for _, one in pairs]


def room(subject: Subject, tokens: int) -> int:
    """Tokens of a prompt that leave so many in the context; one at least."""
    return max(1, subject.model.config.n_ctx - tokens)


def cut_beginning(subject: Subject, text: str, tokens: int) -> tuple[list[int], bool]:
    """The ids of a prompt, without its beginning where it is too long, and whether it was."""
    ids, most = subject.begin(text), room(subject, tokens)
    return (ids, False) if len(ids) <= most else (ids[-most:], True)
