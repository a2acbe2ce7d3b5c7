"""The one parser for all commands: the fields of a settings dataclass as options, or as TOML.

Each field carries its help text, the values that make sense, and what a resumed run may do with it
(see `option`). Imports no torch.
"""

import argparse
import difflib
import inspect
import math
import re
import textwrap
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, fields, replace
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    NamedTuple,
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
# or only what is still to come. "files": says where files are, and whether to resume.
Change = Literal["files", "free", "bits", "locked"]
GROUPS: dict[Change, str] = {
    "files": "files, and whether to resume",
    "free": "may change on --resume",
    "bits": "may change on --resume; the result then differs by rounding",
    "locked": "may not change on --resume, and neither may DATA",
}


class Valid(NamedTuple):
    """The values of the right type that make sense: told in words, and as a test."""

    wanted: str
    holds: Callable[[Any], bool]


COUNT = Valid("0 or more", lambda n: n >= 0)
POSITIVE = Valid("1 or more", lambda n: n > 0)
# Other bytes of a command line come as lone surrogates.
UTF8 = Valid("text in UTF-8", lambda text: not any("\ud800" <= c <= "\udfff" for c in text))
EXPECTED = (None, COUNT, POSITIVE, UTF8)  # what help need not say
BELOW_ONE = Valid("from 0 to below 1", lambda x: 0 <= x < 1)


def option(
    default: T,
    text: str,
    change: Change = "free",
    *,
    positional: bool = False,
    valid: Valid | None = None,
) -> T:
    """A dataclass field: its help is a sentence without its period, as help shows it."""
    about = {"help": text, "change": change, "positional": positional, "valid": valid}
    return field(default=default, metadata=about)


def refuse_senseless(settings: "DataclassInstance") -> None:
    """Raise SettingsError for a value of the right type that is not among those that make sense."""
    for f in fields(settings):
        value, valid = getattr(settings, f.name), f.metadata["valid"]
        if valid and value is not None and not valid.holds(value):
            shown = str(value).encode("utf-8", "backslashreplace").decode()
            raise SettingsError(f"{flag(f.name)} is {shown}; it must be {valid.wanted}")


def values_of(kind: Any, valid: Valid | None) -> str:
    """The values that a setting may have, in words; "" for any text."""
    if get_origin(kind) in (Union, types.UnionType):
        kind = next(k for k in get_args(kind) if k is not type(None))
    if get_origin(kind) is Literal:
        return f"one of {', '.join(get_args(kind))}"
    return "true or false" if kind is bool else valid.wanted if valid else ""


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
            hint = f"did you mean train.{near[0]}?" if near else f"known: {', '.join(known)}"
            raise SettingsError(f"unknown setting train.{key}; {hint}")
        values[name] = _convert(name, value, hints[name])
    return replace(kind(), **values)


def parse(kind: type[S], argv: Sequence[str], prog: str) -> tuple[S, dict[str, Any], bool]:
    """Settings from a command line, what of it was given explicitly, and whether --json was.

    Prints help and exits as argparse does. Raises SettingsError for what it does not know, with the
    nearest option.
    """
    parser = _parser(kind, prog)
    found, unknown = parser.parse_known_args(argv)
    if unknown:
        raise SettingsError(_told_unknown(unknown[0], parser, prog))
    given = vars(found)
    as_json = given.pop("json", False)
    given = {key_of(name): value for name, value in given.items()}
    settings = from_options(kind, given)
    names = {key_of(f.name): f.name for f in fields(kind)}
    return settings, {names[k]: getattr(settings, names[k]) for k in given}, as_json


