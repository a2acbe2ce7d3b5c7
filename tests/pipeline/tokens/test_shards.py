import json
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xxhash

from pipeline.errors import InputError, StageError
from pipeline.settings import ShardsSettings
from pipeline.tokens.layout import lay_out
from pipeline.tokens.shards import (
    ENCODED,
    PLACED,
    Encoded,
    ShardPaths,
    encoded_table,
    export_nanogpt,
    manifest,
    read_index,
    read_tokens,
    write_shard,
)
from pipeline.tokens.split import SplitRules, order_of, split_of

RULES = SplitRules.of(ShardsSettings(val_share=0.1))
EOT = 699


def id_of(text: str) -> str:
    return xxhash.xxh3_128_hexdigest(text.encode())


def write(folder: Path, texts: list[str], encoder, parts: int, tokens_max: int = 4000) -> pa.Table:
    """Shards of `texts`, encoded in so many parts, as the stage does it; the placed documents."""
    folder.mkdir()
    encoded = []
    for number in range(parts):
        own = texts[number::parts]
        rows = [
            {
                "split": split_of(id_of(text), "", RULES),
                "order": order_of(id_of(text), RULES),
                "id": id_of(text),
                "url": f"http://example.org/{len(text)}",
                "text_bytes": len(text.encode()),
            }
            for text in own
        ]
        table, ids = encoded_table(rows, [encoder.encode(text) for text in own])
        source = Encoded(folder / f"{number}.parquet", folder / f"{number}.tokens")
        pq.write_table(table, source.table)
        ids.tofile(source.tokens)
        encoded.append(source)
    all_rows = pa.concat_tables(pq.read_table(source.table) for source in encoded)
    placed, done = [PLACED.empty_table()], []
    for shard in lay_out(all_rows, tokens_max):
        paths = (folder / f"{shard.name}{ending}" for ending in (".bin", ".idx", ".urls.txt"))
        placed.append(write_shard(shard, encoded, EOT, ShardPaths(*paths)))
        bin_digest = xxhash.xxh3_128_hexdigest((folder / f"{shard.name}.bin").read_bytes())
        done.append((shard, bin_digest))
    tokenizer = {"eot_id": EOT, "vocab_size": EOT + 1, "digest": encoder.tokenizer.digest}
    (folder / "shards.json").write_text(json.dumps(manifest(done, tokenizer, RULES)))
    for source in encoded:
        source.table.unlink()
        source.tokens.unlink()
    return pa.concat_tables(placed)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, texts, encoder) -> Path:
    path = tmp_path_factory.mktemp("tokens") / "shards"
    write(path, texts, encoder, parts=3)
    return path


def bins(folder: Path, split: str) -> list[Path]:
    return sorted(folder.glob(f"{split}_*.bin"))


def documents(folder: Path) -> Iterator[tuple[str, str, list[int], str]]:
    """(split, id, tokens, url) of every document, by the index alone."""
    for path in [*bins(folder, "train"), *bins(folder, "val")]:
        tokens, index = read_tokens(path), read_index(path.with_suffix(".idx"))
        urls = path.with_suffix(".urls.txt").read_text().split("\n")
        assert urls.pop() == ""
        spans = zip(index.starts, index.starts[1:], index.ids, urls, strict=False)
        for start, end, name, url in spans:
            yield path.stem[:-7], name, tokens[int(start) : int(end)].tolist(), url


def llmc_batches(pattern: Path, batch: int, length: int, process: int, processes: int, count: int):
    """Inputs and targets as llm.c's loader deals them: file after file, a stride a process."""
    files = []
    for path in sorted(pattern.parent.glob(pattern.name)):
        data = path.read_bytes()
        header = np.frombuffer(data, dtype="<i4", count=256)
        assert header[0] == 20240520
        assert header[1] == 1
        tokens = np.frombuffer(data, dtype="<u2", offset=1024)
        assert len(tokens) == header[2]
        assert len(tokens) >= processes * batch * length + 1
        files.append(tokens)
    file, at = 0, process * batch * length
    for _ in range(count):
        window = files[file][at : at + batch * length + 1]
        yield window[:-1].reshape(batch, length), window[1:].reshape(batch, length)
        at += batch * length * processes
        if at + batch * length * processes + 1 > len(files[file]):
            file, at = (file + 1) % len(files), process * batch * length


