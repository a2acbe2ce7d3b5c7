import shutil
from dataclasses import replace

from pipeline.engine.build import Build
from pipeline.settings import Settings
from tools.card import write_card
from tools.clean import clean
from tools.status import status, verify


def test_the_card_tells_rules_and_counts_of_every_stage_and_names_no_removal(finished):
    text = (finished.folder / "corpus" / "README.md").read_text()
    stages = status(finished.folder)["stages"]
    assert f"- {stages['links']['rows_in']:,} submissions: " in text
    for name, unit in (("pages", "links"), ("documents", "pages"), ("corpus", "documents")):
        assert f"- {stages[name]['rows_in']:,} {unit}: {stages[name]['rows_out']:,} kept" in text
    assert "- `links.karma_min`: 3\n" in text
    assert "takedown.example" not in text
    assert "- `documents.languages`: ['en']\n" in text
    assert "- Dropped as little_prose: 1\n" in text
    assert "- Limit: word_chars <= 10; if not, `odd_words` (not code)\n" in text
    assert "- `corpus.quality`: word_chars <= 10; function_words >= 0.12;" in text
    assert status(finished.folder / "corpus")["stages"]["corpus"]["digest"] in text


def test_who_asked_for_a_removal_is_not_listed_and_long_lists_are_counted(finished, tmp_path):
    folder = shutil.copytree(finished.folder, tmp_path / "build")
    settings = Settings()
    links = replace(
        settings.links, removed_by_request=("me.example",), blocked_domains=tuple("abcdef")
    )
    with Build(folder) as build:
        write_card(build, replace(settings, links=links))
    text = (folder / "corpus" / "README.md").read_text()
    assert "me.example" not in text
    assert "- `links.removed_by_request`: 1 entries\n" in text
    assert "- `links.blocked_domains`: 6 entries\n" in text
    assert verify(folder).damaged == []
    clean(folder, now=True)
    assert verify(folder).damaged == []
