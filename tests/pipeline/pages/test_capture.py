import gzip
import random
from base64 import b32decode

import pytest

from pipeline.pages.archive.answers import as_json
from pipeline.pages.archive.outcomes import Answer, Hop, Outcome, Source
from pipeline.pages.archive.warc_records import metadata_record
from pipeline.pages.capture import (
    capture_in,
    capture_of,
    is_by_id,
    same_digest,
    same_id,
    time_of,
)
from pipeline.pages.choose import is_page
from pipeline.pages.frames import HEAD_BYTES
from pipeline.pages.warc import records
from pipeline.reasons import Drop, Reason


def one(maker, *args, **kwargs):
    (found,) = records(maker.write([maker.record(*args, **kwargs)]))
    return capture_of(found, "made.warc.gz")


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
    ("types", "fault"),
    [
        ("text/html, text/html; charset=utf-8", ""),
        ('"text/html"', ""),
        ("html", ""),
        ("text/html charset=utf-8", ""),
        ("application/octet-stream\r\nContent-Type: text/html", ""),
        ("text/html\r\nContent-Type: image/png", "not_a_page"),
    ],
)
def test_the_type_of_a_page_is_the_last_that_parses_or_none(maker, types, fault):
    found = one(maker, "http://a.org/", maker.http(content_type=types))
    assert (found.kind, found.fault) == ("response", fault)


@pytest.mark.parametrize(
    ("status", "content_range", "is_whole"),
    [
        (206, "bytes 0-11/12", True),
        (206, "Bytes  0-11/12 ", True),
        (206, "bytes 0-10/12", False),
        (206, "bytes 1-11/12", False),
        (206, "bytes 0-11/*", False),
        (206, f"bytes 0-{'9' * 5000}/{'9' * 5000}", False),
        (206, "", False),
        (404, "bytes 0-11/12", False),
    ],
)
def test_a_206_that_holds_everything_is_a_page(maker, status, content_range, is_whole):
    found = one(maker, "http://a.org/", maker.http(status, content_range=content_range))
    assert (found.status, found.body) == (status, "all" if is_whole else "")
    assert is_page(found) == is_whole
    image = maker.http(206, content_type="image/png", content_range="bytes 0-11/12")
    assert one(maker, "http://a.org/", image).fault == "not_a_page"


GZIP = gzip.compress(b"<html>" + b"".join(b"<p>%d" % (n * n) for n in range(999)), mtime=0)


@pytest.mark.parametrize(
    ("made", "body"),
    [
        ({}, ""),
        ({"WARC_Truncated": "length"}, "cut"),
        ({"WARC_Truncated": "disconnect"}, "cut"),
        ({"content_length": "12"}, ""),
        ({"content_length": "11"}, ""),  # of a body that the archive has unpacked
        ({"content_length": "13"}, "cut"),
        ({"content_length": "9" * 5000}, ""),
        ({"content_length": "13, 13"}, "cut"),
        ({"content_length": "13\r\nContent-Length: 13"}, "cut"),
        ({"content_length": "13, 14"}, ""),
        ({"content_length": "40", "content_encoding": "gzip"}, ""),  # of what was packed
        ({"content_length": "40", "transfer_encoding": "chunked"}, ""),  # that one overrides
        ({"body": GZIP, "content_encoding": "gzip"}, ""),
        ({"body": GZIP, "content_encoding": "gzip", "content_length": str(len(GZIP))}, ""),
        ({"body": GZIP, "content_encoding": "gzip", "content_length": str(len(GZIP) + 1)}, "cut"),
        ({"body": GZIP[:-9], "content_encoding": "gzip"}, "cut"),
        ({"body": GZIP[:-9]}, "cut"),
        ({"body": b"a\r\n<p>Hello</\r\n", "transfer_encoding": "chunked"}, "cut"),
        ({"body": b"a\r\n<p>Hel", "transfer_encoding": "chunked"}, "cut"),
        ({"body": b"a\r\n<p>Hello</\r\n0\r\n", "transfer_encoding": "chunked"}, ""),
        ({"status": 206, "content_range": "bytes 0-12/13"}, "cut"),
        ({"status": 206, "content_range": "bytes 0-11/12", "WARC_Truncated": "time"}, "cut"),
        ({"body": b""}, "none"),
        ({"body": b" \r\n"}, "none"),
        ({"body": gzip.compress(b"", mtime=0), "content_encoding": "gzip"}, "none"),
        ({"body": b"0\r\n\r\n", "transfer_encoding": "chunked"}, "none"),
        ({"body": b"\0\1\2", "content_encoding": "gzip"}, "none"),
        ({"body": b"", "status": 404}, ""),
        ({"status": 301, "location": "/b", "WARC_Truncated": "length"}, ""),
    ],
)
def test_a_page_that_is_cut_or_without_content_says_so(maker, made, body):
    truncated = {name: made[name] for name in made if name.startswith("WARC")}
    rest = {name: made[name] for name in made if name not in truncated}
    found = one(maker, "http://a.org/", maker.http(**rest), **truncated)
    assert (found.body, found.fault) == (body, "")