def _parser(kind: type[S], prog: str) -> argparse.ArgumentParser:
    hints = get_type_hints(kind)
    places = " ".join(f.name.upper() for f in fields(kind) if f.metadata["positional"])
    # getdoc: Python 3.13 takes the indentation away by itself, earlier ones leave it.
    about, example = (inspect.getdoc(kind) or "").split("\n\nExample: ")
    parser = _Parser(
        prog=prog, usage=f"{prog} {places} [OPTIONS]", add_help=False,
        description=about, epilog=f"Example: {prog} {example.strip()}",
        allow_abbrev=False, argument_default=argparse.SUPPRESS, formatter_class=_Help,
    )  # fmt: skip
    resumes = any(f.metadata["change"] != "free" for f in fields(kind))
    titles = GROUPS if resumes else {"free": "options"}
    groups = {change: parser.add_argument_group(title) for change, title in titles.items()}
    for f in fields(kind):
        place = parser if f.metadata["positional"] else groups[f.metadata["change"]]
        _add(place, f.name, hints[f.name], f.default, f.metadata)
    # Where runs are resumed these two would be out of place among what may change.
    last = parser.add_argument_group("result and help") if resumes else groups["free"]
    last.add_argument("--json", action="store_true", help="Print the result as one JSON object.")
    last.add_argument("-h", "--help", action="help", help="Show this help and exit.")
    return parser


def _add(place: Any, name: str, kind: Any, default: Any, about: Mapping[str, Any]) -> None:
    """Add an option, or the positional argument, with its help."""
    text, valid = about["help"], about["valid"]
    if valid not in EXPECTED:
        text += f" ({valid.wanted})"
    shown = "" if default in (None, "") or kind is bool else f" [default: {default}]"
    text = f"{text}.{shown}".replace("%", "%%")
    if about["positional"]:
        place.add_argument(name, nargs="?", metavar=name.upper(), help=text)
    elif kind is bool and about["change"] in ("files", "free"):
        place.add_argument(flag(name), action="store_true", help=text)
    elif kind in (bool, bool | None):  # a resumed run may want it off
        place.add_argument(flag(name), action=argparse.BooleanOptionalAction, help=text)
    else:
        place.add_argument(flag(name), metavar=_metavar(kind), help=text)


class _Help(argparse.HelpFormatter):
    """Breaks no line within a word such as --stop-after."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return textwrap.fill(" ".join(text.split()), width, break_on_hyphens=False)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)


class _Parser(argparse.ArgumentParser):
    """Says what is wrong as an error of ours, without a page of usage."""

    def error(self, message: str) -> NoReturn:
        told = message.removeprefix("argument ")
        raise SettingsError(f"{told}; `{self.prog} --help` tells what there is")


def _told_unknown(word: str, parser: argparse.ArgumentParser, prog: str) -> str:
    if not word.startswith("-"):
        return f"{word!r} is one argument too many; `{prog} --help` tells what there is"
    name = word.partition("=")[0]
    known = [flag for action in parser._actions for flag in action.option_strings]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"`{prog} --help` tells what there is"
    return f"unknown option {name}; {hint}"


def key_of(name: str) -> str:
    """The name of a setting in options and TOML: durations carry their unit in the value."""
    return name.removesuffix("_s")


def flag(name: str) -> str:
    """The command-line spelling of a setting."""
    return "--" + key_of(name).replace("_", "-")


WANTED = {bool: "true or false", int: "a whole number", float: "a finite number", str: "text"}
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
        raise SettingsError(f"{shown} is {value!r}; it must be {WANTED[kind]}")
    is_time = name.endswith("_s")
    if kind is float and isinstance(value, str):
        found = re.fullmatch(r"([0-9.eE+-]+)([smhd]?)", value) if is_time else None
        number = _number(found[1] if found else value)
        value = value if number is None else number * (SECONDS[found[2]] if found else 1)
    if kind is int and isinstance(value, str) and re.fullmatch(r"[+-]?[0-9][0-9_,]*", value):
        value = int(value.replace(",", "").replace("_", ""))
    if kind is float and isinstance(value, int):
        value = float(value)
    if kind is str and not isinstance(value, str):
        value = str(value)
    if not isinstance(value, kind) or (kind is float and not math.isfinite(value)):
        wanted = f"{WANTED[kind]}, or a time such as 90, 10m or 2h" if is_time else WANTED[kind]
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
