"""What limits on quality keep and drop: the texts of a build beside quality.tsv, read by eye.

    webtext build recipes/real-all.toml --out BUILD --to documents
    python -m tools.benchmarks.quality BUILD

The pages are of the build that recipes/real-all.toml makes, so of data that is not part of this
repository. Set `tails`: drawn from both ends of the numbers; the limits of profile clean were
chosen on them. `hits`: all other texts that those limits dropped at first, read afterwards, and
`kept`: 60 drawn from the rest. A limit changed after they were read, so they are no test of it.
`untouched`: 176 others that nothing was tuned on, read without a sign of what the limits say of
them: all 25 that these drop of the texts that were left, 95 at random of 216 near a limit, 56 of
the rest. A text is good if at least half of its characters are prose, code, verse or a list that
one would read; a list of teasers is not.
Gopher's, C4's and FineWeb's limits as they are published stand beside.
"""

import argparse
import csv
from collections import Counter
from pathlib import Path

from pipeline.corpus.quality import Limit, judge_quality, limits_of
from pipeline.settings import CLEAN
from tools.benchmarks.measure import show
from tools.look import tables
from tools.places import place_of, within

LABELS = Path(__file__).with_suffix(".tsv")
# Those that FineWeb used: C4's without its rule on the ends of lines.
PUBLISHED = (
    *("words >= 50", "words <= 100000", "word_chars >= 3", "word_chars <= 10", "hashes <= 0.1"),
    *("ellipses <= 0.1", "bullet_lines <= 0.9", "ellipsis_lines <= 0.3", "alphabetic_words >= 0.8"),
    *("stop_words >= 2", "duplicate_lines <= 0.3", "duplicate_paragraphs <= 0.3"),
    *("duplicate_line_chars <= 0.2", "duplicate_paragraph_chars <= 0.2", "top_2_grams <= 0.2"),
    *("top_3_grams <= 0.18", "top_4_grams <= 0.16", "duplicate_5_grams <= 0.15"),
    *("duplicate_6_grams <= 0.14", "duplicate_7_grams <= 0.13", "duplicate_8_grams <= 0.12"),
    *("duplicate_9_grams <= 0.11", "duplicate_10_grams <= 0.1", "sentences >= 5"),
    *("lorem_ipsum <= 0", "braces <= 0", "punctuated_lines >= 0.12", "short_lines <= 0.67"),
    *("repeated_line_chars <= 0.01", "newlines <= 0.3"),
)


def main() -> None:
    """Print what each set of limits drops of good and bad texts, and of the whole build."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", help="folder of the build")
    build = place_of(parser.parse_args().build)
    (documents,) = tables(within(build, "documents"))
    numbers = {row["id"]: row["quality"] for row in documents.rows}
    with LABELS.open(encoding="utf-8") as lines:
        labels = list(csv.DictReader(lines, delimiter="\t"))
    published = [limit.bounds for limit in limits_of(PUBLISHED)]  # nothing is excepted
    clean = limits_of(CLEAN)
    counts: dict[str, Counter[str]] = {}
    kinds: Counter[str] = Counter()
    saved: Counter[str] = Counter()
    for label in labels:
        found = numbers.get(label["id"])
        if found is None:
            continue
        drop = judge_quality(found, clean)
        theirs = any(not any(bound.holds(found) for bound in bounds) for bounds in published)
        row = counts.setdefault(label["set"], Counter())
        row[label["verdict"]] += 1
        row[f"{label['verdict']} dropped"] += drop is not None
        row[f"{label['verdict']} dropped as published"] += theirs
        if label["verdict"] == "good" and theirs:
            kinds[label["reason"]] += 1
            saved[label["reason"]] += drop is None
    columns = [f"{v}{what}" for v in ("bad", "good") for what in _WHAT]
    show(["set", *columns], [[n, *(str(c[x]) for x in columns)] for n, c in counts.items()])
    print()
    show(
        ["good texts", "dropped as published", "of these kept by clean"],
        [[kind, str(count), str(saved[kind])] for kind, count in kinds.most_common()],
    )
    print()
    show(["of all documents", "dropped"], _over_all(list(numbers.values()), clean))


_WHAT = ("", " dropped", " dropped as published")


def _over_all(numbers: list[dict[str, float]], limits: list[Limit]) -> list[list[str]]:
    drops = [judge_quality(one, limits) for one in numbers]
    told = Counter(str(drop.reason) for drop in drops if drop)
    return [[str(len(numbers)), f"{sum(told.values())}: {dict(told)}"]]


if __name__ == "__main__":
    main()