def modded_nanogpt_documents(folder: Path, bos: int):
    """Documents as modded-nanogpt finds them: by BOS, with a second file read ahead."""
    files = iter(bins(folder, "train"))
    current, ahead = next(files), next(files)  # fails where there is only one
    while current:
        header = np.fromfile(current, "<i4", 256)
        with current.open("rb") as file:
            file.seek(256 * 4)
            tokens = np.frombuffer(file.read(), "<u2")
        assert len(tokens) == header[2]
        at = np.flatnonzero(tokens == bos)
        assert at[0] == 0
        yield from np.split(tokens, at[1:])
        current, ahead = ahead, next(files, None)


def test_every_text_is_in_the_split_of_its_hash_and_decodes_to_itself(folder, texts, encoder):
    found = {name: (split, tokens) for split, name, tokens, _ in documents(folder)}
    assert len(found) == len(texts)
    for text in texts:
        split, tokens = found[id_of(text)]
        assert split == split_of(id_of(text), "", RULES)
        assert tokens[0] == EOT
        assert encoder.decode(tokens[1:]) == text


def test_shard_tokens_are_those_of_the_corpus_and_an_eot_each(folder, texts, encoder):
    content = json.loads((folder / "shards.json").read_text())
    total = sum(len(encoder.encode(text)) for text in texts) + len(texts)
    splits = content["splits"].values()
    assert sum(split["tokens"] for split in splits) == total
    assert sum(split["documents"] for split in splits) == len(texts)
    assert sum(split["text_bytes"] for split in splits) == sum(len(t.encode()) for t in texts)
    assert sum(len(read_tokens(path)) for path in folder.glob("*.bin")) == total


def test_shards_do_not_depend_on_parts_or_order(folder, texts, encoder, tmp_path):
    shuffled = random.Random(3).sample(texts, len(texts))
    for parts in (1, 7):
        write(tmp_path / str(parts), shuffled, encoder, parts)
        for path in folder.iterdir():
            assert (tmp_path / str(parts) / path.name).read_bytes() == path.read_bytes()


def test_documents_stand_in_the_order_of_their_hash(folder):
    for split in ("train", "val"):
        orders = [order_of(name, RULES) for own, name, _, _ in documents(folder) if own == split]
        assert orders == sorted(orders)


def test_the_index_counts_documents_bytes_and_the_files_checksum(folder, texts):
    sizes = {id_of(text): len(text.encode()) for text in texts}
    before = 0
    for path in bins(folder, "train"):
        index = read_index(path.with_suffix(".idx"))
        assert index.first_document == before
        assert index.text_bytes.tolist() == [sizes[name] for name in index.ids]
        assert index.checksum == xxhash.xxh3_128_hexdigest(path.read_bytes())
        assert index.tokens == index.starts[-1] == len(read_tokens(path))
        before += len(index.ids)


def test_placed_rows_say_where_each_document_lies(texts, encoder, tmp_path):
    for row in write(tmp_path / "s", texts, encoder, parts=2).to_pylist():
        path = tmp_path / "s" / f"{row['shard']}.bin"
        index = read_index(path.with_suffix(".idx"))
        assert index.ids[row["row"]] == row["id"]
        assert index.starts[row["row"]] == row["start"]
        own = read_tokens(path)[row["start"] + 1 :][: row["tokens"]]
        assert xxhash.xxh3_128_hexdigest(own.tobytes()) == row["digest"]


def test_llmc_reads_the_files(folder):
    first = np.array(read_tokens(folder / "train_000000.bin"))
    deals = [
        list(llmc_batches(folder / "train_*.bin", 2, 64, process, 2, 20)) for process in (0, 1)
    ]
    assert (deals[0][0][0].ravel() == first[:128]).all()
    assert (deals[1][0][0].ravel() == first[128:256]).all()
    for inputs, targets in (*deals[0], *deals[1]):
        assert (inputs.ravel()[1:] == targets.ravel()[:-1]).all()
        assert inputs.max() < 700


def test_modded_nanogpt_reads_every_training_document(folder):
    wanted = [tokens for split, _, tokens, _ in documents(folder) if split == "train"]
    assert [tokens.tolist() for tokens in modded_nanogpt_documents(folder, EOT)] == wanted


