"""Sampling with a key-value cache: seeded, streamed, uneven prompts in one batch."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from train.errors import CheckpointError
from train.evaluate.scoring import Subject
from train.model import GPT, LayerCache
from train.packed import for_sampling
from train.prompt import opened_with_prompt
from train.settings import SampleSettings
from train.text import Text
from train.windows import window_start

# More samples come in several batches: rows beyond these gain little, and each needs memory for its
# keys and values (75 MB at GPT-2 small and a full context).
ROWS_AT_ONCE = 32
# Below this temperature the likeliest token has all of the mass: next to a logit of 10, float32
# knows steps of 1e-6, and one of them makes e times the share. Far below, the quotient overflows.
GREEDY_BELOW = 1e-6


@torch.no_grad()
def generate(
    model: GPT, prompts: Sequence[Sequence[int]], tokens: int, *, seeds: Sequence[int],
    temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, eot_id: int | None = None,
    slide: bool = False,
) -> Iterator[list[int | None]]:  # fmt: skip
    """One token a prompt and step; None from where a prompt came to `eot_id`.

    Each prompt draws from its own seed, so the others change nothing of it but the rounding of its
    logits: now and then that tips a draw, and the text is another one than the seed gives alone.
    Ends after `tokens` steps, when every prompt has ended, or when the context is full: learned
    positions end there. With `slide` it goes on in the next window (`window_start`); prompts must
    then be of one length. Prompts must not be empty, nor longer than the context without `slide`.
    """
    n_ctx, longest = model.config.n_ctx, max(map(len, prompts))
    steps = tokens if slide else min(tokens, n_ctx - longest)
    device, model = model.head_weight.device, for_sampling(model, len(prompts), steps)
    pairs = zip(seeds, prompts, strict=True)
    generators = [torch.Generator(device).manual_seed(one) for one, _ in pairs]
    pick = partial(_pick, temperature=temperature, top_k=top_k, top_p=top_p, generators=generators)
    written, ended = [list(prompt) for prompt in prompts], set[int]()
    while steps > 0:
        first = window_start(longest, n_ctx)
        total = min(n_ctx, longest - first + steps)
        for drawn in _window(model, [ids[first:] for ids in written], total, pick):
            for ids, token in zip(written, drawn, strict=True):
                ids.append(token)
            ended |= {row for row, token in enumerate(drawn) if token == eot_id}
            yield [None if row in ended else token for row, token in enumerate(drawn)]
            if len(ended) == len(prompts):
                return
            steps, longest = steps - 1, longest + 1


def _window(
    model: GPT, prompts: Sequence[Sequence[int]], total: int, pick: Callable[[Tensor], Tensor]
) -> Iterator[list[int]]:
    """The token that is picked for each prompt, step by step, until the longest has `total`."""
    config, head, longest = model.config, model.head_weight, max(map(len, prompts))
    ids_BT, padding_BT = _left_padded(prompts, longest, total, head.device)
    added_B1 = padding_BT.sum(1, keepdim=True)
    caches = [LayerCache(config, len(prompts), total, head) for _ in range(config.n_layer)]
    if bool(padding_BT.any()):
        for cache in caches:
            cache.padding_BT = padding_BT
    at_BT = (torch.arange(longest, device=head.device)[None] - added_B1).clamp(min=0)
    for length in range(longest, total):
        h_BTC = model.hidden(ids_BT, caches, at_BT)
        next_B = pick(model.logits(h_BTC[:, -1]))
        yield next_B.tolist()
        ids_BT, at_BT = next_B[:, None], length - added_B1


def _left_padded(
    prompts: Sequence[Sequence[int]], longest: int, total: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """(B, longest) ids filled up on the left, and (B, total) True where they were."""
    ids = torch.zeros(len(prompts), longest, dtype=torch.long)
    padding = torch.zeros(len(prompts), total, dtype=torch.bool)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt)
        padding[row, : longest - len(prompt)] = True
    return ids.to(device), padding.to(device)


def _pick(
    logits_BV: Tensor, temperature: float, top_k: int, top_p: float,
    generators: Sequence[torch.Generator],
) -> Tensor:  # fmt: skip
    """(B,) token ids, each drawn from the k likeliest tokens that make up the mass `top_p`."""
    logits_BV = finite(logits_BV)
    if temperature < GREEDY_BELOW:
        return logits_BV.argmax(-1)
    logits_BV = logits_BV.float() / temperature
    if not top_k and top_p >= 1:
        return _draw(logits_BV.softmax(-1), generators)[:, 0]
    count = min(top_k or logits_BV.shape[1], logits_BV.shape[1])
    best_BK, ids_BK = logits_BV.topk(count)
    p_BK = best_BK.softmax(-1)
    # The token that crosses the mass is kept, so that there is always one.
    p_BK = p_BK.masked_fill(p_BK.cumsum(-1) - p_BK > top_p, 0.0)
    return ids_BK.gather(1, _draw(p_BK, generators))[:, 0]


def finite(logits: Tensor) -> Tensor:
    """The logits themselves; CheckpointError where some are not finite."""
    if not bool(logits.isfinite().all()):
        raise CheckpointError(
            "the model's logits are not finite: its training diverged, or its weights are damaged; "
            "take a checkpoint of before (--best, or RUN/checkpoints/step-N)"
        )
    return logits


def _draw(p_BK: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
    """(B, 1) columns, each row's from its own generator."""
    rows = zip(p_BK, generators, strict=True)
    return torch.stack([torch.multinomial(p_K, 1, generator=one) for p_K, one in rows])


