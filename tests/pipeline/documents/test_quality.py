import pytest

from pipeline.documents.quality import is_sign, measure, sentences, words_of
from pipeline.limits import NUMBERS
from pipeline.records import QUALITY


def test_an_empty_text_has_all_numbers_of_the_column_and_they_are_0():
    assert set(measure("")) == set(NUMBERS) == {field.name for field in QUALITY}
    assert all(number == 0 for number in measure("").values())


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        # 8 words and signs, of which 6 have letters or digits and 5 letters; "It's" is one.
        ("It's the # 12 cat... ", {"words": 4, "hashes": 1 / 8, "ellipses": 1 / 8}),
        ("ab cde f.", {"words": 3, "word_chars": 2, "alphabetic_words": 3 / 4}),
        ("The dog and of it", {"stop_words": 2, "function_words": 4 / 5}),
        ("- one\n\n• two\nthree…", {"bullet_lines": 2 / 4, "ellipsis_lines": 1 / 4}),
        ("Said.\nNot said\nAsked?\n\n", {"punctuated_lines": 2 / 3, "newlines": 4 / 6}),
        (f"{'x' * 30}\n{'y' * 31}", {"short_lines": 1 / 2}),
        ('He left "here"\nAnd so...\nIt ended.[3]\nNo', {"ended_lines": 2 / 4}),
        ("one two\none two three", {"few_words_lines": 1 / 2}),
        ("Turn JavaScript on\nOur cookie policy", {"javascript_lines": 0.5, "policy_lines": 0.5}),
        ("He came. She went. Fine!\nToo few\nUse cookies. So we do it.", {"sentences": 3}),
        ("Lorem ipsum {a} {b}", {"lorem_ipsum": 1, "braces": 2}),
        ("ab\n\nab\n\ncd", {"duplicate_paragraphs": 1 / 3, "duplicate_paragraph_chars": 2 / 10}),
        ("ab\nab\ncd", {"duplicate_lines": 1 / 3, "duplicate_line_chars": 2 / 8}),
        ("ab\nab\ncd", {"repeated_line_chars": 2 / 6}),
        # "a b" twice, of 3 characters, in 9; of equals the first counts.
        ("a b x a b", {"top_2_grams": 2 * 3 / 9, "top_3_grams": 5 / 9}),
        # Five words that stood before, once; what was counted is stepped over.
        ("a b c d e a b c d e a", {"duplicate_5_grams": 5 / 21, "duplicate_6_grams": 6 / 21}),
        ("a b c d e f", {"duplicate_5_grams": 0, "duplicate_10_grams": 0}),
    ],
)  # fmt: skip
def test_a_number_is_what_its_rule_counts(text, numbers):
    found = measure(text)
    assert {name: found[name] for name in numbers} == pytest.approx(numbers)


CODE = "def f(x):\n    y = x + 1\n    return y\n\nprint(f(2))"
RECIPE = "Cake\n- 2 cups flour\n- ½ tsp salt\n- 1 1/2 oz (40 g) butter\n3 eggs\nMix it all well."
VERSE = (
    "The river runs below the hill\nand carries what the winter lost\nthe wheel is broken at the "
    "mill\nand all the fields are white with frost"
)
PROSE = "The house stood at the end of the road, and nobody had lived in it for years."


def test_code_recipes_and_verse_are_told_from_prose():
    kinds = ("code_lines", "measure_lines", "verse_lines")
    found = [tuple(measure(text)[kind] for kind in kinds) for text in (CODE, RECIPE, VERSE, PROSE)]
    code, recipe, verse, prose = found
    assert code == (1.0, 0, 0)
    assert recipe == (0, 4 / 6, 0)
    assert verse == (0, 0, 1.0)
    assert prose == (0, 0, 0)
    assert measure("\n".join(VERSE.split("\n")[:3]))["verse_lines"] == 0  # too few in a row


def test_numbers_of_given_words_are_of_these():
    assert measure("ab cd", ["a", "b", "c", "d"])["words"] == 4


def test_words_signs_and_sentences():
    assert words_of("Don't stop—now, 3.5") == ["Don't", "stop", "—", "now", ",", "3", ".", "5"]
    assert [word for word in ("a", "7", "…", "$", "é") if is_sign(word)] == ["…", "$"]
    assert sentences('He left. "Why?" she asked. 3 came, e.g. this one') == 3
    assert sentences("A heading\nHe left. She came.\nIt ended") == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [("(" * 50_000 + "\n" + "1 " * 50_000, 50_000), ("1" + " " * 200_000 + "x", 2)],
)
def test_a_text_of_one_sign_over_and_over_is_counted_in_little_time(text, words):
    assert measure(text)["words"] == words
