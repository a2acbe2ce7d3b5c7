"""Log-probabilities of tokens, given those before them: what every task is scored by.

Axes: B batch, T time, C channels, V vocabulary, N tokens that are scored.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from train.errors import SettingsError
from train.given import is_hugging_face, opened
from train.hardware import device_of
from train.model import GPT
from train.runs import TOKENIZER, TokenizerFile
from train.text import Text, text_for

# Tokens of one pass, filled up to the longest. On two cores 512 to 8,192 are equally fast at GPT-2
# small; larger ones leave the cache, and a GPU wants more.
CPU_TOKENS, GPU_TOKENS = 2048, 1 << 16
LOGITS = 1 << 24  # of one piece of the head: 64 MB in fp32


@dataclass(frozen=True)
class Request:
    """Tokens of which those from `first` on are scored, each given all before it."""

    ids: Sequence[int]
    first: int


@dataclass(frozen=True)
class Scored:
    """Of each scored token: ln p, the likeliest token of its place, and the likeliest not banned.

    Without banned tokens the last two are the same.
    """

    log_probabilities: tuple[float, ...]
    likeliest: tuple[int, ...]
    allowed: tuple[int, ...]

    @property
    def total(self) -> float:
        """ln p of all scored tokens together, in nats."""
        return sum(self.log_probabilities)


@dataclass(frozen=True)
class Subject:
    """The model that is examined, with its tokenizer; every text begins with `eot_id`.

    No other special token is ever used. None begins texts with nothing, as other harnesses do: then
    the first token of a text has no probability.
    """

    model: GPT
    text: Text
    eot_id: int | None
    name: str = ""

    def begin(self, text: str) -> list[int]:
        """Token ids of a text from its beginning."""
        start = [] if self.eot_id is None else [self.eot_id]
        return start + self.text.encode(text)

    def request(self, context: str, continuation: str) -> Request:
        """The continuation's tokens after the context, the two encoded in one piece.

        Where a token reaches over the seam, it is scored as well.
        """
        before, ids = self.begin(context), self.begin(context + continuation)
        shared = next(
            (at for at, (a, b) in enumerate(zip(before, ids, strict=False)) if a != b),
            min(len(before), len(ids)),
        )
        return Request(ids, max(1, min(shared, len(ids) - 1)))

    def score(self, requests: Sequence[Request], banned: Sequence[int] = ()) -> list[Scored]:
        """What `score` finds, in the order of the requests."""
        return score(self.model, requests, banned)


def open_subject(settings: Any, note: Any) -> Subject:
    """The model of a run or of a Hugging Face folder, with its own tokenizer."""
    device = device_of(settings.device)
    given = opened(Path(settings.run), best=settings.best, device=device, note=note)
    path = Path(settings.tokenizer or given.folder / TOKENIZER)
    if not path.is_file():
        raise SettingsError(f"{path}: no tokenizer there; give --tokenizer PATH to tokenizer.json")
    if given.eot_id is None:
        what = "config.json has no eos_token_id" if is_hugging_face(given.folder) else "no token"
        raise SettingsError(
            f"{given.folder}: {what} of the vocabulary that ends a text; tasks begin with it"
        )
    text = text_for(TokenizerFile(path, path.read_bytes()), given.model.config.vocab_size)
    return Subject(given.model, text, given.eot_id, given.name)


def windows(count: int, first: int, n_ctx: int, stride: int) -> Iterator[tuple[int, int, int]]:
    """Start, first scored token and end of windows that score each of first … count - 1 once.

    A window holds n_ctx + 1 tokens at most, of which the first is never scored; each after the
    first scores `stride` tokens, so that these see n_ctx - stride tokens before them, at least.
    The last one reaches back as far as it may.
    """
    done = first
    while done < count:
        end = min(count, n_ctx + 1 if done == first <= n_ctx else done + stride)
        yield max(0, end - n_ctx - 1), done, end
        done = end


@dataclass(frozen=True)
class _Window:
    """A piece of a request that fits the context; scored are the last tokens, from `first` on."""

    request: int
    ids: Sequence[int]
    first: int


@torch.no_grad()
def score(model: GPT, requests: Sequence[Request], banned: Sequence[int] = ()) -> list[Scored]:
    """The scored tokens of each request, in the order of the requests.

    What is longer than the context loses its beginning; where more is scored than the context
    holds, in disjoint windows. Batches are of like lengths, and only scored places get logits.
    """
    n_ctx, device = model.config.n_ctx, model.head_weight.device
    pieces = [piece for at, one in enumerate(requests) for piece in _cut(at, one, n_ctx)]
    tokens = GPU_TOKENS if device.type == "cuda" else CPU_TOKENS
    found: dict[int, tuple[Tensor, Tensor, Tensor]] = {}
    for batch in _batches(pieces, tokens):
        longest = max(len(pieces[at].ids) for at in batch) - 1
        ids_BT = torch.zeros(len(batch), longest, dtype=torch.long)
        for row, at in enumerate(batch):
            ids_BT[row, : len(pieces[at].ids) - 1] = torch.tensor(pieces[at].ids[:-1])
        h_BTC = model.hidden(ids_BT.to(device))
        scored = [h_BTC[row, pieces[at].first - 1 : len(pieces[at].ids) - 1]
                  for row, at in enumerate(batch)]  # fmt: skip
        targets = [torch.tensor(pieces[at].ids[pieces[at].first :]) for at in batch]
        columns = of_places(model, torch.cat(scored), torch.cat(targets).to(device), banned)
        split = [column.split([len(one) for one in targets]) for column in columns]  # type: ignore[no-untyped-call]
        found |= dict(zip(batch, zip(*split, strict=True), strict=True))
    return _joined(pieces, found, len(requests))


def _cut(at: int, request: Request, n_ctx: int) -> Iterator[_Window]:
    ids, first = request.ids, request.first
    if not 1 <= first < len(ids):
        raise ValueError(f"{len(ids)} tokens, scored from {first}: the first has nothing before it")
    if len(ids) - first <= n_ctx:
        start = max(0, len(ids) - n_ctx - 1)
        yield _Window(at, ids[start:], first - start)
        return
    for start, done, end in windows(len(ids), first, n_ctx, n_ctx):
        yield _Window(at, ids[start:end], done - start)


def _batches(pieces: Sequence[_Window], tokens: int) -> Iterator[list[int]]:
    """Numbers of pieces, longest first, of so many tokens a batch when filled up."""
    order = sorted(range(len(pieces)), key=lambda at: -len(pieces[at].ids))
    start = 0
    while start < len(order):
        rows = max(1, tokens // len(pieces[order[start]].ids))
        yield order[start : start + rows]
        start += rows


def of_places(
    model: GPT, h_NC: Tensor, targets_N: Tensor, banned: Sequence[int]
) -> tuple[Tensor, Tensor, Tensor]:
    """(N,) ln p of the target, the likeliest token, and the likeliest that is not banned."""
    rows = max(1, LOGITS // model.config.padded_vocab)
    out: list[tuple[Tensor, Tensor, Tensor]] = []
    for h_RC, targets_R in zip(h_NC.split(rows), targets_N.split(rows), strict=True):  # type: ignore[no-untyped-call]
        logits_RV = model.logits(h_RC).float()
        p_R = logits_RV.gather(1, targets_R[:, None])[:, 0] - logits_RV.logsumexp(1)
        best_R = allowed_R = logits_RV.argmax(1)
        if banned:
            logits_RV[:, torch.tensor(banned, device=h_NC.device)] = -torch.inf
            allowed_R = logits_RV.argmax(1)
        out.append((p_R.cpu(), best_R.cpu(), allowed_R.cpu()))
    p, best, allowed = zip(*out, strict=True)
    return torch.cat(p), torch.cat(best), torch.cat(allowed)


def _joined(
    pieces: Sequence[_Window], found: dict[int, tuple[Tensor, Tensor, Tensor]], requests: int
) -> list[Scored]:
    columns: list[tuple[list[float], list[int], list[int]]] = [
        ([], [], []) for _ in range(requests)
    ]
    for at, piece in enumerate(pieces):
        for column, values in zip(columns[piece.request], found[at], strict=True):
            column.extend(values.tolist())
    return [Scored(tuple(p), tuple(best), tuple(allowed)) for p, best, allowed in columns]
