import json
import re

import lxml.html
import numpy as np
import pytest

from tools.benchmarks import sizes
from tools.report.charts import losses_by_size

TINY = [
    *("--n-ctx", "32", "--batch-tokens", "256", "--steps", "3", "--eval-tokens", "256"),
    *("--threads", "1", "--device", "cpu"),
]


@pytest.mark.slow
def test_models_of_three_sizes_see_the_same_batches_and_are_all_in_the_page(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(sizes, "SIZES", ((1, 1, 8), (2, 2, 16)))
    shards = tmp_path / "shards"
    shards.mkdir()
    for name, size in (("train", 3000), ("val", 300)):
        np.random.default_rng(1).integers(0, 9, size, np.uint16).tofile(shards / f"{name}.bin")
    words = [str(shards), "--out", str(tmp_path / "out"), *TINY]
    assert sizes.main([*words, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["model"] for row in rows] == ["1 layers x 8", "2 layers x 16"]
    assert rows[0]["batches"] == rows[1]["batches"] and rows[0]["tokens"] == 3 * 256
    assert 0 < rows[0]["without_embeddings"] < rows[0]["parameters"] < rows[1]["parameters"]
    assert all(row["loss"] > 5 and row["bits_per_byte"] is None for row in rows)
    page = lxml.html.document_fromstring((tmp_path / "out/sizes.html").read_text())
    assert not page.xpath("//script | //link | //img | //@src | //@href")
    assert len(page.xpath("//svg//circle")) == 2 and len(page.xpath("//tr")) == 3
    shown = [[cell.text for cell in row] for row in page.xpath("//tr[td]")]
    assert shown == [sizes.cells(row) for row in rows]


def test_the_chart_has_lower_losses_lower_and_larger_models_further_right():
    svg = str(losses_by_size([(1e7, 3.2, "large"), (1e5, 5.04, "small"), (1e6, 4.1, "mid")], "x"))
    found = re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', svg)
    places = [(float(x), float(y)) for x, y in found]
    assert places == sorted(places) and [y for _, y in places] == sorted(y for _, y in places)
    # Decades are equally wide.
    assert places[1][0] - places[0][0] == pytest.approx(places[2][0] - places[1][0], abs=0.2)
    assert "100k: small" in svg and "5.040" in svg
    assert losses_by_size([], "x") == ""
    assert "4.000" in str(losses_by_size([(1e5, 4.0, "one")], "x"))


def test_a_trainer_that_refuses_ends_with_its_code(tmp_path):
    assert sizes.main([str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 2
