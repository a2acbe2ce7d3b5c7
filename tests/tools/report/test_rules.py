import math

import numpy as np
import pytest

from pipeline.engine.reading import read_published
from pipeline.engine.store import Disk
from tools.report.rules import bin_counts, histograms

INF = math.inf


@pytest.mark.parametrize(
    ("values", "limits", "kept", "expected"),
    [
        ([0, 2, 3, 9], {3: "min"}, (3, INF),
         [("0", 1, False), ("1 to 2", 1, False), ("3 to 9", 2, True)]),
        ([3], {3: "min"}, (3, INF), [("3 to 9", 1, True)]),
        ([0], {3: "min"}, (3, INF), [("0", 1, False), ("3 to 9", 0, True)]),  # its limit is shown
        ([-5, 10, 10**9], {}, (-INF, INF),
         [("below 0", 1, True), ("0", 0, True), ("1 to 9", 0, True), ("10 and more", 2, True)]),
        ([], {3: "min"}, (3, INF), []),
    ],
)  # fmt: skip
def test_numbers_are_counted_on_each_side_of_a_limit(values, limits, kept, expected):
    bins = bin_counts(np.array(values, float), [-INF, 0, 1, 10, INF], limits, kept=kept)
    assert [(one.name, one.count, one.kept) for one in bins] == expected
    assert [one.limit for one in bins if one.limit] == list(limits.values() if bins else [])


def test_a_share_is_named_by_its_range():
    bins = bin_counts(np.array([0.55, 1.0]), [0.0, 0.5, 0.6, INF], {}, kept=(0, INF))
    assert [(one.name, one.count) for one in bins] == [("0.5 to 0.6", 1), ("0.6 and more", 1)]


def test_the_histograms_of_a_build_count_what_its_ledgers_count(finished):
    names = ("links", "documents", "corpus")
    found = {name: read_published(Disk(finished.folder), name) for name in names}
    karma, length, language, *quality, copies = histograms(found)
    manifests = {name: published.manifest for name, published in found.items()}
    links = manifests["links"].ledgers["submissions"]
    pages = manifests["documents"].ledgers["pages"]
    assert sum(one.count for one in karma.bins if one.kept) == links.rows_out
    assert any(one.count for one in karma.bins if not one.kept)
    short_or_long = pages.drops["too_short"] + pages.drops["too_long"]
    assert sum(one.count for one in length.bins if not one.kept) == short_or_long
    assert sum(one.count for one in length.bins if one.kept) == pages.rows_out
    unsure = sum(one.count for one in language.bins if not one.kept)
    assert unsure == pages.drops["language_unsure"]
    all_texts = pages.rows_out + pages.drops["language_unsure"] + pages.drops["other_language"]
    assert sum(one.count for one in language.bins) == all_texts
    # The demo has one text beyond each limit on quality.
    assert [one.number for one in quality] == ["word_chars", "function_words", "duplicate_5_grams"]
    for each in quality:
        assert sum(one.count for one in each.bins) == pages.rows_out
        assert sum(one.count for one in each.bins if not one.kept) >= 1
        assert [one.limit for one in each.bins if one.limit]
    near_copies = manifests["corpus"].ledgers["documents"].drops["near_copy"]
    assert sum(one.count for one in copies.bins) == near_copies
    limits = {
        one.limit.split(":")[0] for all in (karma, length, language, copies) for one in all.bins
    }
    told = {"karma_min", "text_chars_min", "text_chars_max", "language_score_min", "near_threshold"}
    assert limits - {""} == told


def test_a_build_without_documents_has_the_histogram_of_its_links(finished):
    found = {"links": read_published(Disk(finished.folder), "links")}
    assert [one.title for one in histograms(found)] == ["Karma of a link"]
