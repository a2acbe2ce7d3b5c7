import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.pages.refresh import refresh_address

BASE = "http://a.org/x/y"


def meta(content, quote="'"):
    return f"<html><head><meta http-equiv=refresh content={quote}{content}{quote}>".encode()


@pytest.mark.parametrize(
    ("content", "address"),
    [
        ("0;url=/b", "http://a.org/b"),
        ("0; URL=http://b.org/", "http://b.org/"),
        ("10;url=b", "http://a.org/x/b"),
        ("011;url=b", ""),
        ("11;url=b", ""),
        ("9" * 5000 + ";url=b", ""),
        ("0.9;url=b", "http://a.org/x/b"),
        (".5;url=b", "http://a.org/x/b"),
        (" 3 , url = b ", "http://a.org/x/b"),
        ("3 url=b", "http://a.org/x/b"),
        ("0;b", "http://a.org/x/b"),
        ('0;url="b" and more', "http://a.org/x/b"),
        ("0;url=b?c=1&amp;d=2", "http://a.org/x/b?c=1&d=2"),
        ("0;url=http://[1/", BASE),
        ("-1;url=b", ""),
        ("url=b", ""),
        ("soon;url=b", ""),
        ("5", ""),
        ("5;", ""),
        ("0;url=", ""),
        ("", ""),
    ],
)
def test_the_content_of_a_refresh_is_read_as_browsers_read_it(content, address):
    assert refresh_address(meta(content), "", BASE) == address
    # As a header it has no entities.
    assert refresh_address(b"", content.replace("&amp;", "&"), BASE) == address


@pytest.mark.parametrize(
    "tag",
    [
        "<meta http-equiv='refresh' content='0;url=/b'>",
        '<META HTTP-EQUIV="Refresh" CONTENT="0;URL=/b" />',
        "<meta content=0;url=/b http-equiv=ReFrEsH>",
        "<meta\nhttp-equiv = refresh\ncontent = '0; url=/b'\n>",
        "<meta name='a>b' http-equiv=refresh content='0;url=\"/b\"'>",
        "<script>x</script><!-- x --><style></style><meta http-equiv=refresh content=0;url=/b>",
        "<!--><meta http-equiv=refresh content=0;url=/b> -->",
        "<meta http-equiv=refresh content=300><meta http-equiv=refresh content=0;url=/b>",
        "<title>a</title><body><p><meta http-equiv=refresh content=0;url=/b>",
    ],
)
def test_a_refresh_is_found_in_any_spelling(tag):
    assert refresh_address(f"<html>{tag}".encode(), "", BASE) == "http://a.org/b"


@pytest.mark.parametrize(
    "hidden",
    ["<!--{}-->", "<!-- {}"]
    + [
        f"<{name}>{{}}</{name}>"
        for name in ("script", "style", "noscript", "title", "textarea", "template", "NOSCRIPT")
    ]
    + ["<noscript>{}", "<metadata>", "<meta name=refresh content='0;url=/b'>", "<p title='{}'>"],
)
def test_a_refresh_that_a_browser_does_not_see_is_none(hidden):
    tag = "<meta http-equiv=refresh content=0;url=/b>"
    assert refresh_address(hidden.format(tag).encode(), "", BASE) == ""


def test_a_relative_address_is_relative_to_the_base_before_it():
    tag = b"<meta http-equiv=refresh content='0;url=c'>"
    assert refresh_address(b"<base href='/d/'>" + tag, "", BASE) == "http://a.org/d/c"
    assert refresh_address(tag + b"<base href='/d/'>", "", BASE) == "http://a.org/x/c"


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_refresh_is_found_in_a_page_of_utf_16(codec):
    page = "<html><head><meta http-equiv=refresh content='0;url=/é'>" + "<p>wide</p>" * 9
    assert refresh_address(page.encode(codec), "", "http://a.org/") == "http://a.org/é"


def test_an_address_is_read_in_the_charset_of_its_page():
    page = "<meta charset=windows-1251><meta http-equiv=refresh content='0;url=/ж'>"
    assert refresh_address(page.encode("cp1251"), "", "http://a.org/") == "http://a.org/ж"
    assert refresh_address(page.encode(), "", "http://a.org/") == "http://a.org/ж"
    assert refresh_address((page + "ж").encode()[:-1], "", "http://a.org/") == "http://a.org/ж"
    bare = "<meta http-equiv=refresh content='0;url=/ж'>".encode("koi8-r")
    assert refresh_address(bare, "", "http://a.org/", "KOI8-R") == "http://a.org/ж"
    assert refresh_address(bare, "", "http://a.org/", "unknown") == "http://a.org/Ö"
    hidden = "<meta charset=iso-2022-jp>日本<meta http-equiv=refresh content='0;url=/b'>"
    assert refresh_address(hidden.encode("iso2022_jp"), "", "http://a.org/") == "http://a.org/b"


def test_an_address_is_utf_8_or_else_latin_1():
    for encoding in ("utf-8", "latin-1"):
        head = meta("0;url=/é").decode().encode(encoding)
        assert refresh_address(head, "", BASE) == "http://a.org/é"


@given(st.text("<!-->\"'=;/ 0urlmetahttp-equivrefreshcontentbasehref\n"), st.binary(max_size=50))
def test_no_page_makes_the_search_raise(text, more):
    refresh_address(b"<meta http-equiv=refresh content='" + text.encode() + more, text, BASE)
    refresh_address(more + text.encode() + b"refresh", "", BASE)
