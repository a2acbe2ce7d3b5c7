"""The report: one self-contained HTML page about a build, which a person wants to read.

facts.py collects what it says, charts.py draws, page.html lays out. It shows only what the build's
own files hold, and leaves out sections whose stage is not there.
"""

import os
from pathlib import Path

import jinja2

from tools.report import charts
from tools.report.facts import collect
from tools.sealed import BLANK, KEY, seal


def write_report(build: Path) -> Path:
    """Write BUILD/report.html and give back its path. Raises StageError if nothing is there."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tools.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["n"] = "{:,}".format
    environment.filters["percent"] = lambda share: f"{100 * share:.1f} %"
    template = environment.get_template("page.html")
    page = template.render(facts=collect(build), charts=charts)
    path = build / "report.html"
    aside = path.with_suffix(".aside")
    aside.write_text(seal(f'{page}<!-- "{KEY}": "{BLANK}" -->\n'), encoding="utf-8")
    os.replace(aside, path)  # noqa: PTH105 (over an earlier report, on every system)
    return path
