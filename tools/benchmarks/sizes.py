"""Performance against size: models of three sizes on the same tokens, one table and one chart.

    python -m tools.benchmarks.sizes SHARDS --out DIR [--steps 400]

Each is an ordinary run of `python -m train` under DIR with the same seed, context and batch, so all
see the same batches in the same order, and each is scored over the whole held-out split. The rate
falls with the width (at one rate for all, that of the smallest, the largest lost most). A run that
is there is gone on with. DIR/sizes.html has the chart: held-out loss over parameters, as in figures
1 and 4 of the GPT-2 paper. Other options go to the trainer, such as `--preset cpu`.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from tools.benchmarks.measure import show
from tools.report.charts import losses_by_size

# Layers, heads, width: four to six times the weights of the blocks from one to the next.
SIZES = ((2, 2, 64), (3, 4, 128), (6, 4, 192))
RATE_TIMES_WIDTH = 0.192  # 1e-3 at 192, as the preset `cpu` has it
Row = dict[str, Any]
COLUMNS = ("model", "parameters", "without embeddings", "tokens", "held-out loss", "bits per byte")
STYLE = (
    ":root { color-scheme: light dark } body { font: 16px system-ui, sans-serif; max-width: 44rem;"
    " margin: 2rem auto; padding: 0 1rem } svg { width: 100% } svg text { font: 11px system-ui,"
    " sans-serif; fill: gray } .axis, .grid { stroke: gray } .grid { opacity: .25 }"
    " polyline { fill: none; stroke: #2a8a80; stroke-width: 2 } circle { fill: #2a8a80 }"
    " td, th { text-align: right; padding: .2rem .8rem .2rem 0 } td { white-space: nowrap }"
)


def train(shards: Path, out: Path, size: tuple[int, int, int], words: Sequence[str]) -> Row:
    """One run and its score over the whole held-out split."""
    layers, heads, width = size
    run = out / f"{layers}x{width}"
    shape = ["--n-layer", str(layers), "--n-head", str(heads), "--n-embd", str(width)]
    rate = ["--lr", f"{RATE_TIMES_WIDTH / width:g}"]
    _trainer(str(shards), "--out", str(run), "--resume", *shape, *rate, *words)
    found = json.loads(_trainer("evaluate", str(run), "--json"))
    about = json.loads((run / "run.json").read_text())
    config = about["config"]
    tables = (config["vocab_size"] + config["n_ctx"]) * config["n_embd"]
    settings = about["settings"]
    return {
        "model": f"{layers} layers x {width}",
        "parameters": about["parameters"],
        "without_embeddings": about["parameters"] - tables,
        "tokens": settings["steps"] * settings["batch_tokens"],
        "batches": [settings[name] for name in ("seed", "n_ctx", "batch_tokens", "steps")],
        "loss": found["loss"],
        "bits_per_byte": found["bits_per_byte"],
    }


def write_page(path: Path, rows: Sequence[Row]) -> None:
    """One self-contained page with the chart and the table."""
    points = [(row["parameters"], row["loss"], row["model"]) for row in rows]
    head = Markup("").join(Markup("<th>{}</th>").format(column) for column in COLUMNS)
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(Markup("<td>{}</td>").format(cell) for cell in cells(row))
        )
        for row in rows
    )
    chart = losses_by_size(points, "Held-out loss by parameters")
    path.write_text(
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Loss by size</title>'
        f"<style>{STYLE}</style></head><body><h1>Held-out loss by size</h1>"
        f"<p>Nats a token over the same held-out tokens; every model saw the same "
        f"{escape(format(rows[0]['tokens'], ','))} tokens in the same order.</p>"
        f"{chart}<table><tr>{head}</tr>{body}</table></body></html>\n",
        encoding="utf-8",
    )


def cells(row: Row) -> list[str]:
    """A row as the table shows it."""
    bits = row["bits_per_byte"]
    counts = [f"{row[name]:,}" for name in ("parameters", "without_embeddings", "tokens")]
    return [row["model"], *counts, f"{row['loss']:.4f}", f"{bits:.4f}" if bits else "–"]


def main(argv: Sequence[str] | None = None) -> int:
    """Train, print the table (or JSON) and write the page."""
    about = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m tools.benchmarks.sizes", description=__doc__, formatter_class=about
    )
    parser.add_argument("shards", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--json", action="store_true")
    options, rest = parser.parse_known_args(argv)
    words = ["--preset", "demo", "--seed", "1", *rest]
    rows = []
    for size in SIZES:
        try:
            rows.append(train(options.shards, options.out, size, words))
        except subprocess.CalledProcessError as error:
            return int(error.returncode)  # the trainer said why
    # What decides the batches is the same for all, or the chart would compare nothing.
    assert len({tuple(row["batches"]) for row in rows}) == 1
    write_page(options.out / "sizes.html", rows)
    if options.json:
        print(json.dumps(rows, indent=1))
    else:
        show(COLUMNS, [cells(row) for row in rows])
    return 0


def _trainer(*words: str) -> str:
    command = [sys.executable, "-P", "-m", "train", *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
