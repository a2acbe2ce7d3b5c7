"""What a finished build tells on stdout: the funnel, the loss, a sample, and where to look next."""

import json
import shlex
import textwrap
from pathlib import Path
from typing import Any

from rich.console import Console

from pipeline.engine import names
from pipeline.engine.manifest import Manifest, read_manifest
from pipeline.engine.store import Store
from pipeline.engine.stores import open_store
from pipeline.reasons import Reason
from tools.model_store import COMMIT, told_model
from tools.places import Place, within
from tools.stores import folder_of, read_shards
from train.log import read_log, told_perplexity

FUNNEL = ("links", "pages", "documents", "corpus")
REASONS = 6  # of each stage
PLACES = {
    "links": "`webtext look` shows the rows; `build --to links --urls FILE` lists the URLs",
    "pages": "the capture of each link",
    "documents": "texts, with their copies",
    "corpus": "load_dataset reads it",
    "counts": "pre-tokens and their counts",
    "tokenizer": "tokenizer.json, vocab.json, merges.txt and more",
    "shards": "tokens for the trainer",
    "model": "checkpoints and log.jsonl",
    "report.html": "open it in a browser",
}
IN_A_BUCKET = {
    "corpus": "manifest.json names its files; docs/files.md reads them by pyarrow",
    "tokenizer": "manifest.json names its files",
    "shards": "tokens: `webtext train` fetches them",
    "model": "`webtext sample`, `evaluate` and `export` fetch it",
    "report.html": "get it by `aws s3 cp`, and open it in a browser",
}

# Commands that take the folder, with what must be there.
COMMANDS = (
    (("look",), "links", "a row of each stage"),
    (("look", "--drops"), "links", "dropped rows, with reasons"),
    (("why", "URL", "--build"), "links", "what became of a page"),
    (("sample",), "model", "text from the model"),
)


def show_build(place: Place) -> None:
    """Print what the build holds, for a person who waited for it."""
    console, store = Console(highlight=False, soft_wrap=True), open_store(place)
    for name in FUNNEL:
        if manifest := read_manifest(store, name):
            _show_stage(console, manifest)
    if shards := read_shards(store, read_manifest(store, "shards")):
        _show_tokens(console, shards)
    with told_model(store) as model:
        if model:
            _show_model(console, model)
    _show_places(console, store, place)


def _show_places(console: Console, store: Store, place: Place) -> None:
    there = [name for name in PLACES if _is_there(store, name)]
    console.print("\n[bold]Where it lies[/]")
    ended_before = "corpus" not in there  # then what leads to it is what there is
    for name in there:
        if ended_before or name not in FUNNEL[:-1]:
            what = IN_A_BUCKET.get(name) if not folder_of(store) else None
            console.print(f"  {within(place, name)}  [dim]{what or PLACES[name]}[/]")
    console.print("\n[bold]How to see more[/]")
    for command, needed, what in COMMANDS:
        if needed in there:
            told = shlex.join([*command, str(place)])
            console.print(f"  webtext {told}  [dim]{what}[/]")


def _is_there(store: Store, name: str) -> bool:
    """Whether there is a file or folder of this name; a bucket has no folders, but manifests."""
    return any(store.stat(each) for each in (name, names.manifest(name)))


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


def _show_tokens(console: Console, shards: dict[str, Any]) -> None:
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
