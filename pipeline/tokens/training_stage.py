"""The step `train` of the stage `tokenizer`: counts to a tokenizer, of a build or given in folders.

It is one part in one process; its memory follows the number of distinct pre-tokens.
"""

import json
import resource
import sys
import time
from collections import Counter as Sums
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.engine.digest import digest_of
from pipeline.engine.reading import Published
from pipeline.engine.stage import Output, Part, PartWriter
from pipeline.engine.store import Store
from pipeline.errors import InputError, StageError
from pipeline.settings import TokenizerSettings
from pipeline.tokens.bpe import learn
from pipeline.tokens.counts import PATTERN, VERSION, Counter, to_train_on
from pipeline.tokens.counts_stage import COUNTS_FILE, TOTALS, totals
from pipeline.tokens.pretokens import BYTES_MAX
from pipeline.tokens.tokenizer import END_OF_TEXT, Tokenizer

TOLD_EVERY_S = 0.2
Write = Callable[[Tokenizer, PartWriter], None]


def learning_settings(rules: TokenizerSettings) -> dict[str, int]:
    """What shapes a tokenizer besides the counts."""
    names = ("vocab_size", "min_frequency", "token_bytes_max")
    return {name: getattr(rules, name) for name in names}


@dataclass(frozen=True)
class GivenCounts:
    """Counts that were made by themselves: the files of their tables, and what they are of."""

    paths: list[Path]
    about: dict[str, int]
    digest: str


def given_counts(folder: Path, published: Published | None) -> GivenCounts:
    """The counts that were published in a folder; InputError for what cannot be added up."""
    if published is None:
        mend = "`webtext tokenizer count` makes a folder of them."
        raise InputError(folder, "", "there are no counts", mend)
    store, manifest = published.store, published.manifest
    about = json.loads(store.read(manifest.files[COUNTS_FILE].name) or "{}")
    found = (about.get("pattern"), about.get("version"), about.get("pretoken_bytes_max"))
    if found != (PATTERN, VERSION, BYTES_MAX):
        raise InputError(
            folder,
            COUNTS_FILE,
            f"these are counts by the pattern {found[0]}, version {found[1]}, in pieces of "
            f"{found[2]} bytes; this webtext trains on {PATTERN}, {VERSION} and {BYTES_MAX}",
            "Count the texts again.",
        )
    totals = {name: about[name] for name in TOTALS}
    paths = [store.local(part.table).absolute() for part in manifest.parts]
    return GivenCounts(paths, totals, manifest.full_digest)


@dataclass(frozen=True)
class ToTrain:
    """Tables of counts, of the store or given, and what is known of the texts that they are of."""

    tables: list[str]
    given: list[list[Path]]
    about: dict[str, int]

    def read(self, store: Store) -> Iterator[pa.Table]:
        """The counts; where several were given, added up."""
        yield from (store.table(name) for name in self.tables)
        if len(self.given) == 1:
            yield from map(_read, self.given[0])
        elif self.given:
            counter = Counter()
            for path in chain.from_iterable(self.given):
                counter.add(_read(path))
            yield counter.table()


def _read(path: Path) -> pa.Table:
    return pq.read_table(path, page_checksum_verification=True)


def plan_train(count: Output, summed: Output) -> list[Part[ToTrain]]:
    """The one part, of the steps' counts."""
    source = ToTrain([part.table for part in summed.parts], [], totals(count, summed))
    return [Part(0, "tokenizer", digest_of([summed.digest, source.about]), source)]


def plan_given(given: Sequence[GivenCounts]) -> list[Part[ToTrain]]:
    """The one part, of counts that were made by themselves."""
    about: Sums[str] = Sums()
    for each in given:
        about.update(each.about)
    source = ToTrain([], [each.paths for each in given], dict(about))
    return [Part(0, "tokenizer", digest_of([each.digest for each in given]), source)]


@dataclass(frozen=True)
class Train:
    """Counts to a tokenizer."""

    rules: TokenizerSettings
    write: Write

    def __call__(self, part: Part[ToTrain], out: PartWriter) -> None:
        """StageError where there is no document, or too many pre-tokens."""
        rules, source = self.rules, part.source
        if not source.about["documents"]:
            raise StageError(
                "the corpus has no document to train a tokenizer on: all are held out; hold out "
                'blocks of them (shards.split_by = "block"), lower shards.val_share, or set '
                "tokenizer.path to an existing tokenizer.json"
            )
        counts = to_train_on(source.read(out.store))
        wanted = rules.vocab_size - 1  # end-of-text comes after
        told = _Progress(max(0, wanted - 256), out).told
        tokens, merges = learn(counts, wanted, rules.min_frequency, rules.token_bytes_max, told)
        out.note("vocab_size_wanted", rules.vocab_size)
        for name, value in source.about.items():
            out.note(name, value)
        out.note("memory_bytes", peak_bytes())
        self.write(Tokenizer((*tokens, END_OF_TEXT.encode()), tuple(merges)), out)


class _Progress:
    """Tells how fast merges are learnt, and when it will be done."""

    def __init__(self, merges: int, out: PartWriter) -> None:
        self._merges, self._out = merges, out
        self._started = time.monotonic()
        self._next = self._started

    def told(self, merges: int) -> None:
        """Tell it of so many merges; raises PartStopped if the build was asked to stop."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + TOLD_EVERY_S
        rate = merges / max(1e-3, now - self._started)
        left_s = (self._merges - merges) / rate if rate else 0
        self._out.heartbeat(
            f"{merges:,} of {self._merges:,} merges, {rate:,.0f} a second, {left_s:,.0f} s left, "
            f"{peak_bytes() / 1e6:,.0f} MB"
        )


def peak_bytes() -> int:
    """The most memory that this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak << 10
