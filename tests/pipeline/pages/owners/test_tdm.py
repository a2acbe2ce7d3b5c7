import json

import pytest

from pipeline.pages.owners.tdm import TdmRules, reservation


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("1", True), (" 1 ", True), ("0", False), (1, True), (0, False),
        ("", None), ("2", None), ("true", None), (True, None), (None, None), ([1], None),
        ("1, 1", None), (1.0, None),
    ],
)  # fmt: skip
def test_one_reserves_zero_does_not_and_all_else_says_nothing(value, said):
    assert reservation(value) is said


RULES = [
    {"location": "/directory-a/", "tdm-reservation": 1},
    {"location": "/directory-b/html/", "tdm-reservation": 1, "tdm-policy": "https://p.com/p"},
    {"location": "/directory-b/images/*.jpg", "tdm-reservation": 0},
    {"location": "/c/exact$", "tdm-reservation": "1"},
    {"location": "/c/", "tdm-reservation": 0},
    {"location": "/wrong/", "tdm-reservation": "yes"},
    {"location": "/wrong/but/later", "tdm-reservation": 1},
]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/directory-a/x.pdf", True),
        ("/directory-b/html/1", True),
        ("/directory-b/images/a/1.jpg", False),
        ("/directory-b/images/1.png", None),
        ("/c/exact", True),
        ("/c/exactly", False),  # the first in sequence that matches
        ("/wrong/but/later", None),  # a rule that says nothing is the first too
        ("/", None),
    ],
)
def test_the_first_rule_that_matches_holds(path, said):
    rules = TdmRules.parse(b"\xef\xbb\xbf" + json.dumps(RULES).encode())
    assert rules.reservation(f"https://example.com{path}") is said


@pytest.mark.parametrize(
    "content",
    [
        b"", b"<html>", b"{}", b'{"location": "/", "tdm-reservation": 1}', b"[1, null]", b"null",
        b'[{"location": 1, "tdm-reservation": 1}]', b'[{"tdm-reservation": 1}]',
        b"[" * 100_000, b'["\xff"]',
    ],
)  # fmt: skip
def test_what_is_no_array_of_rules_says_nothing(content):
    assert TdmRules.parse(content).reservation("https://example.com/") is None
