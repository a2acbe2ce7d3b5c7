"""From markup to text through the real extractor: what each pass is for."""

import pytest
from justext.utils import get_stoplist, get_stoplists
from lxml.etree import XPath
from trafilatura.settings import BASIC_CLEAN_XPATH

from pipeline.documents.engines import load_stop_words, with_one_look
from pipeline.documents.extractors import extract_by_trafilatura
from pipeline.documents.tree import parse

PROSE = (
    "The village council decided to repair the wooden bridge across the river after the long "
    "winter, and the money for the timber came from the county."
)
OTHER = (
    "The carpenters waited until the water had gone down in May, and the bridge was opened on a "
    "Sunday, with flags and drums."
)


def lines(body):
    return extract_by_trafilatura(f"<html><body>{body}</body></html>").text.split("\n")


def article(middle):
    """The lines that come of some markup between two paragraphs of an article."""
    found = lines(f"<article><p>{PROSE}</p>{middle}<p>{OTHER}</p></article>")
    assert (found[0], found[-1]) == (PROSE, OTHER)
    return found[1:-1]


def test_the_paragraphs_of_a_layout_table_are_lines():
    cells = f'<td width="20%"><a href="/">Home</a></td><td><p>{PROSE}</p><p>{OTHER}</p></td>'
    found = lines(f"<table><tr>{cells}</tr></table>")
    assert found[-2:] == [PROSE, OTHER]


def test_a_list_in_a_layout_cell_is_kept():
    items = "".join(f"<li>{OTHER} No. {n}.</li>" for n in (1, 2))
    found = lines(f"<table><tr><td><p>{PROSE}</p><ul>{items}</ul><p>{PROSE}</p></td></tr></table>")
    assert [line for line in found if line.startswith("- ")] == [
        f"- {OTHER} No. {n}." for n in (1, 2)
    ]


def test_a_data_table_is_rows():
    rows = "<tr><th>River</th><th>Length</th></tr><tr><td>Nile</td><td>6650 km</td></tr>"
    assert article(f"<table>{rows}</table>") == ["| River | Length |", "| Nile | 6650 km |"]


def test_loose_text_before_the_first_paragraph_is_kept():
    assert lines(f"<div>{OTHER}<p>{PROSE}</p><p>{PROSE} Again.</p></div>")[0] == OTHER


@pytest.mark.parametrize(
    "lead",
    [
        f'<div><span class="dropcap">T</span>{OTHER[1:]}</div>',
        f"<span>{OTHER}</span>",
        f"<div>{OTHER}</div>",
        f"<b>{OTHER[:20]}</b>{OTHER[20:]}",
    ],
)
def test_a_beginning_that_is_in_no_paragraph_is_kept(lead):
    assert lines(f"<article><h1>Bridge</h1>{lead}<p>{PROSE}</p><p>{PROSE} Again.</p></article>")[
        :2
    ] == [
        "Bridge",
        OTHER,
    ]


def test_words_of_different_blocks_are_not_glued():
    blocks = "<span>Opened on Monday</span><div>Price: 40</div>By the council"
    apart = ["Opened on Monday", "Price: 40", "By the council"]
    assert article(f"<div>{blocks}</div>") == [" ".join(apart)]
    found = lines(f"<article><p>{OTHER}</p><div>{blocks}<p>{PROSE}</p></div></article>")
    assert found == [OTHER, *apart, PROSE]


def test_the_pieces_of_an_item_are_not_glued():
    item = "<span>Engineer</span><div>18d</div><div>Acme</div>"
    assert article(f"<ul><li>{item}</li></ul>") == ["- Engineer", "18d", "Acme"]


def test_several_words_that_a_style_sets_apart_are_not_glued():
    piece = '<h2>Jobs<span class="small">Latest post today</span></h2>'
    assert article(piece) == ["Jobs Latest post today"]
    assert article("<p>Learn Java<b>Script</b> and <i>Mc</i>Donald</p>") == [
        "Learn JavaScript and McDonald"
    ]


def test_a_quotation_stays_in_its_line():
    assert article("<p>He said <q>the <b>bridge</b></q> and left.</p>") == [
        "He said “the bridge” and left."
    ]


