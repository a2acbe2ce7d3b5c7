"""A page given by hand: its text always, and rules only where they are asked for."""

from dataclasses import replace

import pytest

from pipeline.documents.extract import Document, extract
from pipeline.documents.given import Given, extract_given, needs_language
from pipeline.pages.warc import Response
from pipeline.reasons import Drop, Reason
from pipeline.settings import DocumentsSettings

RULES = DocumentsSettings()
FRENCH = "<p>" + "Il pleuvait depuis trois jours et personne ne savait quand cela finirait. " * 9
ENGLISH = "<p>" + "It had rained for three days and nobody knew when that would end at all. " * 9
SHORT = "<p>A short page of one sentence, which no rule drops here."


def response(html: str) -> Response:
    return Response(200, (("Content-Type", "text/html"),), html.encode())


@pytest.mark.parametrize("html", [FRENCH, SHORT, ENGLISH])
def test_no_rule_drops_a_page_unless_asked(html):
    given = extract_given(response(html), RULES, frozenset(), in_full=False)
    assert given == Given(given.text, None)
    assert given.text in html


@pytest.mark.parametrize("html", [FRENCH, SHORT, ENGLISH, "<p>", "%PDF-1.4", "words", ""])
def test_the_verdict_and_the_document_are_those_of_a_build(html):
    given = extract_given(response(html), RULES, frozenset(), in_full=True)
    built = extract(response(html), RULES)
    if isinstance(built, Document):
        assert given == Given(built.text, None, built)
    else:
        assert (given.verdict if isinstance(given, Given) else given) == built


@pytest.mark.parametrize(
    ("html", "rules", "asked", "reason"),
    [
        (FRENCH, {}, {"languages"}, Reason.OTHER_LANGUAGE),
        (FRENCH, {}, {"language_score_min"}, Reason.OTHER_LANGUAGE),
        (FRENCH, {"languages": ("fr",)}, {"languages"}, None),
        (FRENCH, {"text_chars_min": 5000}, {"languages"}, Reason.OTHER_LANGUAGE),
        (FRENCH, {"text_chars_min": 5000}, {"text_chars_min"}, Reason.TOO_SHORT),
        (FRENCH, {"text_chars_max": 100}, {"text_chars_min"}, None),
        (FRENCH, {"text_chars_max": 100}, {"text_chars_max"}, Reason.TOO_LONG),
        (SHORT, {}, {"languages"}, None),
    ],
)
@pytest.mark.parametrize("in_full", [False, True])
def test_only_the_rules_that_are_asked_for_drop_a_page(html, rules, asked, reason, in_full):
    keys = frozenset(f"documents.{name}" for name in asked)
    given = extract_given(response(html), replace(RULES, **rules), keys, in_full=in_full)
    assert isinstance(given, Given)
    assert (given.refused and given.refused.reason) == reason


@pytest.mark.parametrize("asked", [frozenset(), frozenset({"documents.text_chars_min"})])
def test_what_gives_no_text_is_a_drop_whatever_is_asked(asked):
    assert extract_given(response("<p>"), RULES, asked, in_full=True) == Drop(Reason.NO_TEXT)


def test_the_language_is_needed_in_full_and_where_a_rule_asks_for_it():
    assert needs_language(frozenset(), in_full=True)
    assert needs_language({"documents.languages"}, in_full=False)
    assert not needs_language({"documents.text_chars_min"}, in_full=False)
