import pytest

from pipeline.corpus.quality import judge_quality, limits_of, told_rules
from pipeline.documents.quality import measure
from pipeline.limits import NUMBERS
from pipeline.reasons import Drop, Reason
from pipeline.settings import CLEAN

FINE = dict.fromkeys(NUMBERS, 0.0) | {"function_words": 0.4, "stop_words": 8.0, "word_chars": 5.0}
FINE |= {"alphabetic_words": 0.9, "punctuated_lines": 0.7}


@pytest.mark.parametrize(
    ("limit", "numbers", "drop"),
    [
        ("function_words >= 0.12", {"function_words": 0.119},
         Drop(Reason.LITTLE_PROSE, "function_words 0.119, at least 0.12")),
        # A number of 32 bits that is just the limit keeps to it.
        ("function_words >= 0.12", {"function_words": 0.11999999731779099}, None),
        ("word_chars <= 10", {"word_chars": 10.5},
         Drop(Reason.ODD_WORDS, "word_chars 10.5, at most 10")),
        ("duplicate_5_grams <= 0.55", {"duplicate_5_grams": 0.6},
         Drop(Reason.REPETITIVE, "duplicate_5_grams 0.6, at most 0.55")),
        ("function_words >= 0.2 or punctuated_lines >= 0.1", {"function_words": 0.1}, None),
        ("function_words >= 0.2 or punctuated_lines >= 0.1",
         {"function_words": 0.1, "punctuated_lines": 0.05},
         Drop(Reason.LITTLE_PROSE,
              "function_words 0.1, at least 0.2; punctuated_lines 0.05, at least 0.1")),
        # Kinds of text that numbers mistake.
        ("function_words >= 0.12", {"function_words": 0, "code_lines": 0.2}, None),
        ("function_words >= 0.12", {"function_words": 0, "measure_lines": 0.2}, None),
        ("top_2_grams <= 0.2", {"top_2_grams": 0.5, "verse_lines": 0.9}, None),
        ("top_2_grams <= 0.2", {"top_2_grams": 0.5, "measure_lines": 0.9},
         Drop(Reason.REPETITIVE, "top_2_grams 0.5, at most 0.2")),
    ],
)  # fmt: skip
def test_a_text_is_dropped_for_the_limit_that_it_breaks_unless_its_kind_is_excepted(
    limit, numbers, drop
):
    assert judge_quality({**FINE, **numbers}, limits_of([limit])) == drop


def test_the_first_limit_that_is_broken_gives_the_reason():
    bad = {**FINE, "word_chars": 12.0, "function_words": 0.0}
    limits = limits_of(["word_chars <= 10", "function_words >= 0.12"])
    assert judge_quality(bad, limits).reason == Reason.ODD_WORDS
    assert judge_quality(bad, limits[::-1]).reason == Reason.LITTLE_PROSE
    assert judge_quality(bad, []) is None


GUIDE = "How to prune a rose\n" + "\n".join(
    f"- Cut the {part} back to the second bud, and burn what is sick."
    for part in ("oldest stem", "crossing shoot", "weak cane", "sucker", "frozen tip")
)
RECIPE = "Flat bread\n500 g flour\n300 ml water\n2 tsp salt\n1 tbsp oil\nMix. Knead. Rest. Bake."
CODE = "\n".join(f'    map.put("key{n}", {n});' for n in range(30))
POEM = "\n".join(["The ship goes out upon the tide", "and we shall see her no more"] * 8)
MENU = "\n".join(["Home", "Products", "Support", "Downloads", "Partners", "Careers", "Contact"] * 3)


@pytest.mark.parametrize("text", [GUIDE, RECIPE, CODE, POEM])
def test_clean_keeps_a_guide_a_recipe_code_and_a_poem(text):
    assert judge_quality(measure(text), limits_of(CLEAN)) is None


def test_clean_drops_a_menu():
    assert judge_quality(measure(MENU), limits_of(CLEAN)).reason == Reason.LITTLE_PROSE


def test_a_rule_is_told_with_its_reason_and_what_is_excepted():
    assert told_rules(["word_chars <= 10"]) == ["word_chars <= 10; if not, `odd_words` (not code)"]
