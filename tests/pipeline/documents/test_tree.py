import pytest

from pipeline.documents.tree import parse

TEXT = "<p>One paragraph.</p><p>Another one.</p>"


@pytest.mark.parametrize(
    "html",
    [
        f"<html><head><title>T</title></head><body>{TEXT}</body></html>",
        f"<html><head><title>T</titlevalue><meta name=a></head><body>{TEXT}</body></html>",
        f"<html><head><title>T<meta name=a></head><body>{TEXT}</body></html>",
        f'<?xml version="1.0" encoding="iso-8859-1"?><html><body>{TEXT}</body></html>',
        f"<!DOCTYPE html PUBLIC '-//W3C//DTD'/ ><html xmlns='x'/>{TEXT}",
        f"\ud800\x00<html>\x01<body>{TEXT}</body></html>",
        f'<html><head><meta charset="utf-16"></head><body>{TEXT}</body></html>',
        TEXT.replace("</p><p>", "</p></body></html><html><head></head><body><p>"),
        TEXT.replace("</p><p>", "</p></BODY></HTML>\n<p>"),
        f"<html><frameset><frame src=x><noframes><body>{TEXT}</body></noframes></frameset></html>",
        f"<html><FRAMESET></FRAMESET><NOFRAMES>{TEXT}</NOFRAMES></html>",
        TEXT,
        f"<div>{TEXT}</div>",
    ],
)
def test_a_page_is_a_tree_with_its_paragraphs(html):
    paragraphs = [found.text for found in parse(html).iter("p")]
    assert paragraphs == ["One paragraph.", "Another one."]


@pytest.mark.parametrize("html", ["", "  \n", "<!-- nothing -->", "\x00"])
def test_a_page_without_an_element_has_no_tree(html):
    assert parse(html) is None


def test_other_scripts_survive_whatever_the_page_calls_itself():
    tree = parse(
        '<html><head><meta charset="koi8-r"></head><body><p>Žluťoučký 日本</p></body></html>'
    )
    assert tree.find(".//p").text == "Žluťoučký 日本"
