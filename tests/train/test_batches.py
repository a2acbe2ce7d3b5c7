import os
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from train.batches import Batches, prefetched, unseen
from train.data import TokenFile, open_shards
from train.errors import DataError
from train.permutation import Permutation


@given(st.integers(1, 3000), st.integers(0, 2**31), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_the_permutation_is_a_bijection(n, seed, epoch):
    images = Permutation(n, seed, epoch)(np.arange(n))
    assert sorted(images.tolist()) == list(range(n))


def test_the_permutation_is_pinned():
    # A change here would silently give every resumed run another order.
    assert Permutation(1000, 1, 0)(np.arange(5)).tolist() == [413, 64, 766, 703, 556]


def test_another_seed_or_epoch_is_another_order():
    orders = {tuple(Permutation(500, s, e)(np.arange(20))) for s in range(3) for e in range(3)}
    assert len(orders) == 9


def test_an_epoch_visits_every_window_once_and_the_next_one_moves_the_borders(shards_folder):
    files = open_shards(shards_folder).split("train")
    batches = Batches(files, 32, 1, seed=5)
    n = batches.epoch_windows
    epochs = [[batches.windows(e * n + i)[0] for i in range(n)] for e in range(3)]
    for windows in epochs:
        assert len({(w.file.path, w.start) for w in windows}) == n
        covered = sum(f.tokens for f in files)
        assert n * 32 > 0.95 * covered
    shifts = [{w.start % 32 for w in windows} for windows in epochs]
    assert all(len(s) == 1 for s in shifts) and len(set.union(*shifts)) > 1


@pytest.mark.parametrize("ranks", [2, 4, 8])
def test_any_number_of_ranks_sees_the_same_global_batches(shards_folder, ranks):
    files = open_shards(shards_folder).split("train")
    one = Batches(files, 32, 8, seed=3)
    many = [Batches(files, 32, 8, 3, rank, ranks) for rank in range(ranks)]
    for step in (0, 7, 31, 500):
        assert np.array_equal(one.batch(step), np.concatenate([b.batch(step) for b in many]))


def test_batches_can_be_read_from_any_step(shards_folder):
    batches = Batches(open_shards(shards_folder).split("train"), 32, 4, seed=3)
    ahead = prefetched(batches, 100)
    for step in (100, 101, 102):
        assert np.array_equal(next(ahead), batches.batch(step))
    ahead.close()


def test_a_window_holds_the_tokens_of_its_place(shards_folder):
    batches = Batches(open_shards(shards_folder).split("train"), 32, 4, seed=3)
    for window, row in zip(batches.windows(9), batches.batch(9), strict=True):
        assert np.array_equal(row, window.file.read(window.start, 33))


def test_a_reading_thread_that_dies_ends_the_run(shards_folder, monkeypatch):
    batches = Batches(open_shards(shards_folder).split("train"), 32, 8, seed=1)
    monkeypatch.setattr("train.batches.ALIVE_S", 0.05)
    monkeypatch.setattr(threading, "excepthook", lambda about: None)

    def broken(step):
        raise ValueError("not foreseen")

    monkeypatch.setattr(batches, "batch", broken)
    with pytest.raises(RuntimeError, match="thread that reads batches died"):
        next(prefetched(batches, 0))


def test_too_few_tokens_for_one_window_are_refused(shards_folder):
    files = open_shards(shards_folder).split("train")
    with pytest.raises(DataError, match="smaller --n-ctx"):
        Batches(files, 100_000, 4, seed=1)


@settings(max_examples=60, deadline=None)
@given(counts=st.lists(st.integers(0, 40), min_size=1, max_size=5), n_ctx=st.integers(1, 9))
def test_tokens_that_no_epoch_shows_are_counted(counts, n_ctx):
    files = tuple(TokenFile(Path(os.devnull), "train", 0, n, 9) for n in counts)
    lost, short = unseen(files, n_ctx)
    try:
        batches = Batches(files, n_ctx, 1, seed=1)
    except DataError:
        return
    seen = set()
    for shift in range(batches.shifts):
        before = batches._windows(shift)
        for window in range(batches.epoch_windows):
            file = int(np.searchsorted(before, window, "right")) - 1
            start = (window - before[file]) * n_ctx + shift
            seen |= {(file, int(start) + t) for t in range(n_ctx + 1)}
    batches.close()
    assert len(seen) == sum(counts) - lost
    assert len({file for file, _ in seen}) == len(files) - short


def test_files_shorter_than_a_window_are_counted_as_never_seen():
    files = [TokenFile(Path(os.devnull), "train", 0, n, 9) for n in (2000, 32, 32, 33)]
    # And 16 at the end of the first: an epoch shows 61 windows, whatever the shift.
    assert unseen(tuple(files[:3]), 32) == (64 + 16, 2)
    # The window of the last comes in one shift of 32, and there it is the 62nd or 63rd.
    assert unseen((files[0], files[3]), 32) == (33 + 16, 1)
