"""Settings as options of the commands: which command has which, and how they are spelled there.

A setting has its short name in a command of its own (`webtext links --karma-min 5`) and its full
one where all stages run (`webtext build --links.karma-min 5`). A setting that does nothing for a
command is no option of it.
"""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from cyclopts import Group, Parameter

from pipeline.settings import (
    COUNT,
    POSITIVE,
    PROFILE,
    SECTIONS,
    VALUES_OF,
    Described,
    Settings,
    described,
)
from pipeline.settings_file import NOT_IN_A_BUILD, load, toml_value
from tools.places import Place, Uri, place_of

ENGINE = (
    *("engine.runner", "engine.runner_options", "engine.workers", "engine.parts_in_flight"),
    "engine.free_disk_min_bytes",
)
EXCHANGE = ("engine.exchange", "engine.buckets", "engine.bucket_bytes_max")
PAGE = ("engine.item_cpu_s", "engine.item_wall_s", "engine.worker_memory_bytes")
# A section stands for all of its settings.
SETTINGS_OF = {
    "links": ("links", *ENGINE, *EXCHANGE),
    "fetch": ("fetch", "pages.hops_max", "pages.respect"),
    "extract": (
        "documents",
        "pages.accept_torn",
        "pages.range_bytes",
        *ENGINE,
        *PAGE,
        "engine.worker_items",
    ),
    "dedup": (
        *("profile", "corpus.quality"),
        *("corpus.near_order", "corpus.near_measure", "corpus.near_threshold"),
        *("documents.text_chars_max", "texts"),
    ),
    "tokenizer count": (
        *("tokenizer.sample_bytes_max", "tokenizer.document_bytes_max", "tokenizer.min_count"),
        *("shards.seed", "shards.val_share", "shards.split_by", "texts"),
        *(*ENGINE, *EXCHANGE),
    ),
    "overlap": ("texts.text_field",),
    "tokenizer train": (
        *("tokenizer.vocab_size", "tokenizer.min_frequency", "tokenizer.token_bytes_max"),
        *("tokenizer.sample_bytes_max", "tokenizer.document_bytes_max", "tokenizer.min_count"),
        *("shards.seed", "shards.val_share", "shards.split_by", "texts"),
        *(*ENGINE, *EXCHANGE),
    ),
    "tokenizer count-tokens": ("texts.text_field",),
    "tokenizer eval": ("texts.text_field",),
    "shards": ("shards", "texts", *ENGINE, *EXCHANGE),
}
# What does something for `extract` without --out; its other settings are for many pages.
BY_HAND = {"documents", "pages.accept_torn", *PAGE}
# Rules that hold without --out only where they are given.
ONLY_WHERE_GIVEN = {
    *("documents.text_chars_min", "documents.text_chars_max"),
    *("documents.languages", "documents.language_score_min"),
}


def _place(kind: Any, tokens: Sequence[Any]) -> Place:
    return place_of(tokens[0].value)


# What a command reads, each word a path or a URI.
InputPlace = Annotated[Path | Uri, Parameter(converter=_place)]
# A build's place as a parameter of a command; help shows it as PATH|URI.
BuildPlace = Annotated[Path | Uri, Parameter(converter=_place)]
STDIN = Path("/dev/stdin")  # what - stands for
IN_FULL = ("demo", "plan", "build")
MADE_BY_THE_DEMO = "input"  # the section that names files: the demo makes its own
# Values that one expects, or that the placeholder of the option tells.
EXPECTED = (COUNT.wanted, POSITIVE.wanted, *VALUES_OF.values(), "")
TRAIN = "The trainer's. What is not set is decided by the preset, or by the device and the size."
NOT_OF_A_BUILD = ("data", "out", "resume", "fsdp")  # of the trainer's: a build is one process


@dataclass(frozen=True)
class SettingsFrom:
    """Gives the settings of a file (None: the defaults) under the options of the command line.

    `options` are those that were given, by the settings' full names, as written.
    """

    command: str
    options: Mapping[str, Any]

    def __call__(self, path: Path | None) -> Settings:
        """Read the settings; raises SettingsError for what they may not be."""
        written = {key: spelled(self.command, key) for key in self.options}
        return load(path, self.options, spelled=written)


def settings_of(command: str) -> list[Described]:
    """The settings that may be given with a command, in the order of the sections."""
    if command in IN_FULL:
        left_out = (*NOT_IN_A_BUILD, *([MADE_BY_THE_DEMO] if command == "demo" else []))
        sections = [name for name in SECTIONS if name not in left_out]
        return [PROFILE, *(each for name in sections for each in described(name)), *trainers()]
    wanted = SETTINGS_OF.get(command, ())
    # The engine's come last: who uses a command for the first time needs none of them.
    sections = [*(name for name in SECTIONS if name != "engine"), "engine"]
    everything = [PROFILE, *(each for name in sections for each in described(name))]
    return [each for each in everything if {each.key, each.key.partition(".")[0]} & set(wanted)]