def test_a_large_page_is_cut_where_its_block_is_shorter_than_its_length(maker):
    body = b"<p>" + b"x" * (3 * HEAD_BYTES)
    for length, told in ((len(body), ""), (len(body) + 1, "cut")):
        block = maker.http(body=body, content_length=str(length))
        assert one(maker, "http://a.org/", block).body == told


@pytest.mark.parametrize("form", ["plain", "gz", "zst"])
@pytest.mark.parametrize("lost", [0, 9, 100_000])
def test_a_large_packed_body_is_read_to_its_end_to_tell_whether_it_is_whole(maker, form, lost):
    noise = random.Random(1).randbytes(HEAD_BYTES * 2)
    body = gzip.compress(b"<html>" + noise.hex().encode(), mtime=0)
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:999], body[999:]))
    for sent, how in (
        (body, {"content_encoding": "gzip"}),
        (chunks + b"0\r\n\r\n", {"content_encoding": "gzip", "transfer_encoding": "chunked"}),
    ):
        assert len(sent) > 2 * HEAD_BYTES
        block = maker.http(body=sent[: len(sent) - lost], **how)
        path = maker.write([maker.record("http://a.org/", block)], form)
        (record,) = records(path)
        assert len(record.block) < record.block_bytes
        assert capture_in(path, record, "w").body == ("cut" if lost else "")


def test_a_refresh_in_utf_16_and_a_redirect_in_latin_1_are_followed(maker):
    wide = "<html><meta http-equiv=refresh content='0;url=/b'><p>wide</p>".encode("utf-16")
    assert one(maker, "http://a.org/x", maker.http(body=wide)).target_url == "http://a.org/b"
    block = maker.http(301, location="/caf%E9").replace(b"%E9", b"\xe9")
    assert one(maker, "http://a.org/x", block).target_url == "http://a.org/caf%E9"


def test_one_piece_of_a_segmented_record_is_no_page(maker):
    found = one(maker, "http://a.org/", maker.http(), WARC_Segment_Number="1")
    assert (found.kind, found.fault) == ("response", "unreadable")
    assert found.detail == "it is segment 1 of a page"


REFRESH = b"<html><meta http-equiv=refresh content='0;url=/b'>"


@pytest.mark.parametrize(
    "made",
    [
        {"body": REFRESH},
        {"body": b"<p>", "refresh": "5; url=http://a.org/b"},
        {"body": gzip.compress(REFRESH, mtime=0), "content_encoding": "gzip"},
        {"body": b"32\r\n" + REFRESH + b"\r\n0\r\n\r\n", "transfer_encoding": "chunked"},
        {"body": gzip.compress(REFRESH, mtime=0), "content_encoding": "br"},
        {"status": 206, "body": REFRESH, "content_range": "bytes 0-9/10"},
    ],
)
def test_a_page_that_leads_elsewhere_by_itself_is_a_redirect(maker, made):
    found = one(maker, "http://a.org/x", maker.http(**made))
    assert (found.kind, found.target_key, found.fault) == ("redirect", "a.org/b", "")


@pytest.mark.parametrize(
    ("url", "made"),
    [
        ("http://www.a.org/b/", {"body": REFRESH}),  # the same key
        ("http://a.org/", {"body": REFRESH.replace(b"/b", b"javascript:x")}),
        ("http://a.org/", {"body": REFRESH.replace(b"0;", b"30;")}),
        ("http://a.org/", {"body": REFRESH, "status": 404}),
    ],
)
def test_a_page_that_leads_to_itself_or_nowhere_is_no_redirect(maker, url, made):
    assert one(maker, url, maker.http(**made)).kind == "response"


def test_a_revisit_tells_the_record_that_it_repeats(maker):
    found = one(maker, "http://a.org/", kind="revisit", WARC_Refers_To="<urn:x:1>")
    assert (found.refers_to, is_by_id(found)) == ("<urn:x:1>", True)
    told = {"WARC_Refers_To_Target_URI": "http://a.org/"}
    found = one(maker, "http://a.org/", kind="revisit", WARC_Refers_To="<urn:x:1>", **told)
    assert (found.refers_to, is_by_id(found)) == ("<urn:x:1>", False)


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


@pytest.mark.parametrize(
    ("one_form", "other"),
    [
        ("<urn:uuid:0a-b1>", "urn:uuid:0a-b1"),
        ("<urn:uuid:0a-b1>", " <URN:UUID:0A-B1> "),
        ("<urn:uuid:0a-b1>", "<urn:UUID:0a-B1>"),
        ("<http://a.org/X>", "http://a.org/X"),
        ("", ""),
        ("", "<>"),
    ],
)
def test_a_record_is_known_by_its_id_in_any_form(one_form, other):
    assert same_id(one_form) == same_id(other) == one_form
    assert same_id("<http://a.org/X>") != same_id("<http://a.org/x>")


SHA_1 = "2JDCBMZKNBYZMXTLLN5UVBWQMHHCYBCS"


