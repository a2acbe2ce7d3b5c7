"""The commands that work on anyone's files, without a build, each a function; see commands.py."""

import json
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from tools.commands import exit_code
from tools.options import SettingsFrom

Words = Annotated[str, Parameter(allow_leading_hyphen=True)]
TextsInput = Annotated[Path, Parameter(allow_leading_hyphen=True)]  # - is stdin


def links(*dumps: Path, out: Path, urls: Path | None = None, settings_from: SettingsFrom) -> int:
    """Turn Reddit dumps into links, in OUT/links/part-*.parquet.

    Example: webtext links RS_2012-09.bz2 RS_2019-06.zst --out links --date-max 2019-12-31

    Example: webtext links RS_2012-09.bz2 --out links --urls urls.txt

    Parameters
    ----------
    dumps
        Files of submissions (RS_*), one JSON object a line: .zst, .xz, .bz2, .gz or plain; also
        Parquet, a JSON array, or a table with a header (CSV, TSV). Several dumps may hold the same
        posts: each counts once, and not at all if a copy is removed.
    out
        A folder, which `webtext status` understands.
    urls
        A file for other people's crawlers: the URL of each kept link on a line of its own, in an
        order that depends on the links alone. Run the command again to write it again.
    """
    from tools.stages import make_links

    return _finish(out / "links", make_links(dumps, out, settings_from(None), urls))


def extract(
    *inputs: Path,
    out: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
    settings_from: SettingsFrom,
) -> int:
    """Turn pages into text on stdout, or with --out many of them into a file of documents.

    Example: webtext extract page.html

    Example: curl -s https://example.org/ | webtext extract - --json

    Example: webtext extract pages.warc.gz site --out documents.jsonl --languages ""

    Without --out a page gives its text, of any length and language, but where
    --languages, --language-score-min, --text-chars-min or --text-chars-max is
    given. What gives none is told on stderr; the exit code is then 1.
    With --out a page is a document or a drop, as in a build.

    Parameters
    ----------
    inputs
        Pages, WARC files, JSON lines with `html` (and `url`, `id`), packed or not, known by what
        they hold; folders, with all files in them but hidden ones; - for stdin.
    out
        documents.jsonl, .jsonl.gz, .jsonl.zst or .parquet; drops go to OUT.drops.jsonl. Until both
        are there, what is done is kept in .OUT.work beside them: the same command goes on.
    as_json
        Without --out one JSON object a page: its document, and whether a build would have kept it,
        or the reason why not. With --out the counts: rows_in is rows_out and all drops.
    """
    if out is None:
        from tools.by_hand import print_pages

        return print_pages(inputs, settings_from, as_json=as_json)
    from tools.extract import extract_files

    return extract_files(inputs, out, settings_from(None), as_json=as_json)


def dedup(
    *inputs: TextsInput,
    out: Path,
    kept: Path | None = None,
    signatures: Path | None = None,
    dataset: str | None = None,
    split: str | None = None,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
    settings_from: SettingsFrom,
) -> int:
    """Decide for each text: keep it, or name the text that it copies.

    Example: webtext dedup texts.jsonl --out decisions.jsonl --kept kept.jsonl --near-threshold 0.7

    Example: webtext dedup crawl/ "more/*.parquet" --out decisions.parquet --kept kept.parquet

    Parameters
    ----------
    inputs
        {inputs}
    out
        A decision a row, in the order of the rows: {{"id", "keep", "keeper", "jaccard", "reason"}},
        as JSON lines (.jsonl, .jsonl.gz, .jsonl.zst) or .parquet. A row without text, or with one
        above --text-chars-max, is not kept, and `reason` says so.
    kept
        A file for the rows that are kept, with all their fields as they came: JSON lines or
        .parquet by its ending, to go on with. datasets reads it too:
        load_dataset("parquet", data_files="kept.parquet").
    signatures
        A Parquet file for the MinHash signature of each text, `id` and 128 numbers, which
        datasketch takes as MinHash(num_perm=128, hashvalues=signature, scheme="affine32"), for a
        MinHashLSH of your own. pipeline.corpus.minhash.signature(text) is that of another text.
    dataset
        {dataset}
    split
        {split}
    as_json
        Print the counts as JSON: texts is the sum of the others.
    """
    from pipeline.corpus.dedup import Results
    from pipeline.corpus.dedup import dedup as decide
    from tools.given import GivenTexts

    def heartbeat(text: str) -> None:
        sys.stderr.write(f"\r{text}" if sys.stderr.isatty() else "")

    settings = settings_from(None)
    named = {"--out": out, "--kept": kept, "--signatures": signatures}
    results = {option: path for option, path in named.items() if path}
    given = GivenTexts(inputs, dataset, split)
    with given.files(out, settings.texts, whole=bool(kept), results=results) as files:
        counts, said, gates = decide(
            files,
            Results(out, kept, signatures),
            settings.corpus,
            heartbeat,
            texts=settings.texts,
            text_chars_max=settings.documents.text_chars_max,
        )
    for sentence in said:
        print(sentence, file=sys.stderr)
    if as_json:
        print(json.dumps(counts._asdict()))
    else:
        print(
            ", ".join(
                f"{number:,} {name.replace('_', ' ')}" for name, number in counts._asdict().items()
            )
        )
    return exit_code(gates)


