import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.pages.owners.path_patterns import matches, path_of, pattern_of


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://example.com", "/"),
        ("https://example.com/a/b?c=d#e", "/a/b?c=d"),
        ("https://example.com?c", "/?c"),
        ("//example.com/a", "/a"),
        ("/a", "/a"),
        ("http://example.com/%61%2fb", "/a%2Fb"),
        ("http://example.com/ä b", "/%C3%A4%20b"),
        ("http://example.com/100%", "/100%"),
        ("http://example.com/a*b$", "/a%2Ab%24"),
    ],
)
def test_paths_have_one_form(url, path):
    assert path_of(url) == path


@pytest.mark.parametrize(
    ("pattern", "url", "is_match"),
    [
        ("/", "http://e.com/a", True),
        ("/a", "http://e.com/ab", True),
        ("/a/", "http://e.com/a", False),
        ("/a$", "http://e.com/a", True),
        ("/a$", "http://e.com/ab", False),
        ("/a$", "http://e.com/a?b", False),
        ("/*.jpg", "http://e.com/x/y.jpg?z", True),
        ("/*.jpg$", "http://e.com/x.jpg.jpg", True),
        ("/*.jpg$", "http://e.com/y.jpg?z", False),
        ("/a*a$", "http://e.com/a", False),
        ("/this/*/then", "http://e.com/this/a/b/then", True),
        ("/this/*/then", "http://e.com/this/then", False),
        ("/path/foo-%24", "http://e.com/path/foo-$", True),
        ("/a$b", "http://e.com/a$b", True),
        ("/A", "http://e.com/a", False),
        ("/%7ejoe", "http://e.com/~joe", True),
        ("/~joe", "http://e.com/%7Ejoe", True),
        ("/ä", "http://e.com/%c3%a4", True),
        ("", "http://e.com/a", True),
        ("*", "http://e.com/a", True),
        ("$", "http://e.com/a", False),
    ],
)
def test_a_pattern_matches_as_robots_txt_says(pattern, url, is_match):
    assert matches(pattern_of(pattern), path_of(url)) is is_match


@given(st.text("ab*$%/", max_size=12), st.text("ab*$%/é ", max_size=20))
def test_a_pattern_that_ends_with_a_star_matches_what_begins_so(pattern, path):
    prefix = pattern_of(pattern.rstrip("*$"))
    path = path_of("http://e.com/" + path)
    assert matches(prefix + "*", path) == matches(prefix, path)
    if matches(prefix + "$", path):
        assert matches(prefix, path)
