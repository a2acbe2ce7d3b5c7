"""Without torch the trainer's commands say in one line what to install, and all else works."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BLOCKER = """
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "safetensors"):
            raise ModuleNotFoundError(f"No module named {name!r}")

sys.meta_path.insert(0, Blocked())
"""


@pytest.fixture
def without_torch(tmp_path):
    """Runs `webtext` with words where torch and safetensors cannot be imported."""
    (tmp_path / "blocker").mkdir()
    (tmp_path / "blocker" / "sitecustomize.py").write_text(BLOCKER)
    paths = [str(tmp_path / "blocker"), str(ROOT)]

    def run(*words, module="tools.cli"):
        return subprocess.run(
            [sys.executable, "-m", module, *map(str, words)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.mark.parametrize(
    "words",
    [
        ["train", "shards", "--out", "model"],
        ["sample", "model"],
        ["evaluate", "model"],
        ["export", "model", "--out", "hf"],
    ],
    ids=lambda words: words[0],
)
def test_a_command_of_the_trainer_says_in_one_line_what_to_install(without_torch, words):
    done = without_torch(*words)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "training needs torch, safetensors: install them with `pip install '.[train]'`" in (
        done.stderr
    )
    alone = without_torch(*(words[1:] if words[0] == "train" else words), module="train")
    assert alone.returncode == 2
    assert "training needs torch" in alone.stderr
    assert without_torch(words[0], "--help").returncode == 0


def test_a_build_with_a_model_is_refused_before_any_work(without_torch, tmp_path):
    (tmp_path / "webtext.toml").write_text('[input]\ndumps = ["x"]\nwarcs = ["y"]\n')
    done = without_torch("build", "webtext.toml")
    assert done.returncode == 2
    assert "or end the build before the model: --to shards" in done.stderr
    assert not (tmp_path / "build").exists()


@pytest.mark.slow
def test_the_flow_up_to_the_shards_plan_and_report_work(without_torch, tmp_path):
    words = ("demo", "--out", "build", "--to", "shards", "--tokenizer.vocab-size", "2048")
    done = without_torch(*words)
    assert done.returncode == 0, done.stderr
    digest = json.loads(without_torch("status", "build", "--json").stdout)["digest"]
    assert len(digest) == 32
    assert without_torch("report", "build").returncode == 0
    planned = without_torch("plan", "build/input/webtext.toml", "--out", "plan", "--json")
    assert json.loads(planned.stdout)
