from pathlib import Path

from pipeline.inputs import input_names


def test_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a/1.warc", "b/1.warc", "a/2.warc", "c/b/1.warc")]
    names = input_names([*paths, paths[0]])
    assert sorted(names.values()) == sorted(paths)
    assert names["2.warc"] == paths[2]
    assert names["a/1.warc"] == paths[0]
    assert names["c/b/1.warc"] == paths[3]
    assert len(names) == 4
