import pytest
import xxhash

from pipeline.reasons import Drop, Reason
from pipeline.texts import Found, Row
from pipeline.tokens.texts import Text, text_of

LINK_ID = "0123456789abcdef" * 2


def digest(name: str) -> str:
    return xxhash.xxh3_128_hexdigest(name.encode())


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (
            Found("line 1", LINK_ID, Row("one", url="https://a.example/x", host="given.example")),
            Text(LINK_ID, "one", "https://a.example/x", "given.example"),
        ),
        (
            Found("line 2", 17, Row("two\n\n", url="https://b.example:81/", host="")),
            Text(digest("17"), "two\n\n", "https://b.example:81/", "b.example"),
        ),
        (
            Found("line 3", "t.jsonl:3", Row("three é 中", url="http://[x", host="")),
            Text(digest("t.jsonl:3"), "three é 中", "http://[x", ""),
        ),
    ],
)
def test_a_row_is_a_document_with_an_id_and_a_host(found, text):
    assert text_of(found) == text


def test_a_drop_stays_one():
    drop = Drop(Reason.LINE_INVALID, "why")
    assert text_of(Found("line 1", "a", drop)) is drop
