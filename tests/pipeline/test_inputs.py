from pathlib import Path

import pytest

from pipeline.errors import InputError
from pipeline.inputs import STDIN, input_names, text_files


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a/1.warc", "b/1.warc", "a/2.warc", "c/b/1.warc")]
    names = input_names([*paths, paths[0]])
    assert sorted(names.values()) == sorted(paths)
    assert names["2.warc"] == paths[2]
    assert names["a/1.warc"] == paths[0]
    assert names["c/b/1.warc"] == paths[3]
    assert len(names) == 4


def tree(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def named(folder: Path, *words: str) -> tuple[list[str], list[str]]:
    """The files that the words name, and those left out, below the folder."""
    files, left_out = text_files([folder / word for word in words])
    return (
        [str(path.relative_to(folder)) for path in files],
        [str(path.relative_to(folder)) for path in left_out],
    )


def test_files_come_in_the_order_in_which_they_are_named_each_once(tmp_path: Path) -> None:
    tree(tmp_path, "b.jsonl", "a.jsonl", "f/z.txt", "f/g/y.txt.gz")
    assert named(tmp_path, "b.jsonl", "f", "a.jsonl", "b.jsonl", "f/z.txt") == (
        ["b.jsonl", "f/g/y.txt.gz", "f/z.txt", "a.jsonl"],
        [],
    )
    assert named(tmp_path, "[ab].jsonl")[0] == ["a.jsonl", "b.jsonl"]
    assert named(tmp_path, "**/*.txt*")[0] == ["f/g/y.txt.gz", "f/z.txt"]
    assert named(tmp_path, "?")[0] == ["f/g/y.txt.gz", "f/z.txt"]


@pytest.mark.parametrize(
    ("names", "taken"),
    [
        (
            ["a.txt", "b.JSONL.zst", "README.md", "c/d.parquet", "x.json"],
            ["b.JSONL.zst", "c/d.parquet"],
        ),
        (["a.txt", "x.json", "LICENSE"], ["x.json"]),
        (["a.txt", "LICENSE"], ["a.txt"]),
        (["LICENSE", "b"], ["LICENSE", "b"]),
        ([".hidden.jsonl", ".git/x.jsonl", "b"], ["b"]),
    ],
)
def test_of_a_folder_the_data_is_taken_and_the_rest_is_told(
    tmp_path: Path, names: list[str], taken: list[str]
) -> None:
    tree(tmp_path, *names)
    found = named(tmp_path, ".")
    assert found[0] == taken
    assert sorted([*found[0], *found[1]]) == sorted(n for n in names if not n.startswith("."))


def test_a_build_gives_the_parts_of_its_corpus(tmp_path: Path) -> None:
    parts = ["b/corpus/part-00000.parquet", "b/corpus/part-00001.parquet"]
    tree(tmp_path, "b/corpus/manifest.json", "b/corpus/README.md", "b/pages/part-0.parquet", *parts)
    assert named(tmp_path, "b") == named(tmp_path, "b/corpus") == (parts, [])
    tree(tmp_path, "e/manifest.json")
    with pytest.raises(InputError, match="e: the rows of this stage are gone"):
        text_files([tmp_path / "e"])


def test_a_file_may_be_called_like_a_pattern_and_stdin_is_no_file(tmp_path: Path) -> None:
    tree(tmp_path, "a[1].txt", "a1.txt")
    assert named(tmp_path, "a[1].txt")[0] == ["a[1].txt"]
    assert text_files([STDIN, STDIN]).files == [STDIN]


def test_names_of_nothing_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    tree(tmp_path, "saved/dataset_info.json", "saved/data-00000-of-00001.arrow")
    for name, said in (
        ("gone", "gone: there is no such file or folder"),
        ("gone*", "no file matches this pattern"),
        ("empty", "no file is in this folder"),
        ("saved", r"`datasets` saved\. Name it by --dataset"),
    ):
        with pytest.raises(InputError, match=said):
            text_files([tmp_path / name])
