import pytest

from pipeline.documents.superscripts import mark_superscripts
from pipeline.documents.tree import parse
from pipeline.documents.written import read_written


def text_with(markup):
    html = f"<html><body><p>{markup}</p></body></html>"
    tree = parse(html)
    mark_superscripts(tree, read_written(html))
    return tree.find(".//p").text_content()


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("10<sup>6</sup> kg", "10^6 kg"),
        ("10<sup> -6 </sup>", "10^-6"),
        ("10<sup>−6</sup>", "10^−6"),
        ("5 m<sup>2</sup> or 3 km<sup>2</sup>", "5 m^2 or 3 km^2"),
        ("x<sup>2</sup>+y<sup>2</sup>", "x^2+y^2"),
        ("<i>x</i><sup>2</sup>", "x^2"),
        ("<b>x<sup>2</sup></b>", "x^2"),
        ("(a+b)<sup>2</sup> [c]<sup>n</sup>", "(a+b)^2 [c]^n"),
        ("2<sup>n</sup>", "2^n"),
        ("2<sup>n+1</sup>", "2^(n+1)"),
        ("2<sup>2<sup>n</sup></sup>", "2^(2^n)"),
        ("x<sup>2<sup>2<sup>2</sup></sup></sup>", "x^(2^(2^2))"),
        ("e<sup>iπ</sup> + 1", "e^(iπ) + 1"),
        ("e<sup><i>iθ</i></sup>", "e^(iθ)"),
        ("ms<sup>-1</sup> s<sup>-1</sup>", "ms^-1 s^-1"),
        ("SO<sub>4</sub><sup>2−</sup>", "SO4^2−"),
        ("H<sub>2</sub>O", "H2O"),
    ],
)
def test_an_exponent_after_a_digit_a_unit_or_a_bracket_is_marked(markup, text):
    assert text_with(markup) == text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("Bridgely<sup>TM</sup> and Harbour<sup>R</sup>", "Bridgely™ and Harbour®"),
        ("x<sup>R</sup>", "x^R"),
        ("<sup>1</sup><a>2024 report</a>", "1 2024 report"),
        ("<sup>2</sup>Source: the harbour", "2 Source: the harbour"),
        ("<sup>14</sup>C", "14C"),
    ],
)
def test_trademarks_are_signs_and_numbers_of_notes_stand_apart(markup, text):
    assert text_with(markup) == text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ('10<sup><a href="#fn1">6</a></sup> kg', "10 kg"),
        ('claimed<a href="page#n2"><sup>2</sup></a>.', "claimed."),
        ('it<sup class="reference">a</sup>', "it"),
        ("it<sup>[12]</sup> and<sup>[citation needed]</sup>", "it and"),
        ("claimed.<sup>3</sup> So", "claimed. So"),
        ("claimed,<sup>3, 4</sup> so", "claimed, so"),
        ("risk<sup>*</sup>; cost<sup>†</sup>", "risk; cost"),
        ("Smith<sup>a,b</sup>", "Smith"),
        ("(as was said before)<sup>2</sup>", "(as was said before)"),
        ("unsafe <sup>[4]</sup>.", "unsafe."),
    ],
)
def test_the_mark_of_a_reference_goes(markup, text):
    assert text_with(markup) == text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("the 1<sup>st</sup>, 2<sup>nd</sup> and 19<sup>th</sup>", "the 1st, 2nd and 19th"),
        ("le 2<sup>e</sup>, 1<sup>er</sup>, M<sup>me</sup>", "le 2e, 1er, Mme"),
        ("Foo<sup>TM</sup> Bar<sup>®</sup>", "Foo™ Bar®"),
        ("the <sup>14</sup>C method", "the 14C method"),
        ("$549<sup>99</sup>", "$549.99"),
        ("1,899<sup>.00</sup>", "1,899.00"),
        ("pkg<sup>AUR</sup>", "pkgAUR"),
        ("Na<sup>+</sup>", "Na+"),
        ("<code>a<sup>b</sup></code>", "ab"),
    ],
)
def test_ordinals_trademarks_prices_and_words_join(markup, text):
    assert text_with(markup) == text


def test_many_superscripts_in_a_row_are_no_trouble():
    assert text_with("x" + "<sup></sup>" * 20_000 + "<sup>2</sup>").startswith("x")


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ('10<sup>6<a href="#n1">[1]</a></sup>', "10^6"),
        ('10<sup><a href="/exponent">6</a></sup>', "10^6"),
        ("E = mc<sup>2</sup>", "E = mc^2"),
        ("sin<sup>2</sup>(x), 5 miles<sup>2</sup>", "sin^2(x), 5 miles^2"),
        ("Cl<sup>-</sup>", "Cl-"),
    ],
)
def test_an_exponent_is_told_from_a_note_beside_it(markup, text):
    assert text_with(markup) == text
