"""Memory and time of `webtext dedup` by the number of texts: both should grow in a line.

    python -m tools.benchmarks.near_memory 50000 200000 1000000 [--profile clean] [--folder DIR]

The texts are made: about 150 words each, every tenth a near copy of an earlier one. Memory is
RssAnon of a process of its own, above what it is before it reads the first text: pages of mapped
files are not in it, since the system may take them back.
"""

import argparse
import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from pipeline.corpus.dedup import Results, dedup
from pipeline.settings import PROFILES, CorpusSettings

WORDS = 120, 180  # in a text
VOCABULARY = 50_000
RECENT = 2_000  # a near copy is of one of so many texts before it
SAMPLED_S = 0.05


def make(path: Path, texts: int) -> None:
    """Write so many made texts as JSON lines."""
    rng = random.Random(7)
    words = [f"{rng.getrandbits(28):x}" for _ in range(VOCABULARY)]
    recent: list[list[str]] = []
    with path.open("w") as file:
        for number in range(texts):
            if recent and number % 10 == 0:
                text = list(rng.choice(recent))
                text[rng.randrange(len(text))] = "changed"
            else:
                text = rng.choices(words, k=rng.randint(*WORDS))
            recent.append(text)
            if len(recent) > RECENT:
                recent.pop(0)
            file.write(json.dumps({"id": f"{number:08}", "text": " ".join(text)}) + "\n")


def anonymous_bytes() -> int:
    """RssAnon of this process."""
    status = Path("/proc/self/status").read_text().split("RssAnon:")[1]
    return int(status.split()[0]) * 1024


def one(source: Path, profile: str) -> None:
    """Decide in this process; print what it took as JSON."""
    # Made texts are no prose, and would all be dropped.
    rules = CorpusSettings(**{**PROFILES[profile].get("corpus", {}), "quality": ()})
    with TemporaryDirectory(dir=source.parent) as folder:
        warm = Path(folder) / "warm.jsonl"
        warm.write_text('{"id": "a", "text": "the first text makes the tables"}\n')
        dedup([warm], Results(Path(folder) / "d.jsonl"), rules, lambda _: None)
        start = peak = anonymous_bytes()
        done = threading.Event()

        def watch() -> None:
            nonlocal peak
            while not done.wait(SAMPLED_S):
                peak = max(peak, anonymous_bytes())

        watcher = threading.Thread(target=watch)
        watcher.start()
        started = time.process_time()
        counts = dedup([source], Results(Path(folder) / "d.jsonl"), rules, lambda _: None).counts
        cpu_s = time.process_time() - started
        done.set()
        watcher.join()
    print(json.dumps({**counts._asdict(), "cpu_s": cpu_s, "anon_bytes": peak - start}))


def main() -> None:
    """Print a line for each number of texts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("texts", type=int, nargs="*")
    parser.add_argument("--profile", default="paper", choices=list(PROFILES))
    parser.add_argument("--folder", type=Path, help="where the made texts are put")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        one(options.one, options.profile)
        return
    print(f"{'texts':>10}{'near copies':>13}{'texts/CPU-s':>13}{'anon B/text':>13}")
    for number in options.texts:
        with TemporaryDirectory(dir=options.folder) as folder:
            source = Path(folder) / "texts.jsonl"
            make(source, number)
            command = [sys.executable, "-P", "-m", "tools.benchmarks.near_memory"]
            command += ["--one", str(source), "--profile", options.profile]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            row = json.loads(done.stdout)
        rate, anon = number / row["cpu_s"], row["anon_bytes"] / number
        print(f"{number:>10,}{row['near_copies']:>13,}{rate:>13,.0f}{anon:>13,.0f}", flush=True)


if __name__ == "__main__":
    main()
