"""Bad settings are refused before any work: with the key, the line and the nearest known name."""

import tomllib
from dataclasses import FrozenInstanceError, fields, is_dataclass
from datetime import date
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.errors import SettingsError
from pipeline.settings import PROFILES, SECTIONS, Settings, as_tables, described
from pipeline.settings_file import from_tables, load, to_toml


@pytest.fixture
def toml(tmp_path):
    def write(text: str) -> Path:
        path = tmp_path / "webtext.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def refusal(path: Path | None, overrides=None) -> str:
    with pytest.raises(SettingsError) as error:
        load(path, overrides)
    assert error.value.exit_code == 2
    return str(error.value)


def test_without_a_file_there_are_the_defaults_of_the_paper():
    assert load(None) == Settings()
    assert (load(None).links.karma_min, load(None).shards.val_share) == (3, 0.05)


def test_a_file_sets_what_it_names_and_nothing_else(toml):
    found = load(toml('[links]\nkarma_min = 5\ndate_max = 2012-01-31\n[input]\ndumps = ["*.zst"]'))
    assert found.links.karma_min == 5
    assert found.links.date_max == date(2012, 1, 31)
    assert found.input.dumps == ("*.zst",)
    assert found.documents == Settings().documents


def test_an_option_wins_over_the_file(toml):
    path = toml("[links]\nkarma_min = 5\nover_18 = true\n")
    found = load(path, {"links.karma_min": "7", "links.over_18": "false"})
    assert (found.links.karma_min, found.links.over_18) == (7, False)


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [
        ("links.date_min", "2006-01-01", date(2006, 1, 1)),
        ("links.blocked_domains", "a.com,b.org", ("a.com", "b.org")),
        ("links.blocked_domains", "", ()),
        ("corpus.near_threshold", "0.7", 0.7),
        ("links.karma_rule", "sum", "sum"),
        ("engine.bucket_bytes_max", "1048576", 1 << 20),
    ],
)
def test_options_come_as_text_and_become_what_the_setting_is(option, text, value):
    section, name = option.split(".")
    assert getattr(getattr(load(None, {option: text}), section), name) == value


def test_a_profile_is_other_defaults_that_the_file_still_overrides(toml):
    assert load(toml('profile = "clean"')).corpus.near_measure == "coverage"
    path = toml('profile = "clean"\n[corpus]\nnear_threshold = 0.6\n')
    assert load(path).corpus.near_threshold == 0.6
    assert load(None, {"profile": "clean"}).profile == "clean"


def test_the_profile_clean_sets_limits_on_quality_and_paper_none(toml):
    assert "function_words >= 0.12" in load(toml('profile = "clean"')).corpus.quality
    assert load(None).corpus.quality == ()


def test_a_limit_on_a_number_that_no_one_counts_is_refused_before_any_work(toml):
    text = refusal(toml('[corpus]\nquality = ["wurds >= 5"]\n'))
    assert "corpus.quality is ('wurds >= 5',) (" in text
    assert "webtext.toml line 2" in text
    assert 'it must be limits such as "function_words >= 0.12"' in text


def test_every_profile_names_only_settings_that_exist():
    for profile in PROFILES:
        assert from_tables({"profile": profile}).profile == profile


def test_an_unknown_profile_names_the_known_ones(toml):
    text = refusal(toml('# mine\nprofile = "papper"\n'))
    assert "profile is 'papper'" in text
    assert "line 2" in text
    assert "paper, clean" in text


def test_an_unknown_key_names_its_line_and_the_nearest_known_one(toml):
    text = refusal(toml("[links]\n\nkarma_minimum = 3\n"))
    assert "unknown setting links.karma_minimum" in text
    assert "webtext.toml line 3" in text
    assert "did you mean links.karma_min?" in text


def test_an_unknown_key_like_no_other_lists_the_known_ones(toml):
    assert "known: links.accept_immature_scores" in refusal(toml("[links]\nzzz = 1\n"))


def test_an_unknown_table_names_the_nearest_one(toml):
    text = refusal(toml("[document]\ntext_chars_min = 1\n"))
    assert "unknown setting document" in text
    assert "line 1" in text
    assert "did you mean documents?" in text


def test_a_bad_option_is_not_blamed_on_the_file(toml):
    path = toml("[links]\nkarma_min = 3\n")
    text = refusal(path, {"links.karma_mim": "3"})
    assert text == "unknown setting links.karma_mim; did you mean links.karma_min?"
    with pytest.raises(SettingsError, match=r"^--karma-min is -3; it must be 0 or more$"):
        load(path, {"links.karma_min": "-3"}, spelled={"links.karma_min": "--karma-min"})


@pytest.mark.parametrize(
    ("line", "wants"),
    [
        ('karma_min = "three"', "a whole number, 0 or more"),
        ("karma_min = 3.5", "a whole number"),
        ("karma_min = true", "a whole number"),
        ("over_18 = 1", "true or false"),
        ('karma_rule = "mean"', "one of max, sum, first"),
        ("date_min = 2005", "a day, such as 2012-09-30"),
        ('date_min = "soon"', "a day, such as 2012-09-30"),
        ("blocked_domains = 3", "a list of texts"),
        ("blocked_domains = [3]", "a list of texts"),
    ],
)
def test_a_value_of_the_wrong_type_names_key_value_line_and_type(toml, line, wants):
    text = refusal(toml(f"[links]\n{line}\n"))
    key = line.split()[0]
    assert f"links.{key} is " in text
    assert "webtext.toml line 2" in text
    assert wants in text


