"""Map parts that are joined before a reduce: it changes no row, and a kill or damage is mended."""

import re
from dataclasses import replace
from functools import partial

import pytest
import toy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.engine import joins
from pipeline.engine.exchange import Exchange
from pipeline.engine.parts import read_record
from pipeline.engine.ranges import BucketWriter
from pipeline.engine.stage import Part, Stage, Step
from pipeline.engine.store import Disk
from pipeline.errors import StageError

JOINED = "parts/toy-group.read"
SEVEN = tuple("abcdefg")
MANY = toy.Rules(keys=50)


@pytest.fixture
def few(monkeypatch):
    """No more than two files for four buckets."""
    monkeypatch.setattr(joins, "RANGES_MAX", 8)


@pytest.fixture
def calls(monkeypatch):
    """The names of map parts that were joined, and of all files that a reducer opened."""
    seen = {"joined": [], "opened": []}
    join, opened = BucketWriter.join, Disk.map

    def joining(self, store, part) -> None:
        seen["joined"].append(part.table)
        join(self, store, part)

    def opening(self, name):
        seen["opened"].append(name)
        return opened(self, name)

    monkeypatch.setattr(BucketWriter, "join", joining)
    monkeypatch.setattr(Disk, "map", opening)
    return seen


def deal(keys: list[int], parts: int, part: Part, out) -> None:
    mine = [{"id": f"k{key}", "n": n} for n, key in enumerate(keys)][part.number :: parts]
    out.write_rows(mine)
    out.book("posts", rows_in=len(mine), rows_out=len(mine))


def plan(parts: int) -> list[Part[None]]:
    return [Part(number, f"{number}", f"{number} of {parts}", None) for number in range(parts)]


def dealt(keys: list[int], parts: int) -> Stage:
    """The same rows in so many map parts, grouped."""
    work, group = partial(deal, keys, parts), toy.stage().steps[1]
    read = Step("read", 1, partial(plan, parts), work, toy.SCHEMA, exchange=Exchange("id"))
    step = replace(group, inputs=(read,))
    return toy.Stage("toy", "posts", (read, step), empty_is_fine=True)


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
@given(
    st.lists(st.integers(0, 30), max_size=60),
    st.integers(1, 7),
    st.sampled_from([1, 2, 8]),
    st.integers(1, 40),
    st.sampled_from([1, 300, 1 << 20]),
)
def test_rows_are_the_same_for_any_parts_buckets_groups_and_cuts(
    inline, tmp_path_factory, toys, keys, parts, buckets, ranges_max, bytes_max
):
    digests = []
    for n_parts, n_buckets, limit, size in [
        (1, 1, 10**5, 1 << 30),
        (parts, buckets, ranges_max, bytes_max),
    ]:
        toys.folder = tmp_path_factory.mktemp("build") / "build"
        toys.engine |= {"buckets": n_buckets, "bucket_bytes_max": size}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(joins, "RANGES_MAX", limit)
            output = toys.run(dealt(keys, n_parts))
        digests.append((output.digest, output.ledgers))
        assert toys.unnamed() == []
    assert digests[0] == digests[1]


def test_no_more_ranges_are_opened_than_allowed_and_each_map_part_is_joined_once(
    toys, inline, calls, monkeypatch
):
    whole = toys.build(*SEVEN, rules=MANY)
    assert len(calls["opened"]) > 8
    toys.folder = toys.folder.with_name("joined")
    monkeypatch.setattr(joins, "RANGES_MAX", 8)
    calls["opened"].clear()
    assert toys.build(*SEVEN, rules=MANY).digest == whole.digest
    assert len(calls["opened"]) <= 8
    assert len(calls["joined"]) == len(set(calls["joined"])) == 7
    assert toys.store.entries(JOINED) == []
    assert toys.unnamed() == []


def test_a_build_goes_on_with_other_buckets_and_kept_map_parts_serve_any(toys, inline, few):
    toys.build(*SEVEN, keep=True)
    toys.done()
    for buckets in (1, 16, 4):
        toys.engine["buckets"] = buckets
        output = toys.build(*SEVEN, keep=True)
        assert len(output.parts) == buckets
        fresh = toys.at(toys.folder.parent / f"{buckets}")
        assert fresh.build(*SEVEN).digest == output.digest
    assert toys.done()["read"] == 0


def killed(killable, all_gone) -> None:
    """A build of seven parts whose driver died when they were joined, before the first bucket."""
    driver = killable.start(kill="after map parts were joined", labels=list(SEVEN))
    assert killable.wait(driver) == -9
    assert all_gone(driver)
    assert len(killable.store.entries(JOINED)) == 2
    killable.done()


def test_a_kill_between_joined_parts_and_reduce_loses_neither(
    killable, all_gone, inline, few, calls, tmp_path
):
    killed(killable, all_gone)
    output = killable.build(*SEVEN)
    assert killable.done() == {"group": 4}
    assert calls["joined"] == []
    assert killable.unnamed() == []
    assert killable.names_nothing_lost()
    killable.folder = tmp_path / "fresh"
    assert killable.build(*SEVEN).digest == output.digest


@pytest.mark.parametrize("how", ["joined", "map part"])
def test_a_damaged_range_is_named_and_its_mend_makes_the_file_again(
    killable, all_gone, inline, few, how
):
    killed(killable, all_gone)
    store = killable.store
    joined = [read_record(store, entry.name) for entry in store.entries(JOINED)]
    if how == "map part":
        store.remove(part.table for part in joined)
        entries = store.entries("parts/toy-read")
        names = [read_record(store, entry.name).table for entry in entries]
    else:
        names = [part.table for part in joined]
    path = killable.folder / names[0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    told = rf"{re.escape(names[0])} is damaged \(bytes \d+ to \d+\); remove it, and run the same"
    with pytest.raises(StageError, match=told):
        killable.build(*SEVEN)
    path.unlink()
    digest = killable.build(*SEVEN).digest
    assert killable.done()["read"] == (how == "map part")
    killable.folder = killable.folder.with_name("fresh")
    assert killable.build(*SEVEN).digest == digest
