"""The commands that work on anyone's files, without a build, each a function; see commands.py."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from pipeline.errors import SettingsError
from tools.commands import exit_code
from tools.options import InputPlace, SettingsFrom

Words = Annotated[str, Parameter(allow_leading_hyphen=True)]


def links(
    *dumps: InputPlace, out: Path, urls: Path | None = None, settings_from: SettingsFrom
) -> int:
    """Turn Reddit dumps into links, in OUT/links/part-*.parquet.

    Example: webtext links RS_2012-09.bz2 RS_2019-06.zst --out links --date-max 2019-12-31

    Example: webtext links RS_2012-09.bz2 --out links --urls urls.txt

    Parameters
    ----------
    dumps
        Dumps of submissions (RS_*), one JSON object a line, compressed (.zst, .xz, .bz2, .gz) or
        not; also Parquet, a JSON array, or a table with a header (CSV, TSV). One in a bucket is
        s3://BUCKET/NAME, also as a pattern. A post that several dumps hold counts once, and not at
        all if one of its copies is removed.
    out
        The folder to write; `webtext status` and `webtext look` read it.
    urls
        A file to write for other crawlers: the URL of each kept link on a line of its own, in an
        order that depends on the links alone.
    """
    from tools.stages import make_links

    return _finish(out / "links", make_links(dumps, out, settings_from(None), urls))


def fetch(
    *links: Path,
    out: Path,
    shard: str = "",
    scratch: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
    settings_from: SettingsFrom,
) -> int:
    """Fetch the pages of links from the live web, into the archive OUT of WARC files.

    Example: webtext fetch links/links --out archive --contact me@example.org

    Example: webtext fetch urls.txt --out archive --contact https://example.org/crawler

    Asks one page a second of a domain, and nothing that its robots.txt or another
    preference of its owner forbids. Ctrl-C lets what is begun end, a second one
    does not. The same command goes on, and tries again what failed for a reason
    that may pass.

    Parameters
    ----------
    links
        Parquet files of `webtext links`, the folder of them, or a list of URLs, one a line; - for
        stdin.
    out
        The folder to write: segments of 256 MiB or ten minutes (.warc.gz), an index (.cdxj) and a
        table (.parquet) of each, with one row for each answer. Links that have a final one in it
        are not asked for again.
    shard
        I/N: fetch only the share I of N, from 0. A domain belongs to one share, so N machines
        need not know of each other; the limit on connections to an address holds in each.
    scratch
        A folder on a local disk for what is being written; if not given, in OUT.
    as_json
        Print the counts as JSON.
    """
    from tools.crawl import fetch_links
    from tools.places import require_folder

    require_folder(out)
    settings = settings_from(None)
    gates = fetch_links(links, out, settings, shard=shard, scratch=scratch, as_json=as_json)
    return exit_code(gates)


def extract(
    *inputs: InputPlace,
    out: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
    settings_from: SettingsFrom,
) -> int:
    """Turn pages into text on stdout, or with --out into a file of documents.

    Example: webtext extract page.html

    Example: curl -s https://example.org/ | webtext extract - --json

    Example: webtext extract pages.warc.gz site --out documents.jsonl --languages ""

    Without --out each page gives its text, of any length and language. Only if
    you give --languages, --language-score-min, --text-chars-min or
    --text-chars-max may a text be refused. A page that gives none is named on
    stderr, and the exit code is then 1.
    With --out each page becomes a document or a drop, by the rules of a build.

    Parameters
    ----------
    inputs
        Pages, WARC files, or JSON lines with `html` (and `url`, `id`), compressed or not; the
        content tells which. A folder stands for all files in it but hidden ones, - for stdin. In a
        bucket: s3://BUCKET/NAME, a pattern, or all below s3://BUCKET/FOLDER/.
    out
        The file to write: .jsonl, .jsonl.gz, .jsonl.zst or .parquet. Dropped pages go to
        OUT.drops.jsonl. Work in progress lies beside them in .OUT.work; after a stop the same
        command goes on from it.
    as_json
        Without --out print one JSON object a page: its document, and whether a build would keep it,
        or why not. With --out print the counts: rows_in is the sum of rows_out and all drops.
    """
    if out is None:
        from tools.by_hand import print_pages

        return print_pages(inputs, settings_from, as_json=as_json)
    from tools.extract import extract_files

    return extract_files(inputs, out, settings_from(None), as_json=as_json)


def dedup(
    *inputs: InputPlace,
    out: Path,
    kept: Path | None = None,
    signatures: Path | None = None,
    dataset: str | None = None,
    split: str | None = None,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
    settings_from: SettingsFrom,
) -> int:
    """Decide for each text: keep it, or name the text that it copies.

    Example: webtext dedup texts.jsonl --out decisions.jsonl --kept kept.jsonl --profile clean

    Example: webtext dedup crawl/ "more/*.parquet" --out decisions.parquet --kept kept.parquet

    Of --profile clean it takes the limits on quality, which are for English (--quality ""
    sets none), and how texts are compared. What is kept stays as it came: nothing is cut
    or masked.

    Parameters
    ----------
    inputs
        {inputs}
    out
        The file to write, .jsonl, .jsonl.gz, .jsonl.zst or .parquet: a decision a row, in the order
        of the rows, with the fields id, keep, keeper, jaccard, containment, coverage, others and
        reason. The keeper is a kept row; containment is the share of the copy's 5-word shingles
        that it has, coverage what it and the others, kept rows too, have together.
        The reason is exact_copy (the keeper's text but for case and white space), near_copy (so is
        what equals a near copy), or why a row is dropped by itself: it has no text, one above
        --text-chars-max, or one that breaks a limit of --quality. --near-threshold 1 drops nothing
        but exact copies and texts with the same shingles.
    kept
        A file to write with the rows that are kept, all their fields as they came: JSON lines or
        .parquet by its ending. datasets reads it too: load_dataset("parquet",
        data_files="kept.parquet").
    signatures
        A Parquet file to write with the MinHash signature of each text: columns `id` and
        `signature`, 128 numbers. datasketch takes one as MinHash(num_perm=128,
        hashvalues=row["signature"], scheme="affine32"), for a MinHashLSH of your own;
        pipeline.corpus.minhash.signature(text) is that of another text.
    dataset
        {dataset}
    split
        {split}
    as_json
        Print the counts as JSON: texts is the sum of the four that follow it; with the loss, and
        how the copies were looked for.
    """
    from pipeline.corpus.asking import scheme_for
    from pipeline.corpus.dedup import Results
    from pipeline.corpus.dedup import dedup as decide
    from tools.given import GivenTexts, check_rows
    from tools.progress import Progress

    settings = settings_from(None)
    named = {"--out": out, "--kept": kept, "--signatures": signatures}
    results = {option: path for option, path in named.items() if path}
    given = GivenTexts(inputs, dataset, split)
    with (
        given.files(
            out, settings.texts, whole=bool(kept), results=results, check=check_rows
        ) as files,
        Progress() as progress,
    ):
        counts, loss, drops, said, gates = decide(
            files,
            Results(out, kept, signatures),
            settings.corpus,
            progress,
            texts=settings.texts,
            text_chars_max=settings.documents.text_chars_max,
        )
    for sentence in said:
        print(sentence, file=sys.stderr)
    scheme = scheme_for(settings.corpus.near_threshold)
    if as_json:
        told = {"loss": {**loss._asdict(), "share": loss.share}, "scheme": scheme._asdict()}
        print(json.dumps({**counts._asdict(), **told}))
    else:
        found = (f"{n:,} {name.replace('_', ' ')}" for name, n in counts._asdict().items())
        reasons = ", ".join(f"{n:,} {reason}" for reason, n in drops.most_common())
        print(", ".join(found) + (f" ({reasons})" if reasons else ""))
        print(f"{loss}; {scheme}")
    return exit_code(gates)


def overlap(
    *inputs: InputPlace,
    out: Path,
    data: Path | None = None,
    suite: str = "paper",
    limit: int = 0,
    held_out: Path | None = None,
    scores: Path | None = None,
    dataset: str | None = None,
    split: str | None = None,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
    settings_from: SettingsFrom,
) -> int:
    """Tell which texts of test sets stand in a corpus, by their 8-grams.

    Example: webtext overlap build/corpus --data eval --scores items.jsonl --out overlap.jsonl

    Example: webtext overlap --held-out build/shards --data eval --out overlap.jsonl

    The corpus is read once; in memory are the 8-grams of the test sets.

    Parameters
    ----------
    inputs
        The corpus. {inputs}
    out
        The file to write (.jsonl), an item a line: its 8-grams, how many of them stand in the
        corpus, and the share.
    data
        The folder with the files of the tasks, as `webtext evaluate --suite` takes it.
    suite
        A suite, or names of tasks with commas between; `webtext evaluate --list` names them.
    limit
        Items of a task, or held-out texts, the first of them; 0: all.
    held_out
        Instead of a corpus: token shards. Their held-out texts, and with --data those of the tasks,
        are looked for in their own train split.
    scores
        What `webtext evaluate --items` wrote: each metric is told without the items of which any
        8-gram stands in the corpus.
    dataset
        {dataset}
    split
        {split}
    as_json
        Print the sums as JSON.
    """
    from tools.overlap.run import run

    return run(
        inputs, out, settings_from(None), data=data, suite=suite, limit=limit, held_out=held_out,
        scores=scores, dataset=dataset, split=split, as_json=as_json,
    )  # fmt: skip


def tokenizer_count(
    *inputs: InputPlace,
    out: Path,
    dataset: str | None = None,
    split: str | None = None,
    settings_from: SettingsFrom,
) -> int:
    """Count the pre-tokens of texts, for tokenizers of any size, in OUT/counts.

    Example: webtext tokenizer count kept.jsonl --out counts

    Counts add up: those of new texts go into a folder of their own, and `webtext
    tokenizer train` takes several. Texts that `webtext shards` holds out are not
    counted, if both have the same --seed, --val-share and --split-by.

    Parameters
    ----------
    inputs
        {inputs}
    out
        The folder to write, in OUT/counts: part-*.parquet (columns `pretoken` and `count`), and
        counts.json, which says what was counted, cut and left out.
    dataset
        {dataset}
    split
        {split}
    """
    from tools.given import GivenTexts
    from tools.stages import make_counts

    given = GivenTexts(inputs, dataset, split)
    return _finish(out / "counts", make_counts(given, out, settings_from(None)))


def tokenizer_train(
    *inputs: InputPlace,
    out: Path,
    counts: list[Path] | None = None,
    dataset: str | None = None,
    split: str | None = None,
    settings_from: SettingsFrom,
) -> int:
    """Train a byte-level BPE tokenizer on texts, in OUT/tokenizer.

    Example: webtext tokenizer train kept.jsonl --out bpe --vocab-size 8192

    Example: webtext tokenizer train --counts 2023 --counts 2024 --out bpe --vocab-size 8192

    The merges are those of Hugging Face's BpeTrainer. Ids have 16 bits.
    It is trained on the texts that `webtext shards` does not hold out, if both
    have the same --seed, --val-share and --split-by.

    Parameters
    ----------
    inputs
        {inputs}
    out
        The folder to write: tokenizer.json, vocab.json, merges.txt and more, in OUT/tokenizer.
    counts
        The --out folder of `webtext tokenizer count`, instead of texts; several are added up. What
        decides which texts are counted, and how, was said there.
    dataset
        {dataset}
    split
        {split}
    """
    from tools.given import GivenTexts
    from tools.stages import make_tokenizer, make_tokenizer_of

    if counts:
        if inputs or dataset:
            raise SettingsError("name texts or --counts, not both")
        return _finish(out / "tokenizer", make_tokenizer_of(counts, out, settings_from(None)))
    given = GivenTexts(inputs, dataset, split)
    return _finish(out / "tokenizer", make_tokenizer(given, out, settings_from(None)))


def shards(
    *inputs: InputPlace,
    tokenizer: Path,
    out: Path,
    dataset: str | None = None,
    split: str | None = None,
    settings_from: SettingsFrom,
) -> int:
    """Encode texts and write token shards for the trainer, in OUT/shards.

    Example: webtext shards kept.jsonl --tokenizer bpe --out tokens

    Parameters
    ----------
    inputs
        {inputs}
    tokenizer
        The --out folder of `webtext tokenizer train`, or a tokenizer.json, vocab.json with
        merges.txt, encoder.json with vocab.bpe, tiktoken ranks, llm.c's tokenizer.bin, or a folder
        with one.
    out
        The folder to write: train_*.bin and val_*.bin with .idx and .urls.txt, in OUT/shards. The
        exit code is 3 if a split is empty; of one long text --split-by block holds out blocks.
    dataset
        {dataset}
    split
        {split}
    """
    from tools.given import GivenTexts
    from tools.stages import make_shards, with_tokenizer

    given = GivenTexts(inputs, dataset, split)
    settings = with_tokenizer(settings_from(None), tokenizer)
    return _finish(out / "shards", make_shards(given, out, settings))


# What they say of their texts, in the same words.
_ABOUT = {
    "inputs": (
        "Files, folders, patterns (in quotation marks), also in a bucket (s3://BUCKET/NAME, or "
        "s3://BUCKET/FOLDER/ for all below it), or - for stdin: JSON lines, JSON arrays, Parquet, "
        "CSV or plain text, compressed or not; the content tells which. A row needs a text "
        "(--text-field); `id` (--id-field), `url`, `host` and `karma` are optional. A row "
        "without an id is named by file and line. Ids that repeat are refused; --ids place names "
        "all rows by file and line."
    ),
    "dataset": (
        "A data set, instead of files or after them: a folder that the library datasets saved "
        "(save_to_disk), or the NAME, or NAME:PART, of one that it loads, streamed."
    ),
    "split": "The split of the data set; if not given, train.",
}
for _command in (dedup, overlap, tokenizer_count, tokenizer_train, shards):
    _command.__doc__ = (_command.__doc__ or "").format(**_ABOUT)


def tokens_export(shards: Path, /, *, out: Path) -> None:
    """Write shards as nanoGPT reads them: OUT/train.bin and OUT/val.bin, uint16 without headers.

    Example: webtext tokens export tokens --out nanoGPT/data/webtext

    Parameters
    ----------
    shards
        A folder that `webtext shards` or `webtext build` made. llm.c and modded-nanogpt read its
        .bin files as they are.
    out
        The folder to write, nanoGPT's data/NAME. Each text begins with the end-of-text token. A
        split without texts gets no file.
    """
    from pipeline.tokens.shards import export_nanogpt
    from tools.places import require_folder

    require_folder(out)
    for split, count in export_nanogpt(shards, out).items():
        told = f"{count:,} tokens" if count else f"not written, the shards have no {split} tokens"
        print(f"{out / split}.bin: {told}")


def train(*words: Words) -> int:
    """Train a GPT-2 on shards: the command line of `python -m train`.

    Example: webtext train tokens --out model --preset gpt2 --steps 1000

    Shards in a bucket (s3://BUCKET/NAME/shards) are fetched into the run's folder first.
    """
    if any("://" in word for word in words):
        from tools.fetch import with_fetched

        words = tuple(with_fetched(words, "webtext train"))
    return _trainer(words, "webtext train")


def evaluate(*words: Words) -> int:
    """Tell held-out loss, perplexity and bits per byte of a trained model.

    Example: webtext evaluate model --json
    """
    return _trainer(("evaluate", *_with_model(words)), "webtext")


def sample(*words: Words) -> int:
    """Write text with a trained model, or show the likeliest next tokens.

    Example: webtext sample model --prompt "The city" --tokens 100 --seed 1

    Example: webtext sample model --prompt "The city" --top 10
    """
    return _trainer(("sample", *_with_model(words)), "webtext")


def score(*words: Words) -> int:
    """Tell how likely a text is to a trained model, token by token.

    Example: webtext score model "The city and the sea"
    """
    return _trainer(("score", *_with_model(words)), "webtext")


def export(*words: Words) -> int:
    """Write a folder that Hugging Face's transformers loads, checked by reading it back.

    Example: webtext export model --out my-gpt2

    Example: webtext export s3://BUCKET/NAME --out my-gpt2
    """
    return _trainer(("export", *_with_model(words)), "webtext")


def _finish(made: Path, gates: list[str]) -> int:
    from tools.status import show

    show(made.parent)
    print(f"{made.name}: {made}")
    return exit_code(gates)


def _with_model(words: Sequence[str]) -> Sequence[str]:
    """The words, for the RUN of a build in a bucket a copy of it here."""
    if not words or "://" not in words[0]:
        return words
    from tools.fetch import fetch_model
    from tools.places import Uri

    return [str(fetch_model(Uri(words[0]))), *words[1:]]


def _trainer(words: tuple[str, ...], prog: str) -> int:
    """The trainer's own command line, which has its own help, errors and signals."""
    from tools.trainer_tokenizer import with_tokenizer_json
    from train.__main__ import main

    with with_tokenizer_json(words) as words_here:
        return main(words_here, prog)
