import random
import re

import pytest

from tools.demo.grammar import Writer, below, rules, sample


def test_every_slot_of_every_phrase_names_a_rule_or_a_range():
    for name, lines in rules().items():
        assert lines, f"{name} has no alternative"
        for line in lines:
            for slot in re.findall(r"\{([^{}]+)\}", line):
                rule = slot.removeprefix("a ").partition("@")[0]
                assert rule in rules() or re.fullmatch(r"\d+-\d+", slot), (name, slot)


def test_a_bound_choice_stays_and_a_second_one_differs():
    for seed in range(50):
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
        Writer(random.Random(1)).expand("{no such rule}")


def test_a_sample_has_no_item_twice():
    for seed in range(50):
        drawn = sample(random.Random(seed), range(10), 7)
        assert len(set(drawn)) == 7
        assert 0 <= below(random.Random(seed), 3) < 3
