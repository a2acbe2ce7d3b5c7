"""The command `demo`: the whole flow on a web of our own, stored or served on loopback."""

import sys
from pathlib import Path

from pipeline.errors import SettingsError
from tools.commands import LastStage, build_and_tell
from tools.flow import STAGES
from tools.options import SettingsFrom, spelled

AS_PLANNED = (
    "\nChecked: each page and submission was kept, or dropped for a reason, as the demo planned it."
)
LIVE_AS_PLANNED = (
    "\nChecked: each page was kept, or dropped for a reason, as the demo planned it. Its server saw"
    " no domain asked too soon, and nothing that an owner forbids."
)
LIVE_ENDS = "corpus"
FAULTS_SHOWN = 20
FAST_LEAVES_OUT = (
    "Left out by --fast: the model, and three of four ordinary pages; webtext demo makes them too."
)


def demo(
    *,
    out: Path | None = None,
    to: LastStage = "report",
    fast: bool = False,
    live: bool = False,
    settings_from: SettingsFrom,
) -> int:
    """Run the whole flow on a small web of our own, offline, in one to three minutes.

    Example: webtext demo --fast

    Example: webtext demo --live

    Parameters
    ----------
    out
        The build folder; if not given, build/demo, build/demo-fast with --fast, or build/demo-live
        with --live. The web and the submissions are written to OUT/input.
    fast
        Make only a quarter of the ordinary pages and no model, in less than a minute. All that goes
        wrong in the whole demo is still in it.
    live
        Serve a smaller web on 127.0.0.1, and fetch its pages as those of the live web are: with
        hosts that are slow, busy, gone, closed by robots.txt or reserved, or lead inwards. It ends
        with the corpus, in less than a minute.
    """
    from tools.demo import differences, write_demo

    if live:
        if fast:
            raise SettingsError("--live has few pages, and no model; leave --fast out")
        return _demo_live(out or Path("build/demo-live"), to, settings_from)
    if fast and to == "model":
        raise SettingsError("--fast leaves the model out; take --to shards, or leave --fast out")
    for key in settings_from.options:
        if fast and key.startswith("train."):
            told = f"{spelled('demo', key)} does nothing with --fast, which leaves the model out"
            raise SettingsError(f"{told}; take one of the two")
    out = out or Path("build/demo-fast" if fast else "build/demo")
    if not (out / "report.html").exists():
        takes = "less than a minute" if fast else "one to three minutes"
        print(f"demo: the whole flow in {out}, {takes} on two cores", file=sys.stderr)
    files = write_demo(out / "input", fast=fast)
    without_model = fast and to == "report"
    last = "shards" if without_model else to
    # It is small, so the disk is not asked about.
    code = build_and_tell(
        out, files.settings_path, settings_from, to=last, report_too=without_model, force=True
    )
    if STAGES.index(to) >= STAGES.index("corpus"):
        found = differences(out, files.expected_path)
        for difference in found:
            print(f"webtext: {difference}", file=sys.stderr)
        if found:
            return 1
        print(AS_PLANNED)
    if fast:
        print(FAST_LEAVES_OUT)
    return code


def _demo_live(out: Path, to: str, settings_from: SettingsFrom) -> int:
    from tools.demo.live import write_live
    from tools.demo.live_checks import faults, table
    from tools.demo.live_web import live_web
    from tools.demo.server import Server
    from tools.status import console_for_tables

    if STAGES.index(LIVE_ENDS) < STAGES.index(to) < STAGES.index("report"):
        raise SettingsError(
            f"--live ends with the corpus; take --to {LIVE_ENDS}, or leave --to out"
        )
    last = min(to, LIVE_ENDS, key=STAGES.index)
    web = live_web()
    with Server(web.answers) as server:
        files = write_live(out / "input", web, server)
        print(
            f"demo: {len(web.targets)} links to a web at 127.0.0.1:{server.port}, fetched into "
            f"{out} in less than a minute",
            file=sys.stderr,
        )
        code = build_and_tell(out, files.settings_path, settings_from, to=last, force=True)
    if last != LIVE_ENDS:
        return code
    print()
    console_for_tables().print(table(out, web.specials))
    delay_s = settings_from(files.settings_path).fetch.delay_s
    found = faults(out, files.expected_path, web, server, delay_s)
    for fault in found[:FAULTS_SHOWN]:
        print(f"webtext: {fault}", file=sys.stderr)
    if (more := len(found) - FAULTS_SHOWN) > 0:
        print(f"webtext: and {more:,} faults more", file=sys.stderr)
    if not found:
        print(LIVE_AS_PLANNED)
    return 1 if found else code
