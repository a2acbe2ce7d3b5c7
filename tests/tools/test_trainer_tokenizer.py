import json
from pathlib import Path

import pytest

from pipeline.errors import SettingsError
from pipeline.tokens.export import export
from pipeline.tokens.tokenizer import train
from pipeline.tokens.tokenizer_files import load
from tools.trainer_tokenizer import with_tokenizer_json

MADE = train(["the city in the end is the city"] * 5, 300, 2)


@pytest.mark.parametrize("form", ["openai", "tiktoken", "llm.c", "hugging-face"])
@pytest.mark.parametrize("joined", [False, True])
def test_a_tokenizer_of_any_form_is_given_to_the_trainer_as_tokenizer_json(tmp_path, form, joined):
    export(MADE, tmp_path, [form])
    given = [f"--tokenizer={tmp_path}"] if joined else ["--tokenizer", str(tmp_path)]
    with with_tokenizer_json(["run", *given, "--tokens", "3"]) as words:
        assert [words[i] for i in (0, 1, 3, 4)] == ["run", "--tokenizer", "--tokens", "3"]
        assert words[2].endswith("tokenizer.json")
        assert load(Path(words[2])) == MADE


def test_a_tokenizer_json_of_another_kind_is_the_trainers_to_read(tmp_path):
    path = tmp_path / "llama.json"
    path.write_text(json.dumps({"model": {"type": "Unigram", "vocab": []}}))
    with with_tokenizer_json(["run", "--tokenizer", str(path)]) as words:
        assert words == ["run", "--tokenizer", str(path)]


def test_what_is_not_there_or_not_given_is_left_to_the_trainer():
    for given in (["run"], ["run", "--tokenizer"], ["run", "--tokenizer", "/nowhere"]):
        with with_tokenizer_json(given) as words:
            assert words == given


def test_a_folder_without_a_tokenizer_is_named(tmp_path):
    with (
        pytest.raises(SettingsError, match="no tokenizer there"),
        with_tokenizer_json(["run", "--tokenizer", str(tmp_path)]),
    ):
        pass
