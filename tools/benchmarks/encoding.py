"""What gigatoken gains over tiktoken where shards are encoded: ids, CPU time, memory.

    python -m tools.benchmarks.encoding TOKENIZER TEXTS.jsonl [--bytes N] [--memory-bytes N]

Both encoders get the same texts one after the other, and each text's ids are compared; time is CPU
time, of one thread. The memory of gigatoken is then taken over so many bytes, the texts repeated,
and over words that never repeat. OpenAI's two files, where they are the tokenizer, are written
again and compared by their sha256.
"""

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.tokens.encode import Encoder, Engine
from pipeline.tokens.export import export
from pipeline.tokens.tokenizer_files import load
from tools.benchmarks.measure import measure

# encoder.json and vocab.bpe as OpenAI publishes them; tiktoken pins the same digests.
OPENAI = {
    "encoder.json": "196139668be63f3b5d6574427317ae82f612a97c5d1cdaf36ed2256dbf636783",
    "vocab.bpe": "1ce1664773c50f3e0cc8842619a93edc4624525b728b188a9e0be33b7726adc5",
}
RANDOM_BYTES, RANDOM_PIECE = 256 << 20, 4 << 20


def main(words: Sequence[str] | None = None) -> None:
    """Print what was measured, as lines or with --json as an object."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tokenizer")
    parser.add_argument("texts")
    parser.add_argument("--bytes", type=int, default=200_000_000)
    parser.add_argument("--memory-bytes", type=int, default=2_000_000_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(words)
    place = "tools.benchmarks.encoding:"
    found = compare(options.tokenizer, options.texts, options.bytes)
    start = (options.tokenizer, options.texts)
    for name, size, never in (
        ("of one text", 1, False),
        ("of all", options.memory_bytes, False),
        ("of words that never repeat", RANDOM_BYTES, True),
    ):
        used = measure(f"{place}repeat", *start, size, never)
        found[f"process MB {name}"] = round(used.process_bytes / 1e6)
        found[f"bytes {name}"] = used.result
    found |= openai_again(options.tokenizer)
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        for name, figure in found.items():
            print(f"{name:<40} {figure:,}" if isinstance(figure, int) else f"{name:<40} {figure}")


def compare(tokenizer: str, texts: str, bytes_max: int) -> dict[str, Any]:
    """CPU seconds of both encoders on the same texts, and how many texts get other ids."""
    made = load(Path(tokenizer))
    engines: tuple[Engine, Engine] = ("tiktoken", "gigatoken")
    encoders = {name: Encoder(made, name) for name in engines}
    cpu_s: dict[str, float] = dict.fromkeys(encoders, 0.0)
    text_bytes = tokens = count = differing = 0
    for text in texts_of(texts, bytes_max):
        ids = []
        for name, encoder in encoders.items():
            started = time.thread_time()
            ids.append(encoder.encode(text))
            cpu_s[name] += time.thread_time() - started
        count, tokens, text_bytes = count + 1, tokens + len(ids[0]), text_bytes + len(text.encode())
        differing += not np.array_equal(ids[0], ids[1])
    rates = {name: text_bytes / 1e6 / seconds for name, seconds in cpu_s.items()}
    return {
        "texts": count,
        "bytes": text_bytes,
        "tokens": tokens,
        "texts with other ids": differing,
        **{f"{name}, MB a CPU-second": round(rate, 1) for name, rate in rates.items()},
        "gigatoken over tiktoken": round(rates["gigatoken"] / rates["tiktoken"], 1),
    }


def repeat(tokenizer: str, texts: str, bytes_max: int, never: bool) -> int:
    """Encode so many bytes by gigatoken, the texts repeated or words that never repeat."""
    encoder, seen = Encoder(load(Path(tokenizer)), "gigatoken"), 0
    while seen < bytes_max:
        for text in _random() if never else texts_of(texts, bytes_max - seen):
            encoder.encode(text)
            seen += len(text.encode())
            if seen >= bytes_max:
                break
    return seen


def texts_of(path: str, bytes_max: int) -> Iterator[str]:
    """The texts of a JSON lines file, up to so many bytes."""
    seen = 0
    with Path(path).open("rb") as lines:
        for line in lines:
            text = json.loads(line)["text"]
            yield text
            seen += len(text.encode())
            if seen >= bytes_max:
                return


def _random() -> Iterator[str]:
    draw = np.random.default_rng(1)
    while True:
        letters = draw.integers(97, 123, RANDOM_PIECE, np.uint8)
        letters[::9] = 32
        yield letters.tobytes().decode()


def openai_again(tokenizer: str) -> dict[str, Any]:
    """Whether OpenAI's files come out as they went in, where the tokenizer is GPT-2's."""
    with tempfile.TemporaryDirectory() as folder:
        names = export(load(Path(tokenizer)), Path(folder), ["openai"])
        made = {n: hashlib.sha256(Path(folder, n).read_bytes()).hexdigest() for n in names}
    return {f"{name} is OpenAI's": made[name] == OPENAI[name] for name in OPENAI}


if __name__ == "__main__":
    main()
