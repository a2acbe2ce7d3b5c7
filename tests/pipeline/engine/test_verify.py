"""Every file of a stage is checked against what its part wrote."""

import pytest

from pipeline.engine.verify import damaged, stage_files

pytestmark = pytest.mark.usefixtures("inline")


def test_a_missing_a_cut_and_a_changed_file_are_named_and_the_others_are_fine(toys):
    toys.build(*"abcd")
    assert list(damaged(stage_files(toys.store, toys.manifest()))) == []
    tables = sorted((toys.folder / "toy").glob("part-*.parquet"))
    tables[0].unlink()
    whole = tables[1].read_bytes()
    tables[1].write_bytes(whole[:-1])
    tables[2].write_bytes(bytes([whole[0] ^ 1]) + tables[2].read_bytes()[1:])
    assert list(damaged(stage_files(toys.store, toys.manifest()))) == [
        f"{tables[0]} is missing",
        f"{tables[1]} has {len(whole) - 1} bytes, not {len(whole)}",
        f"{tables[2]} has other bytes than were written",
    ]


def test_a_file_that_the_stage_wrote_as_it_was_published_is_checked_too(toys):
    toys.build(finish=lambda *_: {"README.md": b"a card", "shards.json": b"{}"})
    (toys.folder / "toy" / "README.md").write_text("a cart")
    (toys.folder / "toy" / "shards.json").unlink()
    assert sorted(damaged(stage_files(toys.store, toys.manifest()))) == [
        f"{toys.folder}/toy/README.md has other bytes than were written",
        f"{toys.folder}/toy/shards.json is missing",
    ]


def test_drops_that_people_do_not_see_are_checked_where_they_lie(toys):
    toys.build()
    (file, *_) = (toys.folder / "data").glob("*.drops.parquet")
    file.unlink()
    assert list(damaged(stage_files(toys.store, toys.manifest()))) == [f"{file} is missing"]
