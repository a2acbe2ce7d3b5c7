import time

import pytest

from pipeline.documents.language import SURE_SCORE, classify, judge_language, second_language
from pipeline.reasons import Reason

ENGLISH = "The quick brown fox jumped over the lazy dog while everyone watched the river rise. " * 3
GERMAN = "Der schnelle braune Fuchs sprang über den faulen Hund, während alle den Fluss sahen. " * 3
NOISE = "1 2 3 4 5 6 7 8 9 10 11 12"
SHARE = pytest.approx(0.25, abs=0.07)


@pytest.mark.parametrize(("text", "language"), [(ENGLISH, "en"), (GERMAN, "de")])
def test_the_language_is_named_with_its_probability(text, language):
    name, score = classify(text)
    assert name == language
    assert 0.9 < score <= 1
    assert score == round(score, 4)


def test_a_menu_or_an_abstract_in_another_language_does_not_decide():
    assert classify(GERMAN * 3 + ENGLISH * 20)[0] == "en"


def test_a_long_text_costs_no_more_than_a_short_one():
    started_s = time.process_time()
    for _ in range(20):
        classify(ENGLISH * 10_000)
    assert time.process_time() - started_s < 2  # 20 ms; the whole text would take a minute


def test_where_a_little_leaves_a_doubt_more_is_read():
    numbers = "12 34 56 78 90 | " * 200
    assert classify(numbers)[1] < SURE_SCORE
    assert classify(numbers[:700] + ENGLISH + numbers[:700])[0] == "en"


def test_a_wanted_language_is_kept():
    assert judge_language(ENGLISH, ("en",), 0.5) == classify(ENGLISH)


def test_another_language_is_dropped_and_named():
    drop = judge_language(GERMAN, ("en", "fr"), 0.5)
    assert drop.reason is Reason.OTHER_LANGUAGE
    assert drop.detail.startswith("de 0.9")


def test_a_text_whose_language_cannot_be_told_is_dropped():
    assert judge_language(NOISE, ("en",), 0.5).reason is Reason.LANGUAGE_UNSURE


def test_where_all_languages_are_wanted_the_unsure_are_kept_without_a_name():
    assert judge_language(NOISE, (), 0.5)[0] == ""
    assert judge_language(GERMAN, (), 0.5)[0] == "de"


def test_the_share_of_another_language_is_told():
    assert second_language(ENGLISH * 30 + GERMAN * 10, "en") == ("de", SHARE)
    assert second_language(GERMAN * 30 + ENGLISH * 10, "de") == ("en", SHARE)


def test_of_three_languages_the_commoner_other_one_is_told():
    french = "Le renard brun saute par-dessus le chien paresseux pendant que la rivière monte. " * 3
    assert second_language(ENGLISH * 12 + french + GERMAN * 5, "en")[0] == "de"


@pytest.mark.parametrize(
    "text",
    [
        *(ENGLISH * 9, GERMAN, ""),  # one language, or too short
        NOISE * 60,
        "x = f(y[0]); return {z: 1}\n" * 60,
        "Jim Jones, Sam Sousa, Jan Dilbert, Alec Smart, Ann Lee, Bob Hope, Sue Sky, " * 20,
    ],
)
def test_numbers_code_and_names_are_no_second_language(text):
    assert second_language(text, "en") == ("", 0.0)
