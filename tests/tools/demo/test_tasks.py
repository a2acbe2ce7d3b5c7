"""The demo's files of tasks are of the original formats: the tasks' own readers take them."""

import pytest

from tools.demo.tasks import PASSAGES, PASSAGES_OF_PAGES, TWINS, write_tasks
from train.evaluate.lambada import LAMBADA
from train.evaluate.language import WIKITEXT2
from train.evaluate.task import read_file
from train.evaluate.winograd import WINOGRAD


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tasks")
    write_tasks(folder)
    return folder


def read(task, folder):
    return task.read([read_file(folder, file) for file in task.files])


def test_passages_end_with_a_word_and_those_of_no_page_have_it_before(folder):
    items = read(LAMBADA, folder)
    assert len({item.whole() for item in items}) == len(items) == PASSAGES
    assert all(item.word.isalpha() for item in items)
    assert all(item.word in item.context for item in items[PASSAGES_OF_PAGES:])


def test_every_tokenized_line_can_be_had_back(folder):
    (text,) = read(WIKITEXT2, folder)
    assert text.lines > 20 and text.exceptions == 0
    assert "north-west" in text.text and " @-@ " not in text.text


def test_of_twin_sentences_each_candidate_is_right_once(folder):
    items = read(WINOGRAD, folder)
    assert [item.answer for item in items] == [0, 1] * len(TWINS)
    assert all(len(item.candidates) == 2 for item in items)


def test_the_files_are_none_of_the_originals(folder):
    for task in (LAMBADA, WIKITEXT2, WINOGRAD):
        assert all(read_file(folder, file).sha256 != file.sha256 for file in task.files)
