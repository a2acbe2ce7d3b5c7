"""Held-out loss, perplexity and bits per byte, of a whole split and of each source host.

The hosts come from `.urls.txt` and `.idx` beside the shards.
"""

import itertools
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 (its usual name)

from train.data import (
    Documents,
    Shards,
    TokenFile,
    Tokens,
    documents_of,
    held_out,
    held_out_places,
    open_shards,
)
from train.errors import DataError, SettingsError
from train.given import opened
from train.hardware import Choices, device_of
from train.log import perplexity
from train.model import GPT
from train.settings import EvaluateSettings

ROWS = 16  # windows of one pass: any number gives the same sum but for rounding
HOSTS_MAX = 20  # that `evaluate` tells of, those with the most tokens
Losses = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """The summed loss of `tokens` targets; `text_bytes` is 0 where it is not known."""

    nats: float
    tokens: int
    text_bytes: int = 0

    @property
    def loss(self) -> float:
        """Mean cross-entropy in nats a token."""
        return self.nats / self.tokens

    @property
    def bits_per_byte(self) -> float | None:
        """Summed loss in bits over the UTF-8 bytes of the texts: comparable between vocabularies.

        The end-of-text tokens are part of the loss and have no bytes.
        """
        return self.nats / math.log(2) / self.text_bytes if self.text_bytes else None


@torch.no_grad()
def score(objective: nn.Module, windows: Iterable[Tokens], choices: Choices | None = None) -> Score:
    """The loss over windows of tokens, each of which predicts all its tokens but the first."""
    device = next(objective.parameters()).device
    was_training = objective.training
    objective.eval()
    nats, tokens = 0.0, 0
    for batch in stacked(windows):
        ids_BT = torch.from_numpy(batch).to(device).long()
        with choices.autocast() if choices else nullcontext():
            nats += float(objective(ids_BT))
        tokens += ids_BT[:, 1:].numel()
    objective.train(was_training)
    return Score(nats, tokens)


def stacked(windows: Iterable[Tokens]) -> Iterator[Tokens]:
    """Windows of one length at a time, up to ROWS of them as rows of one array, in order."""
    for _, group in itertools.groupby(windows, len):
        while rows := list(itertools.islice(group, ROWS)):
            yield np.stack(rows)


@dataclass
class HostScore:
    """The summed loss of the documents of one host; "" where their URLs are not known.

    A loss counts for the document of the token that predicts, so the end of a document is its own.
    """

    host: str
    documents: int = 0
    tokens: int = 0
    nats: float = 0.0

    @property
    def loss(self) -> float:
        """Mean cross-entropy in nats a token."""
        return self.nats / self.tokens


def score_split(
    model: GPT, shards: Shards, split: str, tokens: int = 0
) -> tuple[Score, list[HostScore]]:
    """The score of a split (or of about `tokens` of it, evenly spread) and of each host in it.

    Bits per byte needs the whole split, since bytes are known by file and document only. Hosts come
    with the most tokens first; there are none where the shards have no index or no list of URLs.
    """
    files = shards.split(split)
    targets = sum(max(0, f.tokens - 1) for f in files)
    if not targets:
        raise DataError(
            f"{shards.folder}: nothing to score in the split {split}; write shards with a val_share"
        )
    nats, found, by_host = 0.0, 0, _ByHost()
    for file, start, losses_T in token_losses(model, files, tokens):
        nats, found = nats + float(losses_T.sum()), found + len(losses_T)
        by_host.add(file, start, losses_T)
    text_bytes = shards.text_bytes.get(split, 0) if found == targets else 0
    return Score(nats, found, text_bytes), by_host.scores()


@torch.no_grad()
def token_losses(
    model: GPT, files: tuple[TokenFile, ...], tokens: int = 0
) -> Iterator[tuple[TokenFile, int, Losses]]:
    """File, first token and (T,) losses of each held-out window; loss t is for start + t + 1."""
    device, n_ctx = model.head_weight.device, model.config.n_ctx
    places = held_out_places(files, n_ctx, tokens)
    for batch in stacked(held_out(files, n_ctx, tokens)):
        ids_BT = torch.from_numpy(batch).to(device).long()
        h_BTC = model.hidden(ids_BT[:, :-1])
        # A row at a time: the logits of all would take gigabytes at GPT-2's vocabulary.
        for (file, start), h_TC, ids_T in zip(
            itertools.islice(places, len(batch)), h_BTC, ids_BT[:, 1:], strict=True
        ):
            yield file, start, _row_losses(model, h_TC, ids_T)


