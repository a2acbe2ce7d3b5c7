"""Token shards: which document goes where, in which order, and the files that hold them.

This docstring is the whole contract between `pipeline` and `train`. A shards folder holds

    shards.json            written last; what is here (`manifest.json` beside it is the engine's)
    train_000000.bin       tokens; at least two train files where there are two documents
    train_000000.idx       where each document starts
    train_000000.urls.txt  one line a document: its URL, UTF-8, "" where unknown
    train_000001.bin ...   val_000000.bin ... (no val file where nothing is held out)

**.bin** is llm.c's version 1, little-endian: 256 int32 (magic 20240520, version 1, number of
tokens, the rest 0), then the tokens as uint16. The end-of-text token stands BEFORE each document,
so the first token of a file is always that one, and a document's last token is followed by the
next document's EOT or by the end of the file. Documents are never cut at a file's border. Fewer
than 2^30 tokens a file, since llm.c seeks with a 32-bit int.

**.idx**, little-endian, for N documents:

    offset  0  8 bytes    magic b"WTIDX\\0\\0\\1"
            8  uint32     version, 1
           12  uint32     0
           16  uint64     N, documents
           24  uint64     T, tokens of the .bin, EOTs included
           32  uint64     documents of this split in the files before this one
           40  16 bytes   xxh3_128 of the whole .bin file (big-endian, as its hex digest reads)
           56  8 bytes    0
           64  uint64[N+1]   start: token offset of each document's EOT; the last is T
    64+8(N+1)  uint64[N]     text_bytes: UTF-8 bytes of the document's text (EOT counts none)
    64+8(2N+1) bytes[16][N]  document id: the 16 bytes that its 32 hexadecimal digits write

Document i of a file is tokens start[i] (the EOT) to start[i + 1], and line i of `.urls.txt`.

**shards.json**:

    {"format": "webtext-shards/1", "dtype": "uint16", "eot_id": 50256, "vocab_size": 50257,
     "tokenizer": "<32 hex digits: digest of vocabulary and merges>",
     "seed": 1, "val_share": 0.05, "split_by": "document",
     "splits": {"train": {"documents": N, "tokens": T, "text_bytes": B}, "val": {...}},
     "files": [{"name": "train_000000.bin", "split": "train", "documents": N, "tokens": T,
                "text_bytes": B, "xxh3_128": "<hex digest of the .bin file>"}, ...]}

`splits` always has both names; counts are 0 for an empty one. `tokens` include EOTs. `files` are in
reading order: train by number, then val. Bits per byte of a split is the summed loss in bits over
`text_bytes`. The order of documents is that of a hash of (seed, id), so it is already shuffled, and
the same for any number of parts. With `split_by` "block" a document here is a piece of one, cut
where the split changes: its first piece has the document's id, all have its URL.
"""

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import xxhash

from pipeline.errors import InputError, StageError
from pipeline.tokens.layout import Shard
from pipeline.tokens.split import SPLITS, SplitRules

FORMAT = "webtext-shards/1"
BIN_HEADER_BYTES = 1024
BIN_MAGIC, BIN_VERSION = 20240520, 1  # llm.c's, for 16-bit tokens
IDX_HEADER = struct.Struct("<8sIIQQQ16s8x")
IDX_MAGIC, IDX_VERSION = b"WTIDX\0\0\1", 1
TOKEN = np.dtype("<u2")

# One row for each encoded document; its ids lie in a file beside the table, in the rows' order.
ENCODED = pa.schema(
    [
        ("split", pa.string()),
        ("order", pa.int64()),
        ("id", pa.string()),
        ("url", pa.string()),
        ("tokens", pa.int64()),  # without EOT
        ("text_bytes", pa.int64()),  # of UTF-8
        ("digest", pa.string()),  # xxh3_128 of the ids as uint16, little-endian
    ]
)
ENCODED_ORDER = [(name, "ascending") for name in ("split", "order", "id", "digest", "url")]

# One row for each document in its shard.
PLACED = pa.schema(
    [
        ("id", pa.string()),
        ("url", pa.string()),
        ("split", pa.string()),
        ("shard", pa.string()),
        ("row", pa.int64()),  # in its shard, from 0
        ("start", pa.int64()),  # of its EOT, in tokens
        ("tokens", pa.int64()),  # without EOT
        ("text_bytes", pa.int64()),
        ("digest", pa.string()),
    ]
)


@dataclass(frozen=True)
class Encoded:
    """A table of ENCODED rows and the file of their ids; both sorted by ENCODED_ORDER."""

    table: Path
    tokens: Path


@dataclass(frozen=True)
class ShardPaths:
    """Where the three files of a shard are to be written."""

    bin: Path
    idx: Path
    urls: Path


