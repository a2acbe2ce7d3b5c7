import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from train.batches import Batches, prefetched
from train.data import open_shards
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
