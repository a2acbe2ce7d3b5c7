"""The whole flow, as flow.py names its stages: the one place where pipeline and train meet.

Every stage is resumed where it stopped; what is up to date is not touched.
"""

import os
import time
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

from pipeline.bucket_file import InputFile
from pipeline.corpus.stage import corpus_stage
from pipeline.documents.stage import documents_stage
from pipeline.engine.build import Build
from pipeline.engine.stage import Stage
from pipeline.engine.store import Store
from pipeline.errors import SettingsError
from pipeline.inputs import input_names
from pipeline.links.stage import links_stage
from pipeline.pages.stage import pages_stage
from pipeline.settings import Settings
from pipeline.settings_file import to_toml
from pipeline.tokens.stage import shards_stage, tokenizer_stage
from tools import model
from tools.card import write_card
from tools.checks import check_build, known_stages, reached
from tools.collect import collect_pages, segments
from tools.flow import STAGES
from tools.inputs import find_inputs, warc_files
from tools.places import Place
from tools.report import write_report
from tools.stages import list_urls
from tools.stores import folder_of
from tools.url_list import check_target
from train.log import duration

RECORD = "webtext.toml"  # of a build: what it was made with
RECORD_HEAD = "# The settings of the last build in this folder: a record, which no build reads."


def run_build(
    place: Place,
    settings: Settings,
    base: Path,
    *,
    to: str = "report",
    redo: Iterable[str] = (),
    replay: Iterable[str] = (),
    keep_versions: bool = False,
    force: bool = False,
    urls: Path | None = None,
) -> list[str]:
    """Make all stages up to `to`; messages of quality gates that failed.

    `base` is the folder that paths in the settings are relative to; `urls` a file for the URLs of
    the kept links, written as soon as these are made; `redo`, `replay` and
    `keep_versions` are as `Build` has them, `force` as `check_build` has it. Raises what the checks
    and the stages raise.
    """
    known_stages({"to": [to], "redo": redo, "replay": replay})
    reached({"redo": redo, "replay": replay}, to)
    check_build(settings, base, place, to, force=force)
    if urls:
        check_target(urls, find_inputs(settings.input.dumps, base, "input.dumps"), place)
    with Build(
        place, settings.engine, redo=redo, replay=replay, keep_versions=keep_versions
    ) as build:
        # Paths that are not UTF-8 are written as the bytes that they are.
        build.store.write(RECORD, _record(settings, base).encode("utf-8", "surrogateescape"))
        _make(build, place, settings, base, to, urls)
        return build.gates


def _make(
    build: Build, place: Place, settings: Settings, base: Path, to: str, urls: Path | None
) -> None:
    """Make the stages; what a person reads in the log of a build without a terminal begins here."""
    say, started = build.progress.say, time.monotonic()
    say(f"build: {build.store.place}, to {to}, by process {os.getpid()}")
    makers = _stage_makers(build, settings, base)
    for name in STAGES[: STAGES.index(to) + 1]:
        if name == "model":
            model.make(build, settings.train, base)
        elif name == "report":
            write_report(place)
        else:
            gates_before = len(build.gates)
            if name == "pages":
                collect_pages(build, settings, makers["pages"])
            output = build.run(makers[name]())
            if name == "links" and urls:
                list_urls(build, output, urls)
            if name == "corpus":
                write_card(build, settings)
            for message in build.gates[gates_before:]:  # now, not after the last stage
                say(f"quality gate failed: {message}; the build goes on, and will end with 3")
    say(f"build: done to {to}, after {duration(time.monotonic() - started)}")
    build.log.write("end", to=to, gates=build.gates)


def check_record(store: Store, settings_path: Path) -> None:
    """Raise SettingsError if the build's record stands in for a settings file, or the reverse."""
    text = store.read(RECORD)
    if text is None:
        return
    record = f"{store.place}/{RECORD}"
    if not text.startswith(RECORD_HEAD.encode()):
        raise SettingsError(
            f"{record} is a settings file of yours, and a build keeps a record of its settings "
            "under that name; build in another folder, such as --out build"
        )
    folder = folder_of(store)
    if folder and settings_path.resolve() == (folder / RECORD).resolve():
        raise SettingsError(
            f"{record} is this build's record of its settings, not a settings file; to build with "
            "these settings again, copy it elsewhere"
        )


def _record(settings: Settings, base: Path) -> str:
    place = f"# Paths are relative to {base.absolute()}"
    return f"{RECORD_HEAD}\n{place}\n\n{to_toml(settings)}"


def _stage_makers(build: Build, settings: Settings, base: Path) -> dict[str, Callable[[], Stage]]:
    digest = build.files.digest

    @cache
    def dumps() -> list[InputFile]:
        return find_inputs(settings.input.dumps, base, "input.dumps")

    @cache
    def given() -> dict[str, InputFile]:
        return input_names(warc_files(settings, base))

    def warcs() -> dict[str, InputFile]:
        return {**given(), **segments(build.store)}

    return {
        "links": lambda: links_stage(settings.links, dumps(), digest, build.progress.say),
        "pages": lambda: pages_stage(settings.pages, warcs(), digest),
        "documents": lambda: documents_stage(settings.documents, warcs(), digest),
        "corpus": lambda: corpus_stage(settings.corpus),
        "tokenizer": lambda: tokenizer_stage(settings.tokenizer, settings.shards, digest, base),
        "shards": lambda: shards_stage(settings.shards),
    }