def test_tabs_and_indentation_of_the_source_are_squeezed():
    assert article("<p>\n\t\tClassic Black\n\n      Rental -\n   <b>$30.00</b></p>") == [
        "Classic Black Rental - $30.00"
    ]


def test_code_keeps_its_lines_between_paragraphs():
    code = ["def f(x):", "    return 1"]
    cells = f'<td><pre>1\n2</pre></td><td class="code"><pre>{"<br>".join(code)}</pre></td>'
    assert article(f"<pre>{chr(10).join(code)}</pre>") == code
    assert article(f"<table><tr>{cells}</tr></table>") == code


def test_exponents_and_formulas_reach_the_text():
    math = "<math><msup><mi>y</mi><mn>2</mn></msup></math>"
    assert article(f"<p>Of 10<sup>6</sup> the 1<sup>st</sup> is {math}.</p>") == [
        "Of 10^6 the 1st is y^2."
    ]


def test_a_page_whose_title_never_ends_gives_its_text():
    html = (
        f"<html><head><title>T</titlevalue></head><body><p>{PROSE}</p><p>{OTHER}</p></body></html>"
    )
    assert extract_by_trafilatura(html).text == f"{PROSE}\n{OTHER}"


@pytest.mark.parametrize(
    "html", ["", "<html></html>", "<html><body><script>x</script></body></html>"]
)
def test_a_page_without_text_gives_none(html):
    assert extract_by_trafilatura(html).text == ""


def test_paragraphs_within_a_font_that_never_ends_are_apart():
    nested = f"<p>{PROSE}<font size=2><b>x</b><p>{OTHER}<p>{PROSE} Again.</font>"
    found = lines(f"<table><tr><td><h1>Bridge</h1>{nested}</td></tr></table>")
    assert found == ["Bridge", PROSE, "x", OTHER, f"{PROSE} Again."]


def test_what_trafilatura_cleans_is_found_by_one_look():
    quick = with_one_look(BASIC_CLEAN_XPATH)
    assert quick is not BASIC_CLEAN_XPATH
    names = ("x", "cookie-bar", "my_Cookie_Notice", "notice", "cookie", "onetrust", "consent")
    markup = "".join(
        f'<div class="{name}" id="{other}"><p id="{name}">a</p><b class="{other}">b</b></div>'
        for name in names
        for other in names
    )
    tree = parse(f"<html><body>{markup}<footer>f</footer><i>no name</i></body></html>")
    assert quick(tree) == BASIC_CLEAN_XPATH(tree)
    assert len(quick(tree)) > 20


def test_another_cleaning_is_left_as_it_is():
    other = XPath(".//aside")
    assert with_one_look(other) is other


def test_posts_in_divs_are_kept_where_there_are_few_paragraphs():
    posts = "".join(
        f'<li><div class="author">user{n}</div><div class="body"><b>{n}.</b> {OTHER}</div></li>'
        for n in range(9)
    )
    text = "\n".join(lines(f"<div id='content'><ul>{posts}</ul></div>"))
    assert [n for n in range(9) if f"{n}. {OTHER}" not in text] == []


def test_short_lists_of_a_cell_are_kept_beside_long_ones():
    items = [f"{OTHER} No. {n}." for n in range(4)] + ["A short one."]
    lists = "".join(f"<ul><li><p>{item}</p></li></ul>" for item in items)
    found = lines(f"<table><tr><td><p>{PROSE}</p>{lists}<p>{PROSE}</p></td></tr></table>")
    assert [line for line in found if line.startswith("-")] == [f"- {item}" for item in items]


def test_a_span_of_thousands_of_digits_does_not_lose_the_page():
    cells = f'<td colspan="{"9" * 5000}">a</td><td>b</td>'
    assert article(f"<table><tr>{cells}</tr><tr><td>c</td><td>d</td></tr></table>") == [
        "| a | b |",
        "| c | d |",
    ]


def test_a_footnote_link_without_a_superscript_goes():
    assert article('<p>So it was.<a href="#fn3"><font size="1">3</font></a> And more.</p>') == [
        "So it was. And more."
    ]


def test_a_short_paragraph_survives_the_mark_that_goes_out_of_it():
    assert article('<p>So it was<a href="#n3"><sup>3</sup></a>.</p>') == ["So it was."]


