"""Settings from `webtext.toml` and from options, and back; see settings.py for what they are.

Unknown keys and wrong values are refused before any work, with the file, the line, the nearest
known name and the values that are allowed.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, get_origin, get_type_hints

import msgspec

from pipeline.errors import SettingsError
from pipeline.settings import (
    PROFILE,
    PROFILES,
    SECTIONS,
    Described,
    Settings,
    as_tables,
    described,
    refusals,
)

# Of commands on anyone's texts: a build has texts of its own, with ids of their own.
NOT_IN_A_BUILD = ("texts",)


def load(
    path: Path | None,
    options: Mapping[str, Any] | None = None,
    *,
    spelled: Mapping[str, str] | None = None,
) -> Settings:
    """Settings from a TOML file (None: defaults) under `options` like {"links.karma_min": "5"}.

    `spelled` tells how an option was written on the command line, for messages. Raises
    SettingsError with the key, the line and the nearest known name.
    """
    text = _read(path) if path else ""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from None
    for name in NOT_IN_A_BUILD:
        if name in tables:
            problem = f"[{name}] is for the commands dedup, tokenizer train and shards"
            raise SettingsError(f"{path}: {problem}; a build does not read it. Remove it")
    given = dict(options or {})
    for key, value in given.items():
        _set(tables, key, value)
    names = {key: key for key in given} | dict(spelled or {})
    return from_tables(tables, Source(str(path or ""), text, names))


@dataclass(frozen=True)
class Source:
    """Where settings come from, for messages."""

    path: str = ""
    text: str = ""
    options: Mapping[str, str] = field(default_factory=dict)  # key -> as it was written

    def name(self, key: str) -> str:
        """How a person wrote the key: "links.karma_min", or an option's "--karma-min"."""
        return self.options.get(key, key)

    def at(self, key: str) -> str:
        """ " (webtext.toml line 7)" for the line that sets `key`; "" for an option."""
        if key in self.options:
            return ""
        section, _, leaf = key.rpartition(".")
        table = ""
        for number, line in enumerate(self.text.splitlines(), 1):
            if header := re.match(r"\s*\[\s*([\w.-]+)", line):
                table = header[1]
                found = table == key
            else:
                name = leaf if table == section else key if not table else None
                found = name is not None and bool(re.match(rf"\s*{re.escape(name)}\s*=", line))
            if found:
                return f" ({self.path} line {number})"
        return ""


def from_tables(tables: Mapping[str, Any], source: Source | None = None) -> Settings:
    """Settings from nested tables; see `load` for the errors."""
    source = source or Source()
    profile = tables.get("profile", "paper")
    if profile not in PROFILES:
        raise SettingsError(
            f"{source.name('profile')} is {profile!r}{source.at('profile')}; "
            f"it must be one of {', '.join(PROFILES)}"
        )
    for name, values in tables.items():
        known = ("profile", *SECTIONS, "train")
        if name not in known:
            raise SettingsError(_unknown(source, name, known))
        if name != "profile" and not isinstance(values, Mapping):
            raise SettingsError(f"{name}{source.at(name)} is a table: write [{name}]")
    settings = Settings(profile=profile, train=dict(tables.get("train", {})))
    for name in SECTIONS:
        merged = {**PROFILES[profile].get(name, {}), **tables.get(name, {})}
        if merged:
            section = _section(name, getattr(settings, name), merged, source)
            settings = replace(settings, **{name: section})
    for key, value, wanted in refusals(settings):
        raise SettingsError(f"{source.name(key)} is {value}{source.at(key)}; it must be {wanted}")
    return settings


def to_toml(settings: Settings | None = None, *, explained: bool = False) -> str:
    """A settings file that `load` reads as these settings (None: the defaults), each of them.

    `explained` adds what each setting does, its values, and what WebText did.
    """
    tables = as_tables(settings or Settings())
    lines = [f"profile = {toml_value(tables.pop('profile'))}"]
    if explained:
        lines = [*comment(PROFILE), "# A setting below wins over the profile.", *lines]
    for section, values in tables.items():
        if not values or section in NOT_IN_A_BUILD:  # [train] is empty until something is set
            continue
        lines.append("")
        if explained and section in SECTIONS:
            lines.append(f"# {type(getattr(Settings(), section)).__doc__}")
        lines.append(f"[{section}]")
        about = {each.key: each for each in described(section)} if section in SECTIONS else {}
        for name, value in values.items():
            if explained and section in SECTIONS:
                lines += ["", *comment(about[f"{section}.{name}"])]
            lines.append(f"{name} = {toml_value(value)}")
    return "\n".join(lines) + "\n"


def comment(about: Described) -> list[str]:
    """Lines of a settings file that explain a setting."""
    lines = [f"# {about.text}. Values: {about.values}."]
    return [*lines, f"# WebText: {about.paper}."] if about.paper else lines


def toml_value(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, date):
        return value.isoformat()
    # JSON writes text, numbers, booleans and lists as TOML does, but for one character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", r"\u007f")


def _read(path: Path) -> str:
    if path.is_dir():
        raise SettingsError(f"{path} is a folder; name a settings file: `webtext init` writes one")
    try:
        return path.read_text(encoding="utf-8-sig")  # Windows' editors put a mark first
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such settings file; `webtext init` writes one") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{path} line {line}: it is not UTF-8; save it in UTF-8") from None
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from None


def _set(tables: dict[str, Any], key: str, value: Any) -> None:
    *parents, leaf = key.split(".")
    for name in parents:
        tables = tables.setdefault(name, {})
        if not isinstance(tables, dict):
            raise SettingsError(f"unknown setting {key}: {name} holds a value, not a table")
    tables[leaf] = value


def _section(name: str, default: Any, values: Mapping[str, Any], source: Source) -> Any:
    hints = get_type_hints(type(default))
    allowed = {each.key: each.values for each in described(name)}
    converted = {}
    for leaf, value in values.items():
        key = f"{name}.{leaf}"
        if leaf not in hints:
            raise SettingsError(_unknown(source, key, tuple(allowed)))
        try:
            converted[leaf] = _convert(value, hints[leaf])
        except msgspec.ValidationError:
            wanted = _wanted(hints[leaf], allowed[key])
            raise SettingsError(
                f"{source.name(key)} is {value!r}{source.at(key)}; it must be {wanted}"
            ) from None
    return replace(default, **converted)


def _convert(value: Any, kind: Any) -> Any:
    # Options come as text, so text may stand for a number, a date, or a list with commas.
    if isinstance(value, str) and get_origin(kind) is tuple:
        value = [item for item in value.split(",") if item]
    return msgspec.convert(value, kind, strict=not isinstance(value, str))


def _wanted(kind: Any, values: str) -> str:
    """The type of a setting in words, with its values."""
    if get_origin(kind) is tuple:
        return "a list of texts"
    names = {int: "a whole number", float: "a number"}
    return f"{names[kind]}, {values}" if kind in names else values


def _unknown(source: Source, key: str, known: tuple[str, ...]) -> str:
    leaves = {name.split(".")[-1]: name for name in known}
    near = difflib.get_close_matches(key.split(".")[-1], leaves, n=1, cutoff=0.5)
    hint = f"did you mean {leaves[near[0]]}?" if near else f"known: {', '.join(sorted(known))}"
    return f"unknown setting {source.name(key)}{source.at(key)}; {hint}"
