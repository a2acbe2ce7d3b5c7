"""The command `webtext`. Imports cyclopts alone: help answers in well under a second.

Each command lives in `tools/commands.py` and imports what it needs when it is called. Settings may
be given with any command that reads them, as `--links.karma-min 5`; they are taken out here, since
they are the same for all.

Exit codes: 0 done; 1 failed; 2 usage or settings; 3 finished, but a quality gate failed; 130 after
Ctrl-C and 75 after SIGTERM, both resumable.
"""

import re
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from cyclopts import App, CycloptsError

COMMANDS = {
    "demo": "The whole flow on a small web of our own, offline, in a few minutes.",
    "init": "Write a settings file to start from.",
    "build": "Dumps and captures to corpus, shards, a trained model, a report.",
    "status": "What a build holds: stages, rows, drops, digests.",
    "why": "What became of a URL, from its submissions to its shard.",
    "report": "Write the build's report, one self-contained HTML file.",
    "links": "Reddit dumps to links.",
    "extract": "WARC, HTML or JSONL files to documents.",
    "dedup": "Texts to one decision each: keep, or the document it copies.",
    "shards": "Texts to token shards for the trainer.",
    "train": "Train a GPT-2 on shards.",
    "evaluate": "Held-out loss, perplexity and bits per byte of a trained model.",
    "sample": "Text from a trained model.",
}
TOKENIZER_COMMANDS = {"train": "Texts to a byte-level BPE tokenizer."}
OVERRIDE = re.compile(r"--([a-z]+\.[a-z_-]+)(?:=(.*))?", re.DOTALL)


def _version() -> str:
    try:
        return version("webtext")
    except PackageNotFoundError:
        return "0 (not installed)"


def make_app() -> App:
    """The command line, with nothing imported but names."""
    app = App(
        name="webtext",
        version=_version,
        help="From Reddit submissions to a trained GPT-2: nothing lost, everything explained.",
    )
    for name, help_line in COMMANDS.items():
        app.command(f"tools.commands:{name}", name=name, help=help_line)
    tokenizer = App(name="tokenizer", help="Make a tokenizer.")
    for name, help_line in TOKENIZER_COMMANDS.items():
        tokenizer.command(f"tools.commands:tokenizer_{name}", name=name, help=help_line)
    app.command(tokenizer)
    return app


def split_overrides(tokens: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The tokens without settings, and the settings: {"links.karma_min": "5"}."""
    rest: list[str] = []
    overrides: dict[str, str] = {}
    waiting = list(tokens)
    while waiting:
        token = waiting.pop(0)
        match = OVERRIDE.fullmatch(token)
        if not match:
            rest.append(token)
        elif match[2] is not None:
            overrides[match[1].replace("-", "_")] = match[2]
        elif waiting:
            overrides[match[1].replace("-", "_")] = waiting.pop(0)
        else:
            raise SystemExit(f"webtext: {token} wants a value")
    return rest, overrides


def main(tokens: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    from pipeline.errors import WebtextError

    _check_packages()
    rest, overrides = split_overrides(sys.argv[1:] if tokens is None else tokens)
    app = make_app()
    try:
        command, bound, unparsed = app.parse_args(rest, exit_on_error=False)
        extra = {}
        if "overrides" in unparsed:
            extra["overrides"] = overrides
        elif overrides:
            raise WebtextError(f"this command takes no settings: --{next(iter(overrides))}")
        result = command(*bound.args, **bound.kwargs, **extra)
    except CycloptsError:
        return 2  # cyclopts has printed what is wrong
    except WebtextError as error:
        print(f"webtext: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        sys.stderr.close()
        return 0
    return result if isinstance(result, int) else 0


def _check_packages() -> None:
    """Refuse to run with another distribution's `pipeline` or `train`: the names are generic."""
    home = Path(__file__).resolve().parent.parent
    for name in ("pipeline", "train"):
        spec = find_spec(name)
        found = Path(spec.origin).resolve().parent.parent if spec and spec.origin else None
        if found != home:
            raise SystemExit(
                f"webtext: the package {name!r} is found in {found}, not beside webtext in {home}; "
                "install webtext in an environment of its own"
            )


if __name__ == "__main__":
    sys.exit(main())
