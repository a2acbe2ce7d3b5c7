"""CPU seconds of the worst pages that are still within the budgets, and of those just above.

    python -m tools.benchmarks.budgets [--above]

Each page is made of one piece, as often as the limit that it meets allows, before five paragraphs
of text. The limits of the pool (`engine.item_cpu_s`) should stand ten times above the worst.
--above: 1,000 pages of a million `<br>` instead, and what they cost in all.
"""

import argparse
import time
from collections.abc import Iterator

from pipeline.documents.extract import extract
from pipeline.pages.warc import Response
from pipeline.reasons import Drop
from pipeline.settings import DocumentsSettings

RULES = DocumentsSettings(languages=())
TEXT = "<p>The quick brown fox, it was said, jumped over the lazy dog while the river rose. " * 5
BEFORE = ("", "<form>", "<section>", "<nav>", "<blockquote>", "<div style='display:none'>")
PIECES = (
    *("<br>", "<br><br>x", "<hr>x", "<p>x", "<p>", "<p>x</p>", "<p>some words, and more", "<h3>x"),
    *("<span>x </span>", "<b>x </b>", "<i></i>", "<font color=red>x</font>", "<sup>2</sup>x"),
    *(
        "<a href=x>link ",
        "<a href=x>link </a>",
        "<p>word <a href=x>yz</a>",
        "<img src=a.jpg alt=x>",
    ),
    *("<li>x", "<ul>x</ul>", "<li><p>x", "<dd>x", "<option>x", "<select><option>x</select>"),
    *("<div>x</div>", "<section>x</section>", "<section><p>x</section>", "<nav><p>x</nav>"),
    *("<pre>x</pre>", "<code>x</code> ", "<blockquote>x</blockquote>", "<q>x</q>", "<del>x</del>"),
    *("<form>x</form>", "<textarea>x</textarea>", "<figure>x</figure>", "<article>x</article>"),
    *("<!-- c -->", "<script>x</script>", "<iframe></iframe>", "<svg><path d=M1 /></svg>", "</p>"),
    *("<div>" * 200 + "x" + "</div>" * 200, "<xx>x</xx>", "<?x y>", "<![CDATA[", "<"),
)
CHARACTERS = ("a b ", "words, and words. ", "&amp;", "&#65;", "&x", " ", "\n", "é b ", "| ", ",. ")


def pages() -> Iterator[tuple[str, str]]:
    """Name and markup of each page; the pieces are repeated up to the limit that holds them."""
    tags = RULES.tags_max - 20
    for before in BEFORE:
        for piece in PIECES:
            yield f"{before} {piece[:40]}", before + piece * (tags // piece.count("<"))
        for piece in CHARACTERS:
            often = RULES.page_chars_max // len(piece) - 1000
            yield f"{before} text {piece!r}", f"{before}<p>{piece * often}"
    half = RULES.cells_max // 2
    for cell in ("<td>x", "<td>x, words", "<th>x", "<td><p>x", "<td><table><tr><td>x</table>"):
        for width in (1, 10, 100, 900):
            signs = (cell.count("<td") + cell.count("<th")) * width
            row = "<tr>" + cell * width
            often = min(tags // row.count("<"), half // max(signs, min(width, 100)))
            yield f"rows of {width} {cell}", f"<table>{row * often}"
    yield "rows as wide as one", f"<table><tr>{'<td>x' * 100}{'<tr><td>x' * (half // 60)}"
    yield "wide cells", f"<table>{'<tr><td colspan=100>x' * (half // 100 - 9)}"
    hanging = "<tr>" + "<td colspan=90 rowspan=50>x" * 5
    yield "wide and high cells", f"<table>{(hanging + '<tr>' * 50) * 2}"
    yield "one class", f"<div class='{'a ' * (RULES.class_chars_max // 2 - 10)}'>"
    many = f"<div class='{'a ' * 40}'>x</div>"
    yield "many classes", many * (RULES.class_chars_max // 82 - 10)
    some = " ".join(f"a{n}=1" for n in range(400))
    yield "attributes", f"<i {some}>x</i>" * (RULES.attributes_max // 400)
    yield "a long value", f"<div data-x='{'a ' * 3_500_000}'>"
    yield "a script", f"<script>{'var a = 1; ' * 600_000}</script>"
    yield "a title", f"<title>{'ab ' * 600_000}</title>"


def cost_s(html: str) -> tuple[float, str]:
    """CPU seconds of a page, and what became of it."""
    started_s = time.process_time()
    found = extract(Response(200, (("Content-Type", "text/html"),), html.encode()), RULES)
    took_s = time.process_time() - started_s
    return took_s, found.reason if isinstance(found, Drop) else f"{len(found.text)} characters"


def main() -> None:
    """Print each page, the costliest last."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--above", action="store_true")
    args = parser.parse_args()
    cost_s(f"<html><body>{TEXT}")  # loads what is loaded once
    if args.above:
        breaks = f"<html><body>{'<br>' * 1_000_000}{TEXT}"
        print(f"{sum(cost_s(breaks)[0] for _ in range(1000)):.1f} s for 1,000 pages of <br>")
        return
    costs = [(*cost_s(f"<html><body>{page}{TEXT}"), name) for name, page in pages()]
    for took_s, became, name in sorted(costs):
        print(f"{took_s:6.2f} s  {name}: {became}")


if __name__ == "__main__":
    main()
