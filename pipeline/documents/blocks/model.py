"""The trees as a file: `model.npz`, arrays alone, read once a process."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from pipeline.documents.blocks.forest import Forest

MODEL = Path(__file__).with_name("model.npz")


@dataclass(frozen=True)
class Model:
    """Forests by name: "types", "first", and the engines that a second look is told of, or "none".

    `limits` are those of `choose` for each second look.
    """

    forests: dict[str, Forest]
    limits: dict[str, tuple[float, float]]


def save_model(model: Model, path: Path) -> None:
    """Write a model; the same model gives the same bytes."""
    arrays: dict[str, Any] = {}
    for name, forest in model.forests.items():
        arrays[f"{name}.shape"] = np.array([forest.trees, forest.depth])
        arrays[f"{name}.features"] = forest.features.astype(np.int16)
        arrays[f"{name}.thresholds"] = forest.thresholds
        arrays[f"{name}.leaves"] = forest.leaves
    for name, limits in model.limits.items():
        arrays[f"{name}.limits"] = np.array(limits)
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)


@cache
def model_digest() -> str:
    """The xxh3_128 of the package's trees."""
    return xxhash.xxh3_128_hexdigest(MODEL.read_bytes())


@cache
def load_model(path: Path = MODEL) -> Model:
    """Read a model."""
    with np.load(path, allow_pickle=False) as arrays:
        names = [name.partition(".")[0] for name in arrays.files if name.endswith(".shape")]
        forests = {
            name: Forest(
                int(arrays[f"{name}.shape"][0]),
                int(arrays[f"{name}.shape"][1]),
                arrays[f"{name}.features"].astype(np.int32),
                arrays[f"{name}.thresholds"],
                arrays[f"{name}.leaves"],
            )
            for name in names
        }
        limits = {
            name: (float(arrays[f"{name}.limits"][0]), float(arrays[f"{name}.limits"][1]))
            for name in names
            if f"{name}.limits" in arrays.files
        }
    return Model(forests, limits)
