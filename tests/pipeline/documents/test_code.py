import pytest

from pipeline.documents.code import keep_code
from pipeline.documents.tree import parse
from pipeline.documents.written import read_written

CODE = "def f(x):\n    if x:\n        return 1"
LINES = CODE.split("\n")


def codes(markup):
    html = f"<html><body>{markup}<p>After.</p></body></html>"
    tree = parse(html)
    keep_code(tree, read_written(html))
    return [found.text for found in tree.iter("code") if found.getparent().tag == "pre"]


def numbered(line):
    return "".join(f"<tr><td>{n}</td><td>{line.format(t)}</td></tr>" for n, t in enumerate(LINES))


@pytest.mark.parametrize(
    "markup",
    [
        f"<pre>{CODE}</pre>",
        f"<pre><code>{CODE}\n</code></pre>",
        f"<pre>\r\n{CODE.replace(chr(10), chr(13) + chr(10))}</pre>",
        f"<pre>{'<br>'.join(LINES)}</pre>",
        f"<code>{'<br>'.join(LINES)}</code>",
        f"<pre>{''.join(f'<div>{line}</div>' for line in LINES)}</pre>",
        f"<pre><span class=k>{CODE[:3]}</span>{CODE[3:]}</pre>",
        f"<table><tr><td><pre>1\n2\n3</pre></td><td><pre>{CODE}</pre></td></tr></table>",
        "<table><tr><td class=gutter><div>1</div><div>2</div><div>3</div></td><td class=code>"
        + "".join(f"<div><code>{line}</code></div>" for line in LINES)
        + "</td></tr></table>",
        f"<pre>{''.join(f'<code>{line}</code>' for line in LINES)}</pre>",
        f"<p>{'<br>'.join(f'<code>{line}</code>' for line in LINES)}</p>",
        f"<p>{'<br>'.join(LINES).join(('<tt>', '</tt>'))}</p>",
        f"<xmp>{CODE}</xmp>",
        f"<listing>{CODE}</listing>",
        f"<figure><pre>{CODE}</pre></figure>",
        f"<table class=code>{numbered('<pre>{}</pre>')}</table>",
        f"<table>{numbered('<b>{}</b>').replace('<td><b', '<td class=blob-code><b')}</table>",
    ],
)
def test_code_keeps_its_lines_and_loses_their_numbers(markup):
    assert codes(markup) == [CODE]


@pytest.mark.parametrize(
    "markup",
    [
        "<p>Call <code>f(0)</code>.</p>",
        "<p>Call <code>f(0)</code><br>and <code>f(1)</code>.</p>",
        "<p><tt>Dear Sir,<br>the bridge is open.</tt></p>",
        "<table><tr><td>1</td><td>Nile</td></tr><tr><td>2</td><td>Rhine</td></tr></table>",
        "<table><tr><td><code>ls</code></td><td>lists files</td></tr></table>",
        "<table><tr><td><code>ls</code><br><code>ls -a</code></td></tr></table>",
        "<pre><form><h1>Never closed</h1><p>Text.</p></form></pre>",
    ],
)
def test_what_is_no_block_of_code_stays(markup):
    assert codes(markup) == []


def test_the_text_after_code_stays():
    html = f"<html><body><div><pre>{CODE}</pre>tail</div></body></html>"
    tree = parse(html)
    keep_code(tree, read_written(html))
    assert tree.find(".//pre").tail == "tail"


def test_headings_in_plain_text_are_lines_of_it():
    assert codes("<pre><h1>RFC 1</h1>   Text\n<hr>\n   More</pre>") == ["RFC 1\n   Text\n\n   More"]


def test_a_figure_of_code_is_no_picture():
    html = f"<html><body><figure><pre>{CODE}</pre></figure></body></html>"
    tree = parse(html)
    keep_code(tree, read_written(html))
    assert tree.find(".//figure") is None
