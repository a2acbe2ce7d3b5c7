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
from tools.options import BuildPlace, SettingsFrom
from tools.places import Place

LastStage = Annotated[str, Parameter(help=f"The last stage to make: {', '.join(STAGES)}.")]
SETTINGS_FILE = "webtext.toml"


def init(path: Path = Path(SETTINGS_FILE), /) -> None:
    """Write a settings file: each setting with its default, what it does and what WebText did.

    Example: webtext init webtext.toml

    Parameters
    ----------
    path
        The file to write; one that is there already is not overwritten.
    """
    from pipeline.engine.files import write_durably
    from tools.reference import settings_file

    if path.exists():
        raise SettingsError(f"{path} is there already; remove it first")
    if not path.parent.is_dir():
        raise SettingsError(f"{path.parent}: there is no such folder. Make it first.")
    write_durably(path, settings_file())
    print(path)
    told = f"Name your dumps and WARC files there, under [input]; then: webtext plan {path}"
    print(told, file=sys.stderr)


def plan(
    settings: Path = Path(SETTINGS_FILE),
    /,
    *,
    out: BuildPlace = Path("build"),
    to: LastStage = "report",
    ask_index: bool = False,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
    settings_from: SettingsFrom,
) -> None:
    """Estimate what a build takes before it starts: rows, time, disk and memory of each stage.

    Example: webtext plan webtext.toml --out build --engine.workers 16

    Example: webtext plan webtext.toml --to links

    Parameters
    ----------
    settings
        The settings file. Samples of the inputs it names are read.
    out
        The build folder that would be made; the free space of its disk is shown. For a build in a
        bucket, s3://BUCKET/NAME, none is.
    ask_index
        Ask Common Crawl's index, if it is a source, how much of it the links of the build need: the
        ends of its files are read, some 30 kB each. Else nothing is asked of the network.
    as_json
        Print one JSON object, with the source of every rate.
    """
    from tools.checks import known_stages
    from tools.plan import plan as planned
    from tools.plan_show import show

    known_stages({"to": [to]})
    found = planned(settings_from(settings), settings.parent, out, to, ask_index=ask_index)
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        show(found)


def build(
    settings: Path = Path(SETTINGS_FILE),
    /,
    *,
    out: BuildPlace = Path("build"),
    to: LastStage = "report",
    redo: tuple[str, ...] = (),
    replay: tuple[str, ...] = (),
    keep_versions: bool = False,
    force: bool = False,
    urls: Path | None = None,
    settings_from: SettingsFrom,
) -> int:
    """Make a corpus, a tokenizer, shards, a model and a report; the same command resumes it.

    Example: webtext build webtext.toml --out build --links.karma-min 5

    Example: webtext build webtext.toml --to links --urls urls.txt

    Example: webtext build webtext.toml --out s3://BUCKET/NAME --input.warcs 's3://BUCKET/warcs/*'

    Ctrl-C and SIGTERM stop it within seconds (exit codes 130 and 75). The same command
    goes on, after a kill or a power cut too. `webtext status` tells how far it is.

    Parameters
    ----------
    settings
        The settings file. Paths in it are relative to its folder.
    out
        The build folder, or s3://BUCKET/NAME (perhaps with
        ?endpoint_override=HOST:PORT&scheme=http) for a build in a bucket. A copy of the settings is
        saved as OUT/webtext.toml for the record; no build reads it.
    redo
        Make this stage again, even if nothing changed or it takes long; may be given more than
        once.
    replay
        Try the pages again that this stage dropped for a limit on time or memory (timed_out,
        crashed, out_of_memory); of the stage pages, ask the sources again for links that failed in
        a way that may pass; may be given more than once.
    keep_versions
        Reuse results that other versions of the libraries made.
    force
        Start even if the disk is too small by `webtext plan`, which a bucket is not asked about.
    urls
        A file for crawlers, written when the links are made: the URL of each kept link on a line of
        its own.
    """
    reuse: dict[str, Any] = {
        "redo": redo,
        "replay": replay,
        "keep_versions": keep_versions,
        "urls": urls,
    }
    return build_and_tell(out, settings, settings_from, to=to, force=force, **reuse)


