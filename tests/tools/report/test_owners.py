import lxml.html
import pytest

from pipeline.engine.reading import read_published
from pipeline.engine.store import Disk
from pipeline.settings import PREFERENCES
from tools.report.owners import WORDS, owners_ask


@pytest.fixture(scope="module")
def pages(finished):
    return read_published(Disk(finished.folder), "pages")


def test_each_preference_is_counted_over_all_pages_that_were_found(pages):
    asked = {row.name: row for row in owners_ask(pages)}
    assert tuple(asked) == tuple(WORDS) == PREFERENCES
    links = pages.manifest.ledgers["links"]
    found = links.rows_out + 7  # the demo has an owner for each way to forbid a page
    for row in asked.values():
        assert row.respected
        assert row.forbidden == 1
        assert row.forbidden + row.allowed + row.unsaid + row.unknown == found
    assert asked["content_signal"].allowed == 1
    # A header says no; a site's robots.txt is known of four sites that ask and twelve that do not.
    assert 0 < asked["robots"].unsaid < asked["robots"].unknown
    assert asked["noai"].unknown < asked["tdm"].unknown == found - 1


def test_the_report_shows_what_owners_ask_and_what_is_not_obeyed(finished, pages, monkeypatch):
    text = (finished.folder / "report.html").read_text(encoding="utf-8")
    (card,) = lxml.html.document_fromstring(text).xpath("//div[@id='owners']")
    rows = [row.text_content() for row in card.xpath(".//tr")]
    assert len(rows) == 1 + len(PREFERENCES)
    assert "not obeyed" not in card.text_content()
    monkeypatch.setitem(pages.manifest.settings["follow_0"], "respect", ["robots"])
    assert [row.name for row in owners_ask(pages) if not row.respected] == list(PREFERENCES[1:])


def test_a_build_that_read_no_preferences_has_no_such_table(pages, monkeypatch):
    monkeypatch.setitem(pages.manifest.settings, "follow_0", {"hops_max": 5})
    assert owners_ask(pages) == []
