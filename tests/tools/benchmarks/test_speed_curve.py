"""The table of speed against page F1."""

import numpy as np

from tools.benchmarks.speed_curve import ENGINES, WAYS, show


def test_each_way_stands_with_its_speed_and_its_f1(capsys):
    ways = len(ENGINES) + len(WAYS)
    f1 = np.full((4, ways), 0.9)
    f1[:, -1] = 0.92
    spent = np.full((ways, 2), 0.02)
    spent[-1] = 0.005
    show(["aeb", "aeb", "wcxb-dev", "wcxb-dev"], f1, spent)
    rows = capsys.readouterr().out.split("\n")
    assert "4 labelled pages, 2 whole ones" in rows
    assert [row.split(" | ")[0] for row in rows[4:-1]] == [f"| {n}" for n in [*ENGINES, *WAYS]]
    assert rows[-2] == "| combined | 200.0 | 4.00 | 0.9200 | +0.0200 [+0.0200, +0.0200] |"
    assert rows[4].split(" | ")[2:4] == ["1.00", "0.9000"]
