"""What the report says, collected from a build's own files."""

import json
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from heapq import heappush, heapreplace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import xxhash

from pipeline.corpus.asking import Scheme
from pipeline.corpus.loss import Loss
from pipeline.corpus.publish import read_detail
from pipeline.engine.manifest import Manifest
from pipeline.engine.reading import Published, read_published
from pipeline.engine.stores import open_store
from pipeline.errors import SettingsError
from pipeline.languages import told_language
from pipeline.reasons import Reason
from pipeline.suffixes import suffixes
from tools.card import edits
from tools.flow import ENGINE_STAGES
from tools.model_store import COMMIT, told_model
from tools.places import Place, above
from tools.report.owners import Asked, owners_ask
from tools.report.rules import Bin, Histogram, histograms
from tools.report.suite import overlap_facts, suite_facts
from tools.report.texts import (
    host_of,
    near_copies,
    random_documents,
    shared_hosts,
    urls_of,
    word_count,
)
from tools.report.tokenizer import tokenizer_facts
from tools.status import status
from tools.stores import read_shards
from train.log import read_log

EXAMPLES = 4  # of each reason
HOSTS = 12
LANGUAGES_SHOWN = 8
RECORDS = ("records", "records that a kept link leads to")
_EMPTY_LINES = re.compile(r"\n\s*\n")
_PASSWORD = re.compile(r"//[^/?#@]*@")
UNITS = {  # what each stage of the funnel takes in, and what its rows out are
    "links": ("submissions", "links"),
    "pages": ("links", "pages"),
    "documents": ("pages", "documents"),
    "corpus": ("documents", "documents in the corpus"),
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

    @property
    def dropped(self) -> int:
        """All drops, whatever their reason."""
        return sum(drop.count for drop in self.drops)


@dataclass
class MadeStage:
    """What a stage of the whole flow took, and the digest of its rows."""

    name: str
    wall_s: float
    digest: str


@dataclass
class Facts:
    """Everything the page shows."""

    name: str
    digest: str
    funnel: list[FunnelStage]
    gates: list[str]
    made: list[MadeStage]
    missing: list[str]  # stages that are not made
    partial: list[str]  # stages that were begun, and are not finished
    records: FunnelStage | None = None  # of WARC files, which stand beside the funnel
    owners: list[Asked] = field(default_factory=list)  # what the pages' owners ask
    rules: list[Histogram] = field(default_factory=list)
    corpus: dict[str, Any] = field(default_factory=dict)
    pairs: list[dict[str, Any]] = field(default_factory=list)
    copies: dict[str, Any] = field(default_factory=dict)
    documents: list[dict[str, Any]] = field(default_factory=list)
    likeness: dict[str, Any] = field(default_factory=dict)
    tokens: dict[str, Any] = field(default_factory=dict)
    tokenizer: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    recorded: bool = False  # whether the folder holds the settings as webtext.toml
    settings: str = ""
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> int:
        """Items on which a worker hung, crashed or ran out of memory."""
        faults = {Reason.TIMED_OUT, Reason.CRASHED, Reason.OUT_OF_MEMORY, Reason.EXTRACTION_FAILED}
        return sum(d.count for stage in self.funnel for d in stage.drops if d.reason in faults)


def collect(build: Place) -> Facts:
    """All facts about a build; sections whose stage is missing stay empty."""
    states = status(build)
    store = open_store(build)
    published = {n: stage for n in ENGINE_STAGES if (stage := read_published(store, n))}
    manifests = {name: stage.manifest for name, stage in published.items()}
    through = {name: published[name] for name in UNITS if name in published}
    if not through:
        raise SettingsError(f"{build} has no stage to report on yet; run webtext build first")
    stages = states["stages"]
    facts = Facts(
        name=build.resolve().name if isinstance(build, Path) else above(build)[1] or store.place,
        digest=states["digest"],
        funnel=[_funnel_stage(stage) for stage in through.values()],
        gates=[gate for stage in through.values() for gate in stage.manifest.gates],
        made=[MadeStage(name, made.wall_s, made.digest) for name, made in manifests.items()],
        missing=[name for name in (*ENGINE_STAGES, "model") if name not in stages],
        partial=[name for name, row in stages.items() if row["state"] == "partial"],
        rules=histograms(through),
    )
    for manifest in manifests.values():
        for step in manifest.steps:
            facts.versions.update(step.versions)
    facts.inputs = _inputs(manifests)
    facts.recorded = store.stat("webtext.toml") is not None
    facts.settings = json.dumps({n: _rules_of(m) for n, m in manifests.items()}, indent=1)
    if "pages" in through and "records" in through["pages"].manifest.ledgers:
        facts.records = _funnel_stage(through["pages"], RECORDS)
    if "pages" in through and not through["pages"].manifest.rows_gone:
        facts.owners = owners_ask(through["pages"])
    corpus, documents = through.get("corpus"), through.get("documents")
    if corpus and documents and not corpus.manifest.rows_gone:
        _add_corpus(facts, corpus, documents)
        facts.corpus["edits"] = edits(corpus.manifest)
        facts.corpus["boilerplate"] = _boilerplate(corpus)
        facts.pairs = list(near_copies(corpus, documents))
        facts.copies = {**_copies(corpus.manifest), **shared_hosts(corpus, documents)}
        _name_keepers(facts.funnel[-1], documents)
        if "tokenizer" in published:
            facts.tokenizer = tokenizer_facts(published["tokenizer"], corpus)
    if shards := read_shards(store, manifests.get("shards")):
        facts.tokens = _tokens(shards)
    with told_model(store) as model:
        if model:
            facts.model = _model(model)
    if facts.model:
        facts.made.append(MadeStage("model", facts.model["wall_s"], facts.model["digest"]))
    return facts


def _rules_of(manifest: Manifest) -> dict[str, Any]:
    """The settings of a stage's steps, less the steps that have none."""
    return {step: settings for step, settings in manifest.settings.items() if settings is not None}


def _inputs(manifests: dict[str, Manifest]) -> list[str]:
    """The names of dumps and WARC files; one that was read in parts is named once."""
    readers = (("links", "read"), ("pages", "index"))
    records = [manifests[name].record_of(step) for name, step in readers if name in manifests]
    labels = [part.label for record in records if record for part in record.parts]
    return list(dict.fromkeys(label.split(" from byte ")[0] for label in labels))


def _funnel_stage(stage: Published, units: tuple[str, str] | None = None) -> FunnelStage:
    """A stage by its own unit, or by another that it counts; `units` are (in, out)."""
    manifest = stage.manifest
    unit_in, unit_out = units or UNITS[manifest.stage]
    unit = unit_in if units else manifest.unit
    ledger = manifest.ledgers[unit]
    examples = _examples(stage, unit)
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
    )


