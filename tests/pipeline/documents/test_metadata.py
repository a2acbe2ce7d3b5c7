import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.documents.metadata import page_date, page_title, read_meta


def title_of(html):
    return page_title(html, read_meta(html))


def date_of(html):
    return page_date(html, read_meta(html))


@pytest.mark.parametrize(
    ("html", "title"),
    [
        ("<title>A river</title>", "A river"),
        ("<TITLE\n lang=en>\n Tom &amp;\n Jerry </TITLE>", "Tom & Jerry"),
        ("<title>Long - Site</title><meta property='og:title' content='Long'>", "Long"),
        ('<meta content="It\'s > here" name="twitter:title">', "It's > here"),
        ("<meta property=og:title content=''><title>Plain</title>", "Plain"),
        ("<p>no head", ""),
    ],
)
def test_the_title_is_what_the_page_calls_itself(html, title):
    assert title_of(html) == title


@pytest.mark.parametrize(
    ("html", "day"),
    [
        ('<meta property="article:published_time" content="2012-11-06T10:00:00Z">', "2012-11-06"),
        ("<meta itemprop=datePublished content=20121106>", "2012-11-06"),
        ('<meta name="DC.date.issued" content="2012/11/06">', "2012-11-06"),
        ('<script>{"datePublished": "2012-11-06"}</script>', "2012-11-06"),
        ('<time class=x datetime="2012-11-06 08:00" pubdate>', "2012-11-06"),
        (
            '<meta name="date" content="yesterday"><time pubdate datetime="2012-11-06">',
            "2012-11-06",
        ),
        ('<time datetime="2012-11-06" itemprop="datePublished">', "2012-11-06"),
        ('<time class=comment datetime="2012-11-06">', ""),
        ('<meta name="date" content="2012-13-45">', ""),
        ('<meta name="date" content="1970-01-01">', ""),
        ('<meta name="date" content="201211061">', ""),
        ("<p>Written on 2012-11-06", ""),
    ],
)
def test_the_date_is_what_the_page_states(html, day):
    assert date_of(html) == day


def test_the_publication_comes_before_other_dates():
    html = (
        '<meta name="date" content="2020-01-01"><time pubdate datetime="2019-01-01">'
        '<meta property="article:published_time" content="2012-11-06">'
    )
    assert date_of(html) == "2012-11-06"


def test_a_reference_of_thousands_of_digits_is_no_character():
    assert title_of(f"<title>a&#{'1' * 4400};b&#x{'1' * 4400}z&#65;") == "a\ufffdb\ufffdzA"


def test_a_title_of_a_million_characters_is_cut():
    assert len(title_of("<title>" + "\n" * 1_000_000 + "river " * 1_000_000)) == 500


# What takes more than linear time in these would take hours: the suite's time limit ends it.
@pytest.mark.parametrize(
    "piece",
    [
        *("<meta a='", "<meta ", "<title>", "<title ", "<time ", '"datePublished":"'),
        *("<meta a", "<time datetime='", "<time pubdate datetime='", "x", " ", "=", "'", '"'),
        *(
            "<time pubdate datetime ",
            '"datePublished" ',
            "&#1",
            "&",
            "1",
            "a=",
            "a ",
            "<",
            "/",
            "\n",
        ),
    ],
)
def test_time_is_linear_in_the_page(piece):
    many = piece * 300_000
    for html in (f"<meta {many}> {many}", f"<title>{many}", f"<time pubdate datetime{many}>"):
        title_of(html), date_of(html)


@given(st.text(alphabet="<>metaimdnc= \"'/:2019-", max_size=80))
def test_no_text_makes_the_reader_raise(html):
    title_of(html), date_of(html)
