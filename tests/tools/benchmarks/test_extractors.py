"""The table of all extractors, and that the trees of the package fit the blocks that we cut."""

import json
from statistics import fmean

import numpy as np
import pytest

from pipeline.documents.clean import clean_text
from pipeline.documents.combined import THOROUGH, combine
from tools.benchmarks.extraction import FLOORS, data_digest, labelled_pages, load_score
from tools.benchmarks.extractors import ENGINES, Scored, interval, show_scores, whole_pages

EVERY = 12


def test_the_interval_lies_around_the_mean_of_the_sets():
    values = {"one": np.full(50, 0.02), "two": np.linspace(0, 0.08, 50)}
    gap, low, high = interval(values)
    assert gap == pytest.approx(0.03)
    assert 0.02 < low < gap < high < 0.04


def test_the_table_has_a_row_for_each_engine_and_figure(capsys):
    figures = [0.5] * len(ENGINES)
    pages = [Scored("aeb", "article", figures, figures)] * 3
    show_scores([*pages, Scored("wcxb-dev", "forum", figures, figures)])
    rows = capsys.readouterr().out.split("\n")
    for name in ENGINES:
        assert [row for row in rows if row.startswith(f"| {name} | 0.5000 | ")][1:]
    assert "| pages | aeb 3 | wcxb-dev 1 | forum 1 |" in rows


@pytest.mark.real
@pytest.mark.slow
def test_the_trees_fit_the_blocks(shared_data):
    floors = json.loads(FLOORS.read_text())
    folder = shared_data / "extraction"
    if data_digest(folder) != floors["data"]:
        pytest.skip("the floors are of other data")
    score = load_score(folder)
    found = [
        score.page_scores(page["text"], clean_text(combine(page["html"], THOROUGH).text))[2]
        for page in labelled_pages(folder, EVERY)
    ]
    assert fmean(found) >= floors["combined_on_its_own_pages_min"]


@pytest.mark.real
def test_whole_pages_are_read_from_archives(shared_data):
    texts = whole_pages([shared_data / "pages" / "pages-original.warc.gz"], 5)
    assert len(texts) == 5
    assert all("<" in text for text in texts)
