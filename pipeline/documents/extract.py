"""One page to one document, or to the reason why not: every rule of this stage, in order."""

import gc
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.documents import walls
from pipeline.documents.budgets import check_budgets
from pipeline.documents.charset import decode_text
from pipeline.documents.clean import clean_text
from pipeline.documents.decode import decode_body, file_kind
from pipeline.documents.extractors import EXTRACTORS, Extracted
from pipeline.documents.language import classify, judge_language, second_language
from pipeline.documents.metadata import page_date, page_title, read_meta
from pipeline.documents.mojibake import repair
from pipeline.documents.sniff import other_kind
from pipeline.documents.walls import find_wall
from pipeline.documents.wrapped import join_wrapped, without_empty_bullets
from pipeline.errors import InputError
from pipeline.pages.media import content_type
from pipeline.pages.warc import Response, read_page
from pipeline.reasons import Drop, Reason
from pipeline.settings import DocumentsSettings


@dataclass(frozen=True, slots=True)
class Document:
    """What a page says, without where it came from; the columns of records.DOCUMENT."""

    title: str
    date: str
    language: str
    language_score: float
    language2: str  # the commonest other one, "" if there is none
    language2_share: float
    charset: str
    text: str
    extractor: str
    extractor_score: float | None = None  # the page F1 that it expects
    page_type: str = ""
    mojibake_repaired: int = 0  # places of the page that had been encoded twice
    mojibake_left: int = 0  # places of the text that look so, and are left since it is not sure


@dataclass(frozen=True, slots=True)
class Found:
    """The text of a page, "" for none, before anything judges it; `html` is the page as text."""

    html: str
    charset: str
    text: str
    extracted: Extracted
    mojibake_repaired: int
    mojibake_left: int


def extract(response: Response, rules: DocumentsSettings) -> Document | Drop:
    """Make a document of a response as it was received, its body still packed.

    Pure: the same response and rules give the same document on any machine. What the extractor
    raises travels up.
    """
    found = find_text(response, rules)
    if isinstance(found, Drop):
        return found
    language = judge(found, rules)
    return language if isinstance(language, Drop) else document_of(found, *language)


def find_text(response: Response, rules: DocumentsSettings) -> Found | Drop:
    """The main text of a page, or why none can be looked for; nothing is asked of the text."""
    body = decode_body(
        response.body,
        transfer_encoding=_joined(response, "transfer-encoding"),
        content_encoding=_joined(response, "content-encoding"),
        bytes_max=rules.body_bytes_max,
    )
    if isinstance(body, Drop):
        return body
    if kind := file_kind(body):
        return Drop(Reason.NOT_HTML, kind)
    decoded = decode_text(body, content_type(response.headers))
    if isinstance(decoded, Drop):
        return decoded
    if kind := other_kind(decoded.html):
        return Drop(Reason.NOT_HTML, kind)
    if "<" not in decoded.html:
        return Drop(Reason.NOT_HTML, "no markup")
    if drop := check_budgets(decoded.html, rules):
        return drop
    extracted = EXTRACTORS[rules.extractor](decoded.html)
    # Once more: signs that were written as entities (&acirc;&euro;&trade;) are characters now.
    repaired = repair(extracted.text)
    return Found(
        html=decoded.html,
        charset=decoded.charset,
        text=join_wrapped(without_empty_bullets(clean_text(repaired.text))),
        extracted=extracted,
        mojibake_repaired=decoded.repaired + repaired.repaired,
        mojibake_left=repaired.left,
    )


def judge(found: Found, rules: DocumentsSettings) -> tuple[str, float] | Drop:
    """The language of a text that is kept, and its probability, or why it is dropped."""
    return (
        judge_length(found.text, rules)
        or _judge_wall(found)
        or judge_language(found.text, rules.languages, rules.language_score_min)
    )


def _judge_wall(found: Found) -> Drop | None:
    if len(found.text) > walls.CHARS_MAX:
        return None
    return find_wall(found.text, page_title(found.html, read_meta(found.html)))


def judge_length(text: str, rules: DocumentsSettings) -> Drop | None:
    """Drop no text (NO_TEXT), a short one and a long one."""
    if not text:
        return Drop(Reason.NO_TEXT)
    if len(text) < rules.text_chars_min:
        return Drop(Reason.TOO_SHORT, f"{len(text)} characters")
    if len(text) > rules.text_chars_max:
        return Drop(Reason.TOO_LONG, f"{len(text)} characters")
    return None


def document_of(found: Found, language: str, language_score: float) -> Document:
    """The document of a text whose language is known; its title and date are read now."""
    meta = read_meta(found.html)
    language2, language2_share = second_language(found.text, language)
    return Document(
        title=repair(page_title(found.html, meta)).text,
        date=page_date(found.html, meta),
        language=language,
        language_score=language_score,
        language2=language2,
        language2_share=language2_share,
        charset=found.charset,
        text=found.text,
        extractor=found.extracted.extractor,
        extractor_score=found.extracted.score,
        page_type=found.extracted.page_type,
        mojibake_repaired=found.mojibake_repaired,
        mojibake_left=found.mojibake_left,
    )


@dataclass(frozen=True, slots=True)
class PageAt:
    """Where a page lies: one item of the stage's work."""

    warc: str
    offset: int
    length: int


@dataclass(frozen=True)
class ReadAndExtract:
    """Read one page, where that is still to do, and extract it: what a worker process runs.

    An InputError is given back, not raised: a broken file stops the build, it is no page's fault.
    """

    rules: DocumentsSettings

    def __call__(self, page: PageAt | Response) -> Document | Drop | InputError:
        """Do one page; what the extractor raises becomes this page's fault."""
        settle()
        if isinstance(page, PageAt):
            try:
                page = read_page(
                    Path(page.warc), page.offset, page.length, self.rules.body_bytes_max
                )
            except InputError as error:
                return error
        return extract(page, self.rules)


@cache
def settle(*, with_languages: bool = True) -> None:
    """Once a process: have the garbage collector leave alone what stays, and come less often.

    Parsing makes objects by the hundred thousand, nearly all freed by their reference counts;
    looking for cycles among them costs a tenth of the extraction.
    """
    if with_languages:
        classify("")  # loads the model
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


def host_of(url: str) -> str:
    """Give back the host name without `www.`; the URL is a canonical one."""
    return (urlsplit(url).hostname or "").removeprefix("www.")


def _joined(response: Response, name: str) -> str:
    return ", ".join(value for key, value in response.headers if key.lower() == name)
