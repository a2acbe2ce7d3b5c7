import random
import re

import pytest

from tools.demo import grammar
from tools.demo.grammar import Writer, below, rules, sample
from tools.demo.reference import CHOSEN


def test_every_slot_of_every_phrase_names_a_rule_or_a_range():
    for name, lines in rules().items():
        assert lines, f"{name} has no alternative"
        for line in lines:
            slots = re.findall(r"\{([^{}]+)\}", line)
            if "\n" in line:  # code, which has braces of its own
                slots = grammar.SLOT.findall(line)
            for slot in slots:
                rule = slot.removeprefix("a ")
                known = rule.partition("@")[0] in rules() or rule in CHOSEN
                assert known or re.fullmatch(r"\d+-\d+(th)?", slot), (name, slot)


def test_lines_of_code_are_one_alternative_and_keep_their_indentation():
    loops = [code for code in rules()["reference.python"] if "    for {noun@} in source:" in code]
    assert [code.split("\n")[:2] for code in loops] == [["from {lib@} import {mod@}", ""]]
    code = Writer(random.Random(1)).expand("f() {\n  g();\n}")
    assert code == "f() {\n  g();\n}"


@pytest.mark.parametrize(
    ("number", "told"), [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (12, "12th"), (23, "23rd")]
)
def test_the_number_of_a_day_has_its_ending(number, told):
    assert Writer(random.Random(1)).expand(f"{{{number}-{number}th}}") == told


def test_a_bound_choice_stays_and_a_second_one_differs():
    for seed in range(300):
        writer = Writer(random.Random(seed))
        town, again, other = (writer.expand(s) for s in ("{town@}", "{town@}", "{town@2}"))
        assert town == again != other


def test_the_article_fits_the_word():
    for seed in range(50):
        words = Writer(random.Random(seed)).expand("{a animal}")
        assert re.fullmatch(r"an [aeiou].*|a [^aeiou].*", words)


def test_sentences_begin_with_a_capital():
    for seed in range(50):
        for sentence in Writer(random.Random(seed)).several("forum.reply", 3):
            assert not re.search(r"(^|[.!?] )[a-z]", sentence)


def test_an_unknown_rule_is_an_error():
    with pytest.raises(KeyError):
        Writer(random.Random(1)).expand("{no_such_rule}")


def test_a_sample_has_no_item_twice():
    for seed in range(50):
        drawn = sample(random.Random(seed), range(10), 7)
        assert len(set(drawn)) == 7
        assert 0 <= below(random.Random(seed), 3) < 3