def _row_losses(model: GPT, h_TC: Tensor, targets_T: Tensor) -> Losses:
    losses = F.cross_entropy(model.logits(h_TC).float(), targets_T, reduction="none")
    return losses.double().cpu().numpy()


class _ByHost:
    """Sums losses by host as windows come, file after file and in the order of their tokens.

    It holds what is known of one file and the sums, whatever the size of the split.
    """

    def __init__(self) -> None:
        self._file: TokenFile | None = None
        self._index: Documents | None = None
        self._hosts: list[str] = []
        self._last = -1  # document of the file that was counted
        self._found: dict[str, HostScore] = {}

    def add(self, file: TokenFile, start: int, losses_T: Losses) -> None:
        """Count the losses of a window for the hosts of its documents."""
        if file != self._file:
            self._file, self._index, self._last = file, documents_of(file), -1
            self._hosts = hosts_of(file)
        if self._index is None or not self._hosts:
            return
        document_T = self._index.at(np.arange(start, start + len(losses_T)))
        for document in np.unique(document_T).tolist():
            host = self._hosts[document]
            score = self._found.setdefault(host, HostScore(host))
            mine = losses_T[document_T == document]
            score.nats += float(mine.sum())
            score.tokens += len(mine)
            score.documents += document > self._last
            self._last = document

    def scores(self) -> list[HostScore]:
        """All hosts, those with the most tokens first."""
        return sorted(self._found.values(), key=lambda s: (-s.tokens, s.host))


def hosts_of(file: TokenFile) -> list[str]:
    """The host of each document of a file, by the list of URLs beside it; none without a list."""
    path = file.path.with_suffix(".urls.txt")
    if not path.exists():
        return []
    # A line at a time, and each host once: a file has hundreds of thousands of URLs. Lines end by
    # "\n" alone: a URL may hold U+2028 and its like.
    with path.open(encoding="utf-8", errors="backslashreplace", newline="\n") as lines:
        hosts = [sys.intern(_host(line.removesuffix("\n"))) for line in lines]
    index = documents_of(file)
    if index is not None and len(hosts) != len(index.starts) - 1:
        raise DataError(
            f"{path}: {len(hosts)} lines, but the index beside it has {len(index.starts) - 1} "
            "documents; write the shards anew"
        )
    return hosts


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # an IPv6 address with half its brackets
        return ""


def evaluate(settings: EvaluateSettings, note: Callable[[str], None]) -> dict[str, Any]:
    """What `python -m train evaluate` prints."""
    device = device_of(settings.device)
    given = opened(Path(settings.run), best=settings.best, device=device, note=note)
    if not (settings.data or given.data):
        raise SettingsError(
            f"{settings.run} is a Hugging Face folder, which has no data of its own: give --data "
            "SHARDS, made with its tokenizer"
        )
    shards = open_shards(Path(settings.data or given.data))
    for sentence in shards.notes:
        note(sentence)
    if shards.vocab_size != given.model.config.vocab_size:
        raise SettingsError(
            f"{shards.folder} has a vocabulary of {shards.vocab_size:,}, the model one of "
            f"{given.model.config.vocab_size:,}: give shards of its own tokenizer"
        )
    found, hosts = score_split(given.model, shards, settings.split, settings.tokens)
    return {
        "checkpoint": given.name,
        "split": settings.split,
        **asdict(found),
        "loss": found.loss,
        "perplexity": perplexity(found.loss),
        "bits_per_byte": found.bits_per_byte,
        "same_data_as_training": shards.digest == given.data_digest if given.data_digest else None,
        "hosts_in_all": len(hosts),
        "hosts": [{**asdict(host), "loss": host.loss} for host in hosts[:HOSTS_MAX]],
    }