@pytest.mark.parametrize(
    ("option", "value", "wish"),
    [
        ("links.karma_min", "-3", "0 or more"),
        ("links.date_min", "2030-01-01", "before links.date_max"),
        ("engine.buckets", "12", "a power of two"),
        ("engine.buckets", "0", "a power of two"),
        ("corpus.near_threshold", "1.2", "at most 1"),
        ("shards.val_share", "1.5", "below 1"),
        ("tokenizer.vocab_size", "70000", "16-bit ids"),
        ("engine.bucket_bytes_max", "0", "1 or more"),
        ("engine.workers", "-1", "0 or more"),
        ("links.url_chars_max", "0", "1 or more"),
        ("documents.text_chars_min", "-5", "0 or more"),
        ("shards.shard_tokens_max", "0", "1 or more"),
        ("links.karma_min", "9223372036854775808", "below 2^63"),
        ("shards.seed", str(10**30), "below 2^63"),
        ("fetch.delay_s", "inf", "below 2^63"),
        ("texts.text_field", "\udcff", "a field's name"),
        ("texts.id_field", "\udcff", "a field's name"),
    ],
)
def test_a_value_that_makes_no_sense_is_told_what_would(option, value, wish):
    text = refusal(None, {option: value})
    assert text.startswith(f"{option} is {value}; it must be ")
    assert wish in text


def test_no_number_that_counts_may_be_negative():
    found = as_tables(Settings())
    sections = {name: values for name, values in found.items() if isinstance(values, dict)}
    keys = [
        f"{section}.{name}"
        for section, values in sections.items()
        for name, value in values.items()
        if type(value) is int and section != "train"
    ]
    assert len(keys) > 20
    for key in keys:
        assert refusal(None, {key: "-1"}).startswith(f"{key} is -1; it must be ")


def test_the_line_of_a_key_that_stands_in_two_tables_is_that_of_its_own(toml):
    text = refusal(toml("[pages]\naccept_torn = true\n[links]\naccept_torn = 3\n"))
    assert "webtext.toml line 4" in text
    assert "line 2" in refusal(toml("\nlinks.accept_torn = 3\n"))


def test_a_key_where_a_table_belongs_is_told_how_to_write_it(toml):
    assert "links (" in refusal(toml("links = 3\n"))
    assert "write [links]" in refusal(toml("links = 3\n"))


def test_an_option_for_something_inside_a_value_is_refused(toml):
    assert "links.karma_min is {'more': '1'}" in refusal(None, {"links.karma_min.more": "1"})
    path = toml("[links]\nkarma_min = 3\n")
    assert "karma_min holds a value" in refusal(path, {"links.karma_min.more": "1"})


def test_a_file_that_is_no_toml_names_the_place(toml):
    text = refusal(toml("[links]\nkarma_min = \n"))
    assert "webtext.toml: not valid TOML" in text
    assert "line 2" in text


def test_a_file_that_is_not_there_or_no_text_is_named(tmp_path):
    assert "no such settings file" in refusal(tmp_path / "none.toml")
    assert "is a folder; name a settings file" in refusal(tmp_path)
    (tmp_path / "bytes.toml").write_bytes(b"[input]\ndumps = ['\xff']")
    assert "bytes.toml line 2: it is not UTF-8; save it in" in refusal(tmp_path / "bytes.toml")


def test_a_byte_order_mark_before_the_settings_is_none_of_them(tmp_path):
    (tmp_path / "w.toml").write_bytes(b"\xef\xbb\xbf[links]\r\nkarma_min = 4\r\n")
    assert load(tmp_path / "w.toml").links.karma_min == 4


def test_the_trainers_table_is_handed_on_as_it_is(toml):
    assert load(toml("[train]\nanything = [1, 2]\n")).train == {"anything": [1, 2]}


def test_all_settings_survive_their_plain_form():
    tables = as_tables(Settings())
    assert from_tables(msgspec.to_builtins(tables)) == Settings()


def test_settings_cannot_be_changed_after_they_are_read():
    with pytest.raises(FrozenInstanceError):
        Settings().links.karma_min = 4
    sections = [getattr(Settings(), field.name) for field in fields(Settings)]
    assert all(hash(s) for s in sections if is_dataclass(s))


TEXT = st.text(st.characters(exclude_categories=["Cs"]))  # lone surrogates are no UTF-8


@pytest.mark.parametrize("section", SECTIONS)
def test_every_setting_says_what_it_does_and_which_values_it_takes(section):
    for about in described(section):
        assert len(about.text) > 10, about.key
        assert about.values, about.key
        assert not about.text.endswith(".")


def test_the_explained_file_is_read_as_the_defaults_and_names_every_setting():
    text = to_toml(explained=True)
    assert from_tables(tomllib.loads(text)) == Settings()
    assert "# WebText: at least 3 karma (GPT-2 paper, 2.1).\nkarma_min = 3\n" in text


def test_a_build_has_no_settings_for_anyones_texts(toml):
    assert "a build does not read it" in refusal(toml('[texts]\nids = "place"\n'))
    assert load(None, {"texts.ids": "place"}).texts.ids == "place"


@given(
    profile=st.sampled_from(sorted(PROFILES)),
    dumps=st.lists(TEXT),
    day=st.dates(max_value=date(2017, 12, 31)),
    near=st.floats(0.01, 1),
    over_18=st.booleans(),
    train=st.dictionaries(st.sampled_from(["steps", "lr"]), TEXT | st.integers() | st.booleans()),
)
@example("paper", ['"\\ \x7f\n\x85'], date(2012, 1, 1), 0.5, True, {})
def test_settings_survive_being_written_as_toml(profile, dumps, day, near, over_18, train):
    tables = {
        "profile": profile, "input": {"dumps": dumps}, "corpus": {"near_threshold": near},
        "links": {"date_min": day, "over_18": over_18}, "train": train,
    }  # fmt: skip
    settings = from_tables(tables)
    assert from_tables(tomllib.loads(to_toml(settings))) == settings
