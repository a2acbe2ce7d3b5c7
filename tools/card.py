"""The dataset card of a build's corpus, with all that it comes from: what a reader elsewhere needs.

The stage `corpus` writes a card of its own rules alone: it knows no other stage.
"""

from collections import Counter
from dataclasses import asdict
from typing import Any

from pipeline.corpus.asking import Scheme
from pipeline.corpus.edit import told as told_edits
from pipeline.corpus.loss import Loss
from pipeline.corpus.publish import card
from pipeline.corpus.quality import told_rules
from pipeline.engine.build import Build
from pipeline.engine.manifest import Manifest
from pipeline.settings import CorpusSettings, Settings
from tools.flow import STAGES

ROWS = STAGES[: STAGES.index("corpus") + 1]  # the stages that decide which rows there are
LISTED = 5  # entries of a longer list are only counted
UNNAMED = "links.removed_by_request"  # whoever asked for it did not ask to be listed


def write_card(build: Build, settings: Settings) -> None:
    """Write the card of a build whose corpus is published; one that says the same stays."""
    manifest = build.manifest("corpus")
    tables = asdict(settings)
    rules = {f"{stage}.{name}": tables[stage][name] for stage in ROWS for name in tables[stage]}
    told = {name: _told(name, value) for name, value in rules.items()}
    told["corpus.quality"] = "; ".join(settings.corpus.quality) or "no limit"
    rows = manifest.ledgers[manifest.unit].rows_out
    text = card(rows, told, _origin(build, manifest.digest, settings.corpus))
    build.publish_file("corpus", "README.md", text.encode())


def _told(name: str, value: Any) -> Any:
    if isinstance(value, list | tuple) and (len(value) > LISTED or name == UNNAMED):
        return f"{len(value):,} entries"
    return list(value) if isinstance(value, tuple) else value


def _origin(build: Build, digest: str, settings: CorpusSettings) -> str:
    """The funnel in lines, the loss with copies, the gates that failed, and the digest."""
    lines = []
    for name in ROWS:
        manifest = build.manifest(name)
        ledger = manifest.ledgers[manifest.unit]
        lines.append(f"- {ledger.rows_in:,} {manifest.unit}: {ledger.rows_out:,} kept")
        if name == "links" and (read := manifest.record_of("read")):
            labels = [part.label for part in read.parts]
            lines[-1] += f" as {manifest.gives}; {len(labels):,} dumps: {_span(labels)}"
        if name == "corpus":
            lines += _dropped(manifest, settings)
        for note in manifest.notes("walk") if name == "corpus" else ():
            lines.append(f"- Of the texts that are kept, or copies: {Loss(**note['loss'])}")
            lines.append(f"- Near copies, by {settings.near_measure}: {Scheme(**note['scheme'])}")
        if name == "corpus":
            lines += [f"- {told}." for told in edits(manifest)]
    lines += [f"- A quality gate failed: {message}" for message in build.gates]
    lines += ["", f"The digest of its content is {digest}; `webtext status FOLDER --verify` reads",
              "every file again."]  # fmt: skip
    return "\n".join(lines)


def _dropped(manifest: Manifest, settings: CorpusSettings) -> list[str]:
    """What the stage corpus dropped by reason, and the limits on the quality of texts."""
    drops = manifest.ledgers[manifest.unit].drops.most_common()
    lines = [f"- Dropped as {reason}: {count:,}" for reason, count in drops]
    return lines + [f"- Limit: {rule}" for rule in told_rules(settings.quality)]


def edits(corpus: Manifest) -> list[str]:
    """What was cut and masked in the kept texts, in sentences."""
    sums: Counter[str] = Counter()
    for note in corpus.notes("publish"):
        sums.update(note.get("edits", {}))
    return told_edits(sums)


def _span(labels: list[str]) -> str:
    return ", ".join(labels) if len(labels) <= LISTED else f"{labels[0]} to {labels[-1]}"
