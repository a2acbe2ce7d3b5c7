"""The command `webtext`. Imports little but cyclopts: help answers in well under a second.

Commands live in commands.py, demo_command.py, stage_commands.py and tokenizer_commands.py, and
import what they need when called; options.py gives them their settings.
"""

import errno
import inspect
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

from cyclopts import (
    App,
    CycloptsError,
    Group,
    MissingArgumentError,
    Parameter,
    UnusedCliTokensError,
)

from pipeline.errors import SettingsError, Stopped, WebtextError
from tools import commands, demo_command, stage_commands, tokenizer_commands
from tools.options import STDIN, with_settings
from tools.places import require_here

TRAINER_COMMANDS = ("train", "evaluate", "sample", "score", "export")
BUILD_COMMANDS = (
    *("demo", "init", "doctor", "plan", "build", "status", "look", "why", "report", "clean"),
)
COMMANDS = (
    *BUILD_COMMANDS,
    "links",
    "fetch",
    "extract",
    "dedup",
    "overlap",
    "shards",
    *TRAINER_COMMANDS,
)
GROUPS = {
    "tokenizer": (
        "Count, train a tokenizer, use it, and tell how good it is.",
        ("count", "train", "encode", "decode", "count-tokens", "eval", "export"),
    ),
    "tokens": ("Write token shards for other trainers.", ("export",)),
}
# How `webtext --help` lists them, in the order of the work.
PANELS = {
    "Builds": BUILD_COMMANDS,
    "One stage on your own files": (
        *("links", "fetch", "extract", "dedup", "overlap", "tokenizer", "shards", "tokens"),
    ),
    "Models": TRAINER_COMMANDS,
}
# Where - is a file, not an option as cyclopts takes it: what stands for it (./- is the path "-").
READ_STDIN = {
    **dict.fromkeys(("extract", "fetch"), str(STDIN)),
    **dict.fromkeys(("dedup", "overlap", "tokenizer", "shards"), "./-"),
}
ACCESS_MEND = (
    " Check the credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or ~/.aws/credentials), "
    "and what they may do"
)
FULL_MEND = "; free some space on that disk and run the same command again"
# What a signal leaves of a command, and how to go on. Of the others: nothing was changed.
GOES_ON = "what is done is kept; the same command goes on"
LEFT = {
    **dict.fromkeys(
        (
            *("demo", "build", "links", "fetch", "extract"),
            *("tokenizer count", "tokenizer train", "shards"),
        ),
        GOES_ON,
    ),
    "dedup": "an earlier --out stands as it was; the same command starts from the beginning",
    **dict.fromkeys(
        ("tokens export", "tokenizer export"),
        "files that are whole are kept; the same command writes all of them again",
    ),
    "clean": "what was removed is gone; the same command removes the rest",
}
NAMES = (*COMMANDS, *(f"{group} {name}" for group, (_, names) in GROUPS.items() for name in names))


def _version() -> str:
    try:
        return version("webtext")
    except PackageNotFoundError:
        return "0 (not installed)"


def make_app(only: str = "") -> App:
    """The command line; each command's help is the docstring of its function.

    With `only` a command's name it is the only one that is made: 20 ms less.
    """
    app = App(
        name="webtext",
        version=_version,
        help="From Reddit submissions to a trained GPT-2: nothing lost, everything explained.",
        help_format="plaintext",  # asterisks and brackets as they are
        # One spelling a flag: no --no-json. A default that says nothing is not shown.
        default_parameter=Parameter(
            negative=(), show_default=lambda value: str(value or "") or None
        ),
    )
    made = [only] if only in COMMANDS else COMMANDS
    for name in made:
        app.command(with_settings(name, command_of(name)), name=name)
    for name in {*made} & {*TRAINER_COMMANDS}:
        app[name].help_flags = ()  # the trainer answers --help for its own commands
    for group, (about, names) in (GROUPS if made is COMMANDS else {}).items():
        inner = App(name=group, help=about)
        for name in names:
            words = f"{group} {name}"
            inner.command(with_settings(words, command_of(words)), name=name)
        app.command(inner)
    if made is COMMANDS:
        _arrange(app)
    return app


def _arrange(app: App) -> None:
    """Show the commands in PANELS, and last what every command has."""
    for title, names in PANELS.items():
        panel = Group.create_ordered(title)
        for place, name in enumerate(names):
            app[name].group, app[name].sort_key = panel, place
    last = Group.create_ordered("Help")
    about = {
        "--help": "Show this help; `webtext COMMAND --help` shows that of a command.",
        "--version": "Show the version.",
    }
    for name, text in about.items():
        app[name].group, app[name].help = last, text


