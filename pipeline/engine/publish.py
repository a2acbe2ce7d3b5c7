"""Publishing a stage: its drops, its refusal to keep nothing, and the swap with the one before."""

import json
import time
from collections.abc import Iterable
from pathlib import Path

from pipeline.engine.adopt import link
from pipeline.engine.drops import read_drops
from pipeline.engine.files import discard, write_durably
from pipeline.engine.manifest import Manifest
from pipeline.engine.parts import engine_files, read_sidecars
from pipeline.engine.stage import Output, Stage, stage_ledger
from pipeline.errors import StageError
from pipeline.reasons import Reason

EXAMPLES = 5
ROWS_GONE = Path(".meta") / "rows-gone"  # says that tables are missing on purpose


def keep_drops(made: Path, before: Path, target: Path) -> None:
    """Link a step's dropped rows into the stage's folder.

    `made` is the step's `.meta`; where that is gone, `before` holds the links of the last time.
    """
    source = made if made.is_dir() else before
    target.mkdir(parents=True, exist_ok=True)
    for path in (*source.glob("drops-*"), *source.glob("hashes-*")):
        link(path, target / path.name)


def refuse_empty(stage: Stage, manifest: Manifest, outputs: Iterable[Output]) -> None:
    """Raise StageError if the stage kept nothing, with its commonest reasons and some rows.

    Where it was given no row, the first of its parts is named.
    """
    outputs = list(outputs)
    ledger = stage_ledger(stage, manifest.ledgers)
    if ledger.rows_out or stage.empty_is_fine:
        return
    labels = [info.label for output in outputs for info in output.parts]
    others = f" and {len(labels) - 1:,} more parts" if len(labels) > 1 else ""
    none = f"no row in {labels[0]}{others}" if labels else "no input"
    reasons = ", ".join(f"{r} {n}" for r, n in ledger.drops.most_common(5)) or none
    examples = [
        f"  {row['url'] or row['id']}: {Reason(row['reason']).sentence} {row['detail']}"
        for output in outputs
        for row in read_drops(output.folder).slice(0, 3).to_pylist()
    ]
    raise StageError(
        "\n".join(
            [
                f"{stage.name} kept nothing of {ledger.rows_in} {stage.unit} "
                f"({reasons}); nothing was published",
                *examples[:EXAMPLES],
            ]
        )
    )


def swap(folder: Path, target: Path, manifest: Manifest, work: Path) -> None:
    """Write the manifest and make `folder` the stage; the one before goes to the work folder."""
    write_durably(folder / "manifest.json", json.dumps(manifest.to_json(), indent=1, default=str))
    if target.exists():
        target.rename(work / f"old-{manifest.stage}-{time.time_ns()}")
    folder.rename(target)


def remove_rows(stage: Path) -> None:
    """Remove a published stage's tables; its manifest, counts and drops stay."""
    (stage / ROWS_GONE).touch()
    for info in read_sidecars(stage):
        for name in engine_files(info.number)[:2]:
            (stage / name).unlink(missing_ok=True)


def rows_are_gone(stage: Path) -> bool:
    """Whether `remove_rows` removed the tables, or a kill stopped it on the way."""
    return (stage / ROWS_GONE).exists()


def remove_old(work: Path, stage: str) -> None:
    """Remove what `swap` put away: here, or in a run that was killed after it."""
    for path in work.glob(f"old-{stage}-*"):
        discard(path)
