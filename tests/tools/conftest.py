"""One small finished build for all tests that look at builds, and a way to run `webtext`."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tools.demo import DemoFiles, write_demo

PROGRAM = [sys.executable, "-P", "-m", "tools.cli"]
# Enough of a model to be trained, evaluated and sampled.
TINY_MODEL = [
    *("--train.preset", "demo", "--train.n-layer", "1", "--train.n-head", "2"),
    *("--train.n-embd", "16", "--train.n-ctx", "32", "--train.batch-tokens", "256"),
    *("--train.steps", "20", "--train.eval-tokens", "512", "--train.threads", "1"),
    *("--train.device", "cpu", "--train.save-steps", "5"),
]
Run = Callable[..., subprocess.CompletedProcess[str]]


@dataclass(frozen=True)
class Finished:
    """A finished build of the fast demo's input."""

    folder: Path
    input: DemoFiles
    told: subprocess.CompletedProcess[str]
    words: tuple[str, ...]  # of the command, less --out


@pytest.fixture(scope="session")
def webtext() -> Run:
    """Runs `webtext WORDS` in a process of its own; the exit code must be `code`."""

    def run(*words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*PROGRAM, *map(str, words)], capture_output=True, text=True, check=False, timeout=280
        )
        assert done.returncode == code, done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def demo_input(tmp_path_factory: pytest.TempPathFactory) -> DemoFiles:
    """The fast demo's input: fewer ordinary pages, and everything that goes wrong."""
    return write_demo(tmp_path_factory.mktemp("demo"), fast=True)


@pytest.fixture(scope="session")
def finished(
    demo_input: DemoFiles, tmp_path_factory: pytest.TempPathFactory, webtext: Run
) -> Finished:
    """All stages from links to report over that input, with a tiny model. Tests only read it."""
    folder = tmp_path_factory.mktemp("finished") / "build"
    words = ("build", str(demo_input.settings_path), *TINY_MODEL)
    return Finished(folder, demo_input, webtext(*words, "--out", folder), words)
