"""A page that someone gives by hand: its text, what a build would say of it, and what was asked.

A build keeps or drops a text by its length and its language. A person who names a page wants its
text, so a rule applies only where its setting is given; the others only tell.
"""

from collections.abc import Set
from dataclasses import dataclass, replace

from pipeline.documents.extract import Document, document_of, find_text, judge, judge_length
from pipeline.documents.language import judge_language
from pipeline.pages.warc import Response
from pipeline.reasons import Drop
from pipeline.settings import DocumentsSettings

LENGTH_MIN, LENGTH_MAX = "documents.text_chars_min", "documents.text_chars_max"
LANGUAGE = frozenset({"documents.languages", "documents.language_score_min"})
NO_LIMIT = 1 << 62


@dataclass(frozen=True, slots=True)
class Given:
    """A page's text; `refused` says why a rule that was asked for drops it.

    `document` and `verdict`, which is why a build would drop it, are there where asked for.
    """

    text: str
    refused: Drop | None
    document: Document | None = None
    verdict: Drop | None = None


def needs_language(asked: Set[str], *, in_full: bool) -> bool:
    """Whether the language of the texts is asked for: its model is slow to load."""
    return in_full or bool(LANGUAGE & asked)


def extract_given(
    page: Response, rules: DocumentsSettings, asked: Set[str], *, in_full: bool
) -> Given | Drop:
    """The text of a page, or why it gives none; `asked` names the settings that were given."""
    found = find_text(page, rules)
    if isinstance(found, Drop):
        return found
    if drop := judge_length(found.text, replace(rules, text_chars_min=0, text_chars_max=NO_LIMIT)):
        return drop
    refused = _refused(found.text, rules, asked)
    if not in_full:
        return Given(found.text, refused)
    language = judge_language(found.text, (), rules.language_score_min)
    assert not isinstance(language, Drop)  # where all languages are wanted
    return Given(found.text, refused, document_of(found, *language), _drop(judge(found, rules)))


def _refused(text: str, rules: DocumentsSettings, asked: Set[str]) -> Drop | None:
    rules = replace(
        rules,
        text_chars_min=rules.text_chars_min if LENGTH_MIN in asked else 0,
        text_chars_max=rules.text_chars_max if LENGTH_MAX in asked else NO_LIMIT,
    )
    drop = judge_length(text, rules)
    if drop or not LANGUAGE & asked:
        return drop
    return _drop(judge_language(text, rules.languages, rules.language_score_min))


def _drop(verdict: tuple[str, float] | Drop) -> Drop | None:
    return verdict if isinstance(verdict, Drop) else None
