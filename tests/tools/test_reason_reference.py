"""docs/reasons.md: it is what the program makes, and says of each reason and gate what is true."""

import ast
import re
from pathlib import Path

import pytest

from pipeline.reasons import Reason
from tools.reason_reference import GATES, grouped, reasons_page

ROOT = Path(__file__).resolve().parents[2]
# Where a group's reasons are given, if not in the folder of its stage.
ELSEWHERE = {
    "tokenizer": ("pipeline/tokens/counts_stage.py",),
    "documents": ("pipeline/engine/limits.py",),  # what breaks the limits on a page
    "Texts of your own": ("pipeline/texts.py", "pipeline/rows.py", "pipeline/charsets.py"),
}


def test_the_reference_of_reasons_is_the_one_that_the_program_makes():
    page = (ROOT / "docs" / "reasons.md").read_text(encoding="utf-8")
    assert page == reasons_page(), "python -m tools.reason_reference > docs/reasons.md"


def test_every_reason_is_in_one_group():
    assert [reason for _, reasons in grouped() for reason in reasons] == list(Reason)


@pytest.mark.parametrize(("group", "reasons"), grouped(), ids=lambda value: str(value)[:24])
def test_the_code_of_a_stage_gives_the_reasons_that_the_page_lists_for_it(group, reasons):
    folder = ROOT / "pipeline" / group.stage
    files = [*folder.rglob("*.py"), *(ROOT / name for name in ELSEWHERE.get(group.stage, ()))]
    code = "\n".join(path.read_text(encoding="utf-8") for path in files)
    given = set(re.findall(r"\b(?:Reason|Outcome)\.([A-Z_0-9]+)", code))
    assert [reason.name for reason in reasons if reason.name not in given] == []


def test_the_page_lists_the_gates_of_every_module_that_has_some():
    found = set()
    for path in (ROOT / "pipeline").rglob("*.py"):
        calls = [node for node in ast.walk(ast.parse(path.read_text())) if type(node) is ast.Call]
        if any(
            keyword.arg == "check"
            for call in calls
            if isinstance(call.func, ast.Name) and call.func.id == "Stage"
            for keyword in call.keywords
        ):
            found.add(".".join(path.relative_to(ROOT).with_suffix("").parts))
    assert found == {gate.module for gate in GATES}
