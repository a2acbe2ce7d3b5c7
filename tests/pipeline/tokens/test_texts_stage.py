"""Anyone's files in the corpus's place: parts, ids, drops, gates and what is said."""

import json
from pathlib import Path

import numpy as np
import pytest
import reading
from reading import drops_of, path_of

from pipeline.engine.build import Build
from pipeline.engine.digest import file_digest
from pipeline.engine.stage import Output
from pipeline.engine.store import Disk
from pipeline.errors import InputError, StageError
from pipeline.settings import EngineSettings, TextsSettings
from pipeline.tokens import texts_stage as module
from pipeline.tokens.texts_stage import READ, texts_stage

ROWS = [
    {"id": f"d{n}", "text": f"Text number {n}.", "url": f"http://h.example/{n}"} for n in range(9)
]


def write(path: Path, rows: list) -> Path:
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def made(
    folder: Path, paths: list[Path], ids: str = "given"
) -> tuple[Output, list[str], list[str]]:
    """The published stage, what it said, and the gates that failed."""
    said: list[str] = []
    with Build(folder, EngineSettings(workers=1), quiet=True) as build:
        output = build.run(
            texts_stage(paths, build.files.digest, TextsSettings(ids=ids), said.append)
        )
        return output, said, build.gates


def rows_of(output: Output) -> list[dict]:
    return reading.rows_of(output, READ.names)


def test_rows_are_named_by_file_and_line_wherever_the_file_lies(tmp_path):
    rows = [{"text": row["text"]} for row in ROWS]
    there, said, _ = made(tmp_path / "a", [write(tmp_path / "x" / "t.jsonl", rows)])
    here, _, _ = made(tmp_path / "b", [write(tmp_path / "y" / "z" / "t.jsonl", rows)])
    assert here.digest == there.digest
    assert [row["name"] for row in rows_of(here)] == [f"t.jsonl:{n}" for n in range(1, 10)]
    assert [row["place"] for row in rows_of(here)] == [f"t.jsonl, line {n}" for n in range(1, 10)]
    assert said == ["t.jsonl: rows without an id of their own are named by file and line (9)"]


def test_two_files_of_one_name_give_rows_of_different_names(tmp_path):
    rows = [{"text": "a text"}]
    paths = [write(tmp_path / folder / "t.jsonl", rows) for folder in ("x", "y")]
    output, said, _ = made(tmp_path / "a", [*paths, paths[0]])
    assert [row["name"] for row in rows_of(output)] == ["x/t.jsonl:1", "y/t.jsonl:1"]
    assert len(said) == 1


def test_the_order_in_which_files_are_named_changes_nothing(tmp_path):
    paths = [write(tmp_path / f"t{n}.jsonl", [ROWS[n]]) for n in range(3)]
    first, _, _ = made(tmp_path / "a", paths)
    second, _, _ = made(tmp_path / "b", paths[::-1])
    assert [info.label for info in first.parts] == [info.label for info in second.parts]
    assert rows_of(first) == rows_of(second)


@pytest.mark.parametrize("files", [1, 2])
def test_ids_that_repeat_are_refused_with_the_first_two_places(tmp_path, files):
    rows = [*ROWS[:3], {"id": "d1", "text": "another"}, {"id": "d2", "text": "another"}]
    paths = [write(tmp_path / "t0.jsonl", rows[: 3 if files == 2 else 5])]
    if files == 2:
        paths.append(write(tmp_path / "t1.jsonl", rows[3:]))
    second = "t0.jsonl, line 4" if files == 1 else "t1.jsonl, line 1"
    with pytest.raises(InputError) as info:
        made(tmp_path / "b", paths)
    assert str(info.value).startswith(f"{second}: its id 'd1' is that of t0.jsonl, line 2 too.")
    assert "--ids place" in info.value.mend
    assert not (tmp_path / "b" / "corpus").exists()
    output, _, gates = made(tmp_path / "b", paths, ids="place")
    assert len({row["id"] for row in rows_of(output)}) == 5
    assert gates == []


@pytest.mark.parametrize("at_once", [1, 3, 1 << 25])
def test_a_repeated_id_is_found_in_any_number_of_passes(tmp_path, monkeypatch, at_once):
    monkeypatch.setattr(module, "IDS_AT_ONCE", at_once)
    made(tmp_path / "good", [write(tmp_path / "t.jsonl", ROWS)])
    for twin in (0, 4, 8):
        path = write(tmp_path / f"t{twin}.jsonl", [*ROWS, {**ROWS[twin], "text": "b"}])
        with pytest.raises(InputError, match=rf"line 10: .* of t{twin}\.jsonl, line {twin + 1} "):
            made(tmp_path / f"b{twin}", [path])


