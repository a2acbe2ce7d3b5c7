"""Dropped rows are rows too; of very many, a sample and the reason of each."""

from collections import Counter

import pytest

from pipeline.engine import drops
from pipeline.engine.drops import SAMPLE, DropWriter, read_drops, reasons_of


def fill(folder, ids, sampled: bool) -> None:
    meta = folder / ".meta"
    meta.mkdir(exist_ok=True)
    hashes = meta / "hashes-00000.parquet" if sampled else None
    writer = DropWriter(meta / "drops-00000.parquet", hashes)
    for id in ids:
        writer.add("posts", id, f"http://{id}", "self_post" if id[-1] in "02468" else "removed", "")
    writer.close()
    writer.close()  # a second time is fine: an abandoned part closes what it can


def test_every_drop_is_kept_with_its_detail(tmp_path, monkeypatch):
    monkeypatch.setattr(drops, "FLUSH_ROWS", 7)
    fill(tmp_path, [f"t{n}" for n in range(50)], sampled=False)
    table = read_drops(tmp_path)
    assert table["id"].to_pylist() == [f"t{n}" for n in range(50)]
    assert Counter(table["reason"].to_pylist()) == {"self_post": 25, "removed": 25}


def test_a_sample_does_not_depend_on_the_order_and_every_id_has_its_reason(tmp_path):
    ids = [f"t{n}" for n in range(5000)]
    tables = []
    for order in (ids, ids[::-1]):
        fill(tmp_path, order, sampled=True)
        tables.append(read_drops(tmp_path))
    assert tables[0].equals(tables[1])
    assert tables[0].num_rows == 2 * SAMPLE
    assert all(
        reasons_of(tmp_path, f"t{n}") == {"self_post" if n % 2 == 0 else "removed": 1}
        for n in (0, 1, 777, 4998)
    )
    assert reasons_of(tmp_path, "never seen") == {}


@pytest.mark.parametrize("sampled", [True, False])
def test_a_part_without_drops_has_an_empty_table(tmp_path, sampled):
    fill(tmp_path, [], sampled)
    assert read_drops(tmp_path).num_rows == 0
    assert reasons_of(tmp_path, "x") == {}


def test_a_folder_without_drops_has_none(tmp_path):
    assert read_drops(tmp_path).num_rows == 0
