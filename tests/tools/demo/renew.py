"""Writes the demo's golden values anew, after a change that was meant to change them:

    python -P tests/tools/demo/renew.py

The digests of its input (test_files.py), the versions and digests of its stages
(test_demo_build.py) and what `webtext why` tells in the README. `git diff` then shows what changed.
Takes about a minute.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT))

from pipeline.engine.manifest import read_manifest  # noqa: E402 (the checkout's own, once it is found)
from pipeline.engine.store import Disk  # noqa: E402
from tools.demo import digest, write_demo  # noqa: E402
from tools.status import status  # noqa: E402

STAGES = ("links", "pages", "documents", "corpus", "tokenizer", "shards")


def main() -> None:
    """Renew all three files."""
    with tempfile.TemporaryDirectory() as folder:
        fast, whole = Path(folder) / "fast", Path(folder) / "whole"
        replace("tests/tools/demo/test_files.py", inputs(Path(folder) / "inputs"))
        webtext("demo", "--fast", "--to", "shards", "--out", fast)
        webtext("demo", "--to", "shards", "--out", whole)
        found = status(fast)["stages"]
        replace("tests/tools/test_demo_build.py", {name: found[name]["digest"] for name in STAGES})
        replace("tests/tools/test_demo_build.py", versions(fast))
        readme = ROOT / "README.md"
        text = readme.read_text(encoding="utf-8")
        command, old = re.search(r"\$ webtext why \"(.+?)\" .+\n((?:.+\n)+?)```", text).groups()
        told = webtext("why", command, "--build", whole)
        readme.write_text(text.replace(old, told), encoding="utf-8")


def inputs(folder: Path) -> dict[str, str]:
    """The digests of both inputs."""
    return {
        name: digest(write_demo(folder / name, fast=name == "fast")) for name in ("whole", "fast")
    }


def versions(build: Path) -> dict[str, str]:
    """Of the packages that shaped the rows."""
    manifests = [read_manifest(Disk(build), name) for name in STAGES]
    steps = [step for manifest in manifests if manifest for step in manifest.steps]
    return {name: version for step in steps for name, version in step.versions.items()}


def webtext(*words: object) -> str:
    """What the command says on stdout."""
    program = [sys.executable, "-P", "-m", "tools.cli", *map(str, words)]
    done = subprocess.run(program, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def replace(name: str, values: dict[str, str]) -> None:
    """Give the keys of a Python file's tables these values."""
    path = ROOT / name
    text = path.read_text(encoding="utf-8")
    for key, value in values.items():
        text, found = re.subn(
            rf'^    "{key}": "[^"]*"', f'    "{key}": "{value}"', text, flags=re.M
        )
        if not found:
            sys.exit(f"{name} has no line for {key}, which is {value} now; add it")
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
