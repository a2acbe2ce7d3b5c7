"""Settings: one frozen dataclass a stage, its defaults here and nowhere else.

They are read from `webtext.toml`, then overridden by options (`--links.karma-min 5`). A profile is
only a named set of other defaults. Unknown keys and wrong types are refused, with the nearest
known name, before any work starts.
"""

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal, get_type_hints

import msgspec

from pipeline.errors import SettingsError


@dataclass(frozen=True)
class InputSettings:
    """Where the build reads from; glob patterns, relative to the settings file."""

    dumps: tuple[str, ...] = ()
    warcs: tuple[str, ...] = ()


@dataclass(frozen=True)
class EngineSettings:
    """How the build runs. Nothing here changes a row of the result."""

    runner: str = "local"  # local, portable, or a runner's class path
    runner_options: tuple[str, ...] = ()  # passed to Beam as they are
    workers: int = 0  # worker processes; 0: one a core
    parts_in_flight: int = 2
    exchange: Literal["auto", "files", "shuffle"] = "auto"  # files on local, else shuffle
    buckets: int = 16  # of every exchange; a power of two, fixed for a build
    bucket_bytes_max: int = 512 << 20  # a larger bucket is reduced in slices
    free_disk_min_bytes: int = 1 << 30
    item_cpu_s: int = 120  # about ten times the worst page within the budgets of `documents`
    item_wall_s: int = 360
    worker_memory_bytes: int = 2 << 30
    worker_items: int = 2000  # a worker is replaced after so many items: lxml grows


@dataclass(frozen=True)
class LinksSettings:
    """Which submissions count, and which links are kept (stage `links`)."""

    karma_min: int = 3  # WebText (GPT-2 paper, 2.1)
    karma_rule: Literal["max", "sum", "first"] = "max"
    date_min: date = date(2005, 1, 1)
    date_max: date = date(2017, 12, 31)  # the last day; WebText has no link after December 2017
    over_18: bool = True  # keep links of submissions that are marked as not safe for work
    accept_removed: bool = False  # keep posts that were removed, by their author too
    accept_torn: bool = False
    accept_immature_scores: bool = False
    url_chars_max: int = 2048
    blocked_domains: tuple[str, ...] = ()
    blocked_subreddits: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()  # URLs, hosts or link ids that are removed on request


@dataclass(frozen=True)
class PagesSettings:
    """Which captures answer for a link (stage `pages`)."""

    hops_max: int = 5  # redirects that are followed
    accept_torn: bool = False  # use the records of a WARC before the place where it was cut
    range_bytes: int = 256 << 20  # a larger WARC is read in parts of about this size


@dataclass(frozen=True)
class DocumentsSettings:
    """How a page becomes a text, and which texts are kept (stage `documents`)."""

    engine: Literal["trafilatura"] = "trafilatura"
    body_bytes_max: int = 8 << 20
    depth_max: int = 240  # libxml2 reads no deeper than 256 and leaves out the rest in silence
    tag_attributes_max: int = 500
    attributes_max: int = 200_000
    tags_max: int = 120_000  # "<" in all; of 4,229 real pages the most are 112,660
    class_chars_max: int = 1_000_000
    page_chars_max: int = 2_000_000  # between tags, not in scripts and comments
    cells_max: int = 100_000
    row_cells_max: int = 1_000
    text_chars_min: int = 200
    text_chars_max: int = 1_000_000
    languages: tuple[str, ...] = ("en",)  # empty: all; the paper kept English (3.7)
    language_score_min: float = 0.5


@dataclass(frozen=True)
class CorpusSettings:
    """Which documents are copies, or Wikipedia (stage `corpus`)."""

    wikipedia: bool = False  # True keeps Wikipedia and its mirrors
    near_threshold: float = 0.5  # Jaccard over 5-word shingles; OpenWebText used 0.5
    near_slack: float = 0.15  # estimates below threshold - slack are not verified
    bands: int = 32
    rows: int = 4


@dataclass(frozen=True)
class TextsSettings:
    """How anyone's texts are read (commands `dedup`, `tokenizer train`, `shards`)."""

    ids: Literal["given", "place"] = "given"  # place: all are named by file and line


