"""Every reason has a name that tables hold and a sentence that people read."""

import ast
import re
from pathlib import Path

import pytest

from pipeline.reasons import Reason

ROOT = Path(__file__).resolve().parents[2]
SOURCES = [path for path in (ROOT / "pipeline").rglob("*.py") if path.name != "reasons.py"]


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_has_one_name_and_a_sentence(reason):
    assert reason.value == reason.name.lower() == str(reason)
    assert re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", reason.value)
    assert re.fullmatch(r"[A-Z].*[^.]\.", reason.sentence)
    assert Reason(reason.value) is reason


def test_no_two_reasons_share_a_sentence():
    sentences = [reason.sentence for reason in Reason]
    assert len(set(sentences)) == len(sentences)


def test_a_name_that_is_no_reason_is_refused():
    with pytest.raises(ValueError, match="self_psot"):
        Reason("self_psot")


def test_every_reason_is_used_by_some_rule_and_every_used_one_exists():
    used = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Attribute(value=ast.Name(id="Reason"), attr=name) if name.isupper():
                    used.add(name)
                # An outcome of a source is a reason of the same name.
                case ast.Attribute(value=ast.Name(id="Outcome"), attr=name) if name.isupper():
                    used.update({name} - {"CAPTURED"})
    assert used - set(Reason.__members__) == set()
    assert set(Reason.__members__) - used == set()
