"""What a finished build tells on stdout: the funnel, the loss, a sample, and where to look next."""

import json
import shlex
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
    "links": "`webtext look` shows the rows; `build --to links --urls FILE` lists the URLs",
    "pages": "the capture of each link",
    "documents": "texts, with their copies",
    "corpus": "load_dataset reads it",
    "tokenizer": "tokenizer.json, vocab.json, merges.txt and more",
    "shards": "tokens for the trainer",
    "model": "checkpoints and log.jsonl",
    "report.html": "open it in a browser",
}

# Commands that take the folder, with what must be there.
COMMANDS = (
    (("look",), "links", "a row of each stage"),
    (("look", "--drops"), "links", "dropped rows, with reasons"),
    (("why", "URL", "--build"), "links", "what became of a page"),
    (("sample",), "model", "text from the model"),
)


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
    ended_before = not (folder / "corpus").exists()  # then what leads to it is what there is
    for name, what in PLACES.items():
        if (folder / name).exists() and (ended_before or name not in FUNNEL[:-1]):
            console.print(f"  {folder / name}  [dim]{what}[/]")
    console.print("\n[bold]How to see more[/]")
    for command, needed, what in COMMANDS:
        if (folder / needed).exists():
            told = shlex.join([*command, str(folder)])
            console.print(f"  webtext {told}  [dim]{what}[/]")


def _show_stage(console: Console, manifest: Manifest) -> None:
    ledger = manifest.ledgers[manifest.unit]
    merged = f", {ledger.merged:,} merged" if ledger.merged else ""
    console.print(
        f"\n[bold]{manifest.stage}[/]  {ledger.rows_in:,} {manifest.unit} -> "
        f"{ledger.rows_out:,} {manifest.gives}{merged}"
    )
    # One reason more takes no more lines than to say that it was left out.
    shown = ledger.drops.most_common(REASONS if len(ledger.drops) > REASONS + 1 else None)
    for name, count in shown:
        console.print(f"  {count:>9,}  {Reason(name).sentence} [dim]{name}[/]")
    if rest := ledger.dropped - sum(count for _, count in shown):
        console.print(f"  {rest:>9,}  for {len(ledger.drops) - len(shown)} other reasons")


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
