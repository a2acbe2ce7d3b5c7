"""Formulas of a page as text: the TeX that it carries, else what MathML says."""

import re

from lxml.etree import strip_elements
from lxml.html import HtmlElement

from pipeline.documents.written import MATH, TEX_TYPE, Written

_TEX = "application/x-tex"
# What MathJax and KaTeX draw beside the source of a formula.
_DRAWN = frozenset(
    "MathJax MathJax_Preview MathJax_CHTML MathJax_SVG MathJax_Display katex-html".split()
)
_DRAWN_BY_3 = "mjx-math"  # MathJax 3, beside MathML for those who do not see it
_DISPLAY_STYLE = re.compile(r"\{\\displaystyle\s*(.*)\}", re.DOTALL)


def write_formulas(tree: HtmlElement, written: Written) -> None:
    """Put the text of each formula in its place, once."""
    found = False
    for math in list(tree.iter(*MATH)) if written.has(*MATH) else ():
        found = True
        tex = _tex_of(math)
        strip_elements(math, "annotation", "annotation-xml", with_tail=False)
        _become_text(math, tex or _spoken(math).strip())
        around = math.getparent()
        if around is not None and around.get("style"):
            del around.attrib["style"]  # Wikipedia hides its MathML from eyes
    for script in list(tree.iter("script")) if written.has_tex else ():
        if (script.get("type") or "").startswith(TEX_TYPE):
            found = True
            _become_text(script, (script.text or "").strip())
    if found:
        for drawn in list(tree.iter("span", "div", _DRAWN_BY_3)):
            classes = (drawn.get("class") or "").split()
            if drawn.tag == _DRAWN_BY_3 or not _DRAWN.isdisjoint(classes):
                tail = drawn.tail
                drawn.clear()
                drawn.tail = tail


def _become_text(element: HtmlElement, text: str) -> None:
    tail = element.tail
    element.clear()
    element.tag, element.text, element.tail = "span", text, tail


def _tex_of(math: HtmlElement) -> str:
    for note in math.iter("annotation"):
        if note.get("encoding") == _TEX:
            return _without_style(note.text or "")
    return _without_style(math.get("alttext") or "")


def _without_style(tex: str) -> str:
    styled = _DISPLAY_STYLE.fullmatch(tex.strip())
    return (styled[1] if styled else tex).strip()


def _spoken(element: HtmlElement) -> str:
    """MathML in one line: x^2, a_1, (a+b)/2, √(x)."""
    parts = [_spoken(child) for child in element.iterchildren("*")]
    match element.tag.rpartition(":")[2], parts:
        case "msup", [base, exponent]:
            return f"{base}^{_grouped(exponent)}"
        case "msub", [base, index]:
            return f"{base}_{_grouped(index)}"
        case "munder", [base, below]:
            return f"{base}_{_grouped(below)} "
        case "msubsup", [base, index, exponent]:
            return f"{base}_{_grouped(index)}^{_grouped(exponent)}"
        case "munderover", [base, below, above]:
            return f"{base}_{_grouped(below)}^{_grouped(above)} "
        case "mfrac", [above, below]:
            return f"{_grouped(above)}/{_grouped(below)}"
        case "msqrt", _:
            return f"√{_grouped(''.join(parts))}"
        case "mroot", [base, index]:
            return f"{_grouped(base)}^(1/{index})"
        case "mfenced", _:
            opening, closing = element.get("open", "("), element.get("close", ")")
            return f"{opening}{element.get('separators', ',')[:1].join(parts)}{closing}"
        case "mtable", _:
            return "; ".join(parts)
        case "mtr", _:
            return " ".join(parts)
        case _:
            return "".join(parts) if parts else " ".join((element.text or "").split())


def _grouped(text: str) -> str:
    return text if text.isalnum() else f"({text})"
