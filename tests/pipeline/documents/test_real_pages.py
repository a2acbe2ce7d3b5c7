"""The front end on real pages, where they are at hand."""

import pytest

from pipeline.documents.budgets import check_budgets
from pipeline.documents.charset import Decoded, decode_text
from pipeline.documents.decode import decode_body, file_kind
from pipeline.documents.sniff import other_kind
from pipeline.pages.warc import read_page, records
from pipeline.settings import DocumentsSettings

EVERY = 15
LARGE_BYTES = 40_000  # packed; of these every one
RULES = DocumentsSettings()
MOJIBAKE = ("â€™", "â€œ", "â€\x9d", "Ã©", "Ã¼", "\x92")


@pytest.fixture(scope="module")
def pages(shared_data):
    """Address and text of every so many-th HTML page, and of all large ones."""
    found = []
    for path in sorted((shared_data / "pages").glob("*.warc.gz")):
        for number, record in enumerate(records(path)):
            if (number % EVERY and record.length < LARGE_BYTES) or record.kind != "response":
                continue
            response = read_page(path, record.offset, record.length, RULES.body_bytes_max)
            if response.status != 200 or "html" not in response.header("content-type"):
                continue
            body = decode_body(
                response.body,
                transfer_encoding=response.header("transfer-encoding"),
                content_encoding=response.header("content-encoding"),
                bytes_max=RULES.body_bytes_max,
            )
            assert isinstance(body, bytes), record.headers
            assert not file_kind(body), record.headers
            decoded = decode_text(body, response.header("content-type"))
            found.append((record.headers["warc-target-uri"], decoded))
    assert len(found) > 150
    return found


@pytest.mark.real
def test_every_real_page_is_decoded_without_mojibake(pages):
    for url, decoded in pages:
        assert isinstance(decoded, Decoded), url
        marks = sum(decoded.html.count(mark) for mark in MOJIBAKE)
        assert marks <= 1, (url, decoded.charset)


@pytest.mark.real
def test_no_real_page_is_over_a_budget(pages):
    for url, decoded in pages:
        assert check_budgets(decoded.html, RULES) is None, url


@pytest.mark.real
def test_no_real_page_is_taken_for_another_kind_of_file(pages):
    for url, decoded in pages:
        assert other_kind(decoded.html) == "", url