def _examples(stage: Published, unit: str) -> dict[str, list[dict[str, str]]]:
    """A few dropped rows of each reason: those with the lowest hashes, so not just the first.

    A user name and a password in a URL are a stranger's, and are not shown.
    """
    lowest: dict[str, list[tuple[int, int, dict[str, str]]]] = defaultdict(list)
    for number, row in enumerate(stage.drops()):
        if row["unit"] == unit:
            hashed = xxhash.xxh3_64_intdigest((row["id"] + row["url"]).encode())
            of_reason = lowest[row["reason"]]
            if len(of_reason) < EXAMPLES:
                heappush(of_reason, (-hashed, number, row))
            elif -hashed > of_reason[0][0]:
                heapreplace(of_reason, (-hashed, number, row))
    return {
        reason: [
            {**row, "url": _PASSWORD.sub("//…@", row["url"])}
            for *_, row in sorted(rows, key=lambda each: (-each[0], each[1]))
        ]
        for reason, rows in lowest.items()
    }


def _name_keepers(corpus: FunnelStage, documents: Published) -> None:
    """Tell in the examples of copies the URL of what was kept, where the drop has its id."""
    copies = [
        (example, copy)
        for drop in corpus.drops
        for example in drop.examples
        if (copy := read_detail(example["detail"]))
    ]
    urls = urls_of(documents, {copy.keeper for _, copy in copies})
    for example, copy in copies:
        if copy.keeper in urls:
            told = f"kept is {urls[copy.keeper]}"
            measures = (
                f", {name} {value:.3f}"
                for name, value in (
                    ("Jaccard", copy.jaccard),
                    ("containment", copy.containment),
                    (f"coverage with {len(copy.others)} more", copy.coverage),
                )
                if value
            )
            example["detail"] = told + "".join(measures)


def _copies(corpus: Manifest) -> dict[str, Any]:
    """By what rule copies were looked for, and how much text is in no kept one."""
    rules = corpus.settings.get("walk") or {}
    notes = corpus.notes("walk")
    told: dict[str, Any] = {
        "measure": rules.get("near_measure", "jaccard"),
        "threshold": rules.get("near_threshold"),
    }
    if notes and "loss" in notes[0]:
        told["loss"] = str(Loss(**notes[0]["loss"]))
        told["scheme"] = str(Scheme(**notes[0]["scheme"]))
    return told