def test_ids_whose_hashes_agree_in_part_are_no_twins(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_hashes", lambda batch: np.zeros(len(batch), np.uint64))
    output, _, _ = made(tmp_path / "good", [write(tmp_path / "t.jsonl", ROWS)])
    assert len(rows_of(output)) == 9


def test_many_small_files_are_few_parts_and_a_changed_one_redoes_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FILES_PER_PART", 3)
    monkeypatch.setattr(module, "SMALL_BYTES", 2000)
    paths = [write(tmp_path / f"t{n}.jsonl", [ROWS[n]]) for n in range(8)]
    write(paths[4], [{**ROWS[4], "text": "long " * 1000}])
    output, _, _ = made(tmp_path / "b", paths)
    labels = sorted(info.label for info in output.parts)
    assert labels == ["t0.jsonl and 2 more", "t3.jsonl and 2 more", "t4.jsonl", "t7.jsonl"]
    before = {part.label: path_of(output, part).stat().st_ino for part in output.parts}
    write(paths[6], [{**ROWS[6], "text": "changed"}])
    again, _, _ = made(tmp_path / "b", paths)
    after = {part.label: path_of(again, part).stat().st_ino for part in again.parts}
    assert {label for label in before if after[label] != before[label]} == {"t3.jsonl and 2 more"}
    assert sorted(row["name"] for row in rows_of(again)) == [f"d{n}" for n in range(8)]
    assert again.digest != output.digest


def test_a_file_that_is_renamed_is_read_anew_where_its_name_is_in_the_rows(tmp_path):
    path = write(tmp_path / "a.jsonl", [{"text": "one"}])
    made(tmp_path / "b", [path])
    output, _, _ = made(tmp_path / "b", [path.rename(tmp_path / "c.jsonl")])
    assert [row["name"] for row in rows_of(output)] == ["c.jsonl:1"]


def test_bad_rows_are_dropped_with_their_file_their_place_and_their_id(tmp_path):
    good = write(tmp_path / "good.jsonl", ROWS)
    with (tmp_path / "bad.jsonl").open("w") as file:
        file.write('{"id": "x", "text": 5}\nnot json\n{"text": " "}\n')
    output, _, gates = made(tmp_path / "b", [good, tmp_path / "bad.jsonl"])
    drops = [(row["id"], row["detail"]) for row in drops_of(output)]
    assert drops[0] == ("x", "bad.jsonl, line 1: its `text` is of type int")
    assert drops[1][0] == "bad.jsonl:2"
    assert drops[2] == ("bad.jsonl:3", "bad.jsonl, line 3")
    ledger = output.ledgers["documents"]
    assert (ledger.rows_in, ledger.rows_out) == (12, 9)
    assert ledger.drops == {"text_missing": 1, "line_invalid": 1, "empty_text": 1}
    assert len(gates) == 1
    assert gates[0].startswith("bad.jsonl: 3 of 3 rows were dropped, 1 of them as")
    assert made(tmp_path / "b", [good, tmp_path / "bad.jsonl"])[2] == gates


def test_half_of_a_files_rows_may_fall(tmp_path):
    path = write(tmp_path / "t.jsonl", [*ROWS, *({"id": f"n{n}", "text": None} for n in range(9))])
    assert made(tmp_path / "b", [path])[2] == []
    path = write(tmp_path / "t.jsonl", [*ROWS, *({"id": f"n{n}", "text": None} for n in range(10))])
    assert len(made(tmp_path / "b", [path])[2]) == 1


def test_empty_parts_are_files_of_no_rows_and_are_said_once(tmp_path):
    paths = [write(tmp_path / "part-00000.jsonl", ROWS)]
    for name in ("part-00001.jsonl", "_SUCCESS", "part-00002.jsonl"):
        paths.append(write(tmp_path / name, []))
    output, said, gates = made(tmp_path / "b", paths)
    assert output.ledgers["documents"].rows_out == 9
    assert said == ["_SUCCESS and 2 more: an empty file, which gives no row (3)"]
    assert gates == []
    with pytest.raises(
        StageError, match=r"nothing of 0 documents \(no row in _SUCCESS and 2 more\)"
    ):
        made(tmp_path / "c", paths[1:])


def test_a_refused_file_is_an_input_error_with_its_path(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("id,body\n1,a\n")
    with pytest.raises(InputError, match="whose columns are id, body") as info:
        made(tmp_path / "b", [path])
    assert info.value.path == str(path)


def test_large_texts_are_written_in_small_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "BATCH_CHARS", 20)
    path = write(tmp_path / "t.jsonl", ROWS)
    stage = texts_stage([path], file_digest)
    sizes = []
    (part,) = stage.steps[0].plan()
    with_rows = module.PartWriter.write_rows
    monkeypatch.setattr(
        module.PartWriter,
        "write_rows",
        lambda out, rows: [sizes.append(len(rows)), with_rows(out, rows)],
    )
    out = module.PartWriter(Disk(tmp_path / "b"), "corpus", "read", part, stage.steps[0].schema)
    stage.steps[0].work(part, out)
    out.commit()
    assert sizes == [2, 2, 2, 2, 1]
