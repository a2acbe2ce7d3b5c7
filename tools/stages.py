"""Stage commands on anyone's files; each makes a small build folder of its own."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.bucket_file import InputFile
from pipeline.engine.build import Build
from pipeline.engine.reading import read_published
from pipeline.engine.stage import Output
from pipeline.engine.store import Disk
from pipeline.errors import InputError, SettingsError
from pipeline.links.stage import links_stage
from pipeline.settings import Settings
from pipeline.tokens.counts_stage import COUNTS_FILE, counts_stage
from pipeline.tokens.encode import version_of
from pipeline.tokens.pretokens import BYTES_MAX
from pipeline.tokens.split import SplitRules
from pipeline.tokens.stage import shards_stage, tokenizer_stage
from pipeline.tokens.texts_stage import texts_stage
from pipeline.tokens.tokenizer_files import files_of, load
from pipeline.tokens.training_stage import given_counts
from tools.given import GivenTexts
from tools.inputs import files_at
from tools.places import Place, Uri
from tools.url_list import check_target, write_urls


def make_links(
    dumps: Sequence[Place], out: Path, settings: Settings, urls: Path | None = None
) -> list[str]:
    """OUT/links from dumps, and a plain list of URLs at `urls`; messages of gates that failed."""
    files = _dumps(dumps)
    if urls:
        check_target(urls, files, out)
    with Build(out, settings.engine) as build:
        stage = links_stage(settings.links, files, build.files.digest, build.progress.say)
        links = build.run(stage)
        if urls:
            list_urls(build, links, urls)
        return build.gates


def list_urls(build: Build, links: Output, urls: Path) -> None:
    """Write the URLs of the kept links, and say how many."""
    tables = (build.store.local(part.table) for part in links.parts)  # copies, if in a bucket
    count = write_urls(tables, urls, build.check_signals)
    build.progress.say(f"{urls}: {count:,} URLs")


def make_tokenizer(given: GivenTexts, out: Path, settings: Settings) -> list[str]:
    """OUT/tokenizer from texts; quality gates that failed."""
    with _with_texts(given, out, settings) as build:
        stage = tokenizer_stage(settings.tokenizer, settings.shards, build.files.digest)
        build.progress.say(_counted(build.run(stage).parts[0].notes))
        return build.gates


def make_counts(given: GivenTexts, out: Path, settings: Settings) -> list[str]:
    """OUT/counts from texts; quality gates that failed."""
    with _with_texts(given, out, settings) as build:
        build.run(counts_stage(settings.tokenizer, SplitRules.of(settings.shards)))
        build.progress.say(_counted(json.loads((out / "counts" / COUNTS_FILE).read_text())))
        return build.gates


def make_tokenizer_of(counts: Sequence[Path], out: Path, settings: Settings) -> list[str]:
    """OUT/tokenizer from folders of counts, each counted once; quality gates that failed."""
    counts = list({folder.resolve(): folder for folder in counts}.values())
    given = [given_counts(folder, read_published(Disk(folder), "counts")) for folder in counts]
    with Build(out, settings.engine) as build:
        digest = build.files.digest
        stage = tokenizer_stage(settings.tokenizer, settings.shards, digest, counts=given)
        build.progress.say(_counted(build.run(stage).parts[0].notes))
        return build.gates


def _counted(totals: Mapping[str, Any]) -> str:
    """What was counted, cut and left out, in a sentence."""
    told = (
        "counts: {occurrences:,} pre-tokens of {documents:,} documents ({text_bytes:,} bytes), "
        "{pretokens:,} different ones"
    )
    if totals["pruned_pretokens"]:
        told += (
            "; {pruned_pretokens:,} rare ones, {pruned_occurrences:,} times together, are left out "
            "(tokenizer.min_count)"
        )
    if totals["cut_pretokens"]:
        told += f"; {{cut_pretokens:,}} were longer than {BYTES_MAX:,} bytes, and cut"
    if totals["cut_documents"]:
        told += "; {cut_documents:,} documents were cut (tokenizer.document_bytes_max)"
    return told.format(**totals)


def make_shards(given: GivenTexts, out: Path, settings: Settings) -> list[str]:
    """OUT/shards from texts, with the tokenizer at `settings.tokenizer.path`; gates that failed."""
    version_of(settings.shards.encoder)  # or it says what to install
    with _with_texts(given, out, settings) as build:
        build.run(tokenizer_stage(settings.tokenizer, settings.shards, build.files.digest))
        build.run(shards_stage(settings.shards))
        return build.gates


@contextmanager
def _with_texts(given: GivenTexts, out: Path, settings: Settings) -> Iterator[Build]:
    """A build whose corpus holds the given texts, until what is made of them is there.

    Then its rows go: they are a second copy of the inputs. A stopped run goes on from them; after a
    finished one the same command reads the inputs again, and makes nothing else again.
    """
    with (
        given.files(out, settings.texts) as files,
        Build(out, settings.engine) as build,
    ):
        say = build.progress.say
        build.run(texts_stage(files, build.files.digest, settings.texts, say))
        yield build
        build.remove_rows("corpus")


def _dumps(places: Sequence[Place]) -> list[InputFile]:
    if not places:
        raise SettingsError("name at least one file")
    files: list[InputFile] = []
    for place in places:
        if isinstance(place, Uri):
            files += files_at(place)
        elif place.is_file():
            files.append(place)
        else:
            raise InputError(place, "", "there is no such file", "Check the name.")
    return files


def with_tokenizer(settings: Settings, tokenizer: Path) -> Settings:
    """The settings with the tokenizer of this file or folder, in any form.

    An error where there is none, or none that can be used: before any text is read.
    """
    load(tokenizer)
    path = files_of(tokenizer)[0].absolute()
    return replace(settings, tokenizer=replace(settings.tokenizer, path=str(path)))
