import json

import pytest

from pipeline.errors import StageError
from pipeline.settings_file import load
from tools.build import run_build
from tools.demo import differences, write_demo


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The fast demo, built up to the corpus."""
    folder = tmp_path_factory.mktemp("demo")
    files = write_demo(folder / "input", fast=True)
    settings = load(files.settings_path)
    run_build(folder, settings, files.settings_path.parent, to="corpus")
    return folder, files.expected_path


@pytest.mark.slow
def test_every_planted_page_meets_its_end(built):
    assert differences(*built) == []


@pytest.mark.slow
def test_a_build_that_went_otherwise_is_told_apart(built, tmp_path):
    folder, expected_path = built
    truth = json.loads(expected_path.read_text())
    url = next(url for url, end in truth["links"].items() if end == "kept")
    truth["links"][url] = "too_short"
    truth["submissions"]["promoted"] += 1
    truth["records"] -= 1
    wrong = tmp_path / "expected.json"
    wrong.write_text(json.dumps(truth))
    promoted, records, page = differences(folder, wrong)
    assert records.what == "WARC records"
    assert (promoted.what, promoted.expected, promoted.found) == ("submissions: promoted", "7", "6")
    assert (page.what, page.expected, page.found) == (url, "too_short", "kept")


def test_a_folder_without_a_build_is_refused(tmp_path):
    expected = tmp_path / "expected.json"
    expected.write_text('{"submissions": {}, "links": {}}')
    with pytest.raises(StageError, match="links is missing"):
        differences(tmp_path, expected)
