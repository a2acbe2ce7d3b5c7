"""The stage `corpus`: documents to a corpus in which each text stands once.

    sign       documents -> entries and sketches       Wikipedia, bad and empty texts get a reason
    same_url   entries by final URL's key -> entries   all but the best lose
    same_text  entries by text's hash -> entries       all but the best lose
    walk       entries, sketches -> decisions          near copies; one part, best document first
    edges      documents, decisions -> edge lines      of kept documents, if boilerplate is cut
    lines      edge lines by host -> boilerplate       those that many of its documents have
    publish    documents, decisions -> corpus          books every document as kept or dropped

Single-document rules come first and near copies last, so that no copy is removed for a document
that then falls itself. The steps before `publish` carry entries, not documents: they book nothing.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.characters import without_ignorable
from pipeline.corpus.asking import scheme_for
from pipeline.corpus.boilerplate import BOILERPLATE, EDGE, boilerplate, edge_lines
from pipeline.corpus.decide import DECISION, decide
from pipeline.corpus.edit import LINES, Edited, HostLines, edit
from pipeline.corpus.exact import ENTRY, drop_copies, text_hash, url_key
from pipeline.corpus.publish import Decisions, card, dropped_rows, kept_rows
from pipeline.corpus.quality import Limit, judge_quality, limits_of
from pipeline.corpus.shingles import UNICODE_VERSION
from pipeline.corpus.sketches import Counted, SketchWriter
from pipeline.corpus.wikipedia import wikipedia
from pipeline.engine.digest import digest_of
from pipeline.engine.parts import File
from pipeline.engine.stage import (
    Exchange,
    Output,
    Part,
    PartWriter,
    Record,
    ReduceStep,
    Stage,
    Step,
    Table,
    Upstream,
    one_part_each,
)
from pipeline.engine.store import Store
from pipeline.reasons import Reason
from pipeline.records import CORPUS, content_of
from pipeline.settings import CorpusSettings

UNIT = "documents"
KEYED_ENTRY = ENTRY.append(pa.field("url_key", pa.string()))
BATCH_ROWS = 512
# Side files: their content is in the rows' digests already (a sketch is made of what text_hash is
# made of), and an Arrow file's bytes depend on pyarrow.
SKETCHES, DECISIONS = "sketches", "decisions"
PART_BYTES = 64 << 20  # documents of about so many bytes on disk become one part of the corpus
PII_LIBRARIES = ("phonenumberslite", "tldextract")
VERSIONS = {"unicode": UNICODE_VERSION}  # of the tables that make tokens and normal forms


def corpus_stage(rules: CorpusSettings) -> Stage:
    """The stage; its input is the stage `documents`."""
    # Over forty lines: the steps are declared in one piece, in the order of the flow.
    documents = Upstream("documents")
    sign = Step(
        name="sign",
        version=6,
        settings={"wikipedia": rules.wikipedia, "quality": rules.quality},
        versions={**VERSIONS, "can_ada": version("can_ada")},  # it shapes url_key
        inputs=(documents,),
        plan=one_part_each,
        work=_Sign(rules.wikipedia, limits_of(rules.quality)),
        schema=KEYED_ENTRY,
        exchange=Exchange("url_key"),
    )
    same_url = ReduceStep(
        name="same_url",
        version=2,
        inputs=(sign,),
        key="url_key",
        reduce=_same_url,
        schema=ENTRY,
        exchange=Exchange("text_hash"),
    )
    same_text = ReduceStep(
        name="same_text",
        version=2,
        inputs=(same_url,),
        key="text_hash",
        reduce=_same_text,
        schema=ENTRY,
    )
    walk = Step(
        name="walk",
        version=3,
        settings={name: value for name, value in asdict(rules).items() if name.startswith("near_")},
        versions=VERSIONS,
        inputs=(sign, same_text),
        plan=_plan_walk,
        work=_Walk(rules),
        schema=DECISION,
    )
    edges = Step(
        name="edges",
        version=1,
        inputs=(documents, walk),
        feeds=(),
        plan=_plan_publish,
        work=_edges,
        schema=EDGE,
        exchange=Exchange("host"),
    )
    lines = ReduceStep(
        name="lines",
        version=1,
        inputs=(edges,),
        key="host",
        reduce=_lines,
        schema=BOILERPLATE,
    )
    counting = (edges, lines) if rules.boilerplate else ()
    publish = Step(
        name="publish",
        version=4,
        settings={"near_measure": rules.near_measure, "pii": rules.pii},
        versions={name: version(name) for name in PII_LIBRARIES if rules.pii},
        inputs=(documents, walk, *counting[1:]),
        feeds=(documents,),
        plan=_plan_publish,
        work=_Publish(rules.near_measure, rules.pii),
        schema=CORPUS,
        content=content_of(CORPUS),
    )
    return Stage(
        name="corpus",
        unit=UNIT,
        steps=(sign, same_url, same_text, walk, *counting, publish),
        finish=partial(_write_card, rules),
    )


@dataclass(frozen=True)
class _Sign:
    """Documents to entries; their sketches go to a file beside."""

    keep_wikipedia: bool
    limits: list[Limit]

    def __call__(self, part: Part[Table], out: PartWriter) -> None:
        with SketchWriter(out.file(SKETCHES, side=True)) as writer:
            for batch in _batches(out.store, part.source.name):
                out.heartbeat()
                counted = writer.write(batch["id"], batch["text"])
                out.write(self._entries(batch, counted))

    def _entries(self, batch: dict[str, list[Any]], counted: Counted) -> pa.Table:
        n = len(counted.shingles)
        urls = [final or url for final, url in zip(batch["final_url"], batch["url"], strict=True)]
        reasons, details, shadows = [""] * n, [""] * n, [False] * n
        for i, (url, text, count) in enumerate(
            zip(urls, batch["text"], counted.shingles, strict=True)
        ):
            if count == 0:
                reasons[i] = Reason.EMPTY_TEXT.value
            elif not self.keep_wikipedia and (drop := wikipedia(url, text)):
                reasons[i], details[i], shadows[i] = drop.reason.value, drop.detail, True
            elif bad := judge_quality(batch["quality"][i], self.limits):
                reasons[i], details[i] = bad.reason.value, bad.detail
        columns = {
            "id": batch["id"],
            "karma": batch["karma_max"],
            "text_chars": [len(without_ignorable(text)) for text in batch["text"]],
            "repetitive": counted.repetitive,
            "shadow": shadows,
            "text_hash": [text_hash(text) for text in batch["text"]],
            "reason": reasons,
            "detail": details,
            "keeper": [""] * n,
            "url_key": [url_key(url) for url in urls],
        }
        return pa.table(columns, schema=KEYED_ENTRY)


def _batches(store: Store, table: str) -> Iterator[dict[str, list[Any]]]:
    columns = ["id", "url", "final_url", "text", "karma_max", "quality"]
    for batch in store.batches(table, BATCH_ROWS, columns):
        yield batch.to_pydict()


def _same_url(entries: pa.Table, out: PartWriter) -> None:
    out.write(drop_copies(entries, ["url_key"], Reason.SAME_URL))


def _same_text(entries: pa.Table, out: PartWriter) -> None:
    out.write(drop_copies(entries, ["text_hash"], Reason.EXACT_COPY))


@dataclass(frozen=True)
class ToWalk:
    """What the walk reads: files of the store."""

    sketches: list[File]
    entries: list[str]


def _plan_walk(sign: Output, same_text: Output) -> list[Part[ToWalk]]:
    source = ToWalk(
        sketches=[part.sealed(SKETCHES) for part in sign.parts],
        entries=[part.table for part in same_text.parts],
    )
    return [Part(0, "walk", digest_of([sign.digest, same_text.digest]), source)]


@dataclass(frozen=True)
class _Walk:
    """All entries and sketches to one decision a document."""

    rules: CorpusSettings

    def __call__(self, part: Part[ToWalk], out: PartWriter) -> None:
        source = part.source
        entries = [out.store.table(name, schema=ENTRY) for name in source.entries]
        decisions, loss = decide(
            pa.concat_tables([ENTRY.empty_table(), *entries]),
            [out.store.checked(file.name, file.xxh3_128) for file in source.sketches],
            self.rules,
            out.scratch,
            out.heartbeat,
        )
        out.note("loss", loss._asdict())
        out.note("scheme", scheme_for(self.rules.near_threshold)._asdict())
        Decisions.write(decisions, out.file(DECISIONS, side=True))
        out.write(decisions)


@dataclass(frozen=True)
class ToPublish:
    """What a part of the corpus is made of: files of the store."""

    documents: list[str]
    decisions: File
    boilerplate: list[str]


def _plan_publish(documents: Output, walk: Output, *lines: Output) -> list[Part[ToPublish]]:
    decisions = walk.parts[0].sealed(DECISIONS)
    boilerplate = [part.table for each in lines for part in each.parts if part.rows]
    read = [each.digest for each in (walk, *lines)]
    parts = []
    for number, group in enumerate(_together(documents.parts)):
        digest = digest_of([*read, [part.digest for part in group]])
        source = ToPublish([part.table for part in group], decisions, boilerplate)
        parts.append(Part(number, f"{group[0].label} and on", digest, source))
    return parts


def _together(parts: Sequence[Record]) -> Iterator[list[Record]]:
    """Neighbouring parts, so that each group has about PART_BYTES."""
    group: list[Record] = []
    size = 0
    for part in parts:
        if group and size + part.table_bytes > PART_BYTES:
            yield group
            group, size = [], 0
        group.append(part)
        size += part.table_bytes
    if group:
        yield group


def _decided(
    source: ToPublish, out: PartWriter, columns: list[str] | None = None
) -> Iterator[tuple[pa.Table, pa.Table]]:
    """The documents of a part with the decisions on them, some at a time."""
    decisions = Decisions(out.store.checked(source.decisions.name, source.decisions.xxh3_128))
    for table in source.documents:
        for batch in out.store.batches(table, BATCH_ROWS, columns):
            out.heartbeat()
            documents = pa.Table.from_batches([batch])
            yield documents, decisions.of(documents["id"])


def _edges(part: Part[ToPublish], out: PartWriter) -> None:
    for documents, decided in _decided(part.source, out, ["id", "host", "text"]):
        kept = documents.filter(pc.equal(decided["reason"], ""))
        hosts, lines = [], []
        for host, text in zip(kept["host"].to_pylist(), kept["text"].to_pylist(), strict=True):
            found = edge_lines(text)
            hosts += [host] * (len(found) + 1)
            lines += ["", *found]
        out.write(pa.table([hosts, lines], schema=EDGE))


def _lines(edges: pa.Table, out: PartWriter) -> None:
    out.write(boilerplate(edges))


@dataclass(frozen=True)
class _Publish:
    """Documents, decisions and boilerplate to the corpus."""

    near_measure: str
    pii: bool

    def __call__(self, part: Part[ToPublish], out: PartWriter) -> None:
        names = part.source.boilerplate
        host_lines = HostLines(out.store.table(name) for name in names) if names else None
        sums: Counter[str] = Counter()
        for documents, decided in _decided(part.source, out):
            kept = kept_rows(documents, decided)
            edited = edit(kept, host_lines, pii=self.pii)
            sums += edited.sums
            out.write(edited.rows)
            for row in dropped_rows(documents, decided, self.near_measure):
                out.drop(UNIT, **row)
            out.book(UNIT, rows_in=documents.num_rows, rows_out=kept.num_rows)
            if host_lines:
                _book_lines(kept, edited, out)
        out.note("edits", dict(sums))


def _book_lines(kept: pa.Table, edited: Edited, out: PartWriter) -> None:
    """Book the lines of the kept texts, those that are empty left aside."""
    lines_in, lines_out = (
        sum(len([*filter(None, text.split("\n"))]) for text in rows["text"].to_pylist())
        for rows in (kept, edited.rows)
    )
    out.book(LINES, rows_in=lines_in, rows_out=lines_out)
    for id, url, line in edited.cut:
        out.drop(LINES, Reason.BOILERPLATE, id=id, url=url, detail=line)


def _write_card(rules: CorpusSettings, *outputs: Output) -> dict[str, bytes]:
    rows = outputs[-1].ledgers[UNIT].rows_out
    settings = {f"corpus.{name}": value for name, value in asdict(rules).items()}
    return {"README.md": card(rows, settings).encode()}
