"""Counting and training beside Hugging Face's trainer, on the same texts, each in its own process.

    python -m tools.benchmarks.debian_text debian.jsonl --bytes 200000000
    python -m tools.benchmarks.tokenizer debian.jsonl --vocab-size 50257 --second 32768

Both are given the texts of a file of JSON lines one by one, on one thread. What it takes to read
the file is in all figures that count, and shown by itself. --alone leaves Hugging Face out.
--growth counts and trains on the first so many MB alone: what grows with them.
"""

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.tokens.bpe import learn
from pipeline.tokens.counts import Counter, to_train_on
from pipeline.tokens.pretokens import batches
from pipeline.tokens.tokenizer import END_OF_TEXT, Tokenizer, train
from tools.benchmarks.measure import Usage, measure, show

MIN_FREQUENCY = 2
HERE = "tools.benchmarks.tokenizer"


def read(path: str) -> int:
    """Characters of the file's texts."""
    return sum(map(len, _texts(path)))


def hugging_face(path: str, vocab_size: int) -> str:
    """The digest of the tokenizer that Hugging Face's trainer makes."""
    return train(_texts(path), vocab_size, MIN_FREQUENCY).digest


def count_and_train(path: str, vocab_size: int) -> str:
    """The digest of the tokenizer that is made by counting and training."""
    return _trained(_counted(path), vocab_size).digest


def count(path: str, target: str, bytes_max: int = 0) -> dict[str, int]:
    """Counts of the first so many bytes of text to a Parquet file; how many there are."""
    table = _counted(path, bytes_max)
    pq.write_table(table, target)
    text_bytes = pc.sum(pc.binary_length(table["pretoken"])).as_py()
    return {"distinct": table.num_rows, "bytes": text_bytes}


def train_counts(path: str, vocab_size: int) -> str:
    """The digest of the tokenizer that is made of stored counts."""
    return _trained(pq.read_table(path), vocab_size).digest


def _texts(path: str, bytes_max: int = 0) -> Iterator[str]:
    seen = 0
    with Path(path).open(encoding="utf-8") as lines:
        for line in lines:
            text = json.loads(line)["text"]
            yield text
            seen += len(text.encode())
            if bytes_max and seen >= bytes_max:
                return


def _counted(path: str, bytes_max: int = 0) -> pa.Table:
    counter = Counter()
    for texts in batches(_texts(path, bytes_max)):
        counter.add_texts(texts)
    return counter.table()


def _trained(table: pa.Table, vocab_size: int) -> Tokenizer:
    tokens, merges = learn(to_train_on([table]), vocab_size - 1, MIN_FREQUENCY)
    return Tokenizer((*tokens, END_OF_TEXT.encode()), tuple(merges))


def growth(path: str, counts: str, sizes_mb: Sequence[int], vocab_size: int) -> None:
    """Print what counting and training take of the first so many MB of text, a row for each."""
    rows = []
    for size_mb in sizes_mb:
        counted = measure(f"{HERE}:count", path, counts, size_mb * 10**6)
        trained = measure(f"{HERE}:train_counts", counts, vocab_size)
        row = [
            f"{size_mb:,}",
            f"{counted.result['distinct']:,}",
            f"{counted.result['bytes'] / 1e6:,.1f}",
        ]
        for used in (counted, trained):
            row += [f"{used.cpu_s:.1f}", f"{used.process_bytes / 1e6:,.0f}"]
        rows.append(row)
        print(*row, flush=True)
    show(["MB", "distinct", "their MB", "count: CPU-s", "MB", "train: CPU-s", "MB"], rows)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("path", type=Path)
    parser.add_argument("--vocab-size", type=int, default=50_257)
    parser.add_argument("--second", type=int, default=32_768)
    parser.add_argument("--counts", type=Path, default=Path("counts.parquet"))
    parser.add_argument("--alone", action="store_true")
    parser.add_argument("--growth", type=int, nargs="+", metavar="MB")
    given = parser.parse_args()
    os.environ.update(RAYON_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false", OMP_NUM_THREADS="1")
    path, counts = str(given.path), str(given.counts)
    if given.growth:
        growth(path, counts, given.growth, given.vocab_size)
        return
    runs: dict[str, tuple[Any, ...]] = {
        "read the file": ("read", path),
        "count": ("count", path, counts),
        f"train on counts, {given.vocab_size:,}": ("train_counts", counts, given.vocab_size),
        f"train on counts, {given.second:,}": ("train_counts", counts, given.second),
        "count and train": ("count_and_train", path, given.vocab_size),
    }
    if not given.alone:
        runs["Hugging Face"] = ("hugging_face", path, given.vocab_size)
    used: dict[str, Usage] = {}
    for name, (function, *arguments) in runs.items():
        used[name] = measure(f"{HERE}:{function}", *arguments)
        print(f"{name}: {used[name].cpu_s:.1f} CPU-s, {used[name].result}", flush=True)
    last = list(used.values())[-1]
    show(
        ["", "CPU-s", "share", "memory, MB", "share", "result"],
        [
            [
                name,
                f"{each.cpu_s:.1f}",
                f"{each.cpu_s / last.cpu_s:.2f}",
                f"{each.process_bytes / 1e6:,.0f}",
                f"{each.process_bytes / last.process_bytes:.2f}",
                str(each.result)[:40],
            ]
            for name, each in used.items()
        ],
    )


if __name__ == "__main__":
    main()
