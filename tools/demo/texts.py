"""Texts that every installation has: Python's own documentation, and READMEs of packages.

They differ from machine to machine and are read when the demo is made: nothing of them is kept in
the repository.
"""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

from tools.demo.stories import Article, Block

README_CHARS_MIN = 700
DAY = date(2019, 11, 4)
_FENCE = re.compile(r"^\s*(?:```|~~~(?!~))")
_UNDERLINE = re.compile(r"^([=\-~^\"#*+])\1{2,}\s*$")
_MARKUP = (
    (re.compile(r"`([^`<]+?)\s*<[^>]+>`_+"), r"\1"),  # reStructuredText's links
    (re.compile(r":[a-z:]+:`([^`]+)`"), r"\1"),  # and roles
    (re.compile(r"<!--.*?-->|<[^<>\n]{1,300}>", re.DOTALL), " "),
    (re.compile(r"!\[[^\]]*\](?:\([^)]*\)|\[[^\]]*\])"), " "),  # Markdown's images
    (re.compile(r"\[([^\]]+)\](?:\([^)]*\)|\[[^\]]*\])"), r"\1"),  # and links
    (re.compile(r"(?:^|(?<= ))>+ |[*_]{2}|`+|\|[^|\n]+\|_?"), ""),
)


def handbook() -> list[Article]:
    """The standard library's modules and classes, by name; see `handbook.py`."""
    program = Path(__file__).with_name("handbook.py")
    # A fixed seed, since some signatures print sets; -P, since a module beside it might be named
    # like one of Python's.
    done = subprocess.run(
        [sys.executable, "-P", str(program)],
        env={**os.environ, "PYTHONHASHSEED": "0", "PYTHONUTF8": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    texts = []
    for module, heading, blocks in json.loads(done.stdout):
        if len(heading) > len(module):
            title = f"{heading}, a class of {module}"
        else:
            title = f"The module {module}"
        texts.append(Article(title, "the Python developers", DAY, tuple(map(tuple, blocks))))
    return texts


def readmes() -> list[Article]:
    """The descriptions of the installed packages, by name."""
    texts: dict[str, Article] = {}
    for found in importlib.metadata.distributions():
        facts = found.metadata.json
        name, body = str(facts.get("name", "")).lower(), facts.get("description", "")
        if isinstance(body, str) and len(body) >= README_CHARS_MIN:
            title = f"{name} {found.version}: the README"
            texts[name] = Article(title, f"the authors of {name}", DAY, tuple(readme_blocks(body)))
    return [texts[name] for name in sorted(texts)]


def readme_blocks(text: str) -> list[Block]:
    """Markdown or reStructuredText as headings, paragraphs, list items and code, roughly."""
    blocks: list[Block] = []
    lines: list[str] = []
    fenced = False

    def close(kind: str) -> None:
        joined = "\n".join(lines) if kind == "pre" else _plain(" ".join(lines))
        if joined.strip() and not joined.lstrip().startswith(".."):
            blocks.append((kind, joined))
        lines.clear()

    for line in text.expandtabs().splitlines():
        if _FENCE.match(line):
            close("pre" if fenced else "p")
            fenced = not fenced
        elif fenced:
            lines.append(line)
        elif heading := re.match(r"#{1,6} +(.+)", line):
            close("p")
            lines.append(heading[1])
            close("h2")
        elif _UNDERLINE.match(line):
            close("h2" if len(lines) == 1 else "p")
        elif item := re.match(r" {0,3}(?:[-*+]|\d+\.) +(.+)", line):
            close("li" if lines and blocks[-1:] and blocks[-1][0] == "li" else "p")
            lines.append(item[1])
            close("li")
        elif not line.strip():
            close("p")
        elif line.startswith("    ") and not lines:
            before = [blocks.pop()[1]] if blocks and blocks[-1][0] == "pre" else []
            blocks.append(("pre", "\n".join([*before, line.rstrip()])))
        else:
            lines.append(line.strip())
    close("pre" if fenced else "p")
    return blocks


def _plain(text: str) -> str:
    for pattern, replacement in _MARKUP:
        text = pattern.sub(replacement, text)
    return " ".join(text.split())
