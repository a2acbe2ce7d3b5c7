"""What a model makes of a text: how likely it is, token by token, and what may come next."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812 (its usual name)

from train.errors import SettingsError
from train.evaluate.scoring import Subject
from train.log import perplexity
from train.model import GPT
from train.prompt import check_room, first_ids, given_text, open_with_text, opened_with_prompt
from train.sample import finite
from train.settings import SampleSettings, ScoreSettings
from train.text import Text
from train.windows import window_start

TEXT = ("TEXT", "--text-file")


@torch.no_grad()
def log_probabilities(model: GPT, ids: list[int]) -> list[float]:
    """ln p of each token but the first, each scored once, in the windows of `window_start`."""
    device, n_ctx = model.head_weight.device, model.config.n_ctx
    found: list[float] = []
    for first, begin, end in windows(len(ids), n_ctx):
        ids_T = torch.tensor(ids[first:end], device=device)
        h_TC = model.hidden(ids_T[None, :-1])[0, begin - first - 1 :]
        losses_T = F.cross_entropy(
            finite(model.logits(h_TC)).float(), ids_T[begin - first :], reduction="none"
        )
        found += (-losses_T).tolist()
    return found


def windows(tokens: int, n_ctx: int) -> Iterator[tuple[int, int, int]]:
    """The first token of each window, and the range of those that are predicted in it."""
    starts = [window_start(place, n_ctx) for place in range(1, tokens)]
    turns = [1, *(n for n, (a, b) in enumerate(pairwise(starts), 2) if a != b), tokens]
    for begin, end in pairwise(turns):
        yield window_start(begin, n_ctx), begin, end


def score_text(settings: ScoreSettings, note: Callable[[str], None]) -> dict[str, Any]:
    """What `python -m train score` prints: natural logarithms, and None where nothing predicts."""
    given = open_with_text(settings, note)
    text = given_text(settings.text, settings.text_file, TEXT)
    if not text:
        raise SettingsError("there is no text to score: give TEXT or --text-file PATH")
    ids = first_ids(given, text, note, eot=not settings.no_eot, what="text")
    if not settings.slide:
        check_room(ids[:-1], given.model.config.n_ctx, "the text")
    scores: list[float | None] = [None, *log_probabilities(given.model, ids)]
    tokens = len(given.text.encode(text))
    known = [one for one in scores[-tokens:] if one is not None]
    if not known:
        raise SettingsError("the text is one token, which --no-eot leaves without a probability")
    total = sum(known)
    return {
        "checkpoint": given.name,
        "text": text,
        "log_probability": total,
        "tokens": len(known),
        "perplexity": perplexity(-total / len(known)),
        "scores": [
            {**_told(given.text, token), "log_probability": one}
            for token, one in zip(ids[-tokens:], scores[-tokens:], strict=True)
        ],
    }


@torch.no_grad()
def likeliest(settings: SampleSettings, note: Callable[[str], None]) -> dict[str, Any]:
    """What `python -m train sample --top` prints: the model's own shares, at temperature 1."""
    given, prompt, ids = opened_with_prompt(settings, note)
    return {
        "checkpoint": given.name,
        "prompt": prompt,
        "next": next_tokens(given, ids, settings.top),
    }


def next_tokens(given: Subject, ids: list[int], count: int) -> list[dict[str, Any]]:
    """The `count` likeliest tokens after `ids`, with their ln p, the likeliest first."""
    model = given.model
    seen = ids[window_start(len(ids), model.config.n_ctx) :]
    ids_1T = torch.tensor([seen], device=model.head_weight.device)
    logits_V = finite(model.logits(model.hidden(ids_1T)[0, -1])).float()
    best_K, ids_K = logits_V.log_softmax(-1).topk(min(count, len(logits_V)))
    return [
        {**_told(given.text, token), "log_probability": one}
        for token, one in zip(ids_K.tolist(), best_K.tolist(), strict=True)
    ]


def _told(text: Text, token: int) -> dict[str, Any]:
    return {"id": token, "token": text.token(token), "text": text.decode([token])}
