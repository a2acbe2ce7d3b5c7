"""The element that holds a page's text, by the names that trafilatura looks for."""

import pytest
from trafilatura.xpaths import BODY_XPATH

from pipeline.documents.container import names_of, open_container
from pipeline.documents.tree import parse

TEXT = "<p>The village council decided to repair the wooden bridge across the river.</p>" * 20
NAMES = names_of(known.path for known in BODY_XPATH)


@pytest.mark.parametrize(
    "name",
    "post entry posts post-body xpost_contentx primary x-primary fulltext article story content "
    "contents Main-Content page-content main mainly remain sidebar wrap".split(),
)
def test_a_name_is_known_where_trafilatura_knows_it(name):
    markup = f"<div class='{name}'>x</div><section id='{name}'>x</section>"
    tree = parse(f"<html><body>{markup}</body></html>")
    assert bool(NAMES.search(name)) == any(known(tree) for known in BODY_XPATH)


def ids(body):
    tree = parse(f"<html><body>{body}</body></html>")
    open_container(tree)
    return [found.get("id") for found in tree.iter("div")]


def test_the_smallest_element_with_nearly_all_paragraphs_gets_a_name():
    assert ids(f"<div><div>{TEXT}</div><div><p>Home.</p></div></div>") == [
        None,
        "articleContent",
        None,
    ]


def test_nothing_gets_a_name_where_one_is_known_or_the_text_is_short():
    assert ids(f"<div>{TEXT}</div><main>x</main>") == [None]
    assert ids(f"<div>{TEXT[:160]}</div>") == [None]
    assert ids(f"<form><div>{TEXT}</div></form>") == [None]
