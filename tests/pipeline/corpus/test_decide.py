import random
from pathlib import Path

import pyarrow as pa
import pytest

from pipeline.corpus.decide import DECISION, decide
from pipeline.corpus.exact import ENTRY
from pipeline.corpus.sketches import SketchWriter
from pipeline.errors import StageError
from pipeline.settings import CorpusSettings

WORDS = [f"{a}{b}{c}" for a in "bdfgkl" for b in "aeiou" for c in "mnrst"]
BASE = random.Random(1).choices(WORDS, k=100)


def decisions(folder: Path, rows: list[dict[str, object]]) -> dict[str, dict[str, object]]:
    """Decisions by id on rows of id, text and what the exact passes found."""
    with SketchWriter(folder / "sketches") as writer:
        writer.write([str(row["id"]) for row in rows], [str(row["text"]) for row in rows])
    defaults = {
        "karma": 3,
        "repetitive": False,
        "shadow": False,
        "text_hash": "",
        "reason": "",
        "detail": "",
    }
    entries = [
        {"keeper": "", **defaults, **row, "text_chars": len(str(row["text"]))} for row in rows
    ]
    for row in entries:
        del row["text"]
    table = pa.Table.from_pylist(entries, schema=ENTRY)
    found, _ = decide(table, [folder / "sketches"], CorpusSettings(), folder, lambda _: None)
    assert found.schema == DECISION
    assert found["id"].to_pylist() == sorted(str(row["id"]) for row in rows)
    return {row["id"]: row for row in found.to_pylist()}


def test_a_copy_of_a_near_copy_names_the_document_that_stays(tmp_path: Path) -> None:
    text = " ".join(BASE)
    near = " ".join(BASE[:90])
    found = decisions(
        tmp_path,
        [
            {"id": "c", "text": text, "karma": 9},
            {"id": "a", "text": near},
            {"id": "b", "text": near, "reason": "exact_copy", "keeper": "a"},
            {"id": "u", "text": "other words", "reason": "same_url", "keeper": "b"},
        ],
    )
    likeness = round(86 / 96, 6)
    assert found["c"] | {"copies": 3, "reason": "", "keeper": ""} == found["c"]
    for id in ("a", "b"):
        assert found[id]["reason"] == "near_copy"
        assert (found[id]["keeper"], found[id]["jaccard"]) == ("c", likeness)
    assert found["u"]["reason"] == "same_url"
    assert (found["u"]["keeper"], found["u"]["jaccard"]) == ("c", None)


def test_an_exact_copy_of_a_kept_document_has_a_jaccard_of_one(tmp_path: Path) -> None:
    found = decisions(
        tmp_path,
        [
            {"id": "a", "text": "the same"},
            {"id": "b", "text": "the same", "reason": "exact_copy", "keeper": "a"},
        ],
    )
    assert (found["b"]["keeper"], found["b"]["jaccard"]) == ("a", 1.0)
    assert found["a"]["copies"] == 1


def test_a_copy_of_a_shadow_says_why_its_keeper_is_left_out(tmp_path: Path) -> None:
    text = " ".join(BASE)
    shadow = {"shadow": True, "reason": "wikipedia_domain", "detail": "wikipedia.org"}
    found = decisions(
        tmp_path,
        [
            {"id": "w", "text": text, "karma": 3, **shadow},
            {"id": "x", "text": text, "karma": 3, **shadow, "keeper": "w"},
            {"id": "m", "text": text + " mirrored", "karma": 50},
        ],
    )
    assert found["m"]["reason"] == "near_copy"
    assert (found["m"]["keeper"], found["m"]["shadow_reason"]) == ("w", "wikipedia_domain")
    for id in ("w", "x"):
        assert (found[id]["reason"], found[id]["detail"]) == ("wikipedia_domain", "wikipedia.org")
        assert (found[id]["keeper"], found[id]["jaccard"]) == ("", None)
    assert found["w"]["copies"] == 1


def test_texts_without_words_are_not_compared(tmp_path: Path) -> None:
    rows = [{"id": id, "text": "...", "reason": "empty_text"} for id in "ab"]
    found = decisions(tmp_path, rows)
    assert [(row["reason"], row["keeper"]) for row in found.values()] == [("empty_text", "")] * 2


def test_a_keeper_that_is_no_document_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="1 ids are of no document"):
        decisions(tmp_path, [{"id": "a", "text": "x", "reason": "exact_copy", "keeper": "nobody"}])
