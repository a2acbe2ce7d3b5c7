import gzip
from dataclasses import replace

import pytest

from pipeline.documents.extract import Document, extract, host_of
from pipeline.pages.warc import Response
from pipeline.reasons import Reason
from pipeline.settings import DocumentsSettings

RULES = DocumentsSettings()
SENTENCES = (
    "The river rose during the night, and by morning the lower fields had gone under. "
    "Nobody in the village could remember such a spring. "
    "We carried the sacks to the mill while the rain went on. "
)
PAGE = (
    "<!DOCTYPE html><html><head><meta charset=utf-8><title>The flood</title>"
    '<meta property="article:published_time" content="2012-11-06"></head><body>'
    "<nav><a href=/>Home</a> <a href=/news>News</a></nav><article><h1>The flood</h1>"
    f"<p>{SENTENCES}</p><p>The miller\u2019s ca\u00adt watched us.\u200b {SENTENCES}</p>"
    "</article><div id=comments><p>First! I was there as well, it was awful.</p></div>"
    "</body></html>"
)


def response(body, *headers):
    if isinstance(body, str):
        body = body.encode()
    return Response(200, (("Content-Type", "text/html"), *headers), body)


def test_the_charset_is_that_of_all_content_type_lines():
    types = ("text/html", "text/html; charset=windows-1253")
    body = (
        PAGE.replace("charset=utf-8", "x")
        .replace("The miller\u2019s", "\u0391\u03b8")
        .encode("cp1253", "ignore")
    )
    made = Response(200, tuple(("Content-Type", one) for one in types), body)
    assert extract(made, RULES).charset == "windows-1253"


def test_a_page_becomes_a_document():
    document = extract(response(gzip.compress(PAGE.encode()), ("content-encoding", "gzip")), RULES)
    assert isinstance(document, Document)
    assert (document.title, document.date) == ("The flood", "2012-11-06")
    assert (document.charset, document.language) == ("utf-8", "en")
    assert document.extractor.startswith("blocks")
    assert document.language_score > 0.9
    assert "The miller’s cat watched us. The river rose" in document.text
    assert "Home" not in document.text
    assert "First!" not in document.text


def test_how_sure_and_what_the_page_is_are_told_by_those_who_know():
    plain = extract(response(PAGE.encode()), replace(RULES, extractor="trafilatura"))
    assert (plain.extractor_score, plain.page_type) == (None, "")
    combined = extract(response(PAGE.encode()), RULES)
    assert combined.extractor.startswith("blocks")
    assert 0 < combined.extractor_score <= 1
    assert combined.page_type == "article"


def test_a_fragment_without_html_is_a_page_too():
    body = f"\n\n<div class=holder><div><p>{SENTENCES}</p><p>{SENTENCES}</p></div></div>"
    assert "The river rose" in extract(response(body), RULES).text


@pytest.mark.parametrize(
    ("body", "headers", "reason"),
    [
        ("", (), Reason.PAGE_EMPTY),
        (PAGE + " " * RULES.body_bytes_max, (), Reason.BODY_TOO_LARGE),
        (b"\0\1\2", (("content-encoding", "br"),), Reason.BODY_UNDECODABLE),
        (b"%PDF-1.4" + b"\0" * 90, (), Reason.NOT_HTML),
        (SENTENCES, (), Reason.NOT_HTML),
        (bytes(range(256)) * 9, (), Reason.CHARSET_UNKNOWN),
        ("<div>" * 900 + PAGE, (), Reason.TOO_DEEP),
        ("<html " + "a " * 900 + PAGE, (), Reason.TOO_MANY_ATTRIBUTES),
        ("<p>x" * 130_000, (), Reason.TOO_MANY_TAGS),
        ("<table>" + "<td>x" * 5_000, (), Reason.TOO_MANY_CELLS),
        ('{"html": "<p>A paragraph of text."}', (), Reason.NOT_HTML),
        ("<html><body><script>go()</script></body></html>", (), Reason.NO_TEXT),
        ("<html><body><p>Not much to say.</p></body></html>", (), Reason.TOO_SHORT),
        (f"<html><body><p>{SENTENCES * 6000}</p></body></html>", (), Reason.TOO_LONG),
        (f"<html><body><p>{'Wir gingen gestern zum Fluss. ' * 20}", (), Reason.OTHER_LANGUAGE),
        (f"<html><body><p>{'12 34 56 78 90 | ' * 40}", (), Reason.LANGUAGE_UNSURE),
    ],
    ids=lambda value: value.name if isinstance(value, Reason) else "",
)
def test_every_page_that_gives_no_document_has_a_reason(body, headers, reason):
    assert extract(response(body, *headers), RULES).reason is reason


def test_what_an_engine_raises_travels_up(monkeypatch):
    def broken(html):
        raise RecursionError("too deep for me")

    monkeypatch.setattr("pipeline.documents.extract.EXTRACTORS", {"combined": broken})
    with pytest.raises(RecursionError, match="too deep"):
        extract(response(PAGE), RULES)


def test_the_same_page_gives_the_same_document_whatever_came_before():
    first = extract(response(PAGE), RULES)
    for n in range(20):
        extract(response(PAGE.replace("river", f"river {n}")), RULES)
    assert extract(response(PAGE), RULES) == first


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://www.example.com/a", "example.com"),
        ("https://blog.example.com:8080/", "blog.example.com"),
        ("http://www.co.uk.example.com/", "co.uk.example.com"),
        ("http://93.184.216.34/", "93.184.216.34"),
        ("http://[2001:db8::1]/", "2001:db8::1"),
    ],
)
def test_the_host_is_the_name_without_www(url, host):
    assert host_of(url) == host
