import pytest

from pipeline.documents.formulas import write_formulas
from pipeline.documents.tree import parse
from pipeline.documents.written import read_written


def text_with(markup):
    html = f"<html><body><p>{markup}</p></body></html>"
    tree = parse(html)
    write_formulas(tree, read_written(html))
    return tree.find(".//p").text_content()


SUM = "<mi>x</mi><mo>=</mo><msup><mi>y</mi><mn>2</mn></msup>"
NOTE = '<annotation encoding="application/x-tex">{\\displaystyle x=y^{2}}</annotation>'


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        (f"The <math>{SUM}</math> holds", "The x=y^2 holds"),
        (f"<math><semantics><mrow>{SUM}</mrow>{NOTE}</semantics></math>", "x=y^{2}"),
        (f'<math alttext="x=y^2">{SUM}</math>', "x=y^2"),
        (
            "<math><mfrac><mrow><mi>a</mi><mo>+</mo><mn>1</mn></mrow><mn>2</mn></mfrac></math>",
            "(a+1)/2",
        ),
        ("<math><msub><mi>a</mi><mi>i</mi></msub></math>", "a_i"),
        ("<math><msqrt><mn>2</mn></msqrt></math>", "√2"),
        (
            f'<span class="katex-mathml"><math>{SUM}{NOTE}</math></span>'
            '<span class="katex-html">x=y2</span>.',
            "x=y^{2}.",
        ),
        ("<m:math><m:msup><m:mi>y</m:mi><m:mn>2</m:mn></m:msup></m:math>", "y^2"),
        ("<math><mroot><mi>x</mi><mn>3</mn></mroot></math>", "x^(1/3)"),
        ("<math><mfenced><mi>a</mi><mi>b</mi></mfenced></math>", "(a,b)"),
        (
            "<math><mfenced open='[' close=']' separators=';'><mi>a</mi><mi>b</mi></mfenced>",
            "[a;b]",
        ),
        ("<math><msubsup><mi>x</mi><mn>1</mn><mn>2</mn></msubsup></math>", "x_1^2"),
        (
            "<math><munderover><mo>∑</mo><mi>i</mi><mi>n</mi></munderover><mi>i</mi></math>",
            "∑_i^n i",
        ),
        ("<math><munder><mo>lim</mo><mi>x</mi></munder><mi>f</mi></math>", "lim_x f"),
        (
            "<math><mtable><mtr><mtd><mn>1</mn></mtd><mtd><mn>2</mn></mtd></mtr>"
            "<mtr><mtd><mn>3</mn></mtd><mtd><mn>4</mn></mtd></mtr></mtable></math>",
            "1 2; 3 4",
        ),
        (
            '<mjx-container class="MathJax" jax="CHTML"><mjx-math><mjx-mi>y2</mjx-mi></mjx-math>'
            "<mjx-assistive-mml><math><msup><mi>y</mi><mn>2</mn></msup></math>"
            "</mjx-assistive-mml></mjx-container>.",
            "y^2.",
        ),
        (
            '<span class="MathJax_Preview">[x]</span><span class="MathJax">x</span>'
            '<script type="math/tex">x^2</script>',
            "x^2",
        ),
    ],
)
def test_a_formula_is_its_tex_or_else_what_it_says(markup, text):
    assert text_with(markup) == text


def test_a_formula_that_is_hidden_behind_a_picture_is_seen():
    html = f'<html><body><p><span style="display:none"><math>{SUM}</math></span></p></body></html>'
    tree = parse(html)
    write_formulas(tree, read_written(html))
    assert tree.find(".//span").get("style") is None
