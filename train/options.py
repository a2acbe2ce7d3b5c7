"""The one parser for all commands: the fields of a settings dataclass as options, or as TOML.

Each field carries its help text and what a resumed run may do with it (see `option`). Imports no
torch.
"""

import argparse
import difflib
import inspect
import math
import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import field, fields, replace
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    NoReturn,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from train.errors import SettingsError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")
S = TypeVar("S", bound="DataclassInstance")
# What a resumed run may do with a setting. "locked": the run would be another one, refused.
# "bits": allowed, the result is the same but for the order of sums. "free": changes no weight,
# or only what is still to come.
Change = Literal["locked", "bits", "free"]
RESUME: dict[Change, str] = {
    "free": "options that may change on --resume",
    "bits": "options that may change on --resume; the same but for rounding, no more bit for bit",
    "locked": "options that --resume keeps: another value is refused, and so is other DATA",
}


def option(default: T, text: str, change: Change = "free", *, positional: bool = False) -> T:
    """A dataclass field with its help text."""
    about = {"help": text, "change": change, "positional": positional}
    return field(default=default, metadata=about)


def from_options(kind: type[S], options: Mapping[str, Any]) -> S:
    """Settings from named values, such as a TOML table; text may stand for any value.

    Raises SettingsError with the value, what was wanted, and the nearest known name.
    """
    hints = get_type_hints(kind)
    known = {key_of(f.name): f.name for f in fields(kind)}
    values = {}
    for key, value in options.items():
        name = known.get(key.replace("-", "_"))
        if name is None:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
            raise SettingsError(f"unknown setting train.{key}; {hint}")
        values[name] = _convert(name, value, hints[name])
    return replace(kind(), **values)


def parse(kind: type[S], argv: Sequence[str], prog: str) -> tuple[S, dict[str, Any], bool]:
    """Settings from a command line, what of it was given explicitly, and whether --json was.

    Prints help and exits as argparse does. Raises SettingsError for what it does not know, with the
    nearest option.
    """
    # getdoc: Python 3.13 takes the indentation away by itself, earlier ones leave it.
    about = (inspect.getdoc(kind) or "").split("\n\nExample: ")
    parser = _Parser(
        prog=prog, description=about[0], epilog=f"Example: {about[1].strip()}",
        allow_abbrev=False, argument_default=argparse.SUPPRESS,
    )  # fmt: skip
    hints = get_type_hints(kind)
    resumes = any(f.metadata["change"] != "free" for f in fields(kind))
    groups = {change: parser.add_argument_group(title) for change, title in RESUME.items()}
    for f in fields(kind):
        text = f.metadata["help"].replace("%", "%%")
        place = groups[f.metadata["change"]] if resumes else parser
        if f.metadata["positional"]:
            parser.add_argument(f.name, nargs="?", metavar=f.name.upper(), help=text)
        elif hints[f.name] is bool and f.metadata["change"] == "free":
            place.add_argument(flag(f.name), action="store_true", help=text)
        elif hints[f.name] in (bool, bool | None):  # a resumed run may want it off
            place.add_argument(flag(f.name), action=argparse.BooleanOptionalAction, help=text)
        else:
            shown = "" if f.default in (None, "") else f" [{f.default}]"
            place.add_argument(flag(f.name), metavar=_metavar(hints[f.name]), help=text + shown)
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    found, unknown = parser.parse_known_args(argv)
    if unknown:
        raise SettingsError(_told_unknown(unknown[0], parser, prog))
    given = vars(found)
    as_json = given.pop("json", False)
    given = {key_of(name): value for name, value in given.items()}
    settings = from_options(kind, given)
    names = {key_of(f.name): f.name for f in fields(kind)}
    return settings, {names[k]: getattr(settings, names[k]) for k in given}, as_json


class _Parser(argparse.ArgumentParser):
    """Says what is wrong as an error of ours, without a page of usage."""

    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message.removeprefix('argument ')}; {self.prog} --help tells more")


def _told_unknown(word: str, parser: argparse.ArgumentParser, prog: str) -> str:
    if not word.startswith("-"):
        return f"{word!r} is one argument too many; {prog} --help tells what there is"
    name = word.partition("=")[0]
    known = [flag for action in parser._actions for flag in action.option_strings]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"{prog} --help tells what there is"
    return f"unknown option {name}; {hint}"


def key_of(name: str) -> str:
    """The name of a setting in options and TOML: durations carry their unit in the value."""
    return name.removesuffix("_s")


def flag(name: str) -> str:
    """The command-line spelling of a setting."""
    return "--" + key_of(name).replace("_", "-")


SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def _convert(name: str, value: Any, kind: Any) -> Any:
    """`value` as `kind` (bool, int, float, str, Literal or None with one of them)."""
    shown = flag(name)
    if get_origin(kind) in (Union, types.UnionType):
        if value is None:
            return None
        kind = next(k for k in get_args(kind) if k is not type(None))
    if get_origin(kind) is Literal:
        if value in get_args(kind):
            return value
        raise SettingsError(f"{shown} is {value!r}; it must be one of {', '.join(get_args(kind))}")
    if kind is bool or isinstance(value, bool):
        if kind is bool and isinstance(value, bool):
            return value
        raise SettingsError(
            f"{shown} is {value!r}; it must be {'true or false' if kind is bool else kind.__name__}"
        )
    if kind is float and isinstance(value, str):
        found = re.fullmatch(r"([0-9.eE+-]+)([smhd]?)", value) if name.endswith("_s") else None
        number = _number(found[1] if found else value)
        value = value if number is None else number * (SECONDS[found[2]] if found else 1)
    if kind is int and isinstance(value, str) and re.fullmatch(r"[+-]?[0-9][0-9_,]*", value):
        value = int(value.replace(",", "").replace("_", ""))
    if kind is float and isinstance(value, int):
        value = float(value)
    if kind is str and not isinstance(value, str):
        value = str(value)
    if not isinstance(value, kind) or (kind is float and not math.isfinite(value)):
        wanted = {"int": "a whole number", "float": "a finite number"}[kind.__name__]
        raise SettingsError(f"{shown} is {value!r}; it must be {wanted}")
    return value


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _metavar(kind: Any) -> str:
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(k for k in get_args(kind) if k is not type(None))
    if get_origin(kind) is Literal:
        return "{" + ",".join(get_args(kind)) + "}"
    return {int: "N", float: "X", str: "TEXT"}[kind]