@dataclass(frozen=True)
class TokenizerSettings:
    """The byte-level BPE tokenizer (stage `tokenizer`)."""

    vocab_size: int = 50_257
    min_frequency: int = 2
    sample_bytes_max: int = 1 << 30  # documents by hash until so many bytes; 0: all
    path: str = ""  # an existing tokenizer.json is used instead of training one


@dataclass(frozen=True)
class ShardsSettings:
    """Token files for the trainer (stage `shards`)."""

    seed: int = 1
    val_share: float = 0.05  # held out, as in the paper (GPT-2 paper, 3)
    # block: about 4,096 characters, for one long text
    split_by: Literal["document", "host", "block"] = "document"
    shard_tokens_max: int = 100_000_000


@dataclass(frozen=True)
class Settings:
    """All settings of a build. `train` is handed to the trainer's own parser as it is."""

    profile: Literal["paper", "clean"] = "paper"
    input: InputSettings = field(default_factory=InputSettings)
    engine: EngineSettings = field(default_factory=EngineSettings)
    links: LinksSettings = field(default_factory=LinksSettings)
    pages: PagesSettings = field(default_factory=PagesSettings)
    documents: DocumentsSettings = field(default_factory=DocumentsSettings)
    corpus: CorpusSettings = field(default_factory=CorpusSettings)
    texts: TextsSettings = field(default_factory=TextsSettings)
    tokenizer: TokenizerSettings = field(default_factory=TokenizerSettings)
    shards: ShardsSettings = field(default_factory=ShardsSettings)
    train: Mapping[str, Any] = field(default_factory=dict)


# A profile names the defaults that differ from those above. `paper` is the defaults themselves.
PROFILES: dict[str, dict[str, dict[str, Any]]] = {
    "paper": {},
    "clean": {"corpus": {"near_threshold": 0.7}},
}


