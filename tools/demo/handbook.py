"""The standard library's documentation as `pydoc` renders it; run as a program of its own.

Importing two hundred modules has side effects that the caller should not have. Writes a JSON list
of [module, heading, blocks] to stdout, a block being ["p" or "pre" or "h2", text]: one entry for
each module and one for each class with a text of its own. What does not import is left out.
"""

import contextlib
import importlib
import inspect
import io
import json
import pkgutil
import pydoc
import re
import sys
import textwrap
import types
import warnings

# Modules that act when they are imported (a browser, a window, a poem), and tests of Python's own.
LEFT_OUT = frozenset(
    """
    antigravity this idlelib tkinter turtle turtledemo test lib2to3 ensurepip pydoc_data nt ntpath
    """.split()
)
PACKAGES = (
    "asyncio concurrent email html http importlib json logging multiprocessing unittest urllib"
    " wsgiref xml"
)
CLASS_DOC_CHARS_MIN = 160
_PLAIN = pydoc.TextDoc()
Block = tuple[str, str]
Entry = tuple[str, str, list[Block]]
# What pydoc says of nearly every class.
_NO_TEXT = re.compile(
    r"-{20}|Method resolution order:|See help\(type\(self\)\)|Methods defined here:"
    r"|\A__(?:dict|weakref|slots|hash|annotations)__\b|Return (?:repr|str)\(self\)\.$"
)
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
# What a class has from others, and constants, are no text about it.
_REST = re.compile(
    r"^ \|  (?:[A-Z][a-z ]+ inherited from|Data and other attributes defined here)", re.MULTILINE
)


def main() -> None:
    """Print the entries of all modules, in the order of their names."""
    warnings.simplefilter("ignore")
    entries: list[Entry] = []
    for name in _names():
        said = io.StringIO()
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                entries += _entries(importlib.import_module(name))
        except (Exception, SystemExit):  # noqa: BLE001 (a module of the installation may do anything)
            continue
    json.dump(entries, sys.stdout)


def _names() -> list[str]:
    names = [n for n in sys.stdlib_module_names if not n.startswith("_") and n not in LEFT_OUT]
    for package in PACKAGES.split():
        folder = getattr(importlib.import_module(package), "__path__", [])
        for path in map(str, folder):
            names += [f"{package}.{stem}" for stem in _stems(path)]
    return sorted(set(names))


def _stems(folder: str) -> list[str]:
    return [
        found.name for found in pkgutil.iter_modules([folder]) if not found.name.startswith("_")
    ]


def _entries(module: types.ModuleType) -> list[Entry]:
    """The module's own entry, then those of its classes."""
    name = module.__name__
    synopsis, description = pydoc.splitdoc(inspect.getdoc(module) or "")
    blocks: list[Block] = [("p", synopsis), *_blocks(description)]
    classes: list[Entry] = []
    for key, value in sorted(vars(module).items()):
        if key.startswith("_") or getattr(value, "__module__", None) not in (name, f"_{name}"):
            continue
        if inspect.isclass(value):
            own = value.__doc__ if "__doc__" in vars(value) else ""
            if len(own or "") >= CLASS_DOC_CHARS_MIN:
                classes.append((name, f"{name}.{key}", _class_blocks(value)))
        elif inspect.isroutine(value) and value.__name__ == key and inspect.getdoc(value):
            text = pydoc.plain(_PLAIN.docroutine(value))
            signature, _, rest = text.partition("\n")
            blocks += [("h2", _tidy(signature)), *_blocks(inspect.cleandoc(rest))]
    return [(name, name, blocks), *classes]


def _class_blocks(value: type) -> list[Block]:
    text = pydoc.plain(_PLAIN.docclass(value))
    if found := _REST.search(text):
        text = text[: found.start()]
    return _blocks("\n".join(re.sub(r"^ \|  ?", "", line) for line in text.splitlines()[1:]))


def _blocks(text: str) -> list[Block]:
    """Paragraphs of prose, and as it stands what is set out by indentation or is a session."""
    blocks: list[Block] = []
    for piece in re.split(r"\n[ \t]*\n", _tidy(text)):
        piece = textwrap.dedent(piece).strip("\n")
        if not piece.strip() or _NO_TEXT.search(piece):
            continue
        if ">>>" in piece or re.search(r"^    ", piece, re.MULTILINE):
            blocks.append(("pre", piece.rstrip()))
        else:
            blocks.append(("p", " ".join(piece.split())))
    return blocks


def _tidy(text: str) -> str:
    return _ADDRESS.sub("", text).expandtabs()


if __name__ == "__main__":
    main()