LONG = "".join(f"<p>{PROSE} No. {n}.</p><p>{OTHER} No. {n}.</p>" for n in range(8))
LIST = "<ul><li>Oak for the deck</li><li>Steel for the rails and the bolts</li></ul>"


@pytest.mark.parametrize("container", ["<div class=wrap>{}</div>", "{}", "<center>{}</center>"])
def test_headings_and_lists_are_kept_where_no_name_says_what_the_content_is(container):
    body = f"{LONG}<h2>Materials</h2>{LIST}<p>{PROSE} At last.</p>"
    menu = "<ul><li><a href=/>Home of the village</a></li><li><a href=/n>All the news</a></li></ul>"
    found = lines(f"{menu}{container.format(body)}")
    assert found[16:] == [
        "Materials",
        "- Oak for the deck",
        "- Steel for the rails and the bolts",
        f"{PROSE} At last.",
    ]
    assert found[0] == f"{PROSE} No. 0."


def test_a_menu_among_the_paragraphs_is_left_out():
    menu = "".join(f"<li><a href=/{n}>The news of the year {n}</a></li>" for n in range(9))
    found = lines(f"{LONG}<ul>{menu}</ul><p>{PROSE} At last.</p>")
    assert [line for line in found if "the year" in line] == []


@pytest.mark.parametrize("lead", [f"<center>{OTHER}</center>", f"<div>{OTHER}</div>"])
def test_a_lead_directly_in_the_body_is_kept(lead):
    assert lines(f"{lead}{LONG}")[0] == OTHER


@pytest.mark.parametrize("definition", [OTHER, f"<p>{OTHER}</p>", f"<p>{OTHER}</p><p>Of wood.</p>"])
def test_definitions_in_a_cell_are_kept(definition):
    terms = f"<dl><dt>Bridge</dt><dd>{definition}</dd></dl>"
    found = lines(f"<table><tr><td><p>{PROSE}</p>{terms}<p>{PROSE} Again.</p></td></tr></table>")
    assert found[:3] == [PROSE, "- Bridge", f"- {OTHER}"]
    assert found[-1] == f"{PROSE} Again."


def test_a_quotation_in_a_cell_is_kept():
    quoted = f"<blockquote><p>{OTHER}</p><p>Of wood.</p></blockquote>"
    found = lines(f"<table><tr><td><p>{PROSE}</p>{quoted}<p>{PROSE} Again.</p></td></tr></table>")
    assert found == [PROSE, OTHER, "Of wood.", f"{PROSE} Again."]


def test_code_in_a_figure_is_kept():
    assert article("<figure><pre>def f(x):\n    return 1</pre></figure>") == [
        "def f(x):",
        "    return 1",
    ]


def test_a_drop_cap_in_a_block_of_its_own_joins_its_word():
    body = f'<div class="cap">T</div><p>{OTHER[1:]}</p><p>{PROSE}</p>'
    assert lines(f"<article><h1>Bridge</h1>{body}</article>") == ["Bridge", OTHER, PROSE]


def test_the_marks_of_a_quotation_of_paragraphs_stand_at_its_words():
    assert article("<q><p>The bridge is open.</p><p>All of it.</p></q>") == [
        "“The bridge is open.",
        "All of it.”",
    ]


def test_the_text_after_the_first_end_of_a_page_is_kept():
    html = f"<html><body><p>{PROSE}</p></body></html><html><head><title>T</title></head><body>"
    found = extract_by_trafilatura(f"{html}<p>{OTHER}</p></body></html>").text
    assert found.split("\n") == [PROSE, OTHER]


def test_text_without_paragraphs_is_kept_beside_paragraphs_elsewhere():
    text = f"{PROSE} It was <a href=/b>the bridge</a> that they liked.<br><br>"
    found = lines(f"<div>{LONG}</div><div class=entry>{text * 4}</div>")
    assert found[-4:] == [f"{PROSE} It was the bridge that they liked."] * 4


def test_stop_words_are_those_of_justext():
    words = {word for name in get_stoplists() for word in get_stoplist(name)}
    found = load_stop_words()
    assert all(word in found for word in words)
    others = {word[::-1] for word in words} - words | {"", "\ud800"}
    assert not any(word in found for word in others)