def encoded_table(
    rows: Sequence[Mapping[str, Any]], ids: Sequence[npt.NDArray[np.uint16]]
) -> tuple[pa.Table, npt.NDArray[np.uint16]]:
    """A part's documents in ENCODED_ORDER, and their ids one after another.

    `rows` hold split, order, id, url, text_bytes of ENCODED; `ids` are without EOT.
    """
    full = [
        {**row, "tokens": len(own), "digest": xxhash.xxh3_128_hexdigest(own.astype(TOKEN).data)}
        for row, own in zip(rows, ids, strict=True)
    ]
    table = pa.Table.from_pylist(full, schema=ENCODED)
    order = pc.sort_indices(table, ENCODED_ORDER)
    sorted_ids = [ids[i] for i in order.to_pylist()]
    return table.take(order), np.concatenate([np.zeros(0, TOKEN), *sorted_ids]).astype(TOKEN)


def write_shard(
    shard: Shard, encoded: Sequence[Encoded], eot_id: int, paths: ShardPaths
) -> pa.Table:
    """Write the shard's three files; gives a PLACED row for each of its documents, in order.

    Raises StageError if the encoded documents are not those that the layout counted.
    """
    rows, ids = _gather(shard, encoded)
    counts = rows["tokens"].to_numpy()
    starts = np.concatenate([[0], np.cumsum(counts + 1)])
    if (rows.num_rows, int(starts[-1])) != (shard.documents, shard.tokens):
        raise StageError(
            f"{shard.name} should hold {shard.documents} documents and {shard.tokens} tokens, but "
            f"{rows.num_rows} and {starts[-1]} were found; its encoded parts have changed since"
        )
    tokens = np.empty(shard.tokens, TOKEN)
    tokens[starts[:-1]] = eot_id
    offsets, digests = rows["offset"].to_numpy(), rows["digest"].to_pylist()
    for start, count, offset, digest in zip(starts, counts, offsets, digests, strict=False):
        own = ids[offset : offset + count]
        if xxhash.xxh3_128_hexdigest(own.data) != digest:
            raise StageError(
                f"{shard.name}: encoded tokens were damaged on disk; encode them again"
            )
        tokens[start + 1 : start + 1 + count] = own
    checksum = _write_bin(paths.bin, tokens)
    _write_idx(paths.idx, shard, rows, starts, checksum)
    _write_urls(paths.urls, rows["url"].to_pylist())
    return _placed(shard, rows, starts)


def _gather(shard: Shard, encoded: Sequence[Encoded]) -> tuple[pa.Table, npt.NDArray[np.uint16]]:
    """The shard's documents in order, with the offset of each one's ids in the array beside."""
    inside = (
        (pc.field("split") == shard.split)
        & (pc.field("order") >= shard.order_min)
        & (pc.field("order") <= shard.order_max)
    )
    tables, arrays, gathered = [], [np.zeros(0, TOKEN)], 0
    for source in encoded:
        table = pq.read_table(source.table, schema=ENCODED)
        counts = table["tokens"].to_numpy()
        table = table.append_column("offset", pa.array(np.cumsum(counts) - counts)).filter(inside)
        if not table.num_rows:
            continue
        # The source is sorted as the shard is, so its share of a shard is one piece.
        offsets, count = table["offset"].to_numpy(), int(pc.sum(table["tokens"]).as_py())
        piece = np.fromfile(source.tokens, TOKEN, count, offset=int(offsets[0]) * TOKEN.itemsize)
        moved = pa.array(offsets - offsets[0] + gathered)
        tables.append(table.set_column(table.schema.get_field_index("offset"), "offset", moved))
        arrays.append(piece)
        gathered += count
    if not tables:
        return ENCODED.append(pa.field("offset", pa.int64())).empty_table(), arrays[0]
    return pa.concat_tables(tables).sort_by(ENCODED_ORDER), np.concatenate(arrays)