def test_nanogpt_reads_its_export(folder, tmp_path):
    written = export_nanogpt(folder, tmp_path / "nanogpt")
    assert sorted(path.name for path in (tmp_path / "nanogpt").iterdir()) == [
        "train.bin",
        "val.bin",
    ]
    for split in ("train", "val"):
        mapped = np.memmap(tmp_path / "nanogpt" / f"{split}.bin", dtype=np.uint16, mode="r")
        wanted = [i for own, _, tokens, _ in documents(folder) if own == split for i in tokens]
        assert mapped.tolist() == wanted
        assert written[split] == len(wanted) > 0


def test_an_export_without_held_out_text_has_no_file_of_it(encoder, tmp_path):
    texts = [t for t in (f"text {i}" for i in range(9)) if split_of(id_of(t), "", RULES) == "train"]
    write(tmp_path / "s", texts, encoder, parts=1)
    out = tmp_path / "nanogpt"
    out.mkdir()
    (out / "val.bin").write_bytes(b"of another export")
    written = export_nanogpt(tmp_path / "s", out)
    assert written["train"] > 0 == written["val"]
    assert [path.name for path in out.iterdir()] == ["train.bin"]


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"files": [{"name": "a"}]}', '{"files": 1}'])
def test_an_export_of_a_list_that_is_none_names_it(tmp_path, content):
    (tmp_path / "shards.json").write_text(content)
    with pytest.raises(InputError, match=r"shards\.json: not a list of shards"):
        export_nanogpt(tmp_path, tmp_path / "nanogpt")


@pytest.mark.parametrize("size", [0, 8, 12])
def test_a_token_file_cut_in_its_header_is_refused(folder, tmp_path, size):
    (tmp_path / "cut.bin").write_bytes((folder / "train_000000.bin").read_bytes()[:size])
    with pytest.raises(InputError, match=r"cut\.bin"):
        read_tokens(tmp_path / "cut.bin")


def test_two_documents_make_two_train_files_and_no_val_file(encoder, tmp_path):
    texts = [t for t in (f"text {i}" for i in range(9)) if split_of(id_of(t), "", RULES) == "train"]
    write(tmp_path / "s", texts[:2], encoder, parts=1)
    content = json.loads((tmp_path / "s" / "shards.json").read_text())
    assert [entry["name"] for entry in content["files"]] == ["train_000000.bin", "train_000001.bin"]
    assert content["splits"]["val"] == {"documents": 0, "tokens": 0, "text_bytes": 0}


def test_a_url_with_line_breaks_stays_on_its_line(encoder, tmp_path):
    row = {"split": "train", "order": 1, "id": "0" * 32, "url": "http://a/\r\nb", "text_bytes": 1}
    table, ids = encoded_table([row, row | {"order": 2, "url": None}], [encoder.encode("a")] * 2)
    source = Encoded(tmp_path / "t.parquet", tmp_path / "t.tokens")
    pq.write_table(table, source.table)
    ids.tofile(source.tokens)
    shard, _ = lay_out(table, 100)
    paths = ShardPaths(tmp_path / "b", tmp_path / "i", tmp_path / "u")
    write_shard(shard, [source], EOT, paths)
    assert paths.urls.read_text() == "http://a/%0D%0Ab\n"


def test_ids_damaged_on_disk_are_found_before_a_shard_holds_them(encoder, tmp_path):
    row = {"split": "train", "order": 1, "id": "0" * 32, "url": "", "text_bytes": 9}
    table, ids = encoded_table([row], [encoder.encode("some text")])
    assert table.schema == ENCODED
    source = Encoded(tmp_path / "t.parquet", tmp_path / "t.tokens")
    pq.write_table(table, source.table)
    (ids + 1).tofile(source.tokens)
    paths = ShardPaths(tmp_path / "b", tmp_path / "i", tmp_path / "u")
    with pytest.raises(StageError, match="damaged"):
        write_shard(lay_out(table, 100)[0], [source], EOT, paths)


@pytest.mark.parametrize("keep", [0, 3, 100])
def test_a_torn_or_foreign_file_is_named(folder, tmp_path, keep):
    for ending, read in ((".idx", read_index), (".bin", read_tokens)):
        torn = tmp_path / f"torn{ending}"
        torn.write_bytes((folder / f"train_000000{ending}").read_bytes()[:keep])
        with pytest.raises(InputError, match=f"torn{ending}, byte"):
            read(torn)
