"""Writes the table of sizes into docs/papers.md: python -m tools.sizes_reference.

A test compares the page with it.
"""

from pathlib import Path

from train.config import PRESETS
from train.cost import cost, memory, sustained_flops

PAGE = Path(__file__).resolve().parents[1] / "docs" / "papers.md"
BEGIN = "Memory is that of weights"  # the paragraph before the table
HEAD = "| preset | parameters | the paper says | tokens | FLOPs | memory | H100 hours |"


def sizes_table() -> str:
    """The presets that a paper knows, one table row each."""
    rows = [HEAD, "|---|" + "---:|" * 6]
    for name, recipe in PRESETS.items():
        if not recipe.paper:
            continue
        held, needs = memory(recipe.config, 1, 4), cost(recipe, sustained_flops("H100", 1))
        kept = (held.weights + held.gradients + held.moments) / 1e9
        rows.append(
            f"| `{name}` | {recipe.config.parameters():,} | {recipe.paper} | "
            f"{needs.tokens / 1e9:.3g} G | {needs.flops:.2g} | {kept:,.0f} GB | "
            f"{needs.hours or 0:,.0f} |"
        )
    return "\n".join(rows)


def with_sizes(page: str) -> str:
    """The page with the table as it is now."""
    before, _, rest = page.partition(BEGIN)
    line, _, rest = rest.partition("\n\n")
    _, _, after = rest.partition("\n\n")
    return f"{before}{BEGIN}{line}\n\n{sizes_table()}\n\n{after}"


if __name__ == "__main__":
    PAGE.write_text(with_sizes(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