def _add_corpus(facts: Facts, corpus: Published, documents: Published) -> None:
    documents_in_all = chars = text_bytes = words = 0
    years: Counter[int] = Counter()
    hosts: Counter[str] = Counter()
    for table in corpus.tables(["host", "text", "text_chars", "first_post_s"]):
        documents_in_all += table.num_rows
        chars += pc.sum(table["text_chars"]).as_py() or 0
        text_bytes += pc.sum(pc.binary_length(table["text"])).as_py() or 0
        words += sum(word_count(chunk.to_pylist()) for chunk in table["text"].chunks)
        times = table["first_post_s"].to_pylist()
        years.update(datetime.fromtimestamp(s, UTC).year for s in times if s)
        hosts.update(table["host"].to_pylist())
    facts.corpus = {
        "documents": documents_in_all,
        "chars": chars,
        "text_bytes": text_bytes,
        "words": words,
        "years": [Bin(str(year), count) for year, count in sorted(years.items())],
        "languages": _languages(documents),
        "hosts": [Bin(host, count) for host, count in hosts.most_common(HOSTS)],
        "hosts_in_all": len(hosts),
    }
    facts.likeness = likeness(hosts)
    facts.documents = list(random_documents(corpus))


def _boilerplate(corpus: Published) -> list[dict[str, Any]]:
    """The lines that were cut from the most documents, with their hosts."""
    lines = Counter(
        (host_of(row["url"]), row["detail"]) for row in corpus.drops((Reason.BOILERPLATE,))
    )
    most = sorted(lines.items(), key=lambda found: (-found[1], found[0]))[:HOSTS]
    return [{"host": host, "line": line, "documents": count} for (host, line), count in most]


def _languages(documents: Published) -> list[dict[str, Any]]:
    """Texts of each language that were kept and dropped, most frequent first; then the others."""
    kept: Counter[str] = Counter()
    for table in documents.tables(["language"]):
        kept.update(table["language"].to_pylist())
    dropped: Counter[str] = Counter()
    for row in documents.drops((Reason.OTHER_LANGUAGE, Reason.LANGUAGE_UNSURE)):
        known = row["reason"] == Reason.OTHER_LANGUAGE
        dropped[row["detail"].split()[0] if known else ""] += 1
    names = [name for name, _ in (kept + dropped).most_common()]
    shown = [
        {"language": told_language(name), "kept": kept[name], "dropped": dropped[name]}
        for name in names[:LANGUAGES_SHOWN]
    ]
    if others := names[LANGUAGES_SHOWN:]:
        sums = {
            word: sum(of[name] for name in others)
            for word, of in (("kept", kept), ("dropped", dropped))
        }
        shown.append({"language": f"{len(others)} others", **sums})
    return shown


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
        "documents_share": sum(ours[label] for label in shared) / (documents or 1),
        "top": top,
        "missing": [label for label in theirs if label and label not in ours][:15],
    }


@cache
def openai_domains() -> dict[str, int]:
    """Pages by label in OpenAI's list, most frequent first."""
    text = files("tools.report").joinpath("openai_domains.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
    return {label: int(pages) for pages, label in rows}


def domain_label(host: str) -> str:
    """The registrable name without its suffix, as OpenAI's list has it; "" for an IP address.

    A last label that the Public Suffix List has not, such as `example`, is a suffix all the same:
    that is the list's own rule (https://publicsuffix.org/list/: "the prevailing rule is '*'").
    """
    found = suffixes(private=False)(host)
    if found.ipv4 or found.ipv6:
        return ""
    if not found.suffix and found.subdomain:
        return str(found.subdomain.rpartition(".")[2])
    return str(found.domain)


def _tokens(shards: dict[str, Any]) -> dict[str, Any]:
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
        ("a model that knows nothing (ln V)", began["uniform_loss"]),
        ("a model that only knows how frequent each token is", began["unigram_loss"]),
        ("OpenAI's weights of this size", began.get("released_loss")),
    ]
    return {
        **commit,
        "samples": [
            {"prompt": asked["prompt"], "text": _text_of(asked["prompt"], one["text"])}
            for asked in commit["samples"]
            for one in asked["samples"]
        ],
        "train": [(e["step"], e["loss"]) for e in log if e["kind"] == "step" and e["loss"]],
        "held_out": [(e["step"], e["val_loss"]) for e in log if e["kind"] == "eval"],
        "suite": suite_facts(log, commit.get("suite")),
        "overlap": overlap_facts(commit.get("overlap")),
        "parameters": began["parameters"],
        "unigram_loss": began["unigram_loss"],
        "while_training": [
            {**e, "text": _text_of("", e["text"])} for e in log if e["kind"] == "sample"
        ],
        "marks": [(name, loss) for name, loss in marks if loss is not None],
        "run": json.loads((folder / "run.json").read_text()),
    }


def _text_of(prompt: str, sample: str) -> str:
    """A sample without its empty lines, of which a young model makes pages."""
    text = _EMPTY_LINES.sub("\n", sample)
    return text if prompt else text.lstrip("\n")
