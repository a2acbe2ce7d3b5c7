"""Stage commands on anyone's files; each makes a small build folder of its own."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pipeline.engine.build import Build
from pipeline.errors import InputError, SettingsError
from pipeline.links.stage import links_stage
from pipeline.settings import Settings
from pipeline.tokens.stage import shards_stage, texts_stage, tokenizer_stage


def make_links(dumps: Sequence[Path], out: Path, settings: Settings) -> list[str]:
    """OUT/links from dumps; messages of quality gates that failed."""
    _require_files(dumps)
    with Build(out, settings.engine) as build:
        build.run(links_stage(settings.links, list(dumps), build.files.digest))
        return build.gates


def make_tokenizer(inputs: Sequence[Path], out: Path, settings: Settings) -> list[str]:
    """OUT/tokenizer from texts, which OUT/corpus holds after; gates as `make_links`."""
    _require_files(inputs)
    with Build(out, settings.engine) as build:
        build.run(texts_stage(inputs, build.files.digest))
        build.run(tokenizer_stage(settings.tokenizer, settings.shards, build.files.digest))
        return build.gates


def make_shards(inputs: Sequence[Path], out: Path, settings: Settings) -> list[str]:
    """OUT/shards from texts, with the tokenizer at `settings.tokenizer.path`; gates too."""
    _require_files(inputs)
    with Build(out, settings.engine) as build:
        build.run(texts_stage(inputs, build.files.digest))
        build.run(tokenizer_stage(settings.tokenizer, settings.shards, build.files.digest))
        build.run(shards_stage(settings.shards))
        return build.gates


def _require_files(paths: Sequence[Path]) -> None:
    if not paths:
        raise SettingsError("name at least one file")
    for path in paths:
        if not path.is_file():
            raise InputError(path, "", "there is no such file", "Check the name.")


def with_tokenizer(overrides: Mapping[str, str], tokenizer: Path) -> dict[str, str]:
    """Settings that take this tokenizer.json, or the one below a folder that was made by us."""
    for path in (tokenizer, tokenizer / "tokenizer.json", tokenizer / "tokenizer/tokenizer.json"):
        if path.is_file():
            return {**overrides, "tokenizer.path": str(path.absolute())}
    raise InputError(
        tokenizer, "", "there is no tokenizer.json", "webtext tokenizer train makes one."
    )
