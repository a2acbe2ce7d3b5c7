"""What a finished build tells on stdout: the funnel, the loss, a sample, where everything lies."""

import json
import textwrap
from pathlib import Path

from rich.console import Console

from pipeline.engine.manifest import Manifest, read_manifest
from pipeline.engine.store import Disk
from pipeline.reasons import Reason
from tools.model import COMMIT
from train.log import read_log, told_perplexity

FUNNEL = ("links", "pages", "documents", "corpus")
REASONS = 6  # of each stage
PLACES = {
    "corpus": "load_dataset reads it",
    "tokenizer": "tokenizer.json, vocab.json, merges.txt and more",
    "shards": "tokens for the trainer",
    "model": "checkpoints and log.jsonl",
    "report.html": "open it in a browser",
}


def show_build(folder: Path) -> None:
    """Print what the build holds, for a person who waited for it."""
    console = Console(highlight=False, soft_wrap=True)
    for name in FUNNEL:
        if manifest := read_manifest(Disk(folder), name):
            _show_stage(console, manifest)
    if (folder / "shards" / "shards.json").exists():
        _show_tokens(console, folder)
    if (folder / "model" / COMMIT).exists():
        _show_model(console, folder / "model")
    console.print("\n[bold]Where it lies[/]")
    for name, what in PLACES.items():
        if (folder / name).exists():
            console.print(f"  {folder / name}  [dim]{what}[/]")


def _show_stage(console: Console, manifest: Manifest) -> None:
    ledger = manifest.ledgers[manifest.unit]
    merged = f", {ledger.merged:,} merged" if ledger.merged else ""
    console.print(
        f"\n[bold]{manifest.stage}[/]  {ledger.rows_in:,} {manifest.unit} -> "
        f"{ledger.rows_out:,} {manifest.gives}{merged}"
    )
    for name, count in ledger.drops.most_common(REASONS):
        console.print(f"  {count:>9,}  {Reason(name).sentence} [dim]{name}[/]")
    rest = ledger.dropped - sum(count for _, count in ledger.drops.most_common(REASONS))
    if rest:
        console.print(f"  {rest:>9,}  for {len(ledger.drops) - REASONS} other reasons")


def _show_tokens(console: Console, folder: Path) -> None:
    shards = json.loads((folder / "shards" / "shards.json").read_text())
    train, val = shards["splits"]["train"], shards["splits"]["val"]
    console.print(
        f"\n[bold]shards[/]  {train['tokens']:,} tokens to train on, {val['tokens']:,} held out; "
        f"{shards['vocab_size']:,} entries in the vocabulary"
    )


def _show_model(console: Console, model: Path) -> None:
    commit = json.loads((model / COMMIT).read_text())
    losses = [entry for entry in read_log(model) if entry["kind"] == "step" and entry["loss"]]
    line = (
        f"\n[bold]model[/]  loss {losses[0]['loss']:.2f} -> {losses[-1]['loss']:.2f} in "
        f"{losses[-1]['step']:,} steps"
    )
    if found := commit["evaluation"]:
        line += f"; held out {found['loss']:.3f}, perplexity {told_perplexity(found['loss'])}"
        line += f", {bits:.3f} bits a byte" if (bits := found["bits_per_byte"]) else ""
    console.print(line)
    sample = commit["samples"][0]
    text = sample["prompt"] + sample["samples"][0]["text"]
    console.print(textwrap.indent(textwrap.fill(text, 90), "  | "), markup=False)
