"""The plain list of URLs: in an order of its own, whole or not there."""

import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tools.url_list import write_urls

ROWS = [
    {"id": f"{number:032x}", "url": f"http://{number}.example.com/", "verdict": verdict}
    for number, verdict in enumerate(["kept", "karma_low", "kept"] * 33)
]
KEPT = "".join(row["url"] + "\n" for row in ROWS if row["verdict"] == "kept")


def parts_of(folder, rows, count):
    folder.mkdir()
    paths = [folder / f"part-{number}.parquet" for number in range(count)]
    for number, path in enumerate(paths):
        schema = pa.schema([(name, pa.string()) for name in ("id", "url", "verdict")])
        pq.write_table(pa.Table.from_pylist(rows[number::count], schema=schema), path)
    return paths


@pytest.mark.parametrize(("count", "run_rows"), [(1, 1000), (1, 7), (4, 7), (4, 1)])
def test_the_order_depends_on_the_links_alone(tmp_path, count, run_rows):
    rows = random.Random(count).sample(ROWS, len(ROWS))
    target = tmp_path / "urls.txt"
    written = write_urls(parts_of(tmp_path / "links", rows, count), target, lambda: None, run_rows)
    assert target.read_text() == KEPT
    assert written == KEPT.count("\n")


def test_no_kept_link_gives_an_empty_list(tmp_path):
    target = tmp_path / "urls.txt"
    assert write_urls(parts_of(tmp_path / "links", ROWS[1:2], 2), target, lambda: None) == 0
    assert target.read_bytes() == b""


def test_a_list_that_is_stopped_leaves_the_old_one_and_nothing_else(tmp_path):
    parts = parts_of(tmp_path / "links", ROWS, 3)
    target = tmp_path / "urls.txt"
    target.write_text("old\n")

    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_urls(parts, target, stop)
    assert target.read_text() == "old\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["links", "urls.txt"]


def test_what_a_killed_run_left_is_no_hindrance(tmp_path):
    left = tmp_path / ".urls.txt.aside"
    left.mkdir()
    (left / "0.arrow").write_bytes(b"torn")
    target = tmp_path / "urls.txt"
    write_urls(parts_of(tmp_path / "links", ROWS, 1), target, lambda: None)
    assert target.read_text() == KEPT
    assert not left.exists()
