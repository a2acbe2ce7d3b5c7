"""Every task's files: line ends, packing, what is empty, cut, of another encoding or unknown.

The contents are ours, in the originals' formats; texts hold what a template engine or a splitter of
lines would trip over.
"""

import gzip
import json

import pytest

from train.errors import DataError
from train.evaluate.suite import SUITES, TASKS, prepared, rows_of, texts_of
from train.evaluate.task import read_file

ODD = "{word} %s {0} \\n é 漢\u2028字"  # one line, none of it an instruction
CBT = "".join(f"{n} Sentence {n} of {ODD} goes .\n" for n in range(1, 21)) + (
    "21 Then the XXXXX sang .\tcaptain\t\tcaptain|mayor|sea|city|mill|man|dog|cat|hen|cow\n\n"
)
SCHEMA = f"The mill {ODD} hid the city because [MASK] was tall.\n[MASK]\nThe mill,the city\n"
TOKENS = f" \n = Sea = \n \n The captain , {ODD} , knows . \n"
STORY = {
    "id": "s1", "story": f"Ana {ODD} lived there.",
    "questions": [{"turn_id": 1, "input_text": "Who lived there?"}],
    "answers": [{"turn_id": 1, "input_text": "Ana"}],
    "additional_answers": {"0": [{"turn_id": 1, "input_text": "Ana Brandt"}]},
}  # fmt: skip
ENDING = {
    "activity_label": "Sailing", "ctx_a": f"A captain {ODD}.", "ctx_b": "he", "label": 1,
    "endings": ["sings.", "sails.", "sinks.", "knows."],
}  # fmt: skip


def jsonl(*objects):
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in objects)


def sgm(*texts):
    lines = "".join(f'<seg id="{n}">{text}</seg>\n' for n, text in enumerate(texts, 1))
    return f'<srcset setid="x"><doc docid="a">\n{lines}</doc></srcset>\n'


# By task: the content of each of its files.
CONTENTS = {
    "lambada": [jsonl({"text": f"the city {ODD} and the sea"}, {"text": "nobody knows"})],
    "cbt_cn": [CBT * 2], "cbt_ne": [CBT * 2],
    "wikitext2": [TOKENS], "wikitext2_articles": [TOKENS], "wikitext103": [TOKENS],
    "ptb": [TOKENS], "1bw": [TOKENS], "enwik8": [f"the city {ODD}"], "text8": [f"the city {ODD}"],
    "winograd": [f"{SCHEMA}The mill\n\n{SCHEMA}the city\n"],
    "pdp": [f"{SCHEMA}The mill\n"], "winogender": [f"{SCHEMA}The mill\n"],
    "hellaswag": [jsonl(ENDING, ENDING)],
    "coqa": [json.dumps({"data": [STORY, STORY | {"id": "s2"}]}, ensure_ascii=False)],
    "cnn_dm": [jsonl({"article": f"The mill {ODD}. It is old.", "highlights": "old mill ."})],
    "wmt14_en_fr": [sgm("The mill.", ODD), sgm("Le moulin.", ODD)],
    "wmt14_fr_en": [sgm("Le moulin.", ODD), sgm("The mill.", ODD)],
    "natural_questions": [jsonl({"question": f"who {ODD}", "answer": ["the mayor"]})],
}  # fmt: skip
EACH = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
BY_BYTES = ("enwik8", "text8")


def put(folder, task, change=lambda content: content, suffix=""):
    folder.mkdir(exist_ok=True)
    for file, content in zip(task.files, CONTENTS[task.name], strict=True):
        path = folder / f"{file.names[-1]}{suffix}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(change(content.encode()))
    return folder


@EACH
def test_nothing_of_a_text_is_filled_in_or_lost(task, tmp_path):
    texts = texts_of(task, put(tmp_path, task), 0)
    assert texts and len({id for id, _ in texts}) == len(texts)
    whole = " ".join(text for _, text in texts)
    assert all(piece in whole for piece in ("{word} %s {0} \\n é 漢", "字"))


@EACH
def test_line_ends_of_windows_and_packing_change_no_item(task, tmp_path):
    wanted = texts_of(task, put(tmp_path / "plain", task), 0)
    packed = put(tmp_path / "packed", task, gzip.compress, ".gz")
    assert texts_of(task, packed, 0) == wanted
    if task.name not in BY_BYTES:  # there an end of line is two bytes to predict
        windows = put(tmp_path / "w", task, lambda held: held.replace(b"\n", b"\r\n"))
        assert texts_of(task, windows, 0) == wanted


@EACH
@pytest.mark.parametrize("content", [b"", b"\n", b" \n\n"])
def test_a_file_without_an_item_is_refused(task, tmp_path, content):
    if task.name in BY_BYTES and content:
        pytest.skip("white space is text there")
    with pytest.raises(DataError, match="put back the original file"):
        texts_of(task, put(tmp_path, task, lambda _: content), 0)


@EACH
def test_a_file_that_is_cut_anywhere_gives_fewer_items_or_is_refused(task, tmp_path):
    wanted = len(texts_of(task, put(tmp_path, task), 0))
    sizes = [len(content.encode()) for content in CONTENTS[task.name]]
    for size in range(1, max(sizes), 1 + max(sizes) // 60):
        cut = put(tmp_path, task, lambda held, size=size: held[:size])
        try:
            assert len(texts_of(task, cut, 0)) <= wanted
        except DataError as error:
            assert str(tmp_path) in str(error)


@EACH
def test_bytes_that_are_no_utf_8_are_named(task, tmp_path):
    folder = put(tmp_path, task, lambda held: held[:9] + b"\xff" + held[9:])
    if task.name in BY_BYTES:
        assert "\ufffd" in texts_of(task, folder, 0)[0][1]
        return
    with pytest.raises(DataError, match="byte 9 is not UTF-8"):
        texts_of(task, folder, 0)


@pytest.mark.parametrize("name", SUITES["paper"])
def test_another_file_than_the_original_is_scored_and_told_of(name, subject, tmp_path):
    (task,) = (one for one in TASKS if one.name == name)
    found = prepared(subject, task, put(tmp_path, task), 1).run(subject)
    row = rows_of([found])[0]
    assert row["files_known"] is False and row["items"] == 1
    digests = {path.name: read_file(tmp_path, file).sha256
               for file in task.files if (path := file.find(tmp_path))}  # fmt: skip
    assert row["files"] == digests
