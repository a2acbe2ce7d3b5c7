"""Dropped rows are rows too; of very many, a sample and the reason of each."""

from collections import Counter

import pytest
import toy

from pipeline.engine import drops
from pipeline.engine.drops import SAMPLE, DropWriter, read_drops, reasons_of
from pipeline.engine.parts import Part, Record
from pipeline.engine.store import Disk
from pipeline.engine.writer import PartWriter
from pipeline.reasons import Reason


def filled(store: Disk, ids, sampled: bool, number: int = 0) -> Record:
    """A part of these drops."""
    part = Part(number, f"part {number}", "d", fingerprint=f"{number:032x}")
    out = PartWriter(store, "toy", "read", part, toy.SCHEMA, sampled_drops=sampled)
    for id in ids:
        reason = Reason.SELF_POST if id[-1] in "02468" else Reason.REMOVED
        out.drop("posts", reason, id=id, url=f"http://{id}")
    out.book("posts", rows_in=len(ids))
    return out.commit()


def test_a_writer_that_is_closed_twice_is_fine(tmp_path):
    writer = DropWriter(tmp_path / "drops.parquet", tmp_path / "hashes.parquet")
    writer.close()
    writer.close()  # an abandoned part closes what it can


def test_every_drop_is_kept_with_its_detail(tmp_path, monkeypatch):
    monkeypatch.setattr(drops, "FLUSH_ROWS", 7)
    store = Disk(tmp_path)
    table = read_drops(store, [filled(store, [f"t{n}" for n in range(50)], sampled=False)])
    assert table["id"].to_pylist() == [f"t{n}" for n in range(50)]
    assert Counter(table["reason"].to_pylist()) == {"self_post": 25, "removed": 25}


def test_a_sample_does_not_depend_on_the_order_and_every_id_has_its_reason(tmp_path):
    ids = [f"t{n}" for n in range(5000)]
    tables = []
    store = Disk(tmp_path)
    for number, order in enumerate((ids, ids[::-1])):
        part = filled(store, order, sampled=True, number=number)
        tables.append(read_drops(store, [part]))
    assert tables[0].equals(tables[1])
    assert tables[0].num_rows == 2 * SAMPLE
    assert all(
        reasons_of(store, [part], f"t{n}") == {"self_post" if n % 2 == 0 else "removed": 1}
        for n in (0, 1, 777, 4998)
    )
    assert reasons_of(store, [part], "never seen") == {}


@pytest.mark.parametrize("sampled", [True, False])
def test_a_part_without_drops_has_an_empty_table(tmp_path, sampled):
    store = Disk(tmp_path)
    part = filled(store, [], sampled)
    assert read_drops(store, [part]).num_rows == 0
    assert reasons_of(store, [part], "x") == {}


def test_a_stage_without_parts_has_no_drops(tmp_path):
    assert read_drops(Disk(tmp_path), []).num_rows == 0
