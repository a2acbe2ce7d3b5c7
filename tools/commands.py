"""The commands of `webtext`, each a function; what it needs is imported when it is called.

stdout is the result, stderr is progress. A command's docstring is its help.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from pipeline.errors import WebtextError
from tools.flow import STAGES

Overrides = Annotated[dict[str, str], Parameter(parse=False)]
Words = Annotated[str, Parameter(allow_leading_hyphen=True)]
LastStage = Annotated[str, Parameter(help=f"The last stage to make: {', '.join(STAGES)}.")]
SETTINGS_FILE = "webtext.toml"


def demo(*, out: Path = Path("build/demo"), to: LastStage = "report", overrides: Overrides) -> int:
    """Run the whole flow on a small web of our own, offline, in about four minutes.

    Example: webtext demo --out build/demo

    Parameters
    ----------
    out
        The build folder; the web and the submissions are made in OUT/input.
    """
    from tools.demo import differences, write_demo

    files = write_demo(out / "input")
    code = _build(out, files.settings_path, overrides, to=to)
    if STAGES.index(to) >= STAGES.index("corpus"):
        found = differences(out, files.expected_path)
        for difference in found:
            print(f"webtext: {difference}", file=sys.stderr)
        if found:
            return 1
        print("\nEvery planted page and submission met the end that was planned for it.")
    return code


def init(path: Path = Path(SETTINGS_FILE), /) -> None:
    """Write a settings file with every setting and its default.

    Example: webtext init webtext.toml
    """
    from pipeline.settings import to_toml

    if path.exists():
        raise WebtextError(f"{path} is there already; remove it first")
    path.write_text(to_toml(), encoding="utf-8")
    print(path)


def build(
    settings: Path = Path(SETTINGS_FILE),
    /,
    *,
    out: Path = Path("build"),
    to: LastStage = "report",
    redo: tuple[str, ...] = (),
    replay: tuple[str, ...] = (),
    keep_versions: bool = False,
    overrides: Overrides,
) -> int:
    """Make a corpus, shards, a trained model and a report; resumed where it stopped.

    Example: webtext build webtext.toml --out build --links.karma-min 5

    Parameters
    ----------
    settings
        The settings file; paths in it are relative to it.
    out
        The build folder. OUT/webtext.toml records the settings; it is never read by itself.
    redo
        A stage that is made again although it was dear, or although nothing changed; may be given
        more than once.
    replay
        A stage whose drops by the limits on an item (timed_out, crashed, out_of_memory) are tried
        again; may be given more than once.
    keep_versions
        Go on with results that other versions of libraries made.
    """
    return _build(
        out, settings, overrides, to=to, redo=redo, replay=replay, keep_versions=keep_versions
    )


def status(
    folder: Path,
    /,
    *,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
    verify: bool = False,
) -> int:
    """Show what a build (or the --out folder of a command) holds, or how far a training run is.

    Example: webtext status build --json

    Parameters
    ----------
    folder
        The build folder, or the --out of `webtext links`, `tokenizer train`, `shards` or `train`.
    as_json
        Print one JSON object: stages with their rows, drops and digests, and the build's digest;
        or of a run its state, step, steps, loss and held-out loss.
    verify
        Read every file of the stages again and name those that are missing or damaged.
    """
    from tools import status as state

    if as_json:
        print(json.dumps(state.status(folder), indent=1))
    else:
        state.show(folder)
    damaged = state.damaged(folder) if verify else []
    for line in damaged:
        print(f"webtext: {line}", file=sys.stderr)
    return 1 if damaged else 0


def why(
    url: str,
    /,
    *,
    build: Path = Path("build"),
    as_json: Annotated[bool, Parameter(name="--json")] = False,
) -> int:
    """Tell what became of a URL, from its submissions to its tokens.

    Example: webtext why https://example.org/story --build build/demo

    Parameters
    ----------
    url
        A URL as it was posted, or a link's id.
    build
        The build folder.
    as_json
        Print the chapters as JSON.
    """
    from tools.why import why as tell

    chapters = tell(build, url)
    if as_json:
        print(json.dumps([vars(chapter) for chapter in chapters], indent=1, default=str))
    else:
        for chapter in chapters:
            print(f"{chapter.stage:<10} {'kept' if chapter.kept else 'LEFT'}  {chapter.text}")
    return 0


def report(build: Path = Path("build"), /) -> None:
    """Write BUILD/report.html: one self-contained page.

    Example: webtext report build/demo
    """
    from tools.report import write_report

    print(write_report(build))


def clean(
    folder: Path = Path("build"),
    /,
    *,
    everything: Annotated[bool, Parameter(name="--all")] = False,
    dry_run: bool = False,
) -> None:
    """Remove a build's scratch, and tell what is kept and why.

    Example: webtext clean build --dry-run

    Parameters
    ----------
    folder
        The build folder, or the --out of a stage command.
    everything
        Also what saves the next build work: unfinished stages, and rows that rules are applied to.
    dry_run
        Remove nothing, only tell.
    """
    from tools import clean as cleaning

    found = cleaning.clean(folder, everything=everything, dry_run=dry_run)
    cleaning.show(folder, found, dry_run=dry_run)


def links(*dumps: Path, out: Path, overrides: Overrides) -> int:
    """Turn Reddit dumps into links, in OUT/links/part-*.parquet.

    Example: webtext links RS_2012-09.bz2 RS_2019-06.zst --out links --links.date-max 2019-12-31

    Parameters
    ----------
    dumps
        Files of submissions, one JSON object a line: .zst, .xz, .bz2, .gz or plain.
    out
        A folder, which `webtext status` understands.
    """
    from tools.stages import make_links

    return _finish(out, make_links(dumps, out, _settings(None, overrides)))


def extract(*inputs: Path, out: Path, overrides: Overrides) -> int:
    """Turn WARC, HTML or JSONL files into documents, one JSON line or Parquet row each.

    Example: webtext extract pages.warc.gz --out documents.jsonl --documents.languages ""

    Parameters
    ----------
    inputs
        .warc, .warc.gz; .html, .htm; .jsonl(.gz, .zst) with `url` and `html`.
    out
        documents.jsonl, .jsonl.gz, .jsonl.zst or .parquet; drops go to OUT.drops.jsonl. The
        counts are printed as JSON: rows_in is rows_out and all drops.
    """
    from tools.extract import extract_files

    return extract_files(inputs, out, _settings(None, overrides))


def dedup(
    source: Path,
    /,
    *,
    out: Path,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
    overrides: Overrides,
) -> None:
    """Decide for each text: keep it, or name the text that it copies.

    Example: webtext dedup texts.jsonl --out decisions.jsonl --corpus.near-threshold 0.7

    Parameters
    ----------
    source
        JSONL (plain, .gz, .zst) or Parquet with `id`, `text` and optionally `karma`.
    out
        One line a text: {"id", "keep", "keeper", "jaccard"}.
    as_json
        Print the counts as JSON.
    """
    from pipeline.corpus.dedup import dedup as decide

    def beat(text: str) -> None:
        sys.stderr.write(f"\r{text}" if sys.stderr.isatty() else "")

    counts = decide(source, out, _settings(None, overrides).corpus, beat)
    if as_json:
        print(json.dumps(counts._asdict()))
    else:
        print(
            ", ".join(
                f"{number:,} {name.replace('_', ' ')}" for name, number in counts._asdict().items()
            )
        )


def tokenizer_train(*inputs: Path, out: Path, overrides: Overrides) -> int:
    """Train a byte-level BPE tokenizer on texts, in OUT/tokenizer.

    Example: webtext tokenizer train texts.jsonl --out bpe --tokenizer.vocab-size 8192

    Parameters
    ----------
    inputs
        JSONL (plain, .gz, .zst), Parquet or plain text files.
    out
        A folder; tokenizer.json, vocab.json, merges.txt and more lie in OUT/tokenizer.
    """
    from tools.stages import make_tokenizer

    make_tokenizer(inputs, out, _settings(None, overrides))
    return _finish(out, [])


def shards(*inputs: Path, tokenizer: Path, out: Path, overrides: Overrides) -> int:
    """Encode texts and write token shards for the trainer, in OUT/shards.

    Example: webtext shards texts.jsonl --tokenizer bpe --out tokens

    Parameters
    ----------
    inputs
        JSONL (plain, .gz, .zst), Parquet or plain text files.
    tokenizer
        The --out of `webtext tokenizer train`, or a tokenizer.json.
    out
        A folder; train_*.bin and val_*.bin with .idx and .urls.txt lie in OUT/shards.
    """
    from tools.stages import make_shards, with_tokenizer

    make_shards(inputs, out, _settings(None, with_tokenizer(overrides, tokenizer)))
    return _finish(out, [])


def tokens_export(shards: Path, /, *, out: Path) -> None:
    """Write shards as nanoGPT reads them: OUT/train.bin and OUT/val.bin, uint16 without headers.

    Example: webtext tokens export build/shards --out nanoGPT/data/webtext

    Parameters
    ----------
    shards
        A folder with shards.json, as `webtext build` and `webtext shards` make. llm.c and
        modded-nanogpt read its .bin files as they are.
    out
        The folder to write, nanoGPT's data/NAME. The end-of-text token stands before each text.
    """
    from pipeline.tokens.shards import export_nanogpt

    for split, count in export_nanogpt(shards, out).items():
        print(f"{out / split}.bin: {count:,} tokens")


def train(*words: Words) -> int:
    """Train a GPT-2 on shards: the command line of `python -m train`.

    Example: webtext train tokens/shards --out model --preset gpt2 --steps 1000
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


def _trainer(words: tuple[str, ...], prog: str) -> int:
    """The trainer's own command line, which has its own help, errors and signals."""
    from train.__main__ import main

    return main(words, prog)


def _settings(path: Path | None, overrides: dict[str, str]) -> Any:
    from pipeline.settings import load

    return load(path, overrides)


def _build(
    out: Path,
    settings_path: Path,
    overrides: dict[str, str],
    *,
    to: str,
    **reuse: Any,
) -> int:
    from tools.build import check_record, run_build
    from tools.summary import show_build

    check_record(out, settings_path)
    settings = _settings(settings_path, overrides)
    gates = run_build(out, settings, settings_path.parent, to=to, **reuse)
    show_build(out)
    return _exit_code(gates)


def _finish(out: Path, gates: list[str]) -> int:
    from tools.status import show

    show(out)
    return _exit_code(gates)


def _exit_code(gates: list[str]) -> int:
    for message in gates:
        print(f"webtext: quality gate failed: {message}", file=sys.stderr)
    return 3 if gates else 0