@pytest.mark.parametrize(
    "digest",
    [f"sha1:{SHA_1}", f"SHA1:{SHA_1.lower()}", f"sha-1:{SHA_1}", f"sha1:{b32decode(SHA_1).hex()}"],
)
def test_a_payload_is_known_by_its_digest_in_any_form(digest):
    assert same_digest(digest) == f"sha1:{SHA_1}"


def test_other_digests_keep_their_value():
    assert same_digest("md5:ABCDEF01") == same_digest("MD5:abcdef01") == "md5:abcdef01"
    assert same_digest("A") == "A"
    assert same_digest("sha256:un-known") == "sha256:un-known"


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


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({}, "header,meta"),
        ({"X_Robots_Tag": "noai"}, "header,meta -noai@header=noai"),
        ({"tdm_reservation": "0"}, "header,meta +tdm@header=0"),
        ({"content_usage": "train-ai=n"}, "header,meta -content_usage@header=train-ai=n"),
    ],
)
def test_what_the_owner_asks_stands_in_the_headers_of_a_page(maker, headers, said):
    found = one(maker, "http://a.org/", maker.http(**headers))
    assert (found.kind, found.fault, found.preferences) == ("response", "", said)


def test_what_the_owner_asks_stands_in_the_page_also_if_it_is_compressed(maker):
    page = b"<html><head><meta name=robots content='noindex, NOAI'></head><p>Hello</p>"
    packed = maker.http(body=gzip.compress(page), content_encoding="gzip")
    assert one(maker, "http://a.org/", packed).preferences == "header,meta -noai@meta=noai"


def test_a_resource_has_no_headers_and_errors_redirects_and_images_ask_nothing(maker):
    asks = {"x_robots_tag": "noai"}
    page = {"kind": "resource", "Content_Type": "text/html"}
    assert one(maker, "http://a.org/", b"<p>Hello", **page).preferences == "meta"
    for block in (
        maker.http(404, **asks),
        maker.http(301, location="/b", **asks),
        maker.http(content_type="image/png", **asks),
        b"no http",
    ):
        assert one(maker, "http://a.org/", block).preferences == ""


def test_a_revisit_says_what_its_headers_say(maker):
    block = maker.http(200, b"", x_robots_tag="noai")
    assert one(maker, "http://a.org/", block, kind="revisit").preferences == (
        "header -noai@header=noai"
    )
    assert one(maker, "http://a.org/", b"", kind="revisit").preferences == ""


ROBOTS_TXT = b"User-agent: *\r\nDisallow: /\r\n"


PLAIN = {"content_type": "text/plain"}


@pytest.mark.parametrize(
    ("path", "block", "kind", "fault", "text"),
    [
        ("", (200, ROBOTS_TXT, PLAIN), "robots", "not_a_page", ROBOTS_TXT),
        ("", (200, b"<p>Hello", {}), "robots", "not_a_page", b"<p>Hello"),
        (
            *("", (200, gzip.compress(ROBOTS_TXT), {**PLAIN, "content_encoding": "gzip"})),
            *("robots", "not_a_page", ROBOTS_TXT),
        ),
        ("", (404, b"<p>No", {}), "robots", "", b""),
        ("", (503, b"<p>No", {}), "response", "", b""),
        ("", (301, b"", {"location": "/b"}), "redirect", "", b""),
        ("/a", (200, ROBOTS_TXT, PLAIN), "response", "not_a_page", b""),
    ],
)
def test_a_robots_txt_is_a_record_of_its_own_kind_with_its_text(
    maker, path, block, kind, fault, text
):
    status, body, headers = block
    found = one(maker, f"http://a.org{path}/robots.txt", maker.http(status, body, **headers))
    assert (found.kind, found.fault, found.preferences) == (kind, fault, text.decode())
    assert not is_page(found)


@pytest.mark.parametrize(
    ("outcome", "way", "target"),
    [
        ("captured", ["http://b.org/x"], "b.org/x"),
        ("captured", ["http://b.org/", "http://c.org/"], "b.org/"),
        ("captured", ["https://www.a.org/"], "a.org/"),
        ("status_error", ["http://b.org/"], "b.org/"),
        ("status_error", [], ""),
        ("captured", [], None),
        ("captured", ["mailto:a@b.org"], None),
    ],
)
def test_what_a_source_told_of_a_link_is_a_capture_with_the_first_step_of_its_way(
    tmp_path, outcome, way, target
):
    told = Answer(
        id="1", key="a.org/", url="http://a.org/", source=Source.LIVE, outcome=Outcome(outcome),
        answered_s=7, final_url=way[-1] if way else "",
        redirects=tuple(Hop(url, 301) for url in ["http://a.org/", *way][: len(way)]),
    )  # fmt: skip
    path = tmp_path / "made.warc.gz"
    path.write_bytes(metadata_record(told.url, 7.0, as_json(told), "").packed())
    (record,) = records(path)
    found = capture_in(path, record, "made.warc.gz")
    if target is None:
        assert found.reason is Reason.NOT_A_PAGE
    else:
        assert (found.kind, found.mime, found.key) == ("answer", outcome, "a.org/")
        assert (found.target_key, found.captured_s) == (target, 7)
