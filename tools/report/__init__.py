"""The report: one self-contained HTML page about a build, which a person wants to read.

facts.py collects what it says, with rules.py (the limits) and texts.py (what people read);
verdict.py puts the first screen into words, charts.py draws, page.html lays out. It shows only what
the build's own files hold, and leaves out sections whose stage is not there.
"""

import re

import jinja2
from markupsafe import Markup, escape

from pipeline.engine.stores import open_store
from tools.places import Place, within
from tools.report import charts, verdict
from tools.report.facts import collect
from tools.sealed import BLANK, KEY, seal


def write_report(build: Place) -> Place:
    """Write BUILD/report.html and give back its place. Raises SettingsError for no build."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("tools.report", "."),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["n"] = "{:,}".format
    environment.filters["percent"] = percent
    environment.filters["breakable"] = breakable
    template = environment.get_template("page.html")
    page = template.render(facts=collect(build), charts=charts, verdict=verdict)
    text = seal(f'{page}<!-- "{KEY}": "{BLANK}" -->\n')
    open_store(build).write("report.html", text.encode())
    return within(build, "report.html")


def percent(share: float) -> str:
    """A share for people; one that is above nothing is not shown as 0.0 %."""
    return "< 0.1\u00a0%" if 0 < share < 0.0005 else f"{100 * share:.1f}\u00a0%"


def breakable(name: str) -> Markup:
    """A name, which a narrow column may break at a dot or underscore before a letter."""
    return Markup(re.sub(r"([._])(?=[^\W\d])", r"\1<wbr>", str(escape(name))))
