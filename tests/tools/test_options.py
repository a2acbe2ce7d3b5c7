"""Which settings a command has, and how they are spelled there."""

import inspect
import re
from typing import get_args

import pytest

from pipeline.documents.given import LANGUAGE, LENGTH_MAX, LENGTH_MIN
from pipeline.settings import SECTIONS, described
from pipeline.settings_file import NOT_IN_A_BUILD
from tools.by_hand import BY_HAND
from tools.options import (
    IN_FULL,
    SETTINGS_OF,
    settings_of,
    spelled,
    trainers,
    unwrapped,
    with_settings,
)

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
    left_out = (*NOT_IN_A_BUILD, *(["input"] if command == "demo" else []))
    of_others = {key for key in EVERY if key.partition(".")[0] in left_out}
    assert keys(command) >= EVERY - of_others
    assert not keys(command) & of_others
    assert spelled(command, "links.karma_min") == "--links.karma-min"
    assert "train.save_every" in keys(command)
    assert "train.fsdp" not in keys(command)


def test_a_command_of_its_own_has_short_names_and_only_what_does_something_there():
    assert spelled("links", "links.karma_min") == "--karma-min"
    assert "corpus.wikipedia" not in keys("dedup")
    assert "engine.exchange" not in keys("extract")
    assert "engine.worker_memory_bytes" not in keys("links")
    assert keys("status") == set()


def options_of(command):
    """The options of a command for its settings, by their names in full."""
    run = with_settings(command, lambda settings_from: None)
    parameters = list(inspect.signature(run).parameters.values())
    about = [get_args(each.annotation)[1] for each in parameters]
    return {each.key: option for each, option in zip(settings_of(command), about, strict=True)}


def default_of(option):
    return option.show_default("") or ""


def test_help_begins_as_the_setting_does_so_that_values_stay_as_they_are_spelled():
    for command in ("build", *SETTINGS_OF):
        for about, option in zip(settings_of(command), options_of(command).values(), strict=True):
            assert option.help.startswith(about.text)
            assert re.match(r"[A-Z]", about.text), about.key
            assert not about.text.endswith(".")


def test_help_lists_values_once_and_leaves_out_those_that_one_expects():
    found = options_of("build")
    assert found["engine.exchange"].help.count("shuffle (") == 1
    assert "one of" not in found["engine.exchange"].help
    assert found["train.schedule"].help.endswith("(one of cosine, linear).")
    assert found["links.over_18"].help.endswith("count.")
    assert found["shards.val_share"].help.endswith("(from 0 to below 1).")


def test_a_default_in_bytes_is_also_told_in_larger_units():
    found = options_of("build")
    assert default_of(found["engine.bucket_bytes_max"]) == "268435456 = 256 MiB"
    assert default_of(found["engine.free_disk_min_bytes"]) == "1073741824 = 1 GiB"
    assert default_of(found["links.karma_min"]) == "3"


def test_extract_tells_which_settings_and_defaults_hold_with_out_alone():
    found = options_of("extract")
    for key, option in found.items():
        by_hand = {key, key.partition(".")[0]} & BY_HAND
        assert option.group[0].name == ("Settings" if by_hand else "Settings that need --out")
    assert default_of(found["documents.languages"]) == "en with --out, else any"
    assert default_of(found["documents.text_chars_min"]) == "200 with --out, else any"
    assert default_of(found["documents.tags_max"]) == "120000"


def test_what_limits_a_page_without_out_are_just_the_defaults_told_so():
    rules = {LENGTH_MIN, LENGTH_MAX, *LANGUAGE}
    told = {key for key, option in options_of("extract").items() if "any" in default_of(option)}
    assert told == rules


def test_the_trainers_settings_tell_their_values():
    values = {each.key: each.values for each in trainers()}
    assert all(values.values())
    assert values["train.schedule"] == "one of cosine, linear"
    assert values["train.dropout"] == "from 0 to below 1"
    assert values["train.qkv_bias"] == "true or false"
    assert values["train.preset"].startswith("one of demo, cpu, gpt2")


def test_the_lines_of_a_parameter_are_joined_and_all_others_stay():
    doc = "Do.\n\nExample: a\n\nParameters\n---\nout\n    one\n    two\n    three\nurl\n    x\n"
    assert unwrapped(doc) == doc.replace("one\n    two\n    three", "one two three")