def command_of(name: str) -> Callable[..., int | None]:
    """The function of a command; that of "tokenizer train" is `tokenizer_train`."""
    function = name.replace(" ", "_").replace("-", "_")
    rooms = (commands, demo_command, stage_commands, tokenizer_commands)
    found: Callable[..., int | None] = next(
        getattr(room, function) for room in rooms if hasattr(room, function)
    )
    return found


def main(tokens: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # as stderr: names that are not UTF-8
    words = list(sys.argv[1:] if tokens is None else tokens)
    try:
        _check_packages()
        with _terminating():
            code = _run(words)
            sys.stdout.flush()
        return code
    except CycloptsError as error:
        print(f"webtext: {_with_mend(error, _command_in(words))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return _stopped(Stopped(signal.SIGINT), words)
    except Stopped as stopped:
        return _stopped(stopped, words)
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except WebtextError as error:
        print(f"webtext: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:  # a full disk, a folder that may not be written
        refused = ACCESS_MEND if "ACCESS_DENIED" in str(error) else ""  # by an object store
        full = FULL_MEND if error.errno == errno.ENOSPC else ""
        print(f"webtext: {error}{refused}{full}", file=sys.stderr)
        return 1
    except Exception as error:
        # An interrupt within the import of a library may come out as an error of the library's.
        if not isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
            raise
        return _stopped(Stopped(signal.SIGINT), words)


def _command_in(words: Sequence[str]) -> str:
    """The name of the command that a command line gives, "" where it gives none of ours."""
    name = " ".join(words[:2] if words and words[0] in GROUPS else words[:1])
    return name if name in NAMES else ""


def _with_mend(error: CycloptsError, command: str) -> str:
    """A usage error that ends with what to do."""
    # Of the commands that there are cyclopts tells the first eight.
    whole = str(error).partition(" Available commands:")[0]
    told, _, near = whole.partition(" Did you mean ")
    told = told.rstrip(".")
    if isinstance(error, UnusedCliTokensError):
        words = error.unused_tokens or []
        told = f"unexpected argument{'s' if len(words) > 1 else ''}: {', '.join(words)}"
    elif isinstance(error, MissingArgumentError):
        told = _missing(error)
    if near:
        return f"{told}. Did you mean {near}"
    return f"{told}; `{' '.join(('webtext', command)).strip()} --help` tells what there is"


def _missing(error: MissingArgumentError) -> str:
    """What a command line lacks: an option's value, or a whole argument."""
    if error.keyword:
        return f"{error.keyword}: its value is missing"
    return f"{error.argument.name if error.argument else 'an argument'} is missing"


def _stopped(stopped: Stopped, words: Sequence[str]) -> int:
    """Tell what a signal left of a command; the exit code."""
    left = LEFT.get(_command_in(words), "")
    if not left or (words[0] == "extract" and "--out" not in words):  # text on stdout
        left = "nothing was changed; run it again"
    print(f"webtext: stopped by {stopped.name}; {left}", file=sys.stderr)
    return stopped.exit_code


def _run(tokens: Sequence[str]) -> int:
    if tokens and tokens[0] in READ_STDIN:
        tokens = [READ_STDIN[tokens[0]] if token == "-" else token for token in tokens]
    app = make_app(only=tokens[0] if tokens else "")
    command, bound, _ = app.parse_args(tokens, exit_on_error=False, print_error=False)
    _require_here(bound)
    result = command(*bound.args, **bound.kwargs)
    return result if isinstance(result, int) else 0


def _require_here(bound: inspect.BoundArguments) -> None:
    """Refuse a URI for what is a Path, which would make of s3://… a folder of that name here."""
    for name, value in bound.arguments.items():
        is_option = bound.signature.parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
        for path in value if isinstance(value, tuple) else (value,):
            if isinstance(path, Path):
                require_here(path, f"--{name}" if is_option else "")


@contextmanager
def _terminating() -> Iterator[None]:
    """Turn SIGTERM into Stopped, for commands that have no better way to stop."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(signum: int, frame: FrameType | None) -> None:
        raise Stopped(signum)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _check_packages() -> None:
    """Refuse to run with another distribution's `pipeline` or `train`: the names are generic."""
    home = Path(__file__).resolve().parent.parent
    for name in ("pipeline", "train"):
        spec = find_spec(name)
        found = Path(spec.origin).resolve().parent.parent if spec and spec.origin else None
        if found != home:
            raise SettingsError(
                f"the package {name!r} is found in {found}, not beside webtext in {home}; "
                "install webtext in an environment of its own"
            )


if __name__ == "__main__":
    sys.exit(main())
