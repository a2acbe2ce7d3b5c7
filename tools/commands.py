"""The commands that concern a build, each a function; what it needs is imported when it is called.

stdout is the result, stderr is progress. A command's docstring is its help.
Those that work without a build are in stage_commands.py.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from pipeline.errors import SettingsError
from tools.flow import STAGES
from tools.options import SettingsFrom

LastStage = Annotated[str, Parameter(help=f"The last stage to make: {', '.join(STAGES)}.")]
SETTINGS_FILE = "webtext.toml"
FAST_LEAVES_OUT = (
    "Left out by --fast: the model, and three of four ordinary pages; webtext demo makes them too."
)


def demo(
    *,
    out: Path | None = None,
    to: LastStage = "report",
    fast: bool = False,
    settings_from: SettingsFrom,
) -> int:
    """Run the whole flow on a small web of our own, offline, in one to three minutes.

    Example: webtext demo --fast

    Parameters
    ----------
    out
        The build folder: build/demo, or with --fast build/demo-fast. The web and the submissions
        are made in OUT/input.
    fast
        A quarter of the ordinary pages, and no model: well under a minute. Everything that goes
        wrong is in it too.
    """
    from tools.demo import differences, write_demo

    if fast and to == "model":
        raise SettingsError("--fast leaves the model out; take --to shards, or leave --fast away")
    out = out or Path("build/demo-fast" if fast else "build/demo")
    files = write_demo(out / "input", fast=fast)
    without_model = fast and to == "report"
    last = "shards" if without_model else to
    # It is small, so the disk is not asked about.
    code = _build(
        out, files.settings_path, settings_from, to=last, report_too=without_model, force=True
    )
    if STAGES.index(to) >= STAGES.index("corpus"):
        found = differences(out, files.expected_path)
        for difference in found:
            print(f"webtext: {difference}", file=sys.stderr)
        if found:
            return 1
        print("\nEvery planted page and submission met the end that was planned for it.")
    if fast:
        print(FAST_LEAVES_OUT)
    return code


def init(path: Path = Path(SETTINGS_FILE), /) -> None:
    """Write a settings file: each setting with its default, what it does and what WebText did.

    Example: webtext init webtext.toml
    """
    from tools.reference import settings_file

    if path.exists():
        raise SettingsError(f"{path} is there already; remove it first")
    path.write_text(settings_file(), encoding="utf-8")
    print(path)


def plan(
    settings: Path = Path(SETTINGS_FILE),
    /,
    *,
    out: Path = Path("build"),
    as_json: Annotated[bool, Parameter(name="--json")] = False,
    settings_from: SettingsFrom,
) -> None:
    """Estimate what a build takes before it starts: rows, time, disk and memory of each stage.

    Example: webtext plan webtext.toml --out build --engine.workers 16

    Parameters
    ----------
    settings
        The settings file; its inputs are sampled.
    out
        Where the build would be made: the disk whose free space is told.
    as_json
        Print one JSON object, with the source of every rate.
    """
    from tools import plan as planning

    found = planning.plan(settings_from(settings), settings.parent, out)
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        planning.show(found)


def build(
    settings: Path = Path(SETTINGS_FILE),
    /,
    *,
    out: Path = Path("build"),
    to: LastStage = "report",
    redo: tuple[str, ...] = (),
    replay: tuple[str, ...] = (),
    keep_versions: bool = False,
    force: bool = False,
    settings_from: SettingsFrom,
) -> int:
    """Make a corpus, shards, a trained model and a report; resumed where it stopped.

    Example: webtext build webtext.toml --out build --links.karma-min 5

    Parameters
    ----------
    settings
        The settings file; paths in it are relative to it.
    out
        The build folder. A copy of the settings is saved as OUT/webtext.toml; it is not read.
    redo
        A stage that is made again, although it took long or nothing changed; may be given more than
        once.
    replay
        A stage whose drops by the limits on an item (timed_out, crashed, out_of_memory) are tried
        again; may be given more than once.
    keep_versions
        Reuse results that were made with other versions of libraries.
    force
        Begin although the disk is too small by `webtext plan`.
    """
    reuse: dict[str, Any] = {"redo": redo, "replay": replay, "keep_versions": keep_versions}
    return _build(out, settings, settings_from, to=to, force=force, **reuse)


def status(
    folder: Path,
    /,
    *,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
    watch: bool = False,
    verify: bool = False,
) -> int:
    """Show what a build (or the --out folder of a command) holds, or how far a training run is.

    Of a build at work it tells stage and step, parts, rate and time left, on any machine that sees
    its folder.

    Example: webtext status build --json

    Parameters
    ----------
    folder
        The build folder, or the --out of `webtext links`, `tokenizer train`, `shards` or `train`.
    as_json
        Print one JSON object: stages with their rows, drops and digests, and the build's digest;
        or of a run its state, step, steps, loss and held-out loss.
    watch
        Show it again every two seconds, until no build is at work.
    verify
        Read every file of the stages and of checkpoints again, tell how many these are, and name
        those that are missing or damaged; the exit code is then 1.
    """
    from rich.filesize import decimal

    from tools import status as state

    found = state.verify(folder) if verify else None
    if watch and not as_json:
        state.watch(folder)
    elif as_json:
        told = {"verified": vars(found)} if found else {}
        print(json.dumps({**state.status(folder), **told}, indent=1))
    else:
        state.show(folder)
    if not found:
        return 0
    for line in found.damaged:
        print(f"webtext: {line}", file=sys.stderr)
    if not as_json:
        verdict = f"{len(found.damaged):,} of them not" if found.damaged else "all"
        read = f"read {found.files:,} files of {decimal(found.bytes)} again"
        print(f"{read}: {verdict} as they were written")
    return 1 if found.damaged else 0


def look(
    path: Path,
    /,
    *,
    rows: int | None = None,
    drops: bool = False,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
) -> None:
    """Show the first rows of a build, of a stage's folder, or of any file that webtext made.

    Example: webtext look build/documents --rows 3

    Example: webtext look build/corpus --drops --json

    Parameters
    ----------
    path
        A build or a stage's folder; a file: Parquet, JSON or JSON lines (packed or not), token
        files and their indexes, tokenizer.json, logs, manifests, weights, WARC.
    rows
        So many rows of each table, 0: all. Without it 5, and of a build's stages one each.
    drops
        The rows that a build or a stage dropped, with their reasons, instead of those it kept.
    as_json
        Print each row as a line of JSON, with whole values.
    """
    from tools.look import first, tables, titled
    from tools.show_rows import show_rows

    if rows is not None and rows < 0:
        raise SettingsError(f"--rows is {rows}; it must be 0 or more; 0: all")
    found = tables(path, drops=drops)
    for table in found:
        chosen = first(table, (5 if len(found) < 3 else 1) if rows is None else rows)
        if as_json:
            for row in chosen:
                told = {"table": table.name, **row} if len(found) > 1 else row
                print(json.dumps(told, ensure_ascii=False, default=str))
        else:
            shown = list(chosen)
            show_rows(titled(table, len(shown)), shown)


def why(
    url: str,
    /,
    *,
    build: Path = Path("build"),
    as_json: Annotated[bool, Parameter(name="--json")] = False,
) -> int:
    """Tell what became of a URL, from its submissions to its tokens.

    Example: webtext why https://example.org/story --build build/demo

    Example: webtext why line_invalid --build build/demo

    Parameters
    ----------
    url
        A URL as it was posted, or a link's id; or a reason, for the rows that were dropped for it.
        The exit code is 1 for what the build does not know; it then tells the nearest URLs.
    build
        The build folder.
    as_json
        Print the chapters as JSON.
    """
    from tools.why import why as tell

    chapters = tell(build, url)
    if as_json:
        told = [vars(chapter) | {"kept": chapter.kept} for chapter in chapters]
        print(json.dumps(told, indent=1, default=str))
    else:
        for chapter in chapters:
            print(f"{chapter.stage:<10} {chapter.verdict}  {chapter.text}")
    return 1 if chapters[0].verdict == "unknown" else 0


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
    now: bool = False,
    dry_run: bool = False,
) -> None:
    """Remove what a build no longer needs, and tell what is kept and why.

    Example: webtext clean build --dry-run

    Parameters
    ----------
    folder
        The build folder, or the --out of a stage command.
    everything
        Also delete what makes the next build faster: unfinished stages, and rows that are kept so
        that a rule can be changed.
    now
        Delete files of killed attempts that are younger than a day too.
    dry_run
        Remove nothing, only tell.
    """
    from tools import clean as cleaning

    found = cleaning.clean(folder, now=now, everything=everything, dry_run=dry_run)
    cleaning.show(found, dry_run=dry_run)


def _build(
    out: Path,
    settings_path: Path,
    settings_from: SettingsFrom,
    *,
    to: str,
    report_too: bool = False,
    **reuse: Any,
) -> int:
    from tools.build import check_record, run_build
    from tools.report import write_report
    from tools.summary import show_build

    check_record(out, settings_path)
    settings = settings_from(settings_path)
    gates = run_build(out, settings, settings_path.parent, to=to, **reuse)
    if report_too:
        write_report(out)
    show_build(out)
    return exit_code(gates)


def exit_code(gates: list[str]) -> int:
    """Tell which quality gates failed; 3 if any did."""
    for message in gates:
        print(f"webtext: quality gate failed: {message}", file=sys.stderr)
    return 3 if gates else 0
