"""The script that makes the trees: the same pages give the same bytes, and folds share no site."""

import json
import lzma

import numpy as np
import pytest

lightgbm = pytest.importorskip("lightgbm")

from pipeline.documents.blocks.features import AT, NAMES  # noqa: E402
from pipeline.documents.blocks.model import load_model, save_model  # noqa: E402
from pipeline.documents.blocks.words import words_of  # noqa: E402
from pipeline.documents.combined import FAST, THOROUGH  # noqa: E402
from tools.benchmarks.extraction import labelled_pages  # noqa: E402
from tools.training import blocks  # noqa: E402
from tools.training.block_pages import engine_texts, f1, labelled  # noqa: E402
from tools.training.folds import FOLDS, fold_of  # noqa: E402

PROSE = "The carpenters waited until the water had gone down, and the bridge number {} was opened."


@pytest.fixture
def folder(tmp_path):
    rows = []
    for number in range(12):
        prose = [PROSE.format(f"{number} {line}") for line in range(15)]
        menu = "".join(f"<li><a href=/{n}>Section {n} of {number}</a></li>" for n in range(15))
        body = f"<ul class=menu>{menu}</ul><article>{''.join(f'<p>{p}</p>' for p in prose)}"
        row = {"id": str(number), "group": f"site{number}", "html": f"<body>{body}</body>"}
        kind = "article" if number % 2 else "forum"
        rows.append({**row, "set": "wcxb-dev", "type": kind, "text": "\n".join(prose)})
    lines = "\n".join(map(json.dumps, rows))
    (tmp_path / "pages.jsonl.xz").write_bytes(lzma.compress(lines.encode()))
    return tmp_path


def test_the_same_pages_give_the_same_trees_and_those_find_the_text(folder, monkeypatch):
    monkeypatch.setattr(blocks, "FIRST_TREES", 40)
    monkeypatch.setattr(blocks, "SECOND_TREES", 40)
    texts = engine_texts(folder, folder / "texts")
    assert engine_texts(folder, folder / "texts") == texts
    pages = labelled(labelled_pages(folder), texts)
    said = []
    for name in ("one.npz", "two.npz"):
        trained = blocks.train(pages, said.append)
        save_model(trained.model, folder / name)
        assert set(trained.folds) == {fold_of({"group": f"site{n}"}) for n in range(12)}
    assert (folder / "one.npz").read_bytes() == (folder / "two.npz").read_bytes()
    assert trained.page_f1 > 0.9
    read = load_model(folder / "one.npz")
    scores = read.forests["first"].predict(pages[0].described.columns)[0]
    assert scores[pages[0].labels > 0.5].min() > scores[pages[0].labels < 0.5].max()


@pytest.mark.parametrize(
    ("first", "own", "sure", "end"),
    [
        (0.99, 0.5, THOROUGH, 1),
        (0.5, 0.99, THOROUGH, 2),
        (0.5, 0.5, THOROUGH, 3),
        (0.5, 0.5, FAST, 2),
        (0.95, 0.95, 0.97, 3),
    ],
)
def test_figures_are_those_of_the_look_that_decides(first, own, sure, end):
    looks = [blocks.Chosen(1, first), blocks.Chosen(2, own), blocks.Chosen(3, 0)]
    assert blocks.last_look(*looks, sure).f1 == end


def test_all_pages_of_a_site_are_in_one_fold():
    folds = [fold_of({"group": f"site{n}", "id": str(n)}) for n in range(200)]
    assert {*folds} == {*range(FOLDS)}
    assert fold_of({"group": "site7", "id": "a"}) == fold_of({"group": "site7", "id": "b"})


def test_a_nameless_copy_has_no_name_and_keeps_its_comments():
    rows = np.ones((2, len(NAMES)), np.float32)
    bare = blocks.nameless(rows)
    assert rows.all()
    assert bare[:, AT["own:content"]].tolist() == bare[:, AT["in_article"]].tolist() == [0, 0]
    assert bare[:, AT["around:comment"]].tolist() == bare[:, AT["words"]].tolist() == [1, 1]


@pytest.mark.parametrize(
    ("gold", "found", "share"),
    [
        ("a b c d e", "A b c d e", 1.0),
        ("a b c d e", "a b c d", 2 / 3),
        ("a b", "a b c", 0.0),
        ("", "", 1.0),
    ],
)
def test_page_f1_is_that_of_runs_of_four_words(gold, found, share):
    assert f1(words_of(gold), words_of(found)) == pytest.approx(share)
