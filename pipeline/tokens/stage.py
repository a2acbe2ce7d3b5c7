"""The stages `tokenizer` and `shards`; their corpus may be anyone's files (texts_stage.py).

    tokenizer   sizes, count, sum    corpus -> counts of pre-tokens (counts_stage.py)
                train    counts -> one token a row, and the tokenizer's files (training_stage.py)
    shards      encode   corpus, tokenizer -> encoded documents, sorted, ids in a file beside
                layout   encoded -> shards: which documents each file holds (one part)
                write    encoded, layout -> placed documents; a part writes a shard's three files

Encoded parts are sorted as the shards are, so what a shard takes of one is a single read: tokens
are copied once, and never more than one shard's are in memory.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.engine.digest import digest_of
from pipeline.engine.parts import File
from pipeline.engine.stage import (
    AnyStep,
    Output,
    Part,
    PartWriter,
    Record,
    Stage,
    Step,
    Upstream,
)
from pipeline.settings import ShardsSettings, TokenizerSettings
from pipeline.tokens import tokenizer as bpe
from pipeline.tokens.counts_stage import Range, counting, ranges_of
from pipeline.tokens.encode import Encoder, Engine, version_of
from pipeline.tokens.export import files
from pipeline.tokens.layout import SHARD, Shard, lay_out
from pipeline.tokens.shards import (
    ENCODED,
    PLACED,
    Encoded,
    ShardPaths,
    encoded_table,
    manifest,
    write_shard,
)
from pipeline.tokens.split import SPLITS, Piece, SplitRules, order_of, pieces
from pipeline.tokens.tokenizer_files import files_of, load
from pipeline.tokens.training_stage import (
    GivenCounts,
    Train,
    learning_settings,
    plan_given,
    plan_train,
)

UNIT = "documents"
TOKENS = "tokens"  # a side file of encoded documents: their ids
PIECES = "pieces"  # what documents are cut into where blocks are held out
PART_BYTES = 64 << 20  # of text become one part: some 12 s of encoding
FileDigest = Callable[[Path], str]
CORPUS, TOKENIZER = Upstream("corpus"), Upstream("tokenizer")

# One row for each id of the vocabulary.
TOKEN = pa.schema([("id", pa.int64()), ("token", pa.binary())])


def tokenizer_stage(
    rules: TokenizerSettings,
    shards: ShardsSettings,
    file_digest: FileDigest,
    base: Path = Path(),
    counts: Sequence[GivenCounts] = (),
) -> Stage:
    """The stage; its input is `corpus`, none where `rules.path` (from `base`) or `counts` is given.

    The shards' settings say which documents are held out: training does not see them.
    """
    if rules.path:
        plan = partial(_plan_import, base / rules.path, file_digest)
        imported: AnyStep = Step(name="import", version=3, plan=plan, work=_import, schema=TOKEN)
        steps = (imported,)
    else:
        before = () if counts else counting(rules, SplitRules.of(shards))
        step = Step(
            name="train",
            version=3,
            settings=learning_settings(rules),
            inputs=before[1:],
            feeds=(),
            plan=partial(plan_given, counts) if counts else plan_train,
            work=Train(rules, _write_tokenizer),
            schema=TOKEN,
        )
        steps = (*before, step)
    return Stage(name="tokenizer", unit="tokens", steps=steps, check=_check_vocabulary)


def shards_stage(rules: ShardsSettings) -> Stage:
    """The stage; its inputs are `corpus` and `tokenizer`."""
    split = SplitRules.of(rules)
    unit = PIECES if rules.split_by == "block" else UNIT
    encode = Step(
        name="encode",
        version=1,
        settings=split,
        versions={rules.encoder: version_of(rules.encoder)},
        inputs=(CORPUS, TOKENIZER),
        feeds=(CORPUS,),
        plan=_plan_encode,
        work=_Encode(split, rules.encoder),
        schema=ENCODED,
    )
    layout = Step(
        name="layout",
        version=1,
        settings={"shard_tokens_max": rules.shard_tokens_max},
        inputs=(encode, TOKENIZER),
        feeds=(),
        plan=_plan_layout,
        work=_Layout(rules.shard_tokens_max),
        schema=SHARD,
    )
    write = Step(
        name="write",
        version=1,
        inputs=(encode, layout),
        feeds=(encode,),
        plan=_plan_write,
        work=partial(_write, unit),
        schema=PLACED,
    )
    return Stage(
        name="shards",
        unit=unit,
        steps=(encode, layout, write),
        finish=partial(_write_manifest, split),
        check=partial(_check_splits, split),
    )


@dataclass(frozen=True)
class ToImport:
    """A file of a tokenizer outside of the build, its only or its first."""

    path: Path


def _plan_import(path: Path, file_digest: FileDigest) -> list[Part[ToImport]]:
    first, *others = files_of(path)
    digest = file_digest(first)
    if others:
        digest = digest_of([digest, *map(file_digest, others)])
    return [Part(0, first.name, digest, ToImport(first.absolute()))]


def _import(part: Part[ToImport], out: PartWriter) -> None:
    _write_tokenizer(load(part.source.path), out)


def _write_tokenizer(made: bpe.Tokenizer, out: PartWriter) -> None:
    for name, content in files(made).items():
        out.file(name).write_bytes(content)
    out.write_rows({"id": i, "token": token} for i, token in enumerate(made.tokens))
    out.book("tokens", rows_in=made.vocab_size, rows_out=made.vocab_size)
    out.note("vocab_size", made.vocab_size)
    out.note("eot_id", made.eot_id)
    out.note("digest", made.digest)


def _check_vocabulary(*outputs: Output) -> list[str]:
    """A quality gate: the tokenizer has as many tokens as were asked for."""
    notes = outputs[-1].parts[0].notes
    wanted, got = notes.get("vocab_size_wanted", 0), notes["vocab_size"]
    if got >= wanted:
        return []
    return [
        f"tokenizer: {got:,} tokens were learnt, and {wanted:,} were asked for: its training "
        "documents hold no more pairs that are frequent enough. Set tokenizer.vocab_size to "
        f"{got}, or give it more text"
    ]


def _check_splits(rules: SplitRules, _: Output, layout: Output, __: Output) -> list[str]:
    """A quality gate: there is something to train on, and something held out where asked."""
    shards = layout.parts[0].notes["shards"]
    counts = {split: sum(s["documents"] for s in shards if s["split"] == split) for split in SPLITS}
    blocks = "" if rules.split_by == "block" else ', hold out blocks (shards.split_by = "block")'
    if not counts["val"] and rules.val_share:
        return [
            f"shards: of {counts['train']:,} documents none is held out, so no loss on unseen text "
            f"can be told. Raise shards.val_share from {rules.val_share:g}{blocks}, or set "
            "shards.val_share to 0"
        ]
    if not counts["train"]:
        return [
            f"shards: nothing is left to train on, all {counts['val']:,} documents are held out. "
            f"Lower shards.val_share from {rules.val_share:g}{blocks}, or give more documents"
        ]
    return []


@dataclass(frozen=True)
class ToEncode:
    """Documents, and the tokenizer's file."""

    texts: Range
    tokenizer: File


