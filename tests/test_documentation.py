"""What the documents show works: commands are run or at least understood, links lead somewhere.

A console block is run line by line (`$ command`), unless the line before it says
`<!-- not run: why -->`. Lines that call make are left to the CI, which runs them.
"""

import os
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline import limits, records
from pipeline.settings_file import from_tables
from tools import rates
from tools.cli import NAMES, command_of, make_app
from tools.reference import settings_page

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    str(path.relative_to(ROOT)) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
)
BLOCK = re.compile(r"(?:<!-- not run: (?P<why>.+?) -->\n\s*)?```console\n(?P<text>.*?)```", re.S)
PACKAGES = ("pipeline", "train", "tools")
TARGETS = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@dataclass(frozen=True)
class Command:
    """A line of a console block; `not_run` says why it is not run, if it is not."""

    line: str
    not_run: str


def commands_of(text):
    """The commands that a document shows, continued lines joined."""
    found = []
    for block in BLOCK.finditer(text):
        joined = block["text"].replace("\\\n", " ")
        lines = [line[2:].strip() for line in joined.splitlines() if line.startswith("$ ")]
        found += [Command(line, block["why"] or "") for line in lines]
    return found


def shown(name):
    return commands_of((ROOT / name).read_text(encoding="utf-8"))


def understood(line):
    """Parse a webtext command as the command line does, without running it."""
    make_app().parse_args(shlex.split(line, comments=True)[1:], exit_on_error=False)


def examples():
    """The example of each command's help."""
    return [re.search(r"Example: (.+)", command_of(name).__doc__)[1] for name in NAMES]


def test_blocks_are_found_with_their_marks():
    text = (
        "```console\n$ one \\\n    --more\nsays this\n$ two\n```\n"
        "<!-- not run: costly -->\n```console\n$ three\n```\n```toml\n$ four\n```\n"
    )
    assert [(c.line.split(), c.not_run) for c in commands_of(text)] == [
        (["one", "--more"], ""), (["two"], ""), (["three"], "costly"),
    ]  # fmt: skip


def test_the_readme_shows_commands_that_are_run():
    assert sum(not command.not_run for command in shown("README.md")) > 5


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_webtext_command_that_a_document_shows_is_understood(name):
    for command in shown(name):
        if command.line.startswith("webtext "):
            understood(command.line)


@pytest.mark.parametrize("line", examples())
def test_the_example_of_each_help_is_understood(line):
    understood(line)


def test_the_readme_has_a_row_for_every_command_and_for_no_other():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `webtext (.+?)` \|", text, re.MULTILINE)
    assert sorted(rows) == sorted(NAMES)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_make_target_that_a_document_shows_exists(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert set(re.findall(r"(?:\$ |`)make (\w+)", text)) <= TARGETS


def test_the_ci_makes_what_the_readme_makes():
    wanted = {c.line for c in shown("README.md") if c.line.startswith("make ") and not c.not_run}
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert wanted == {line for line in wanted if f"\n{line}" in script}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_settings_file_that_a_document_shows_is_valid(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    for block in re.findall(r"```toml\n(.*?)```", text, re.DOTALL):
        tables = tomllib.loads(block)
        if not {"project", "tool", "build-system"} & set(tables):
            from_tables(tables)


def test_the_reference_of_settings_is_the_one_that_the_program_makes():
    assert (ROOT / "docs" / "settings.md").read_text(encoding="utf-8") == settings_page()


@pytest.mark.parametrize(
    ("stage", "schema"),
    [
        ("links", records.LINK),
        ("pages", records.PAGE),
        ("documents", records.DOCUMENT),
        ("corpus", records.CORPUS),
    ],
)
def test_the_columns_of_a_stage_are_described_with_their_types_in_order(stage, schema):
    text = (ROOT / "docs" / "files.md").read_text(encoding="utf-8")
    head = f"| column of `{stage}` | type | what it is |\n|---|---|---|\n"
    table = text.partition(head)[2].partition("\n\n")[0]
    described = re.findall(r"^\| `(\w+)` \| ([^|]+) \| .+ \|$", table, re.MULTILINE)
    numbers = {str(records.QUALITY): "struct of float"}
    types = [(column.name, str(column.type)) for column in schema]
    assert described == [(name, numbers.get(type_, type_)) for name, type_ in types]


def test_each_number_of_the_quality_of_a_text_is_described_in_order():
    text = (ROOT / "docs" / "files.md").read_text(encoding="utf-8")
    table = text.partition("| number in `quality` | of | what it is |\n|---|---|---|\n")[2]
    described = re.findall(r"^\| `(\w+)` \| .+ \| .+ \|$", table.partition("\n\n")[0], re.MULTILINE)
    assert tuple(described) == limits.NUMBERS


def test_the_page_about_the_papers_scale_reckons_with_the_rates_of_the_plan():
    text = (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")
    shown = dict(re.findall(r"^\| (\w+) \| .+? \| ([\d.]+) \| .+ \| .+ \|$", text, re.MULTILINE))
    rows = {"submissions": 430_648_127, "records": 10e6, "links": 45e6, "pages": 10e6}
    rows |= {"documents": 8.2e6, "text bytes": 40e9, "sampled bytes": 1 << 30}
    rows["pre-tokens"] = rates.PRETOKENS_A_ROOT * (1 << 15)  # of 1 GiB
    rows["merge work"] = 50_000 * rows["pre-tokens"] ** 0.5
    rows["page seconds"] = rows["pages"] * rates.CPU_S_A_PAGE_BYTE * 11_800
    hours = {
        stage: sum(rate.cpu_s * rows[rate.unit] for rate in found) / 3600
        for stage, found in rates.RATES.items()
    }
    assert {stage: float(number) for stage, number in shown.items()} == pytest.approx(
        hours, abs=0.051
    )


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_file_that_a_document_names_is_there(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    linked = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)", text)
    named = re.findall(rf"`((?:{'|'.join(PACKAGES)}|tests)/[\w/.-]+\.\w+)`", text)
    home = (ROOT / name).parent
    missing = [path for path in linked if not (home / path).exists()]
    missing += [path for path in named if not (ROOT / path).exists()]
    assert not missing


def anchors_of(text):
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_heading_that_a_document_links_to_is_there(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    for path, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", text):
        target = (ROOT / name).parent / path if path else ROOT / name
        assert anchor in anchors_of(target.read_text(encoding="utf-8")), f"{path}#{anchor}"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_command_of_the_readme_works_in_the_order_in_which_it_is_shown(tmp_path, demo_build):
    demo_build(tmp_path / "build" / "demo")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for command in shown("README.md"):
        if command.not_run or command.line.startswith("make "):
            continue
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", command.line],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command.line}\n{done.stdout}\n{done.stderr}"


@pytest.fixture
def demo_build():
    """Makes what `make demo` leaves, smaller: the fast demo, up to the shards."""

    def make(folder):
        from tools.demo import write_demo

        settings = write_demo(folder / "input", fast=True).settings_path
        words = ["--out", folder, "--to", "shards"]
        subprocess.run(
            [sys.executable, "-P", "-m", "tools.cli", "build", settings, *words],
            check=True,
            capture_output=True,
        )

    return make
