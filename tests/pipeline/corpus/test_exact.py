import pyarrow as pa
import pytest

from pipeline.corpus.exact import ENTRY, drop_copies, text_hash, url_key
from pipeline.reasons import Reason


def entry(id: str, **columns: object) -> dict[str, object]:
    row = {
        "id": id,
        "karma": 3,
        "text_chars": 100,
        "shadow": False,
        "text_hash": "h",
        "reason": "",
        "detail": "",
        "keeper": "",
    }
    return row | columns


def outcomes(rows: list[dict[str, object]], *keys: str) -> dict[str, tuple[str, str]]:
    """By id: reason and keeper after the pass."""
    table = pa.Table.from_pylist(rows, schema=ENTRY)
    after = drop_copies(table, keys or ["text_hash"], Reason.EXACT_COPY)
    assert after.schema == ENTRY
    assert sorted(after["id"].to_pylist()) == sorted(row["id"] for row in rows)
    return {row["id"]: (row["reason"], row["keeper"]) for row in after.to_pylist()}


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("Some  text\n\nhere ", "some text here", True),
        ("ｆｕｌｌ ﬁne", "full fine", True),
        ("caf\u00e9", "cafe\u0301", True),
        ("some text here", "some text, here", False),
        ("sometext", "some text", False),
        ("", " \n", True),
        ("\ud800", "\ud801", False),
        ("vil\u200blage coun\u00adcil \ufeff\u2060", "village council", True),
        ("\u2764\ufe0f and \u2764", "\u2764 and \u2764", True),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0645\u06cc\u062e\u0648\u0627\u0647\u0645",
            True,
        ),
        ("10\u2076 kg", "106 kg", False),
        ("\u00bd", "1\u20442", False),
        ("H\u2082O", "H2O", False),
        ("E = mc\u00b2", "E = mc2", False),
        ("step \u2460", "step 1", False),
        ("20 \u33a1", "20 m2", False),
        ("\u211d", "R", False),
        ("Stra\u00dfe", "Strasse", False),
        ("STRASSE", "strasse", True),
    ],
)
def test_texts_are_equal_but_for_case_width_and_white_space(
    one: str, other: str, equal: bool
) -> None:
    assert (text_hash(one) == text_hash(other)) is equal


def test_a_hash_has_32_digits() -> None:
    assert len(text_hash("x")) == 32


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://www.a.example/x/", "https://a.example/x"),
        ("http://a.example/x?utm_source=rss", "http://a.example/x"),
    ],
)
def test_urls_of_one_page_share_their_key(one: str, other: str) -> None:
    assert url_key(one) == url_key(other)


def test_a_url_that_cannot_be_parsed_is_its_own_key() -> None:
    assert url_key("not a url") == "not a url"


@pytest.mark.parametrize(
    "better",
    [
        {"karma": 4},
        {"text_chars": 101},
        {"id": "a"},
        {"shadow": True, "reason": "wikipedia_domain", "karma": 0},
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_the_best_of_equal_texts_stays(better: dict[str, object], first: bool) -> None:
    best = entry("m") | better
    rows = [best, entry("n")] if first else [entry("n"), best]
    found = outcomes(rows)
    assert found[str(best["id"])] == (best["reason"], "")
    assert found["n"] == ("exact_copy", best["id"])


def test_other_keys_are_other_documents() -> None:
    rows = [entry("a"), entry("b", text_hash="other")]
    assert outcomes(rows) == {"a": ("", ""), "b": ("", "")}


def test_a_shadow_that_loses_keeps_its_own_reason() -> None:
    shadow = {"shadow": True, "reason": "wikipedia_mirror"}
    found = outcomes([entry("a", **shadow), entry("b", **shadow), entry("c")])
    assert found == {
        "a": ("wikipedia_mirror", ""),
        "b": ("wikipedia_mirror", "a"),
        "c": ("exact_copy", "a"),
    }


def test_an_empty_text_or_an_earlier_loser_is_no_keeper() -> None:
    rows = [
        entry("a", karma=9, reason="empty_text"),
        entry("b", karma=8, reason="same_url", keeper="z"),
        entry("c"),
        entry("d"),
    ]
    assert outcomes(rows) == {
        "a": ("empty_text", ""),
        "b": ("same_url", "z"),
        "c": ("", ""),
        "d": ("exact_copy", "c"),
    }


def test_no_rows_give_no_rows() -> None:
    assert outcomes([]) == {}
    assert outcomes([entry("a", reason="empty_text")]) == {"a": ("empty_text", "")}
