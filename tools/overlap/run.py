"""The command `webtext overlap`: what is looked for where, and what is said of it."""

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from pipeline.errors import SettingsError
from pipeline.settings import Settings
from pipeline.texts import Odd, told
from tools.given import GivenTexts, check_results
from tools.overlap.command import (
    ItemOverlap,
    by_set,
    cleaned,
    counted,
    find_overlap,
    read_scores,
    show,
    write_items,
)
from tools.overlap.items import Item, held_out_items, task_items, texts_in, train_texts
from tools.places import Place
from tools.progress import Progress


def run(
    inputs: Sequence[Place], out: Path, settings: Settings, *, data: Path | None, suite: str,
    limit: int, held_out: Path | None, scores: Path | None, dataset: str | None, split: str | None,
    as_json: bool,
) -> int:  # fmt: skip
    """Find it, write it and tell it; the exit code."""
    if held_out and (inputs or dataset):
        raise SettingsError("--held-out looks in its own train split: give no corpus")
    if not (held_out or data):
        raise SettingsError(
            "name the test sets: --data FOLDER with the files of the tasks, or --held-out SHARDS"
        )
    if limit < 0:
        raise SettingsError(f"--limit is {limit}; it must be 0 or more; 0: all")
    results = {"--out": out}
    check_results(results, [scores] if scores else [])
    read = read_scores(scores) if scores else []
    items = task_items(suite, data, limit) if data else []
    if held_out:
        items += held_out_items(held_out, limit)
        overlaps, met = _find(items, train_texts(held_out))
    else:
        odd = Odd()
        rules = replace(settings.texts, ids="place")  # nobody asks for those of a corpus here
        with GivenTexts(inputs, dataset, split).files(out, rules, results=results) as files:
            overlaps, met = _find(items, texts_in(files, rules, odd))
        for sentence in told(odd):
            print(sentence, file=sys.stderr)
    write_items(out, overlaps)
    sets, rows = by_set(overlaps), cleaned(read, overlaps)
    if as_json:
        told_sets = [asdict(one) | {"share": one.share} for one in sets]
        print(json.dumps({"corpus_grams": met, "sets": told_sets, "scores": rows}))
    else:
        show(sets, met, rows)
    return 0


def _find(items: Sequence[Item], texts: Iterable[str]) -> tuple[list[ItemOverlap], int]:
    with Progress() as progress:
        return find_overlap(items, counted(texts, progress))
