"""A stage's steps in this process, without Beam: for tests of what they do."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pipeline.engine.digest import digest_of, sum_digests
from pipeline.engine.ledger import total
from pipeline.engine.stage import Output, PartWriter, Stage
from pipeline.engine.store import Disk


def write_files(folder: Path, texts: Sequence[str], files: int) -> list[Path]:
    folder.mkdir()
    paths = [folder / f"texts-{number}.jsonl" for number in range(files)]
    for number, path in enumerate(paths):
        rows = (
            {"id": text, "text": text, "url": f"http://h.example/{text[-7:]}"}
            for text in texts[number::files]
        )
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return paths


def run_steps(stage: Stage, published: dict[str, Output], folder: Path) -> dict[str, Output]:
    """The stage's steps in this process, without Beam: for tests of what they do."""
    store, outputs = Disk(folder), dict(published)
    for step in stage.steps:
        records = []
        for part in step.plan(*(outputs[each.name] for each in step.inputs)):
            known = replace(part, fingerprint=digest_of([step.name, part.digest]))
            out = PartWriter(
                store, stage.name, step.name, known, step.schema, exchange=step.exchange, buckets=4
            )
            step.work(known, out)
            records.append(replace(out.commit(), number=part.number))
        ledgers = total(record.ledgers for record in records)
        digest = sum_digests(record.digest for record in records)
        outputs[step.name] = Output(stage.name, store, digest, ledgers, records)
    return outputs


def run_here(stage: Stage, published: dict[str, Output], folder: Path) -> Output:
    """The stage as `run_steps` makes it, and what people see of it."""
    store, outputs = Disk(folder), run_steps(stage, published, folder)
    last = outputs[stage.steps[-1].name]
    for record in last.parts:
        own = {f"{stage.name}/{name}": file.name for name, file in record.own_files().items()}
        store.show(own)
    of_steps = [outputs[step.name] for step in stage.steps]
    for name, content in (stage.finish(*of_steps) if stage.finish else {}).items():
        store.write(f"{stage.name}/{name}", content)
    return last
