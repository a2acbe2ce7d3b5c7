"""Trees as flat arrays give what the trees themselves give."""

import numpy as np
import pytest

from pipeline.documents.blocks import forest as module
from pipeline.documents.blocks.forest import Forest
from pipeline.documents.blocks.model import MODEL, Model, load_model, save_model
from tools.training.trees import join

DEPTH = 2


@pytest.fixture
def forest():
    rng = np.random.default_rng(0)
    return Forest(
        5,
        DEPTH,
        rng.integers(0, 3, 5 * 3).astype(np.int32),
        rng.normal(size=5 * 3).astype(np.float32),
        np.round(rng.normal(size=5 * 4) * 2**20).astype(np.float32) / 2**20,
    )


def walked(forest, column):
    """The sum of a block's leaves, one tree after the other."""
    total = 0.0
    for tree in range(forest.trees):
        place, start = tree, 0
        for level in range(forest.depth):
            at = start + place
            place = 2 * place + (column[forest.features[at]] > forest.thresholds[at])
            start += forest.trees << level
        total += float(forest.leaves[place])
    return total


def test_all_blocks_go_down_as_each_would_alone(forest):
    columns = np.random.default_rng(1).normal(size=(3, 2500)).astype(np.float32)
    expected = [1 / (1 + np.exp(-walked(forest, column))) for column in columns.T]
    assert forest.predict(columns)[0] == pytest.approx(np.round(expected, 4), abs=1e-9)


@pytest.mark.parametrize("blocks", [1, 2, 255, 256, 257, 700])
@pytest.mark.parametrize("outputs", [1, 5])
@pytest.mark.skipif(not module.compiled, reason="no compiler was at hand at the installation")
def test_the_compiled_trees_give_the_bits_of_numpy(forest, blocks, outputs, monkeypatch):
    columns = np.random.default_rng(2).normal(size=(3, blocks)).astype(np.float32)
    columns[:, ::7] = np.nan
    found = forest.predict(columns, outputs)
    monkeypatch.setattr(module, "compiled", None)
    assert (found == forest.predict(columns, outputs)).all()


def test_joined_forests_give_an_output_each(forest):
    other = Forest(5, DEPTH, forest.features[::-1], forest.thresholds, -forest.leaves)
    columns = np.random.default_rng(1).normal(size=(3, 300)).astype(np.float32)
    found = join([forest, other]).predict(columns, 2)
    assert (found == np.concatenate([forest.predict(columns), other.predict(columns)])).all()


def test_a_model_is_read_as_it_was_written_and_its_bytes_are_the_same(forest, tmp_path):
    model = Model({"first": forest, "TS": forest}, {"TS": (0.4, 0.55)})
    for name in ("one.npz", "two.npz"):
        save_model(model, tmp_path / name)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    read = load_model(tmp_path / "one.npz")
    assert read.limits == model.limits
    columns = np.zeros((3, 4), np.float32)
    assert (read.forests["TS"].predict(columns) == forest.predict(columns)).all()


def test_the_model_of_the_package_is_small():
    assert MODEL.stat().st_size < 1_000_000


def test_flat_trees_are_those_of_lightgbm():
    lightgbm = pytest.importorskip("lightgbm")
    from tools.training.trees import flatten

    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3000, 4)).astype(np.float32)
    labels = (rows[:, 0] * rows[:, 1] > rows[:, 2]).astype(float)
    data = lightgbm.Dataset(rows, labels)
    options = {"objective": "cross_entropy", "max_depth": 4, "verbose": -1, "num_threads": 1}
    booster = lightgbm.train(options, data, 30)
    flat = flatten(booster, 4).predict(np.ascontiguousarray(rows.T))[0]
    assert flat == pytest.approx(booster.predict(rows, num_threads=1), abs=6e-5)