def load(path: Path | None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Settings from a TOML file (None: defaults) under `overrides` like {"links.karma_min": "5"}.

    Raises SettingsError with the key, the line and the nearest known name.
    """
    text = _read(path) if path else ""
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from None
    options = {dotted.replace("-", "_"): value for dotted, value in (overrides or {}).items()}
    for dotted, value in options.items():
        _set(tables, dotted, value)
    return from_tables(tables, _Source(str(path or ""), text, frozenset(options)))


def from_tables(tables: Mapping[str, Any], source: "_Source | None" = None) -> Settings:
    """Settings from nested tables; see `load` for the errors."""
    source = source or _Source("", "")
    profile = tables.get("profile", "paper")
    if profile not in PROFILES:
        raise SettingsError(
            f"profile is {profile!r}{source.at('profile')}; known: {', '.join(PROFILES)}"
        )
    settings = Settings(profile=profile)
    for name, values in tables.items():
        if name == "profile":
            continue
        known = {f.name for f in fields(Settings)}
        if name not in known:
            raise SettingsError(_unknown(name, known, source.at(name)))
        if not isinstance(values, Mapping):
            raise SettingsError(f"{name}{source.at(name)} is a table: write [{name}]")
    for name in (f.name for f in fields(Settings) if f.name not in ("profile", "train")):
        merged = {**PROFILES[profile].get(name, {}), **tables.get(name, {})}
        if merged:
            section = _section(name, getattr(settings, name), merged, source)
            settings = replace(settings, **{name: section})
    settings = replace(settings, train=dict(tables.get("train", {})))
    _check(settings, source)
    return settings


def as_tables(settings: Settings) -> dict[str, Any]:
    """All settings as plain nested tables, for manifests and for `webtext init`."""
    return asdict(settings)


def to_toml(settings: Settings | None = None) -> str:
    """A settings file that `load` reads as these settings (None: the defaults), each of them."""
    tables = as_tables(settings or Settings())
    lines = [f"profile = {_toml(tables.pop('profile'))}"]
    for section, values in tables.items():
        if values:  # [train] is empty until something is set
            lines += ["", f"[{section}]"]
            lines += [f"{name} = {_toml(value)}" for name, value in values.items()]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    # JSON writes text, numbers, booleans and lists as TOML does, but for one character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", r"\u007f")


@dataclass(frozen=True)
class _Source:
    path: str
    text: str
    options: frozenset[str] = frozenset()  # keys that were set by options

    def at(self, key: str) -> str:
        """ " (webtext.toml line 7)" for the line that sets `key`, " (option)", or ""."""
        if key in self.options:
            return " (option)"
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


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SettingsError(f"{path}: no such settings file; `webtext init` writes one") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read: {error}") from None


def _set(tables: dict[str, Any], dotted: str, value: Any) -> None:
    *parents, leaf = dotted.split(".")
    for name in parents:
        tables = tables.setdefault(name, {})
        if not isinstance(tables, dict):
            raise SettingsError(f"unknown setting {dotted}: {name} holds a value, not a table")
    tables[leaf] = value


def _section(name: str, default: Any, values: Mapping[str, Any], source: _Source) -> Any:
    hints = get_type_hints(type(default))
    converted = {}
    for key, value in values.items():
        where = source.at(f"{name}.{key}")
        if key not in hints:
            raise SettingsError(_unknown(f"{name}.{key}", {f"{name}.{k}" for k in hints}, where))
        converted[key] = _convert(f"{name}.{key}", value, hints[key], where)
    return replace(default, **converted)


def _convert(key: str, value: Any, kind: Any, where: str) -> Any:
    # Options come as text, so text may stand for a number, a date, or a list with commas.
    if isinstance(value, str) and getattr(kind, "__origin__", None) is tuple:
        value = [item for item in value.split(",") if item]
    try:
        return msgspec.convert(value, kind, strict=not isinstance(value, str))
    except msgspec.ValidationError as error:
        raise SettingsError(f"{key} is {value!r}{where}: {error}") from None


def _unknown(key: str, known: set[str], where: str) -> str:
    leaves = {name.split(".")[-1]: name for name in known}
    near = difflib.get_close_matches(key.split(".")[-1], leaves, n=1, cutoff=0.5)
    hint = f"; did you mean {leaves[near[0]]}?" if near else f"; known: {', '.join(sorted(known))}"
    return f"unknown setting {key}{where}{hint}"


_NOT_NEGATIVE = (lambda n: n >= 0, "0 or more")
_POSITIVE = (lambda n: n > 0, "1 or more")
# Numbers of which zero makes no sense; of all others it means none, or has a meaning of its own.
_ONE_OR_MORE = frozenset(
    """
    engine.parts_in_flight engine.bucket_bytes_max engine.item_cpu_s engine.item_wall_s
    engine.worker_memory_bytes engine.worker_items links.url_chars_max pages.range_bytes
    documents.body_bytes_max documents.depth_max documents.tag_attributes_max
    documents.attributes_max documents.tags_max documents.class_chars_max
    documents.page_chars_max documents.cells_max documents.row_cells_max
    documents.text_chars_max corpus.bands shards.shard_tokens_max
    """.split()
)


def _check(settings: Settings, source: _Source) -> None:
    """Refuse values that have the right type and make no sense."""
    wanted: dict[str, tuple[Callable[[Any], bool], str]] = {
        "engine.buckets": (lambda n: n > 0 and n & (n - 1) == 0, "a power of two"),
        "links.karma_min": (lambda n: n >= 0, "0 or more; WebText used 3"),
        "links.date_min": (lambda day: day <= settings.links.date_max, "before links.date_max"),
        "pages.hops_max": (lambda n: 0 <= n <= 20, "from 0 to 20"),
        "corpus.near_threshold": (lambda share: 0 < share <= 1, "above 0, at most 1"),
        "corpus.near_slack": (lambda share: 0 <= share <= 1, "from 0 to 1"),
        "corpus.rows": (
            lambda n: n > 0 and n * settings.corpus.bands <= 128,
            "1 or more, and at most 128 / corpus.bands (a signature has 128 values)",
        ),
        "shards.val_share": (lambda share: 0 <= share < 1, "from 0 to below 1"),
        "tokenizer.vocab_size": (
            lambda n: 257 <= n <= 65_536,
            "from 257 to 65,536 (shards hold 16-bit ids)",
        ),
    }
    for section, values in as_tables(settings).items():
        for name, value in values.items() if section not in ("profile", "train") else ():
            if type(value) is int:
                key = f"{section}.{name}"
                wanted.setdefault(key, _POSITIVE if key in _ONE_OR_MORE else _NOT_NEGATIVE)
    for key, (holds, wish) in wanted.items():
        section, name = key.split(".")
        value = getattr(getattr(settings, section), name)
        if not holds(value):
            raise SettingsError(f"{key} is {value}{source.at(key)}; it must be {wish}")
