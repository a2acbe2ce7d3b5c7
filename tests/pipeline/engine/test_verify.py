"""Every file of a stage is checked against what its part wrote."""

import pytest

from pipeline.engine.verify import damaged, stage_files

pytestmark = pytest.mark.usefixtures("inline")


def test_a_missing_a_cut_and_a_changed_file_are_named_and_the_others_are_fine(toys):
    folder = toys.build(*"abcd").folder
    assert list(damaged(stage_files(folder))) == []
    tables = sorted(folder.glob("part-*.parquet"))
    tables[0].unlink()
    whole = tables[1].read_bytes()
    tables[1].write_bytes(whole[:-1])
    tables[2].write_bytes(bytes([whole[0] ^ 1]) + tables[2].read_bytes()[1:])
    assert list(damaged(stage_files(folder))) == [
        f"{tables[0]} is missing",
        f"{tables[1]} has {len(whole) - 1} bytes, not {len(whole)}",
        f"{tables[2]} has other bytes than were written",
    ]
