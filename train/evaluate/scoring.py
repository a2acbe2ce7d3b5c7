"""Log-probabilities of tokens, given those before them: what every task is scored by.

Axes: B batch, T time, C channels, V vocabulary, N tokens that are scored.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from train import tree
from train.model import GPT
from train.text import Text

# Tokens of one pass, filled up to the longest. On two cores 512 to 8,192 are equally fast at GPT-2
# small; larger ones leave the cache, and a GPU wants more.
CPU_TOKENS, GPU_TOKENS = 2048, 1 << 16
LOGITS = 1 << 24  # of one piece of the head: 64 MB in fp32
TREE_PLACES = 192  # of a row of texts with common beginnings: more would see more masked places
Columns = tuple[Tensor, Tensor, Tensor]


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
    """A model with its tokenizer, as it is examined or asked; every text begins with `eot_id`.

    No other special token is ever used. None begins texts with nothing, as other harnesses do: then
    the first token of a text has no probability.
    """

    model: GPT
    text: Text
    eot_id: int | None
    name: str = ""  # of the checkpoint, or of the Hugging Face folder
    data: str = ""  # the shards that it was trained on, where it is a run
    folder: Path = Path()  # of the run, or of Hugging Face

    def begin(self, text: str) -> list[int]:
        """Token ids of a text from its beginning."""
        start = [] if self.eot_id is None else [self.eot_id]
        return start + self.text.encode(text)

    def request(self, context: str, continuation: str) -> Request:
        """The continuation's tokens after the context, the two encoded in one piece.

        Where a token reaches over the seam, it is scored as well.
        """
        ids = self.begin(context + continuation)
        return Request(ids, max(1, min(tree.common(self.begin(context), ids), len(ids) - 1)))

    def score(
        self, requests: Sequence[Request], banned: Sequence[int] = (), *, shared: bool = False
    ) -> list[Scored]:
        """What `score` finds, in the order of the requests."""
        return score(self.model, requests, banned, shared=shared)


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
def score(
    model: GPT, requests: Sequence[Request], banned: Sequence[int] = (), *, shared: bool = False
) -> list[Scored]:
    """The scored tokens of each request, in the order of the requests.

    What is longer than the context loses its beginning; where more is scored than the context
    holds, in disjoint windows. Only scored places get logits. `shared` computes beginnings that
    requests have in common once, and pays where they are long; else batches are of like lengths.
    """
    pieces = [
        piece for at, one in enumerate(requests) for piece in _cut(at, one, model.config.n_ctx)
    ]
    found: dict[int, Columns] = {}
    for places in (_in_trees if shared else _in_rows)(model, pieces):
        numbers = list(places.of)
        at_N = torch.cat([places.of[number] for number in numbers])
        targets = [torch.tensor(pieces[n].ids[pieces[n].first :]) for n in numbers]
        columns = of_places(model, places.hidden, at_N, torch.cat(targets), banned)
        split = [column.split([len(one) for one in targets]) for column in columns]  # type: ignore[no-untyped-call]
        found |= dict(zip(numbers, zip(*split, strict=True), strict=True))
    return _joined(pieces, found, len(requests))


@dataclass(frozen=True)
class _Places:
    """Hidden states of places that predict, and of each piece the rows of its own."""

    hidden: Tensor  # (N, C)
    of: dict[int, Tensor]


def _in_rows(model: GPT, pieces: Sequence[_Window]) -> Iterator[_Places]:
    """Each piece a row, filled up on the right, where causal attention does not see it."""
    device = model.head_weight.device
    tokens = GPU_TOKENS if device.type == "cuda" else CPU_TOKENS
    for batch in _batches([len(piece.ids) for piece in pieces], tokens):
        longest = len(pieces[batch[0]].ids) - 1
        ids_BT = torch.zeros(len(batch), longest, dtype=torch.long)
        for row, number in enumerate(batch):
            ids = pieces[number].ids
            ids_BT[row, : len(ids) - 1] = torch.tensor(ids[:-1])
        h_BTC = model.hidden(ids_BT.to(device))
        spans = [(pieces[n].first - 1, len(pieces[n].ids) - 1) for n in batch]
        h_NC = torch.cat([h_BTC[row, a:b] for row, (a, b) in enumerate(spans)])
        counts = [b - a for a, b in spans]
        yield _Places(h_NC, dict(zip(batch, torch.arange(len(h_NC)).split(counts), strict=True)))  # type: ignore[no-untyped-call]


def _in_trees(model: GPT, pieces: Sequence[_Window]) -> Iterator[_Places]:
    """Many pieces a row, what they have in common once; each place that predicts, once too."""
    device = model.head_weight.device
    tokens = GPU_TOKENS if device.type == "cuda" else CPU_TOKENS
    rows = list(tree.rows([piece.ids[:-1] for piece in pieces], TREE_PLACES))
    for batch in _batches([len(row.ids) for row in rows], tokens):
        ids_BT, seen = tree.tree_of([rows[n] for n in batch], device)
        h_BTC = model.hidden_of_tree(ids_BT, seen)
        places = {
            number: at * ids_BT.shape[1] + torch.tensor(path[pieces[number].first - 1 :])
            for at, n in enumerate(batch)
            for number, path in rows[n].paths.items()
        }
        used, of = torch.cat(list(places.values())).unique(return_inverse=True)  # type: ignore[no-untyped-call]
        counts = [len(one) for one in places.values()]
        yield _Places(
            h_BTC.flatten(0, 1)[used.to(device)], dict(zip(places, of.split(counts), strict=True))
        )


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


def _batches(lengths: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Numbers of pieces, longest first, of so many tokens a batch when filled up."""
    order = sorted(range(len(lengths)), key=lambda n: -lengths[n])
    start = 0
    while start < len(order):
        rows = max(1, tokens // lengths[order[start]])
        yield order[start : start + rows]
        start += rows


def of_places(
    model: GPT, h_RC: Tensor, at_N: Tensor, targets_N: Tensor, banned: Sequence[int]
) -> Columns:
    """(N,) ln p of the target, the likeliest token, and the likeliest that is not banned.

    Target n is predicted by row `at_N[n]`; a row may predict several, and gets its logits once.
    """
    step = max(1, LOGITS // model.config.padded_vocab)
    device, count = h_RC.device, len(at_N)
    out = torch.empty(count), *(torch.empty(count, dtype=torch.long) for _ in range(2))
    for start in range(0, len(h_RC), step):
        here_N = ((at_N >= start) & (at_N < start + step)).nonzero()[:, 0]
        at_M, targets_M = (at_N[here_N] - start).to(device), targets_N[here_N].to(device)
        logits_RV = model.logits(h_RC[start : start + step]).float()
        out[0][here_N] = (logits_RV[at_M, targets_M] - logits_RV.logsumexp(1)[at_M]).cpu()
        best_R = allowed_R = logits_RV.argmax(1)
        if banned:
            logits_RV[:, torch.tensor(banned, device=device)] = -torch.inf
            allowed_R = logits_RV.argmax(1)
        out[1][here_N], out[2][here_N] = best_R[at_M].cpu(), allowed_R[at_M].cpu()
    return out  # type: ignore[return-value]


def _joined(pieces: Sequence[_Window], found: dict[int, Columns], requests: int) -> list[Scored]:
    columns: list[list[tuple[float, int, int]]] = [[] for _ in range(requests)]
    for at, piece in enumerate(pieces):
        p, best, allowed = (column.tolist() for column in found[at])
        columns[piece.request] += zip(p, best, allowed, strict=True)
    return [Scored(*zip(*of, strict=True)) for of in columns]
