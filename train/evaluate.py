"""Held-out loss, perplexity and bits per byte."""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from train.choices import Choices, device_of
from train.data import Shards, Tokens, held_out, open_shards
from train.errors import DataError
from train.loss import LanguageModelLoss
from train.model import GPT
from train.runs import load_model, read_run
from train.settings import EvaluateSettings

ROWS = 16  # windows of one pass: any number gives the same sum but for rounding


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
    def perplexity(self) -> float:
        """exp(loss), a token; infinite where it overflows."""
        return math.exp(self.loss) if self.loss < 700 else math.inf

    @property
    def bits_per_byte(self) -> float | None:
        """Summed loss in bits over the UTF-8 bytes of the texts: comparable between vocabularies.

        The end-of-text tokens are part of the loss and have no bytes.
        """
        return self.nats / math.log(2) / self.text_bytes if self.text_bytes else None


@torch.no_grad()
def score(
    objective: nn.Module,
    windows: Iterable[Tokens],
    choices: Choices | None = None,
    rows: int = ROWS,
) -> Score:
    """The loss over windows of tokens, each of which predicts all its tokens but the first.

    `rows` windows of one length are taken at a time.
    """
    device = next(objective.parameters()).device
    was_training = objective.training
    objective.eval()
    nats, tokens = 0.0, 0
    # Compiled blocks are for training: these shapes are others, and few.
    with torch.compiler.set_stance("force_eager"):
        for batch in _equal_lengths(windows, rows):
            ids_BT = torch.from_numpy(batch).to(device).long()
            with choices.autocast() if choices else nullcontext():
                nats += float(objective(ids_BT))
            tokens += ids_BT[:, 1:].numel()
    objective.train(was_training)
    return Score(nats, tokens)


def _equal_lengths(windows: Iterable[Tokens], size: int) -> Iterator[Tokens]:
    for _, group in itertools.groupby(windows, len):
        while rows := list(itertools.islice(group, size)):
            yield np.stack(rows)


def score_split(model: GPT, shards: Shards, split: str, tokens: int = 0) -> Score:
    """The score of a split (or of about `tokens` of it, evenly spread).

    Bits per byte needs the whole split, since bytes are known by file and document only.
    """
    files = shards.split(split)
    if not sum(max(0, f.tokens - 1) for f in files):
        raise DataError(
            f"{shards.folder}: nothing to score in the split {split}; write shards with a val_share"
        )
    found = score(LanguageModelLoss(model), held_out(files, model.config.n_ctx, tokens))
    whole = found.tokens == sum(max(0, f.tokens - 1) for f in files)
    return Score(found.nats, found.tokens, shards.text_bytes.get(split, 0) if whole else 0)


def evaluate(settings: EvaluateSettings, note: Callable[[str], None]) -> dict[str, Any]:
    """What `python -m train evaluate` prints."""
    run = read_run(Path(settings.run))
    device = device_of(settings.device)
    model, checkpoint = load_model(
        Path(settings.run), run, best=settings.best, device=device, note=note
    )
    shards = open_shards(Path(settings.data or run["data"]))
    found = score_split(model, shards, settings.split, settings.tokens)
    return {
        "checkpoint": checkpoint.path.name,
        "split": settings.split,
        **asdict(found),
        "loss": found.loss,
        "perplexity": found.perplexity,
        "bits_per_byte": found.bits_per_byte,
        "same_data_as_training": shards.digest == run["data_digest"],
    }
