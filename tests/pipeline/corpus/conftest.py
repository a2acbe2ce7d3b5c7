"""The slow reference of the shingle rule, which comes with the data."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def reference(shared_data: Path) -> ModuleType:
    """The generator of data/neardup: its `tokens` and `shingles` are the rule, written slowly."""
    path = shared_data / "neardup" / "make_neardup.py"
    spec = importlib.util.spec_from_file_location("make_neardup", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
