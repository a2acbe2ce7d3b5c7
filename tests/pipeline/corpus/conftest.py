"""Made-up texts, and the slow reference of the shingle rule that comes with the data."""

import importlib.util
import random
from pathlib import Path
from types import ModuleType

import pytest

WORDS = [f"{a}{b}{c}" for a in "bdfgkl" for b in "aeiou" for c in "mnrst"]


def words(seed: int, count: int) -> list[str]:
    """Some made-up words."""
    return random.Random(seed).choices(WORDS, k=count)


def shingle_strings(text: str) -> set[str]:
    """The shingles of a text in lower-case ASCII words, the plain way."""
    tokens = text.split()
    return {" ".join(tokens[i : i + 5]) for i in range(max(1, len(tokens) - 4))} if tokens else set()


def jaccard(a: str, b: str) -> float:
    """The Jaccard similarity of two such texts, the plain way."""
    one, other = shingle_strings(a), shingle_strings(b)
    return len(one & other) / len(one | other) if one or other else 0.0


@pytest.fixture(scope="session")
def reference(shared_data: Path) -> ModuleType:
    """The generator of data/neardup: its `tokens` and `shingles` are the rule, written slowly."""
    path = shared_data / "neardup" / "make_neardup.py"
    spec = importlib.util.spec_from_file_location("make_neardup", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
