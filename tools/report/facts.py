"""What the report says, collected from a build's own files."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow as pa
import tldextract
import xxhash

from pipeline.corpus.publish import read_detail
from pipeline.engine.drops import read_drops
from pipeline.engine.manifest import Manifest, read_manifest
from pipeline.engine.store import Disk, Store
from pipeline.errors import SettingsError
from pipeline.reasons import Reason
from tools.model import COMMIT
from tools.status import status
from train.log import read_log

EXAMPLES = 4  # of each reason
PAIRS = 6  # near copies side by side
RANDOM_DOCUMENTS = 10
EXCERPT_CHARS = 900
LANGUAGES = 8
LENGTH_EDGES = [0, 500, 1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 128_000, 1e12]
UNITS = {  # what each stage of the funnel takes in, and what its rows out are
    "links": ("submissions", "links"),
    "pages": ("links", "pages"),
    "documents": ("pages", "documents"),
    "corpus": ("documents", "documents of the corpus"),
}


@dataclass
class DroppedReason:
    """One reason of one stage: how many, and examples."""

    reason: Reason
    count: int
    examples: list[dict[str, str]]


@dataclass
class FunnelStage:
    """One stage of the funnel."""

    name: str
    unit_in: str
    unit_out: str
    rows_in: int
    rows_out: int
    merged: int
    drops: list[DroppedReason]
    cpu_s: float
    wall_s: float
    digest: str


@dataclass
class Facts:
    """Everything the page shows."""

    name: str
    digest: str
    funnel: list[FunnelStage]
    gates: list[str]
    corpus: dict[str, Any] = field(default_factory=dict)
    pairs: list[dict[str, Any]] = field(default_factory=list)
    documents: list[dict[str, Any]] = field(default_factory=list)
    likeness: dict[str, Any] = field(default_factory=dict)
    tokens: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    settings: str = ""
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """Items on which a worker hung, crashed or ran out of memory."""
        faults = {Reason.TIMED_OUT, Reason.CRASHED, Reason.OUT_OF_MEMORY, Reason.EXTRACTION_FAILED}
        return sum(d.count for stage in self.funnel for d in stage.drops if d.reason in faults)


def collect(build: Path) -> Facts:
    """All facts about a build; sections whose stage is missing stay empty."""
    state = status(build)
    store = Disk(build)
    manifests = {
        name: manifest for name in UNITS if (manifest := read_manifest(store, name)) is not None
    }
    if not manifests:
        raise SettingsError(f"{build} has no stage to report on yet; run webtext build first")
    facts = Facts(
        name=build.resolve().name,
        digest=state["digest"],
        funnel=[_funnel_stage(store, manifest) for manifest in manifests.values()],
        gates=[gate for manifest in manifests.values() for gate in manifest.gates],
    )
    for manifest in manifests.values():
        for step in manifest.steps:
            facts.versions.update(step.versions)
    facts.settings = json.dumps({n: m.settings for n, m in manifests.items()}, indent=1)
    if "corpus" in manifests and not manifests["corpus"].rows_gone:
        _add_corpus(facts, store, manifests)
        if "documents" in manifests:
            facts.pairs = list(_pairs(store, manifests["corpus"], manifests["documents"]))
    if (build / "shards" / "shards.json").exists():
        facts.tokens = _tokens(build)
    if (build / "model" / COMMIT).exists():
        facts.model = _model(build / "model")
    return facts


def _funnel_stage(store: Store, manifest: Manifest) -> FunnelStage:
    ledger = manifest.ledgers[manifest.unit]
    unit_in, unit_out = UNITS[manifest.stage]
    examples = _examples(store, manifest)
    drops = [
        DroppedReason(Reason(name), count, examples.get(name, []))
        for name, count in ledger.drops.most_common()
    ]
    return FunnelStage(
        name=manifest.stage,
        unit_in=unit_in,
        unit_out=unit_out,
        rows_in=ledger.rows_in,
        rows_out=ledger.rows_out,
        merged=ledger.merged,
        drops=drops,
        cpu_s=manifest.cpu_s,
        wall_s=manifest.wall_s,
        digest=manifest.digest,
    )


def _examples(store: Store, manifest: Manifest) -> dict[str, list[dict[str, str]]]:
    """A few dropped rows of each reason: those with the lowest hashes, so not just the first."""
    drops = read_drops(store, manifest.all_parts).to_pylist()
    rows = [row for row in drops if row["unit"] == manifest.unit]
    rows.sort(key=lambda row: xxhash.xxh3_64_intdigest((row["id"] + row["url"]).encode()))
    found: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        examples = found.setdefault(row["reason"], [])
        if len(examples) < EXAMPLES:
            examples.append(row)
    return found


def _add_corpus(facts: Facts, store: Store, manifests: Mapping[str, Manifest]) -> None:
    corpus = manifests["corpus"]
    columns = ["id", "host", "language", "text_chars", "first_post_s", "engine"]
    table = pa.concat_tables([store.table(part.table, columns) for part in corpus.parts])
    years = Counter(
        datetime.fromtimestamp(s, UTC).year for s in table["first_post_s"].to_pylist() if s
    )
    lengths = table["text_chars"].to_pylist()
    hosts = Counter(table["host"].to_pylist())
    facts.corpus = {
        "documents": table.num_rows,
        "chars": sum(lengths),
        "years": sorted((str(year), count) for year, count in years.items()),
        "languages": _languages(store, manifests.get("documents")),
        "engines": Counter(table["engine"].to_pylist()).most_common(),
        "lengths": lengths,
        "length_edges": LENGTH_EDGES,
        "hosts": hosts.most_common(20),
        "hosts_in_all": len(hosts),
    }
    facts.likeness = likeness(hosts)
    facts.documents = list(_random_documents(store, corpus, table["id"].to_pylist()))


def _languages(store: Store, documents: Manifest | None) -> list[dict[str, Any]]:
    """Kept and dropped documents of each language, most frequent first."""
    if documents is None:
        return []
    kept: Counter[str] = Counter()
    for part in documents.parts:
        kept.update(store.table(part.table, ["language"])["language"].to_pylist())
    dropped: Counter[str] = Counter()
    for row in read_drops(store, documents.all_parts).to_pylist():
        if row["reason"] == Reason.OTHER_LANGUAGE:
            dropped[row["detail"].split()[0]] += 1
        elif row["reason"] == Reason.LANGUAGE_UNSURE:
            dropped[""] += 1
    names = [name for name, _ in (kept + dropped).most_common(LANGUAGES)]
    return [{"language": name, "kept": kept[name], "dropped": dropped[name]} for name in names]


def likeness(hosts: Counter[str]) -> dict[str, Any]:
    """Our domains beside OpenAI's published 1,000: by label, as they count (no suffix)."""
    theirs = openai_domains()
    ours: Counter[str] = Counter()
    for host, count in hosts.items():
        ours[domain_label(host)] += count
    documents, pages = sum(ours.values()), sum(theirs.values())
    shared = {label for label in ours if label in theirs}
    top = [
        {"label": label, "ours": count / documents, "theirs": theirs.get(label, 0) / pages}
        for label, count in ours.most_common(15)
    ]
    return {
        "labels": len(ours),
        "shared": len(shared),
        "documents_share": sum(ours[label] for label in shared) / documents,
        "top": top,
        "missing": [label for label in theirs if label and label not in ours][:15],
    }


