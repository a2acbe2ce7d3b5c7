import pytest
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from pipeline.errors import SettingsError
from pipeline.languages import LANGUAGES, nearest_language
from pipeline.settings_file import load


def test_the_languages_are_those_that_the_model_can_tell():
    labels = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True).labels
    assert sorted(LANGUAGES) == sorted(labels)
    assert len(LANGUAGES) == 140


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ("english", "en"), ("English", "en"), ("EN", "en"), ("eng", "en"), ("en-US", "en"),
        ("zh_TW", "zh"), ("germn", "de"), ("deu", "de"), ("chin", "zh"), ("volapuk", "vo"),
        ("", ""), ("klingon", ""), ("e", ""), ("enormous", ""),
    ],
)  # fmt: skip
def test_the_code_that_was_meant_is_found_by_name_case_and_region(wanted, code):
    assert nearest_language(wanted) == code


def test_a_language_that_does_not_exist_is_refused_with_its_line_and_the_nearest_code(tmp_path):
    path = tmp_path / "webtext.toml"
    path.write_text('[documents]\nlanguages = ["fr", "english"]\n')
    said = r"documents.languages is english \(.*webtext.toml line 2\); .*did you mean en\?"
    with pytest.raises(SettingsError, match=said):
        load(path)
    spelled = {"documents.languages": "--languages"}
    with pytest.raises(
        SettingsError, match=r"--languages is klingon; .* 140 codes are known: docs"
    ):
        load(None, {"documents.languages": "klingon"}, spelled=spelled)
    assert load(None, {"documents.languages": "zh,fr"}).documents.languages == ("zh", "fr")
    assert load(None, {"documents.languages": ""}).documents.languages == ()