class Stream:
    """Turns ids that come one by one into pieces of text, whole characters only."""

    def __init__(self, text: Text, stop: str = "") -> None:
        self._text, self._stop = text, stop
        self._ids: list[int] = []
        self.shown = ""
        self.stopped = False

    def add(self, token: int) -> str:
        """The new text that is certain by now; sets `stopped` where the stop text came."""
        self._ids.append(token)
        return self._advance(self._text.decode(self._ids).rstrip("\N{REPLACEMENT CHARACTER}"))

    def finish(self) -> str:
        """What was held back."""
        return "" if self.stopped else self._advance(self._text.decode(self._ids), final=True)

    def _advance(self, whole: str, *, final: bool = False) -> str:
        certain = len(whole)
        if self._stop:
            at = whole.find(self._stop)
            self.stopped = at >= 0
            # The end of the text may be the beginning of the stop text: hold so much back.
            held = 0 if final else len(self._stop) - 1
            certain = at if self.stopped else max(len(self.shown), certain - held)
        piece = whole[len(self.shown) : certain]
        self.shown += piece
        return piece


def sample(
    settings: SampleSettings, note: Callable[[str], None], show: Callable[[str], None]
) -> dict[str, Any]:
    """What `python -m train sample` prints; `show` gets the text as it comes, with its prompt."""
    given, prompt, start = opened_with_prompt(settings, note)
    settings = replace(settings, prompt=prompt)
    samples = []
    for first in range(settings.seed, settings.seed + settings.samples, ROWS_AT_ONCE):
        seeds = range(first, min(first + ROWS_AT_ONCE, settings.seed + settings.samples))
        samples += _batch(given, start, settings, seeds, show)
    for one in samples:
        if one["ended"] == "context full":
            n_ctx = given.model.config.n_ctx
            note(f"the context of {n_ctx} tokens is full; the sample ends there (--slide goes on)")
    return {"checkpoint": given.name, "prompt": prompt, "samples": samples}


@dataclass
class _Sample:
    """One sample as it grows; `ended` says why it did, and is "" while it goes on."""

    seed: int
    stream: Stream
    write: Callable[[str], None]
    head: str  # shown before the first piece, when nothing refuses the prompt any more
    ids: list[int] = field(default_factory=list)
    ended: str = ""

    def show(self, piece: str) -> None:
        self.write(self.head + piece)
        self.head = ""

    def add(self, token: int | None) -> None:
        """Show what is new; None is the end of the text."""
        if token is None:
            self.end("end of text")
            return
        self.ids.append(token)
        self.show(self.stream.add(token))
        if self.stream.stopped:
            self.end("stop text")

    def end(self, reason: str) -> None:
        """Show what was held back, and end the line."""
        self.ended = reason
        self.show(self.stream.finish() + "\n")


def _head(settings: SampleSettings, seed: int) -> str:
    """The prompt; of several samples each has its seed above it, as a text may have many lines."""
    if settings.samples == 1:
        return settings.prompt
    gap = "" if seed == settings.seed else "\n"
    return f"{gap}==> seed {seed} <==\n{settings.prompt}"


def _batch(
    given: Subject, start: list[int], settings: SampleSettings, seeds: Sequence[int],
    show: Callable[[str], None],
) -> list[dict[str, Any]]:  # fmt: skip
    """A sample after `start` for each seed, drawn together: its text, its ids, and why it ended.

    The first is shown as it comes, the others whole and in order when all have ended.
    """
    later: list[list[str]] = [[] for _ in seeds[1:]]
    places = [show, *(pieces.append for pieces in later)]
    samples = [
        _Sample(seed, Stream(given.text, settings.stop), place, _head(settings, seed))
        for seed, place in zip(seeds, places, strict=True)
    ]
    for tokens in generate(
        given.model, [start] * len(seeds), settings.tokens, seeds=seeds, top_k=settings.top_k,
        temperature=settings.temperature, top_p=settings.top_p, eot_id=given.eot_id,
        slide=settings.slide,
    ):  # fmt: skip
        going = [pair for pair in zip(samples, tokens, strict=True) if not pair[0].ended]
        for one, token in going:
            one.add(token)
        if all(one.ended for one, _ in going):
            break
    for one in samples:
        if not one.ended:
            one.end("enough tokens" if len(one.ids) == settings.tokens else "context full")
    for pieces in later:
        show("".join(pieces))
    return [
        {"text": one.stream.shown, "ids": one.ids, "seed": one.seed, "ended": one.ended}
        for one in samples
    ]
