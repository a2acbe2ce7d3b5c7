"""Token files of a few thousand tokens, and runs that take a second."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from train.config import GPTConfig
from train.model import GPT

VOCAB, EOT = 97, 96


def write_shards(folder: Path, *, seed: int = 0, documents: int = 90, vocab: int = VOCAB) -> Path:
    """A folder as `webtext shards` writes it: two train files and one val file, easy to predict."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    texts = [
        (np.arange(rng.integers(20, 200)) * int(rng.integers(1, 4)) + rng.integers(90))
        % (vocab - 1)
        for _ in range(documents)
    ]
    third = documents // 3
    names = ["train_000000", "train_000001", "val_000000"]
    groups = [texts[:third], texts[third : 2 * third], texts[2 * third :]]
    files = [_write(folder, n, g, vocab - 1) for n, g in zip(names, groups, strict=True)]
    splits = {
        split: {
            key: sum(f[key] for f in files if f["split"] == split)
            for key in ("documents", "tokens", "text_bytes")
        }
        for split in ("train", "val")
    }
    about = {
        "format": "webtext-shards/1", "dtype": "uint16", "eot_id": vocab - 1, "vocab_size": vocab,
        "tokenizer": "0" * 32, "seed": 1, "splits": splits, "files": files,
    }  # fmt: skip
    (folder / "shards.json").write_text(json.dumps(about))
    return folder


def _write(folder: Path, name: str, texts: list[Any], eot: int) -> dict[str, Any]:
    tokens = np.concatenate([np.concatenate(([eot], t)) for t in texts]).astype("<u2")
    header = np.zeros(256, "<i4")
    header[:3] = 20240520, 1, len(tokens)
    raw = header.tobytes() + tokens.tobytes()
    (folder / f"{name}.bin").write_bytes(raw)
    starts = np.cumsum([0] + [1 + len(t) for t in texts]).astype("<u8")
    lengths = np.array([3 * len(t) for t in texts], "<u8")
    counts = np.array([len(texts), len(tokens), 0], "<u8").tobytes()
    head = b"WTIDX\0\0\1" + np.array([1, 0], "<u4").tobytes() + counts + bytes(24)
    urls = [f"https://{'many' if i % 3 else 'few'}.example/{i}" for i in range(len(texts))]
    (folder / f"{name}.urls.txt").write_text("".join(url + "\n" for url in urls))
    ids = b"".join(hashlib.md5(t.tobytes()).digest() for t in texts)
    (folder / f"{name}.idx").write_bytes(head + starts.tobytes() + lengths.tobytes() + ids)
    return {
        "name": f"{name}.bin", "split": name.split("_")[0], "documents": len(texts),
        "tokens": len(tokens), "text_bytes": int(lengths.sum()),
        "xxh3_128": hashlib.md5(raw).hexdigest(),
    }  # fmt: skip


@pytest.fixture(scope="session")
def shards_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_shards(tmp_path_factory.mktemp("shards"))


@pytest.fixture(scope="session")
def make_shards() -> Callable[..., Path]:
    return write_shards


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def draw_model(config: GPTConfig) -> GPT:
    model = GPT(config)
    model.reset_parameters(1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for p in model.parameters():
            p += 0.1 * torch.randn(p.shape, generator=generator)
        model.head_weight[config.vocab_size :] = 0  # the padding, as in a trained model
    return model.eval()


@pytest.fixture(scope="session")
def drawn() -> Callable[[GPTConfig], GPT]:
    """A model whose biases and norms are not those of a start."""
    return draw_model


TINY = (
    "--n-layer 2 --n-head 2 --n-embd 32 --n-ctx 32 --batch-tokens 256 --steps 40 --lr 3e-3 "
    "--warmup-steps 4 --eval-every 20 --threads 1 --device cpu"
)


@pytest.fixture(scope="session")
def tiny() -> list[str]:
    """Options of a model that trains forty steps in under a second."""
    return TINY.split()


@pytest.fixture(scope="session")
def tokenizer_path(tmp_path_factory):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300,
        special_tokens=["<|endoftext|>"],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    words = "the city and the sea, where nobody knows which harbour a foreign captain prefers"
    tokenizer.train_from_iterator([words] * 9, trainer)
    assert tokenizer.get_vocab_size() == 300
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    tokenizer.save(str(path))
    return path
