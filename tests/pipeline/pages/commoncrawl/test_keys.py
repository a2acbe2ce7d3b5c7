"""Keys of many URLs at once are those of `canonical`, whatever the URLs are."""

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.links.canonical import Canonical, canonical
from pipeline.pages.commoncrawl.keys import keys_of

PIECES = st.sampled_from(
    r"""
    http:// https:// HTTP:// http: // www. www2. www example.com example.co.uk EXAMPLE.com com
    a-b.org xn--bcher-kva.example 192.0.2.1 [2001:db8::1] :80 :443 :8080 user@ / // /. /./ /../
    /.hidden /index.html /Index.php /default.aspx index.htm /a /b.c /%41 /%2f /ü /; ;jsessionid=1
    ? & && = a=1 b=2&a=1 utm_source=x &utm_campaign= ?gclid=1 fbclid=2 &_ga ito=1 gclidx=1
    wt.mc_id=1 wtxmc_id=1 __twitter_impression=true # #top #!/x &amp; &#39; &lt; %20 . .. .html ,
    ~ ' ( ) * ! $ + @ : [ ] | ^ \ http%3A%2F%2F .http/ .https/ !
    """.replace("!", "\u200b ").split(" ")
)
URLS = st.lists(PIECES, max_size=9).map("".join)
CLEAN = st.builds(
    "{}{}.com/{}{}".format,
    st.sampled_from(["http://", "https://", "http://www.", "https://www.", "http://www.www."]),
    st.text("ab-.0", min_size=1, max_size=4),
    st.text("ab/.-_~!$()*+,=:@&", max_size=8),
    st.text("?&=ab/gclidutm_", max_size=10),
)


def wanted_key(url: str) -> str | None:
    page = canonical(url)
    return page.key if isinstance(page, Canonical) else None


ESCAPES = st.builds(
    "http://a.com/{}%{}{}{}".format,
    st.sampled_from(["", "a", "a/index.html", "x?y="]),
    st.text("0123456789ABCDEFabc", min_size=1, max_size=2),
    st.text("ab1/?&=", max_size=12),
    st.sampled_from(
        ["", "%20", "%3B", "index.php", "/default.HTM", "/index.jsp/", "?", "/?a", "//"]
    ),
)


@given(st.lists(st.one_of(URLS, CLEAN, ESCAPES), min_size=1, max_size=20))
@example(
    ["http://example.com/", "https://www.com/a/", "http://www.example.com/a//", "http://a.b/c/?d"]
)
@example(["http://a.com/x?utm_source=1&b=2", "http://a.com/x?b=2/", "http://a.com/a/index.html/"])
@example(["http://www.b.http/a", "http://a.com", "mailto:x@example.com", ""])
def test_keys_are_those_of_canonical(urls):
    assert keys_of(pa.array(urls, pa.string())).to_pylist() == [wanted_key(url) for url in urls]


def test_every_escape_is_as_canonical_has_it():
    urls = [f"http://a.com/b%{byte:02X}cdefghijkl?m=%{byte:02X}nopqrstuvw" for byte in range(256)]
    urls += [url.lower() for url in urls]
    assert keys_of(pa.array(urls)).to_pylist() == [wanted_key(url) for url in urls]


@pytest.mark.parametrize("url", ["http://example.com/a", "https://www.example.com/a/?b=1&b=2"])
def test_a_single_url_has_its_key(url):
    assert keys_of(pa.array([url])).to_pylist() == [wanted_key(url)]


def test_no_urls_have_no_keys():
    assert keys_of(pa.array([], pa.string())).to_pylist() == []