@cache
def openai_domains() -> dict[str, int]:
    """Pages by label in OpenAI's list, most frequent first."""
    text = files("tools.report").joinpath("openai_domains.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
    return {label: int(pages) for pages, label in rows}


_suffixes = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)  # the bundled list only


def domain_label(host: str) -> str:
    """The registrable name without its suffix, as OpenAI's list has it; "" for an IP address.

    A last label that the Public Suffix List has not, such as `example`, is a suffix all the same:
    that is the list's own rule (https://publicsuffix.org/list/: "the prevailing rule is '*'").
    """
    found = _suffixes(host)
    if found.ipv4 or found.ipv6:
        return ""
    if not found.suffix and found.subdomain:
        return str(found.subdomain.rpartition(".")[2])
    return str(found.domain)


def _random_documents(store: Store, corpus: Manifest, ids: list[str]) -> Iterator[dict[str, Any]]:
    chosen = sorted(ids, key=lambda id: xxhash.xxh3_64_intdigest(id.encode()))[:RANDOM_DOCUMENTS]
    rows = _rows(store, corpus, chosen)
    for id in chosen:
        yield {**rows[id], "text": _excerpt(rows[id]["text"])}


def _pairs(store: Store, corpus: Manifest, documents: Manifest) -> Iterator[dict[str, Any]]:
    """Near copies and their keepers, spread over the range of Jaccard."""
    found = []
    for row in read_drops(store, corpus.all_parts).to_pylist():
        copy = read_detail(row["detail"]) if row["reason"] == Reason.NEAR_COPY else None
        if copy and copy.jaccard is not None:
            found.append((copy.jaccard, row["id"], copy.keeper))
    found.sort()
    step = max(1, len(found) // PAIRS)
    chosen = found[::step][:PAIRS]
    rows = _rows(store, documents, [id for _, *both in chosen for id in both])
    for jaccard, id, keeper in chosen:
        if id in rows and keeper in rows:
            sides = [{**rows[side], "text": _excerpt(rows[side]["text"])} for side in (keeper, id)]
            yield {"jaccard": jaccard, "kept": sides[0], "dropped": sides[1]}


def _rows(store: Store, manifest: Manifest, ids: list[str]) -> dict[str, dict[str, Any]]:
    wanted: dict[str, dict[str, Any]] = {}
    for part in manifest.parts if ids else ():
        for row in store.table(part.table, filters=[("id", "in", ids)]).to_pylist():
            wanted[row["id"]] = row
    return wanted


def _excerpt(text: str) -> str:
    return text if len(text) <= EXCERPT_CHARS else text[:EXCERPT_CHARS].rsplit(" ", 1)[0] + " …"


def _tokens(build: Path) -> dict[str, Any]:
    shards = json.loads((build / "shards" / "shards.json").read_text())
    splits = shards["splits"]
    tokens = sum(split["tokens"] for split in splits.values())
    text_bytes = sum(split["text_bytes"] for split in splits.values())
    return {
        **shards,
        "tokens": tokens,
        "text_bytes": text_bytes,
        "bytes_per_token": text_bytes / tokens if tokens else 0,
    }


def _model(folder: Path) -> dict[str, Any]:
    log = read_log(folder)
    commit = json.loads((folder / COMMIT).read_text())
    began = [e for e in log if e["kind"] == "run"][-1]
    marks = [
        ("ln V: a model that knows nothing", began["uniform_loss"]),
        ("entropy of single tokens: a model that only counts", began["unigram_loss"]),
        ("the released weights of this size", began.get("released_loss")),
    ]
    return {
        **commit,
        "train": [(e["step"], e["loss"]) for e in log if e["kind"] == "step" and e["loss"]],
        "held_out": [(e["step"], e["val_loss"]) for e in log if e["kind"] == "eval"],
        "marks": [(name, loss) for name, loss in marks if loss is not None],
        "run": json.loads((folder / "run.json").read_text()),
    }
