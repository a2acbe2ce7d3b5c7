import pytest
from lxml import etree

from pipeline.documents.render import is_data, render

LONG = "The council decided to repair the bridge, and the money came from the county. " * 4


def tree(content):
    return etree.fromstring(f"<body>{content}</body>")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("<p>One.</p><p>Two.</p>", "One.\nTwo."),
        ("<p>One\n   two\tthree.</p>", "One two three."),
        ("<p>One.<lb/>Two.<lb/><lb/>Three.</p>", "One.\nTwo.\nThree."),
        ("<head>Title</head>loose <hi>text</hi> here<p>One.</p>", "Title\nloose text here\nOne."),
        ("<list><item>a</item><item>b</item></list>", "- a\n- b"),
        (
            "<list><item>a<list><item>b</item></list></item><item>c</item></list>",
            "- a\n  - b\n- c",
        ),
        ("<list><item><p>a</p><p>b</p></item></list>", "- a\nb"),
        ("<quote><p>a</p>b</quote>", "a\nb"),
        ("<p>Call <code>f(0)</code> here.</p>", "Call f(0) here."),
        ("<code>def f(x):\n    return\tx\n</code>", "def f(x):\n    return\tx"),
        ("<p>before<code>a\n  b</code>after</p>", "before\na\n  b\nafter"),
        ("<code>a<lb/>    b</code>", "a\n    b"),
        ("<p>a<hi><p>b</p>c</hi>d</p>", "a\nb\nc\nd"),
        ("<p><hi><del><p>a</p><p>b</p></del></hi></p>", "a b"),
        ("<p/><p> </p>", ""),
    ],
)
def test_each_block_is_a_line_and_code_stands_as_it_is(content, text):
    assert render(tree(content)) == text


def test_the_blocks_of_a_layout_table_are_lines():
    content = (
        "<table><row><cell><p>Home</p></cell>"
        f"<cell><head>Bridge</head><p>{LONG}</p><p>It opened | on May 5.</p></cell></row></table>"
    )
    assert render(tree(content)).split("\n") == [
        "Home",
        "Bridge",
        LONG.strip(),
        "It opened | on May 5.",
    ]


def test_the_rows_of_a_data_table_are_rows():
    content = (
        "<table><row><cell role='head'>River</cell><cell>Length</cell></row>"
        "<row><cell>Nile</cell><cell><p>6650\nkm</p></cell></row>"
        "<row><cell/><cell/></row><row><cell>Rhine</cell></row></table>tail"
    )
    assert render(tree(content)) == ("| River | Length |\n| Nile | 6650 km |\n| Rhine |  |\ntail")


def test_columns_that_are_empty_throughout_are_left_out():
    row = "<row><cell>{}</cell><cell/><cell>{}</cell></row>"
    content = f"<table>{row.format('a', 1)}{row.format('b', 2)}</table>"
    assert render(tree(content)) == "| a | 1 |\n| b | 2 |"


@pytest.mark.parametrize(
    ("rows", "data"),
    [
        ("<row><cell>a</cell><cell>1</cell></row>" * 2, True),
        ("<row><cell>a</cell><cell>1</cell></row>", False),  # one row lays out a line
        ("<row><cell>a</cell></row>" * 5, False),  # one column
        (f"<row><cell>a</cell><cell>{' ' * 300}b</cell></row>" * 3, True),  # indented
        (f"<row><cell>a</cell><cell>{LONG}</cell></row>" * 3, False),  # paragraphs
        ("<row><cell>a</cell><cell><p>b</p><p>c</p></cell></row>" * 3, False),
        ("<row><cell>a</cell><cell><table><row/></table>b</cell></row>" * 3, False),
    ],
)
def test_a_table_is_data_if_most_rows_have_short_cells_in_columns(rows, data):
    assert is_data(etree.fromstring(f"<table>{rows}</table>")) is data


def test_a_large_table_is_data_in_spite_of_a_few_long_cells():
    rows = "<row><cell>a</cell><cell>1</cell></row>" * 120
    long = f"<row><cell>b</cell><cell>{LONG}</cell></row>" * 4
    assert is_data(etree.fromstring(f"<table>{rows}{long}</table>"))
    assert not is_data(etree.fromstring(f"<table>{rows}{long * 9}</table>"))


def test_a_table_with_code_of_several_lines_is_no_table_of_data():
    rows = "<row><cell>a</cell><cell><code>x\n  y</code></cell></row>" * 2
    assert render(tree(f"<table>{rows}</table>")).split("\n")[:3] == ["a", "x", "  y"]
