import pytest

from pipeline.pages.capture import Capture, capture_of, time_of
from pipeline.pages.warc import records
from pipeline.reasons import Reason
from pipeline.records import CAPTURE, Drop


def one(maker, *args, **kwargs):
    (found,) = records(maker.write([maker.record(*args, **kwargs)]))
    return capture_of(found, "made.warc.gz")


def test_a_capture_has_the_columns_of_its_table():
    assert list(Capture.__slots__) == CAPTURE.names


@pytest.mark.parametrize(
    ("status", "headers", "kind", "fault"),
    [
        (200, {}, "response", ""),
        (203, {}, "response", ""),
        (200, {"content_type": "Text/HTML; charset=x"}, "response", ""),
        (200, {"content_type": "application/xhtml+xml"}, "response", ""),
        (200, {"content_type": ""}, "response", ""),
        (200, {"content_type": "image/png"}, "response", "not_a_page"),
        (200, {"content_type": "application/pdf"}, "response", "not_a_page"),
        (200, {"content_type": "text/plain"}, "response", "not_a_page"),
        (404, {}, "response", ""),
        (404, {"content_type": "image/png"}, "response", ""),
        (206, {"content_type": "video/mp4"}, "response", ""),
        (301, {"location": "/b"}, "redirect", ""),
        (302, {"location": "/b", "content_type": "image/png"}, "redirect", ""),
        (301, {}, "response", ""),
        (300, {"location": "/b"}, "response", ""),
        (304, {}, "response", ""),
    ],
)
def test_a_response_is_a_page_a_redirect_an_error_or_no_page(maker, status, headers, kind, fault):
    found = one(maker, "http://a.org/x", maker.http(status, **headers))
    assert (found.kind, found.status, found.fault) == (kind, status, fault)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/b", "a.org/b"),
        ("b?c=d", "a.org/x/b?c=d"),
        ("//www.b.org/", "b.org/"),
        ("HTTPS://B.org:443/c/", "b.org/c"),
        ("?p=2", "a.org/x/y?p=2"),
        ("/b c#d", "a.org/b%20c"),
        ("/caf\xc3\xa9", "a.org/caf%C3%A9"),
        ("", ""),
        ("javascript:alert(1)", ""),
        ("http://[1/", ""),
    ],
)
def test_a_location_is_resolved_and_made_canonical(maker, location, target):
    block = maker.http(301).replace(
        b"\r\n", b"\r\nLocation: " + location.encode("latin-1") + b"\r\n", 1
    )
    found = one(maker, "http://a.org/x/y", block)
    assert found.target_key == target
    assert found.kind == ("redirect" if target else "response")


@pytest.mark.parametrize(
    ("block", "kind", "status", "fault"),
    [
        (b"", "revisit", 0, ""),
        (b"HTTP/1.1 304 Not Modified\r\n\r\n", "revisit", 0, ""),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", "revisit", 200, ""),
        (b"HTTP/1.1 200 OK\r\nContent-Type: image/gif\r\n\r\n", "revisit", 200, "not_a_page"),
        (b"HTTP/1.1 404 No\r\n\r\n", "revisit", 404, ""),
        (b"HTTP/1.1 302 Found\r\nLocation: http://b.org/c/\r\n\r\n", "redirect", 302, ""),
    ],
)
def test_a_revisit_tells_what_its_own_headers_tell(maker, block, kind, status, fault):
    found = one(maker, "http://a.org/", block, kind="revisit")
    assert (found.kind, found.status, found.fault) == (kind, status, fault)


def test_a_revisit_names_the_url_and_the_payload_that_it_repeats(maker):
    found = one(
        maker,
        "http://a.org/",
        kind="revisit",
        WARC_Refers_To_Target_URI="<http://www.b.org/x/>",
        WARC_Payload_Digest="sha1:ABC",
    )
    assert (found.target_key, found.payload_digest) == ("b.org/x", "sha1:ABC")


@pytest.mark.parametrize(
    ("kind", "url", "reason"),
    [
        ("warcinfo", "", Reason.NOT_A_PAGE),
        ("request", "http://a.org/", Reason.NOT_A_PAGE),
        ("metadata", "http://a.org/", Reason.NOT_A_PAGE),
        ("conversion", "http://a.org/", Reason.NOT_A_PAGE),
        ("response", "dns:a.org", Reason.NOT_A_PAGE),
        ("response", "urn:x", Reason.NOT_A_PAGE),
        ("response", "", Reason.NOT_A_PAGE),
        ("response", "http://", Reason.NOT_A_PAGE),
    ],
)
def test_a_record_that_no_link_can_lead_to_is_dropped(maker, kind, url, reason):
    found = one(maker, url, maker.http(), kind=kind)
    assert isinstance(found, Drop)
    assert found.reason is reason


def test_a_broken_answer_of_a_known_url_is_an_unreadable_capture(maker):
    found = one(maker, "http://a.org/", b"no http at all")
    assert (found.key, found.fault) == ("a.org/", "unreadable")
    made = maker.record("http://a.org/", maker.http()).replace(b"Length: ", b"Length: 9")
    (broken,) = records(maker.write([made]))
    assert capture_of(broken, "x").fault == "unreadable"


def test_a_target_uri_in_angle_brackets_is_read(maker):
    assert one(maker, "<http://A.org/x/>", maker.http()).key == "a.org/x"


def test_a_capture_of_a_web_archive_is_one_of_the_page_that_it_shows(maker):
    archive = "https://web.archive.org/web"
    found = one(maker, f"{archive}/20130501000000/http://a.org/x/", maker.http(), date="2020-01-01")
    assert (found.key, found.url, found.captured_s) == ("a.org/x", "http://a.org/x/", 1367366400)
    moved = maker.http(302, location="/web/2013/http://b.org/")
    assert one(maker, f"{archive}/2012/http://a.org/", moved).target_key == "b.org/"
    assert one(maker, f"{archive}/*/http://a.org/", maker.http()).key.startswith("web.archive.org")
    translated = one(maker, "http://translate.google.com/?u=http://a.org/", maker.http())
    assert translated.key.startswith("translate.google.com")


@pytest.mark.parametrize(
    ("date", "seconds"),
    [
        ("2013-05-01T00:00:00Z", 1367366400),
        ("2013-05-01T00:00:00.123456Z", 1367366400),
        ("20130501000000", 1367366400),
        ("2013-05-01", 1367366400),
        ("2013-05", 1367366400),
        ("2013", 1356998400),
        ("2013-05-01T00:00", 1367366400),
        ("2008-10-294T05:21:46-0700", None),  # a real one
        ("2013-02-30T00:00:00Z", None),
        ("0001-01-01T00:00:00Z", None),
        ("", None),
        ("now", None),
    ],
)
def test_a_warc_date_of_any_precision_is_read(date, seconds):
    assert time_of(date) == seconds
