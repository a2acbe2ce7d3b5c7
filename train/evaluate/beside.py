"""One's own held-out documents, scored by two models that may have different tokenizers.

Tokens of two vocabularies cannot be compared, bytes can: the documents are made text again, each is
scored from its beginning by both, and the loss is told in bits per byte.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from train.data import Shards, documents_of, open_shards
from train.errors import DataError, SettingsError
from train.evaluate.compare import paired
from train.evaluate.language import Document, cut, score
from train.evaluate.scoring import Subject
from train.evaluate.table import aligned
from train.evaluate.task import Metric, Outcome, bits, ratio
from train.prompt import open_for_tasks
from train.settings import EvaluateSettings
from train.text import Text

BITS = Metric("bits a byte", ratio("nats", "bytes", bits), "bits", None, ("nats", "bytes"))


def documents(shards: Shards, split: str, text: Text) -> Iterator[Document]:
    """The texts of a split, without the tokens that end them; DataError without an index."""
    for file in shards.split(split):
        index = documents_of(file)
        if index is None:
            raise DataError(f"{file.path}: no .idx beside it says where documents begin")
        for number, (start, end) in enumerate(
            zip(index.starts[:-1].tolist(), index.starts[1:].tolist(), strict=True)
        ):
            ids = [
                token for token in file.read(start, end - start).tolist() if token != shards.eot_id
            ]
            told = text.decode(ids)
            if told:
                yield Document(f"{file.path.stem}:{number}", told, len(told.encode()))


def by_document(subject: Subject, texts: list[Document]) -> list[Outcome]:
    """The loss of each document, its tokens and its bytes."""
    windows = list(score(subject, cut(subject, texts, 0), "bytes"))
    found: list[Outcome] = []
    for id, group in groupby(windows, key=lambda one: str(one["id"]).rpartition(":")[0]):
        of = list(group)
        sums = {key: sum(one[key] for one in of) for key in ("nats", "tokens", "bytes")}
        found.append({"id": id, **sums})
    return found


def beside(settings: EvaluateSettings, note: Callable[[str], None]) -> tuple[dict[str, Any], str]:
    """Bits per byte of the held-out documents by RUN and by the other, and their difference."""
    mine = open_for_tasks(settings, note)
    other = open_for_tasks(replace(settings, run=settings.beside, tokenizer="", best=False), note)
    if not (settings.data or mine.data):
        raise SettingsError(
            f"{settings.run} has no data of its own: give --data SHARDS, made with its tokenizer"
        )
    shards = open_shards(Path(settings.data or mine.data))
    if shards.vocab_size != mine.model.config.vocab_size:
        raise SettingsError(
            f"{shards.folder} has a vocabulary of {shards.vocab_size:,}, the model one of "
            f"{mine.model.config.vocab_size:,}: give shards of its own tokenizer"
        )
    texts = list(islice(documents(shards, settings.split, mine.text), settings.limit or None))
    if not texts:
        raise DataError(f"{shards.folder}: no document in the split {settings.split}")
    note(f"{len(texts):,} documents of the split {settings.split}")
    a, b = (by_document(subject, texts) for subject in (mine, other))
    row = paired("held-out", BITS, b, a)
    rows = [_row(settings.run, mine, a), _row(settings.beside, other, b)]
    found: dict[str, Any] = {"split": settings.split, "documents": len(texts), "rows": rows}
    found |= {"difference": row.difference, "standard_error": row.standard_error}
    return found, _told(found)


def _row(name: str, subject: Subject, outcomes: list[Outcome]) -> dict[str, Any]:
    estimate = BITS.estimate(outcomes)
    tokens, size = (sum(one[key] for one in outcomes) for key in ("tokens", "bytes"))
    return {
        "model": name,
        "checkpoint": subject.name,
        "parameters": subject.model.config.parameters(),
        "bits_per_byte": estimate.value,
        "standard_error": estimate.standard_error,
        "loss": sum(one["nats"] for one in outcomes) / tokens,
        "bytes_per_token": size / tokens,
    }


def _told(found: dict[str, Any]) -> str:
    head = ("model", "checkpoint", "parameters", "bits/byte", "error", "loss", "bytes/token")
    lines: list[tuple[str, ...]] = [head]
    for row in found["rows"]:
        error = "-" if row["standard_error"] is None else f"{row['standard_error']:.4f}"
        numbers = f"{row['bits_per_byte']:.4f}", error, f"{row['loss']:.4f}"
        last = f"{row['bytes_per_token']:.2f}"
        lines.append((row["model"], row["checkpoint"], f"{row['parameters']:,}", *numbers, last))
    out = aligned(lines)
    error = found["standard_error"]
    around = "" if error is None else f", one standard error {error:.4f} in pairs"
    out.append(f"the first less the second: {found['difference']:+.4f} bits a byte{around}")
    out.append(
        f"{found['documents']:,} documents, each from its beginning after end-of-text; losses are "
        "in nats a token of each model's own, and cannot be compared"
    )
    return "\n".join(out)
