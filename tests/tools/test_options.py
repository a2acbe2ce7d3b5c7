"""Which settings a command has, and how they are spelled there."""

import pytest

from pipeline.settings import SECTIONS, described
from pipeline.settings_file import NOT_IN_A_BUILD
from tools.options import IN_FULL, SETTINGS_OF, settings_of, spelled, unwrapped

EVERY = {each.key for section in SECTIONS for each in described(section)}


def keys(command):
    return {each.key for each in settings_of(command)}


@pytest.mark.parametrize("command", SETTINGS_OF)
def test_a_command_names_only_settings_that_exist_each_by_a_name_of_its_own(command):
    wanted = {name for name in SETTINGS_OF[command] if "." in name}
    assert wanted <= keys(command)
    names = [spelled(command, key) for key in keys(command)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("command", IN_FULL)
def test_where_all_stages_run_every_setting_may_be_given_in_full(command):
    of_others = {key for key in EVERY if key.partition(".")[0] in NOT_IN_A_BUILD}
    assert keys(command) >= EVERY - of_others
    assert not keys(command) & of_others
    assert spelled(command, "links.karma_min") == "--links.karma-min"
    assert "train.save_every" in keys(command)


def test_a_command_of_its_own_has_short_names_and_only_what_does_something_there():
    assert spelled("links", "links.karma_min") == "--karma-min"
    assert "corpus.wikipedia" not in keys("dedup")
    assert "engine.exchange" not in keys("extract")
    assert keys("status") == set()


def test_the_lines_of_a_parameter_are_joined_and_all_others_stay():
    doc = "Do.\n\nExample: a\n\nParameters\n---\nout\n    one\n    two\n    three\nurl\n    x\n"
    assert unwrapped(doc) == doc.replace("one\n    two\n    three", "one two three")
