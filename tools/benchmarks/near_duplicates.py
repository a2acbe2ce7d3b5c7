"""Near duplicates: documents per CPU-second, errors and loss, beside datasketch in the same run.

    python -m tools.benchmarks.near_duplicates --data DATA/neardup [--rounds 3] [--json]

Ours is `webtext dedup` from file to file: reading, exact copies and the scratch files are in its
time. datasketch gets the texts in memory and the same tokens by one regular expression; documents
come best first and one is dropped for the first match that MinHashLSH names, as its documentation
shows, either by the index alone or checked by the signatures' estimate. It hashes shingles with
its default (SHA-1) and, faster, with xxh32. near_scores.py judges each by its own measure and the
exact numbers, and counts the distinct 8-grams in no kept text; score.py of the data judges those
by Jaccard once more.
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
from pipeline.corpus.minhash import N_PERM
from pipeline.corpus.shingles import SHINGLE_TOKENS, SOLO_RANGES, normalise
from pipeline.settings import PROFILES, CorpusSettings, TextsSettings
from pipeline.texts import Odd, Row, read_texts
from tools.benchmarks.near_scores import Texts, score

_SOLO = "".join(f"{chr(low)}-{chr(high)}" for low, high in SOLO_RANGES)
_TOKEN = re.compile(f"[{_SOLO}]|[^\\W{_SOLO}]+")
THRESHOLDS = (0.5, 0.7)
OURS = {
    "webtext, karma, Jaccard 0.5": CorpusSettings(),
    "webtext, karma, Jaccard 0.7": CorpusSettings(near_threshold=0.7),
    "webtext, length, containment 0.86": CorpusSettings(
        near_order="length", near_measure="containment", near_threshold=0.86
    ),
    # Without its limits on quality: what is compared are the rules for copies.
    "webtext, clean": CorpusSettings(**{**PROFILES["clean"]["corpus"], "quality": ()}),
}
COLUMNS = ("removed", "lost", "wrong", "missed", "recall", "both_kept", "unjustified")
Decide = Callable[[Path], None]  # where to write the decisions


def by_datasketch(
    texts: list[tuple[str | int, Row]], threshold: float,
    hashing: Callable[[bytes], int] | None = None, check: bool = True,
) -> Decide:  # fmt: skip
    """A function that decides with datasketch."""

    def decide(out: Path) -> None:
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


def by_webtext(source: Path, rules: CorpusSettings) -> Decide:
    """A function that decides with ours."""

    def decide(out: Path) -> None:
        dedup([source], Results(out), rules, lambda _: None)

    return decide


def by_data(data: Path, decisions: Path, threshold: float) -> dict[str, Any]:
    """What score.py of the data says of the decisions, by Jaccard."""
    command = [sys.executable, str(data / "score.py"), "--no-kinds", "--t", str(threshold)]
    command += ["--pairs", str(data / "set-a" / "pairs.tsv.zst")]
    command += ["--documents", str(data / "set-a" / "documents.jsonl.zst")]
    command += ["--decisions", str(decisions)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    scored: dict[str, Any] = json.loads(done.stdout)
    return scored


def measure(data: Path, rounds: int) -> list[dict[str, Any]]:
    """One row a program and rule; the best CPU time of all rounds, which alternate."""
    source = data / "set-a" / "documents.jsonl.zst"
    rows_of = read_texts(source, source.name, TextsSettings(), Odd())
    texts = [(each.id, each.row) for each in rows_of if isinstance(each.row, Row)]
    known = Texts.of([(str(id), row.text, int(row.karma or 0)) for id, row in texts])
    programs = {name: (by_webtext(source, rules), rules) for name, rules in OURS.items()}
    for threshold in THRESHOLDS:
        rules = CorpusSettings(near_threshold=threshold)
        for name, how in (
            ("datasketch LSH", {"check": False}),
            ("datasketch LSH, estimate", {}),
            ("datasketch LSH, estimate, xxh32", {"hashing": xxhash.xxh32_intdigest}),
        ):
            decide = by_datasketch(texts, threshold, **how)
            programs[f"{name}, {threshold}"] = (decide, rules)
    best = dict.fromkeys(programs, float("inf"))
    found: dict[str, dict[str, Any]] = {}
    with TemporaryDirectory() as folder:
        out = Path(folder) / "decisions.jsonl"
        by_webtext(source, CorpusSettings())(out)  # the tables of the first call are no part of it
        for _ in range(rounds):
            for name, (decide, rules) in programs.items():
                started = time.process_time()
                decide(out)
                best[name] = min(best[name], time.process_time() - started)
                if name not in found:
                    lines = [json.loads(line) for line in out.read_text().splitlines()]
                    found[name] = score(known, lines, rules)
                    if rules.near_measure == "jaccard":
                        found[name] |= by_data(data, out, rules.near_threshold)
    return [
        {
            "program": name,
            "docs_per_cpu_s": round(len(texts) / cpu_s),
            **{column: found[name].get(column, "") for column in COLUMNS},
        }
        for name, cpu_s in best.items()
    ]


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
    print(f"{'program':37}{'docs/CPU-s':>11}" + "".join(f"{c:>12}" for c in COLUMNS))
    for row in rows:
        figures = "".join(f"{row[column]:>12}" for column in COLUMNS)
        print(f"{row['program']:37}{row['docs_per_cpu_s']:>11}{figures}")


def _shingles(text: str) -> list[bytes]:
    tokens = _TOKEN.findall(normalise(text))
    windows = range(max(1, len(tokens) - SHINGLE_TOKENS + 1)) if tokens else ()
    return [" ".join(tokens[i : i + SHINGLE_TOKENS]).encode() for i in windows]


if __name__ == "__main__":
    main()
