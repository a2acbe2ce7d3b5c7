"""The model of a build in a bucket: a run here, whose checkpoints are kept there.

A run needs a folder, so it is at work in the store's scratch. Each checkpoint that it finishes goes
to the bucket with the run's log and settings, as a part of the step `train`: files in data/ and a
record that names them. Where the run is started again, on whatever machine, these come back first.
At the end one manifest names the checkpoints that are kept, and the records go.
"""

import json
import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pipeline.engine import names
from pipeline.engine.digest import digest_of, file_digest
from pipeline.engine.ledger import Ledger
from pipeline.engine.manifest import FORMAT, Manifest, StepRecord, read_manifest
from pipeline.engine.parts import File, Record, read_records
from pipeline.engine.publish import forget, list_stale, publish, with_files
from pipeline.engine.store import Store
from pipeline.errors import StageError
from tools.stores import folder_of, published_file
from train.settings import STEPS

STAGE, STEP = "model", "train"
COMMIT = "webtext.json"  # what is known of a finished model besides its run
RUN_FILES = ("run.json", "log.jsonl", "tokenizer.json")  # of a run, besides its checkpoints
ITEMS, OVERLAPS = "suite.jsonl", "overlap.jsonl"  # of the tasks: a line an item
COPY_BYTES = 8 << 20


class RunStore:
    """A run in `folder`, and what the store has of it; `model` is the model's fingerprint."""

    def __init__(self, store: Store, model: str, folder: Path) -> None:
        self.store, self.model, self.folder = store, model, folder
        self._sent = {record.fingerprint: record for record in self._found()}

    def restore(self) -> str:
        """Fetch the checkpoints of a run that was begun; the newest one's name, "" for none."""
        newest: Record | None = None
        for record in sorted(self._sent.values(), key=lambda record: record.number):
            for role, file in record.files.items():
                fetch(self.store, file.name, self.folder / role)
            newest = record
        return newest.label if newest else ""

    @contextmanager
    def sending(self, say: Any) -> Iterator[None]:
        """While this holds, checkpoints go to the store as they are finished; all are there then.

        Of a store that cannot be reached `say` is told, and it is tried again.
        """
        over = threading.Event()

        def watch() -> None:
            while not over.wait(self.store.patience_s):
                try:
                    self.send()
                except OSError as error:
                    say(f"model: a checkpoint could not be sent, and will be again: {error}")

        thread = threading.Thread(target=watch, name="checkpoints")
        thread.start()
        try:
            yield
        except BaseException:
            over.set()
            thread.join()
            with suppress(OSError):
                self.send()
            raise
        over.set()
        thread.join()
        self.send()

    def send(self) -> None:
        """Send what is finished and not there yet, then remove there what the run removed here."""
        here = set()
        for path in sorted(self.folder.glob(f"checkpoints/{STEPS}")):
            with suppress(FileNotFoundError):  # the run keeps the newest, and may remove this one
                manifest = (path / "manifest.json").read_text()
                fingerprint = digest_of([self.model, path.name, manifest])
                if fingerprint not in self._sent:
                    self._sent[fingerprint] = self._send(fingerprint, path)
                here.add(fingerprint)
        gone = self._sent.keys() - here
        if here and gone:
            self._forget([self._sent.pop(fingerprint) for fingerprint in gone])

    def _send(self, fingerprint: str, checkpoint: Path) -> Record:
        attempt = names.new_attempt()
        files: dict[str, File] = {}
        with TemporaryDirectory(dir=self.folder) as scratch:
            try:
                for role, path in self._held(checkpoint, Path(scratch)).items():
                    name = names.data(fingerprint, attempt, path.name)
                    files[role] = File(name, path.stat().st_size, file_digest(path))
                    self.store.add(path, name)
            except BaseException:
                with suppress(OSError):
                    self.store.remove(file.name for file in files.values())
                raise
        record = Record(
            number=int(checkpoint.name.rpartition("-")[2]),
            label=checkpoint.name,
            fingerprint=fingerprint,
            digest=fingerprint,
            content=fingerprint,
            rows=0,
            ledgers={},
            files=files,
            notes={"model": self.model},
            faults=[],
            cpu_s=0.0,
            wall_s=0.0,
            retries=0,
        )
        self.store.write_json(names.record(STAGE, STEP, fingerprint), record.to_json())
        return record

    def _held(self, checkpoint: Path, scratch: Path) -> dict[str, Path]:
        """The files of a checkpoint and of the run, which goes on meanwhile, as they are now."""
        held = {}
        for path in sorted(checkpoint.iterdir()):
            os.link(path, scratch / path.name)
            held[str(path.relative_to(self.folder))] = scratch / path.name
        for name in RUN_FILES:
            if (self.folder / name).exists():
                held[name] = Path(shutil.copy(self.folder / name, scratch))
        return held

    def publish(self, commit: Mapping[str, Any], shards_digest: str, old: Manifest | None) -> None:
        """Write the manifest of the finished model, which has been sent; then the records go."""
        kept = sorted(self._sent.values(), key=lambda record: record.number)
        files = {role: file for record in kept for role, file in record.files.items()}
        steps = kept[-1].number
        digest = commit["digest"]
        made = StepRecord(STEP, self.model, digest, digest, {}, {}, [], steps, 0.0, 0)
        manifest = Manifest(
            format=FORMAT,
            stage=STAGE,
            unit="steps",
            gives="",
            fingerprint=self.model,
            digest=digest,
            ledgers={"steps": Ledger(steps, steps)},
            settings={STEP: commit["settings"]},
            steps=[made],
            gates=[],
            wall_s=commit["wall_s"],
            cpu_s=0.0,
            inputs={"shards": shards_digest},
            files=files,
        )
        told = {COMMIT: json.dumps(commit, indent=1, ensure_ascii=False).encode()}
        for name in (ITEMS, OVERLAPS):
            if (self.folder / name).exists():
                told[name] = (self.folder / name).read_bytes()
        publish(self.store, manifest, old, told)
        self._forget(self._found(of_all=True))

    def _forget(self, records: list[Record]) -> None:
        stale = [names.record(STAGE, STEP, record.fingerprint) for record in records]
        list_stale(self.store, STAGE, with_files(self.store, stale))
        forget(self.store, STAGE)

    def _found(self, *, of_all: bool = False) -> list[Record]:
        """The checkpoints that are there, of this model or of any."""
        entries = self.store.entries(names.records(STAGE, STEP))
        found = read_records(self.store, [entry.name for entry in entries])
        return [record for record in found if of_all or record.notes["model"] == self.model]


def fetch(store: Store, name: str, path: Path) -> None:
    """A copy of a file of the store, whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.aside")
    with store.open(name) as source, aside.open("wb") as file:
        shutil.copyfileobj(source, file, COPY_BYTES)
    aside.replace(path)


@contextmanager
def told_model(store: Store) -> Iterator[Path | None]:
    """A folder with what tells of a build's finished model: its commit, log and settings."""
    if folder := folder_of(store):
        yield folder / STAGE if (folder / STAGE / COMMIT).exists() else None
        return
    manifest = read_manifest(store, STAGE)
    if manifest is None:
        yield None
        return
    with TemporaryDirectory() as here:
        for name in (COMMIT, "log.jsonl", "run.json"):
            source = published_file(store, manifest, name)
            if source is None:
                raise StageError(f"{store.place}: the manifest of {STAGE} names no {name}")
            fetch(store, source, Path(here, name))
        yield Path(here)