def _write_bin(path: Path, tokens: npt.NDArray[np.uint16]) -> str:
    """Gives the file's xxh3_128 in hexadecimal."""
    header = np.zeros(BIN_HEADER_BYTES // 4, "<i4")
    header[:3] = BIN_MAGIC, BIN_VERSION, len(tokens)
    digest = xxhash.xxh3_128(header.tobytes())
    digest.update(tokens.data)
    with path.open("wb") as file:
        file.write(header.tobytes())
        file.write(tokens.data)
    return digest.hexdigest()


def _write_idx(
    path: Path, shard: Shard, rows: pa.Table, starts: npt.NDArray[np.int64], checksum: str
) -> None:
    header = IDX_HEADER.pack(
        IDX_MAGIC,
        IDX_VERSION,
        0,
        shard.documents,
        shard.tokens,
        shard.first_document,
        bytes.fromhex(checksum),
    )
    with path.open("wb") as file:
        file.write(header)
        file.write(starts.astype("<u8").data)
        file.write(rows["text_bytes"].to_numpy().astype("<u8").data)
        file.write(b"".join(bytes.fromhex(own) for own in rows["id"].to_pylist()))


def _write_urls(path: Path, urls: Iterable[str | None]) -> None:
    lines = ((url or "").replace("\r", "%0D").replace("\n", "%0A") + "\n" for url in urls)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(lines)


def _placed(shard: Shard, rows: pa.Table, starts: npt.NDArray[np.int64]) -> pa.Table:
    own = {
        "shard": pa.array([shard.name] * rows.num_rows, pa.string()),
        "row": pa.array(np.arange(rows.num_rows)),
        "start": pa.array(starts[:-1]),
    }
    columns = [
        own.get(name, rows[name] if name in rows.schema.names else None) for name in PLACED.names
    ]
    return pa.Table.from_arrays(columns, schema=PLACED)


@dataclass(frozen=True)
class Index:
    """A `.idx` file, see the format above. `starts` has one entry more than there are documents."""

    tokens: int
    first_document: int
    checksum: str
    starts: npt.NDArray[np.uint64]
    text_bytes: npt.NDArray[np.uint64]
    ids: tuple[str, ...]


def read_index(path: Path) -> Index:
    """The `.idx` file; InputError if it is none, or torn."""
    data = path.read_bytes()
    if len(data) < IDX_HEADER.size or data[:8] != IDX_MAGIC:
        raise InputError(
            path, "byte 0", "this is no .idx file of webtext", "Write the shards again."
        )
    _, _, _, documents, tokens, first, checksum = IDX_HEADER.unpack_from(data)
    if len(data) != (size := IDX_HEADER.size + 8 + 32 * documents):
        raise InputError(
            path, f"byte {len(data)}", f"{size} bytes were expected", "Write the shards again."
        )
    numbers = np.frombuffer(data, "<u8", 2 * documents + 1, IDX_HEADER.size)
    ids = data[IDX_HEADER.size + 8 * len(numbers) :]
    return Index(
        tokens,
        first,
        checksum.hex(),
        numbers[: documents + 1],
        numbers[documents + 1 :],
        tuple(ids[at : at + 16].hex() for at in range(0, len(ids), 16)),
    )


def read_tokens(path: Path) -> npt.NDArray[np.uint16]:
    """The tokens of a `.bin` file, mapped from disk; InputError if it is none, or torn."""
    header = np.fromfile(path, "<i4", 3)
    if len(header) < 3 or header[:2].tolist() != [BIN_MAGIC, BIN_VERSION]:
        raise InputError(path, "byte 0", "this is no llm.c token file", "Write the shards again.")
    size, wanted = path.stat().st_size, BIN_HEADER_BYTES + TOKEN.itemsize * int(header[2])
    if size != wanted:
        raise InputError(path, f"byte {size}", f"{wanted} bytes were expected", "Write it again.")
    return np.memmap(path, TOKEN, "r", BIN_HEADER_BYTES)


def manifest(
    shards: Sequence[tuple[Shard, str]], tokenizer: Mapping[str, Any], rules: SplitRules
) -> dict[str, Any]:
    """What `shards.json` holds. `shards` come with their checksums; `tokenizer` names digest,
    vocab_size and eot_id.
    """
    counts = ("documents", "tokens", "text_bytes")
    ordered = sorted(shards, key=lambda pair: (SPLITS.index(pair[0].split), pair[0].name))
    return {
        "format": FORMAT,
        "dtype": TOKEN.name,
        "eot_id": tokenizer["eot_id"],
        "vocab_size": tokenizer["vocab_size"],
        "tokenizer": tokenizer["digest"],
        **asdict(rules),
        "splits": {
            split: {
                count: sum(getattr(shard, count) for shard, _ in shards if shard.split == split)
                for count in counts
            }
            for split in SPLITS
        },
        "files": [
            {"name": f"{shard.name}.bin", "split": shard.split}
            | {count: getattr(shard, count) for count in counts}
            | {"xxh3_128": checksum}
            for shard, checksum in ordered
        ],
    }


def export_nanogpt(shards: Path, out: Path) -> dict[str, int]:
    """Write `train.bin` and `val.bin` as nanoGPT maps them; the tokens of each, EOTs included.

    They are the same tokens in the same order, uint16 without headers. A split without tokens has
    no file, for nanoGPT cannot map an empty one; that of an earlier export is removed. `shards` may
    be the folder of a build or a command, which holds them in shards/. Raises InputError where
    there is no shards.json.
    """
    if not (shards / "shards.json").exists() and (shards / "shards" / "shards.json").exists():
        shards = shards / "shards"
    path = shards / "shards.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        files = [(entry["name"], entry["split"]) for entry in content["files"]]
    except FileNotFoundError:
        raise InputError(path, "", "no such file", "Name a folder of `webtext shards`.") from None
    except (ValueError, KeyError, TypeError) as error:
        problem = f"not a list of shards ({error!r})"
        raise InputError(path, "", problem, "Write the shards again.") from None
    out.mkdir(parents=True, exist_ok=True)
    written: dict[str, int] = {}
    for split in SPLITS:
        aside = out / f".{split}.bin.aside"
        with aside.open("wb") as file:
            for name, its_split in files:
                if its_split == split:
                    file.write(read_tokens(shards / name).data)
            written[split] = file.tell() // TOKEN.itemsize
        aside.replace(out / f"{split}.bin")
        if not written[split]:
            (out / f"{split}.bin").unlink()
    return written
