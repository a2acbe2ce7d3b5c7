import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.pages.media import content_type, media_type


def lines(*values):
    return tuple(("Content-Type", value) for value in values)


@pytest.mark.parametrize(
    ("values", "essence", "charset"),
    [
        (["text/html"], "text/html", ""),
        ([" Text/HTML ;charset=UTF-8"], "text/html", "UTF-8"),
        (["text/html; charset=utf-8, text/html"], "text/html", "utf-8"),
        (["text/html, text/html; charset=utf-8"], "text/html", "utf-8"),
        (["text/html", "image/png"], "image/png", ""),
        (["application/octet-stream", "text/html"], "text/html", ""),
        (["text/html; charset=a", "text/plain"], "text/plain", ""),
        (["text/html;charset=a", "text/html;charset=b"], "text/html", "b"),
        (["text/html;charset=a;charset=b"], "text/html", "a"),
        (["text/html", "*/*"], "text/html", ""),
        (["text/html", "cannot-parse"], "text/html", ""),
        (["text/html;", ""], "text/html", ""),
        (['text/html; charset="utf-8, text/plain"'], "text/html", "utf-8, text/plain"),
        (['text/html; charset="u\\tf-8"; x'], "text/html", "utf-8"),
        (['text/html;x=";charset=no";charset=yes'], "text/html", "yes"),
        (["text/html; a; =b; charset=; CHARSET= c ;x=y"], "text/html", " c"),
        (['text/html;charset="gbk'], "text/html", "gbk"),
        (['"text/html"'], "", ""),
        (["html"], "", ""),
        (["text/html charset=utf-8"], "", ""),
        (["text /html"], "", ""),
        (["text/"], "", ""),
        (["*/*"], "", ""),
        ([], "", ""),
    ],
)
def test_the_media_type_is_the_last_that_parses_of_all_lines(values, essence, charset):
    assert media_type(lines(*values)) == (essence, charset)


def test_one_line_says_the_charset_that_all_lines_say():
    assert content_type(lines("text/html; charset=a", "text/html")) == "text/html; charset=a"
    assert content_type(lines("text/html charset=a")) == "text/html charset=a"
    assert content_type(lines("text/html", "image/png")) == "text/html, image/png"


@given(st.text(' ",;=/\\abc*\t', max_size=60))
def test_no_value_makes_the_parser_raise_and_a_type_is_two_tokens(value):
    essence, _ = media_type(lines(value))
    assert essence == "" or essence.count("/") == 1
    assert not set(essence) & set(' ",;=\\\t')
