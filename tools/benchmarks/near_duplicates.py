"""Near duplicates: documents per CPU-second and errors, beside datasketch in the same run.

    python -m tools.benchmarks.near_duplicates --data DATA/neardup [--rounds 3] [--json]

Ours is `webtext dedup` from file to file: reading, exact copies and the scratch files are in its
time. datasketch gets the texts in memory and the same tokens by one regular expression; documents
come best first and one is dropped for the first match that MinHashLSH names, as its documentation
shows, either by the index alone or checked by the signatures' estimate. It hashes shingles with
its default (SHA-1) and, faster, with xxh32. score.py of the data judges all against exact Jaccards.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import xxhash
from datasketch import MinHash, MinHashLSH

from pipeline.corpus.dedup import Results, dedup
from pipeline.corpus.minhash import N_PERM, SHINGLE_TOKENS, SOLO_RANGES, normalise
from pipeline.settings import CorpusSettings, TextsSettings
from pipeline.texts import Odd, Row, read_texts

_SOLO = "".join(f"{chr(low)}-{chr(high)}" for low, high in SOLO_RANGES)
_TOKEN = re.compile(f"[{_SOLO}]|[^\\W{_SOLO}]+")
THRESHOLDS = (0.5, 0.7)
COLUMNS = ("removed", "doc_recall", "both_kept", "unjustified", "bad_keepers")
Decide = Callable[[float, Path], None]  # threshold, where to write the decisions


def by_datasketch(
    texts: list[tuple[str | int, Row]], hashing: Callable[[bytes], int] | None, check: bool
) -> Decide:
    """A function that decides with datasketch."""

    def decide(threshold: float, out: Path) -> None:
        index = MinHashLSH(threshold=threshold, num_perm=N_PERM)
        signed: dict[Any, MinHash] = {}
        with out.open("w") as file:
            best = sorted(texts, key=lambda t: (-(t[1].karma or 0), -len(t[1].text), str(t[0])))
            for name, text in best:
                sketch = MinHash(N_PERM, hashfunc=hashing)
                sketch.update_batch(_shingles(text.text))
                found = index.query(sketch)
                if check:
                    found = [id for id in found if signed[id].jaccard(sketch) >= threshold]
                if not found:
                    index.insert(name, sketch)
                    signed[name] = sketch
                keeper = found[0] if found else None
                file.write(json.dumps({"id": name, "keep": not found, "keeper": keeper}) + "\n")

    return decide


def score(data: Path, decisions: Path, threshold: float) -> dict[str, Any]:
    """What score.py says of the decisions."""
    command = [sys.executable, str(data / "score.py"), "--no-kinds", "--t", str(threshold)]
    command += ["--pairs", str(data / "set-a" / "pairs.tsv.zst")]
    command += ["--documents", str(data / "set-a" / "documents.jsonl.zst")]
    command += ["--decisions", str(decisions)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    scored: dict[str, Any] = json.loads(done.stdout)
    return scored


def measure(data: Path, rounds: int) -> list[dict[str, Any]]:
    """One row a program and threshold; the best CPU time of all rounds, which alternate."""
    source = data / "set-a" / "documents.jsonl.zst"
    rows_of = read_texts(source, source.name, TextsSettings(), Odd())
    texts = [(each.id, each.row) for each in rows_of if isinstance(each.row, Row)]

    def ours(threshold: float, out: Path) -> None:
        rules = CorpusSettings(near_threshold=threshold)
        dedup([source], Results(out), rules, lambda _: None)

    programs: dict[str, Decide] = {
        "webtext dedup, file to file": ours,
        "datasketch LSH": by_datasketch(texts, None, check=False),
        "datasketch LSH, estimate": by_datasketch(texts, None, check=True),
        "datasketch LSH, estimate, xxh32": by_datasketch(texts, xxhash.xxh32_intdigest, check=True),
    }
    rows = []
    with TemporaryDirectory() as folder:
        out = Path(folder) / "decisions.jsonl"
        ours(0.5, out)  # the tables of the first call are no part of the rate
        for threshold in THRESHOLDS:
            best = dict.fromkeys(programs, float("inf"))
            scored = {}
            for _ in range(rounds):
                for name, decide in programs.items():
                    started = time.process_time()
                    decide(threshold, out)
                    best[name] = min(best[name], time.process_time() - started)
                    if name not in scored:
                        scored[name] = score(data, out, threshold)
            for name, cpu_s in best.items():
                rate = round(len(texts) / cpu_s)
                found = {column: scored[name][column] for column in COLUMNS}
                rows.append({"t": threshold, "program": name, "docs_per_cpu_s": rate, **found})
    return rows


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder neardup of the data")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows = measure(options.data, options.rounds)
    if options.json:
        print(json.dumps(rows, indent=1))
        return
    print(f"{'t':>3}  {'program':32}{'docs/CPU-s':>11}" + "".join(f"{c:>12}" for c in COLUMNS))
    for row in rows:
        figures = "".join(f"{row[column]:>12}" for column in COLUMNS)
        print(f"{row['t']:>3}  {row['program']:32}{row['docs_per_cpu_s']:>11}{figures}")


def _shingles(text: str) -> list[bytes]:
    tokens = _TOKEN.findall(normalise(text))
    windows = range(max(1, len(tokens) - SHINGLE_TOKENS + 1)) if tokens else ()
    return [" ".join(tokens[i : i + SHINGLE_TOKENS]).encode() for i in windows]


if __name__ == "__main__":
    main()