def tokenizer_train(
    *inputs: TextsInput,
    out: Path,
    dataset: str | None = None,
    split: str | None = None,
    settings_from: SettingsFrom,
) -> int:
    """Train a byte-level BPE tokenizer on texts, in OUT/tokenizer.

    Example: webtext tokenizer train kept.jsonl --out bpe --vocab-size 8192

    Parameters
    ----------
    inputs
        {inputs}
    out
        A folder; tokenizer.json, vocab.json, merges.txt and more lie in OUT/tokenizer.
    dataset
        {dataset}
    split
        {split}
    """
    from tools.given import GivenTexts
    from tools.stages import make_tokenizer

    given = GivenTexts(inputs, dataset, split)
    return _finish(out / "tokenizer", make_tokenizer(given, out, settings_from(None)))


def shards(
    *inputs: TextsInput,
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
        The --out of `webtext tokenizer train`, or a tokenizer.json.
    out
        A folder; train_*.bin and val_*.bin with .idx and .urls.txt lie in OUT/shards. Of one long
        text --split-by block holds out blocks; the exit code is 3 where a split is empty.
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


# What the three say of their texts, in the same words.
_ABOUT = {
    "inputs": (
        "Files, folders, patterns (in quotation marks), or - for stdin. JSON lines, JSON arrays, "
        "Parquet or text, packed or not, known by their content. Rows want a text (--text-field); "
        "`id` (--id-field), `url`, `host` and `karma` are optional. A row without an id is named "
        "by file and line; ids that repeat are refused, or left aside with --ids place."
    ),
    "dataset": (
        "A data set instead of files, or after them: a folder that datasets saved (save_to_disk), "
        "or one that it loads, streamed: NAME or NAME:PART."
    ),
    "split": "Its split; train if nothing is said.",
}
for _command in (dedup, tokenizer_train, shards):
    _command.__doc__ = (_command.__doc__ or "").format(**_ABOUT)


def tokens_export(shards: Path, /, *, out: Path) -> None:
    """Write shards as nanoGPT reads them: OUT/train.bin and OUT/val.bin, uint16 without headers.

    Example: webtext tokens export tokens --out nanoGPT/data/webtext

    Parameters
    ----------
    shards
        A folder that `webtext shards` or `webtext build` made. llm.c and
        modded-nanogpt read its .bin files as they are.
    out
        The folder to write, nanoGPT's data/NAME. The end-of-text token stands before each text.
        A split without texts gets no file.
    """
    from pipeline.tokens.shards import export_nanogpt

    for split, count in export_nanogpt(shards, out).items():
        told = f"{count:,} tokens" if count else f"not written, the shards have no {split} tokens"
        print(f"{out / split}.bin: {told}")


def train(*words: Words) -> int:
    """Train a GPT-2 on shards: the command line of `python -m train`.

    Example: webtext train tokens --out model --preset gpt2 --steps 1000
    """
    return _trainer(words, "webtext train")


def evaluate(*words: Words) -> int:
    """Tell held-out loss, perplexity and bits per byte of a trained model.

    Example: webtext evaluate model --json
    """
    return _trainer(("evaluate", *words), "webtext")


def sample(*words: Words) -> int:
    """Write text with a trained model.

    Example: webtext sample model --prompt "The city" --tokens 100 --seed 1
    """
    return _trainer(("sample", *words), "webtext")


def export(*words: Words) -> int:
    """Write a folder that Hugging Face's transformers loads, checked by reading it back.

    Example: webtext export model --out my-gpt2
    """
    return _trainer(("export", *words), "webtext")


def _finish(made: Path, gates: list[str]) -> int:
    from tools.status import show

    show(made.parent)
    print(f"{made.name}: {made}")
    return exit_code(gates)


def _trainer(words: tuple[str, ...], prog: str) -> int:
    """The trainer's own command line, which has its own help, errors and signals."""
    from train.__main__ import main

    return main(words, prog)