def _plan_encode(corpus: Output, tokenizer: Output) -> list[Part[ToEncode]]:
    file = tokenizer.parts[0].sealed("tokenizer.json")
    return [
        Part(
            part.number,
            part.label,
            digest_of([tokenizer.digest, part.digest]),
            ToEncode(part.source, file),
        )
        for part in ranges_of(corpus, PART_BYTES)
    ]


@dataclass(frozen=True)
class _Encode:
    """Documents to ENCODED rows and their ids."""

    split: SplitRules
    engine: Engine

    def __call__(self, part: Part[ToEncode], out: PartWriter) -> None:
        file = part.source.tokenizer
        encoder = _encoder(out.store.checked(file.name, file.xxh3_128), file.xxh3_128, self.engine)
        rows, ids, documents = [], [], 0
        for document in part.source.texts.documents(out):
            documents += 1
            for piece in pieces(document.id, document.host, document.text, self.split):
                ids.append(encoder.encode(piece.text))
                rows.append(self._row(piece, document.url))
        table, all_ids = encoded_table(rows, ids)
        all_ids.tofile(out.file(TOKENS, side=True))
        out.write(table)
        out.book(UNIT, rows_in=documents, rows_out=documents)
        if self.split.split_by == "block":
            out.book(PIECES, rows_in=len(rows), rows_out=len(rows))
        out.note("tokens", len(all_ids))

    def _row(self, piece: Piece, url: str) -> dict[str, Any]:
        return {
            "split": piece.split,
            "order": order_of(piece.id, self.split),
            "id": piece.id,
            "url": url,
            "text_bytes": len(piece.text.encode()),
        }