def trainers() -> list[Described]:
    """The settings of [train], as the trainer describes them."""
    from train.options import key_of, values_of  # 15 ms, of no use for `webtext extract PAGE`
    from train.settings import TrainSettings

    hints = get_type_hints(TrainSettings)
    return [
        Described(
            key=f"train.{key_of(f.name)}",
            text=f.metadata["help"],
            default=f.default,
            values=values_of(hints[f.name], f.metadata["valid"]) or "text",
            paper="",
            kind=hints[f.name],
        )
        for f in fields(TrainSettings)
        if f.name not in NOT_OF_A_BUILD
    ]


def spelled(command: str, key: str) -> str:
    """A setting as the option of a command."""
    name = key if command in IN_FULL else key.rpartition(".")[2]
    return f"--{name.replace('_', '-')}"


def with_settings(command: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """The command's function, its `settings` parameter replaced by an option for each setting.

    It is called with a function that gives the Settings for a settings file or for None.
    """
    about = settings_of(command)
    names = {each.key.replace(".", "__"): each.key for each in about}

    def run(*args: Any, **given: Any) -> Any:
        # str, for the text that cyclopts gives is of a type of ours (see _word).
        options = {
            names[name]: str(value)
            for name in list(given)
            if name in names and (value := given.pop(name)) is not None
        }
        settings_from = SettingsFrom(command, options)
        return function(*args, **given, **({"settings_from": settings_from} if about else {}))

    own = inspect.signature(function)
    parameters = [p for p in own.parameters.values() if p.name != "settings_from"]
    parameters += [_parameter(command, name, each) for name, each in zip(names, about, strict=True)]
    run.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__doc__ = unwrapped(inspect.getdoc(function) or "")
    return run


def unwrapped(doc: str) -> str:
    """A docstring whose parameters are told in one line each: help wraps them by itself."""
    lines = re.compile(r"(?:^    \S.*\n?){2,}", re.MULTILINE)
    return lines.sub(lambda found: "    " + " ".join(found[0].split()) + "\n", doc)


@cache
def _group(title: str, about: str) -> Group:
    """Groups are shown in the order in which they are made."""
    return Group.create_ordered(title, help=about)


def _group_of(command: str, key: str) -> Group:
    section = key.partition(".")[0]
    if command == "extract":
        by_hand = {key, section} & BY_HAND
        return _group("Settings" if by_hand else "Settings that need --out", "")
    if section == "profile" or (command not in IN_FULL and section != "engine"):
        return _group("Settings", "")
    if command not in IN_FULL:
        return _group("Settings of how the work runs", "They do not change the result.")
    about = TRAIN if section == "train" else type(getattr(Settings(), section)).__doc__ or ""
    return _group(f"Settings: {section}", about)


def _parameter(command: str, name: str, about: Described) -> inspect.Parameter:
    values = f" ({about.values})" if _want_words(about) else ""
    option = Parameter(
        name=spelled(command, about.key),
        help=f"{about.text}{values}.",
        group=_group_of(command, about.key),
        show_default=lambda _: _default_in(command, about),
        allow_leading_hyphen=True,
    )
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[_word(about.kind) | None, option],
    )


def _want_words(about: Described) -> bool:
    """Whether help adds the values: not those that one expects, nor those that the text tells."""
    choices = about.values.removeprefix("one of ").split(", ")
    is_told = about.values.startswith("one of ") and all(word in about.text for word in choices)
    return about.values not in EXPECTED and not is_told


def _default_in(command: str, about: Described) -> str | None:
    told = _default(about.default)
    if command == "extract" and about.key in ONLY_WHERE_GIVEN:
        return f"{told} with --out, else any"
    size = default_size(about)
    return f"{told} = {size}" if size else told


def default_size(about: Described) -> str:
    """The default in bytes as 64 KiB, 512 MiB or 1 GiB; "" for what is no size."""
    if "bytes" not in about.key or not isinstance(about.default, int):
        return ""
    if about.default < 1 << 20:
        return f"{about.default >> 10} KiB"
    gib, rest = divmod(about.default, 1 << 30)
    return f"{gib} GiB" if gib and not rest else f"{about.default >> 20} MiB"


def _default(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, tuple):
        return ",".join(value) or None
    return value if isinstance(value, str) else toml_value(value)


def _word(kind: Any) -> Any:
    """A text type whose name stands for the value in help; settings_file.py reads the text."""
    plain = [each for each in get_args(kind) if each is not type(None)]
    kind = plain[0] if get_origin(kind) is UnionType else kind
    name = {int: "N", float: "X", bool: "BOOL", date: "DAY"}.get(kind, "TEXT")
    return type("A,B" if get_origin(kind) is tuple else name, (str,), {})