def status(
    folder: BuildPlace,
    /,
    *,
    as_json: Annotated[bool, Parameter(name="--json")] = False,
    watch: bool = False,
    verify: bool = False,
) -> int:
    """Show what a build or a stage's folder holds, or how far a training run is.

    Of a build at work it tells stage and step, parts, rate and time left, on any machine that sees
    its folder.

    Example: webtext status build --json

    Parameters
    ----------
    folder
        A build's folder or s3://BUCKET/NAME, or the --out folder of `webtext links`, `tokenizer
        train`, `shards` or `train`.
    as_json
        Print one JSON object. Of a build: the rows, drops and digest of each stage, and the digest
        of all. Of a training run: its state, step, steps, loss and held-out loss.
    watch
        Show it again every two seconds (of a bucket: every ten), until no build is at work.
    verify
        Read every file of the stages and checkpoints again, and name those that are missing or
        damaged; the exit code is 1 if there are any.
    """
    from rich.filesize import decimal

    from tools import status as state

    found = state.verify(folder) if verify else None
    if watch and not as_json:
        state.show_again(folder)
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
    path: BuildPlace,
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
        A build or a stage's folder, in a bucket too (s3://BUCKET/NAME, s3://BUCKET/NAME/STAGE); or
        a file: Parquet, JSON or JSON lines (compressed or not), token files and their indexes,
        tokenizer.json, logs, manifests, weights, WARC.
    rows
        Rows to show of each table; 0: all. If not given, 5, or 1 of each stage of a build.
    drops
        Show the rows that were dropped, with their reasons, instead of those that were kept.
    as_json
        Print each row as a line of JSON, with its values in full.
    """
    from tools.look import first, plain, tables, titled
    from tools.show_rows import show_rows

    if rows is not None and rows < 0:
        raise SettingsError(f"--rows is {rows}; it must be 0 or more; 0: all")
    found = tables(path, drops=drops)
    for table in found:
        chosen = first(table, (5 if len(found) < 3 else 1) if rows is None else rows)
        if as_json:
            for row in chosen:
                told = {"table": table.name, **row} if len(found) > 1 else row
                print(json.dumps(plain(told), ensure_ascii=False, default=str))
        else:
            shown = list(chosen)
            show_rows(titled(table, len(shown)), shown)


def why(
    url: str,
    /,
    *,
    build: BuildPlace = Path("build"),
    as_json: Annotated[bool, Parameter(name="--json")] = False,
) -> int:
    """Tell what became of a URL, from its submissions to its tokens.

    Example: webtext why https://example.org/story --build build/demo

    Example: webtext why line_invalid --build build/demo

    Parameters
    ----------
    url
        A URL as it was posted, or a link's id; or a reason, to see the rows that were dropped for
        it. For a URL that the build does not know the nearest known ones are shown, and the exit
        code is 1.
    build
        The build folder, or s3://BUCKET/NAME.
    as_json
        Print what each stage says as JSON.
    """
    from tools.why import why as tell

    chapters = tell(build, url)
    if as_json:
        told = [vars(chapter) | {"kept": chapter.kept} for chapter in chapters]
        print(json.dumps(told, indent=1, default=str))
    else:
        for chapter in chapters:
            text = chapter.text.replace("\n", f"\n{'':<11}")
            print(f"{chapter.stage:<10} {chapter.verdict}  {text}")
    return 1 if chapters[0].verdict == "unknown" else 0


def report(build: BuildPlace = Path("build"), /) -> None:
    """Write the report of a build again: BUILD/report.html, one self-contained page.

    Example: webtext report build/demo

    Parameters
    ----------
    build
        The build folder, or s3://BUCKET/NAME: the report is then written there.
    """
    from tools.places import Uri
    from tools.report import write_report

    place = write_report(build)
    print(place)
    if isinstance(place, Uri):
        told = f"aws s3 cp {place.partition('?')[0]} . gets it; then open it in a browser"
        print(told, file=sys.stderr)


def clean(
    folder: BuildPlace = Path("build"),
    /,
    *,
    everything: Annotated[bool, Parameter(name="--all")] = False,
    now: bool = False,
    dry_run: bool = False,
) -> None:
    """Delete the temporary files of a build, and list what is kept and why.

    Example: webtext clean build --dry-run

    Parameters
    ----------
    folder
        A build's folder or s3://BUCKET/NAME, or the --out folder of a stage's command.
    everything
        Also delete what makes the next build faster: unfinished stages, and intermediate rows, from
        which a changed rule would start.
    now
        Also delete files of killed attempts that are younger than a day.
    dry_run
        Delete nothing; only list.
    """
    from tools import clean as cleaning

    found = cleaning.clean(folder, now=now, everything=everything, dry_run=dry_run)
    cleaning.show(found, dry_run=dry_run)


def doctor(
    build: BuildPlace = Path("build"),
    /,
    *,
    settings: Path | None = None,
    ask: str = "",
    as_json: Annotated[bool, Parameter(name="--json")] = False,
) -> int:
    """Look at the machine, the environment and the dumps, and tell what would stop a build.

    Example: webtext doctor

    Example: webtext doctor s3://BUCKET/NAME --settings webtext.toml --ask example.org

    Each line is ok, a warning, or wrong, with the mend. The exit code is 1 if anything is wrong.
    No server is asked but the bucket that you name, and that of --ask.

    Parameters
    ----------
    build
        The folder or s3://BUCKET/NAME where a build is or will be: its disk or its store is tried.
    settings
        The settings file, for the dumps and the limits. If not given, webtext.toml if it is here,
        else the record of the build.
    ask
        A host or URL of which the address is looked up and the clock compared with this one.
    as_json
        Print a list of checks as JSON.
    """
    from tools import doctor as examining

    given = settings or (Path(SETTINGS_FILE) if Path(SETTINGS_FILE).is_file() else None)
    checks = []
    for check in examining.examine(build, given, ask):
        checks.append(check)
        if not as_json:
            examining.show(check)
    if as_json:
        print(json.dumps([vars(check) for check in checks], indent=1))
    return int(any(check.state == "wrong" for check in checks))


def build_and_tell(
    out: Place,
    settings_path: Path,
    settings_from: SettingsFrom,
    *,
    to: str,
    report_too: bool = False,
    **reuse: Any,
) -> int:
    """Make a build and tell what is in it; the exit code. `reuse` goes to `run_build`."""
    from pipeline.engine.stores import open_store
    from tools.build import check_record, run_build
    from tools.report import write_report
    from tools.summary import show_build

    settings = settings_from(settings_path)
    check_record(open_store(out, settings.engine.scratch), settings_path)
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
