import csv
from pathlib import Path

import pytest

from pipeline.corpus.wikipedia import wikipedia
from pipeline.reasons import Reason

LONG = "Nothing here speaks of any encyclopedia. " * 100


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://en.wikipedia.org/wiki/Tea", Reason.WIKIPEDIA_DOMAIN),
        ("http://en.m.wikipedia.org/wiki/Tea", Reason.WIKIPEDIA_DOMAIN),
        ("https://zh-min-nan.wikipedia.org/wiki/X", Reason.WIKIPEDIA_DOMAIN),
        ("https://WIKIPEDIA.org./", Reason.WIKIPEDIA_DOMAIN),
        ("https://commons.wikimedia.org/wiki/File:X.jpg", Reason.WIKIPEDIA_DOMAIN),
        ("https://fr.wiktionary.org/wiki/eau", Reason.WIKIPEDIA_DOMAIN),
        ("https://www.wikiwand.com/en/Tea", Reason.WIKIPEDIA_MIRROR),
        ("http://secret-bases.co.uk/wiki/Tea", Reason.WIKIPEDIA_MIRROR),
        ("http://secret-bases.co.uk/shop", None),
        ("https://notwikipedia.org/", None),
        ("https://www.mediawiki.org/wiki/Manual:Installation_guide", None),
        ("https://wikipedia.org.example/", None),
        ("https://conservapedia.com/Tea", None),
        ("https://www.youtube.com/watch?v=1", None),
        ("http://[broken/", None),
        ("", None),
    ],
)
def test_hosts_of_wikipedia_and_its_mirrors_are_known(url: str, reason: Reason | None) -> None:
    drop = wikipedia(url, LONG)
    assert (drop.reason if drop else None) == reason


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("Tea\n\nFrom Wikipedia, the free encyclopedia\n\nTea is a drink. " + LONG, True),
        ("(From Wikipedia, the free encyclopedia)\n" + LONG, True),
        ("Tee – aus Wikipedia", False),
        ("aus Wikipedia, der freien Enzyklopädie\n" + LONG, True),
        (LONG + 'Retrieved from "https://en.wikipedia.org/wiki/Tea"', True),
        (LONG + "This article uses material from the Wikipedia article Tea, which is free.", True),
        ("I read it. From Wikipedia, the free encyclopedia, I mean. " + LONG, False),
        (LONG + "\nFrom Wikipedia, the free encyclopedia\n" + LONG, False),
        ('Retrieved from "https://en.wikipedia.org/wiki/Tea"' + LONG, False),
        ("Wikipedia, the free encyclopedia, turned fifteen today. " + LONG, False),
    ],
)
def test_marks_of_origin_count_where_an_article_has_them(text: str, marked: bool) -> None:
    drop = wikipedia("https://a.example/", text)
    assert (drop.reason if drop else None) == (Reason.WIKIPEDIA_MARK if marked else None)


@pytest.mark.real
def test_all_listed_mirrors_are_known_and_no_doubtful_domain_is(shared_data: Path) -> None:
    with (shared_data / "wikipedia" / "mirror_domains.tsv").open(newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            path = row["path_pattern"].rstrip("*") or "/"
            drop = wikipedia(f"http://www.{row['domain']}{path}X", LONG)
            found = drop is not None and drop.reason == Reason.WIKIPEDIA_MIRROR
            assert found == (row["review"] == "mirror"), row