@lru_cache(maxsize=1)
def _encoder(path: Path, _checksum: str, engine: Engine) -> Encoder:
    """Made once in each process: its checks take a second or two."""
    return Encoder(load(path), engine)


@dataclass(frozen=True)
class ToLayOut:
    """The tables of encoded documents, and what shards say of their tokenizer."""

    tables: list[str]
    tokenizer: dict[str, Any]


def _plan_layout(encode: Output, tokenizer: Output) -> list[Part[ToLayOut]]:
    about = {name: tokenizer.parts[0].notes[name] for name in ("digest", "vocab_size", "eot_id")}
    source = ToLayOut([part.table for part in encode.parts], about)
    return [Part(0, "layout", digest_of([encode.digest, about]), source)]


@dataclass(frozen=True)
class _Layout:
    """Four numbers of every encoded document to shards."""

    shard_tokens_max: int

    def __call__(self, part: Part[ToLayOut], out: PartWriter) -> None:
        source = part.source
        columns = ["split", "order", "tokens", "text_bytes"]
        tables = [out.store.table(name, columns) for name in source.tables]
        documents = pa.concat_tables([ENCODED.empty_table().select(columns), *tables])
        shards = [asdict(shard) for shard in lay_out(documents, self.shard_tokens_max)]
        out.write_rows(shards)
        # The next step is planned from the note: it outlives this step's rows.
        out.note("shards", shards)
        out.note("tokenizer", source.tokenizer)


@dataclass(frozen=True)
class ToWrite:
    """A shard, and all encoded parts: their tables and the files of their ids."""

    shard: Shard
    encoded: list[tuple[str, str]]
    eot_id: int


def _plan_write(encode: Output, layout: Output) -> list[Part[ToWrite]]:
    about = layout.parts[0].notes["tokenizer"]
    encoded = [(part.table, part.file(TOKENS)) for part in encode.parts]
    return [
        Part(
            number,
            row["name"],
            digest_of([encode.digest, about, row]),
            ToWrite(Shard(**row), encoded, about["eot_id"]),
        )
        for number, row in enumerate(layout.parts[0].notes["shards"])
    ]


def _write(unit: str, part: Part[ToWrite], out: PartWriter) -> None:
    source = part.source
    shard, local = source.shard, out.store.local
    encoded = [Encoded(local(table), local(tokens)) for table, tokens in source.encoded]
    names = (f"{shard.name}{ending}" for ending in (".bin", ".idx", ".urls.txt"))
    paths = ShardPaths(*(out.file(name) for name in names))
    placed = write_shard(shard, encoded, source.eot_id, paths)
    out.write(placed)
    out.book(unit, rows_in=placed.num_rows, rows_out=placed.num_rows)
    out.note("shard", asdict(shard))


def _write_manifest(
    split: SplitRules, _: Output, layout: Output, write: Output
) -> dict[str, bytes]:
    shards = [_written(part) for part in write.parts]
    about = layout.parts[0].notes["tokenizer"]
    content = json.dumps(manifest(shards, about, split), indent=1) + "\n"
    return {"shards.json": content.encode()}


def _written(part: Record) -> tuple[Shard, str]:
    shard = Shard(**part.notes["shard"])
    return shard, part.files[f"{shard.name}.bin"].xxh3_128
