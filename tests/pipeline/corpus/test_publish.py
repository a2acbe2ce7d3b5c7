from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.corpus.decide import DECISION
from pipeline.corpus.publish import (
    Copy,
    Decisions,
    card,
    copy_detail,
    dropped_rows,
    kept_rows,
    read_detail,
)
from pipeline.errors import StageError
from pipeline.reasons import Reason
from pipeline.records import CORPUS, DOCUMENT


def id_of(number: int) -> str:
    return f"{number * 0x1234567890ABCDEF1234567:032x}"


def decision(number: int, **columns: object) -> dict[str, object]:
    empty = {"reason": "", "detail": "", "keeper": "", "jaccard": None, "others": None}
    empty |= {"containment": None, "coverage": None}
    return {"id": id_of(number), **empty, "shadow_reason": "", "copies": 0, **columns}


def documents(*numbers: int) -> pa.Table:
    rows = [
        {"id": id_of(n), "url": f"http://a.example/{n}", "text": f"text {n}", "text_chars": 6}
        for n in numbers
    ]
    return pa.Table.from_pylist(rows, schema=DOCUMENT)


DECIDED = [
    decision(1, copies=2),
    decision(2, reason="near_copy", keeper=id_of(1), jaccard=0.81234567),
    decision(3, reason="wikipedia_mirror", detail="wikiwand.com"),
    decision(4, reason="same_url", keeper=id_of(3), shadow_reason="wikipedia_mirror"),
]


@pytest.fixture
def decisions(tmp_path: Path) -> Decisions:
    Decisions.write(pa.Table.from_pylist(DECIDED, schema=DECISION), tmp_path / "decisions.arrow")
    return Decisions(tmp_path / "decisions.arrow")


def test_documents_find_their_decisions_in_any_order(decisions: Decisions) -> None:
    found = decisions.of(documents(4, 1, 3)["id"])
    assert found.schema == DECISION
    assert found["reason"].to_pylist() == ["same_url", "", "wikipedia_mirror"]
    assert found["id"].to_pylist() == [id_of(4), id_of(1), id_of(3)]
    assert decisions.of(documents()["id"]).num_rows == 0


@pytest.mark.parametrize("unknown", [0, 5, 10**6])
def test_a_document_without_a_decision_is_an_error(decisions: Decisions, unknown: int) -> None:
    with pytest.raises(StageError, match="no decision"):
        decisions.of(documents(1, unknown)["id"])


def test_each_document_is_kept_or_dropped_with_its_reason(decisions: Decisions) -> None:
    rows = documents(1, 2, 3, 4)
    decided = decisions.of(rows["id"])
    kept = kept_rows(rows, decided)
    assert kept.schema == CORPUS
    assert (kept["id"].to_pylist(), kept["copies"].to_pylist()) == ([id_of(1)], [2])
    assert dropped_rows(rows, decided) == [
        {
            "id": id_of(2),
            "url": "http://a.example/2",
            "reason": Reason.NEAR_COPY,
            "detail": f"keeper {id_of(1)}, Jaccard 0.8123",
        },
        {
            "id": id_of(3),
            "url": "http://a.example/3",
            "reason": Reason.WIKIPEDIA_MIRROR,
            "detail": "wikiwand.com",
        },
        {
            "id": id_of(4),
            "url": "http://a.example/4",
            "reason": Reason.SAME_URL,
            "detail": f"keeper {id_of(3)}; the keeper is left out itself: wikipedia_mirror",
        },
    ]


def test_a_copy_s_detail_can_be_read_back() -> None:
    near = DECIDED[1] | {"containment": 0.75, "coverage": 0.9, "others": [id_of(2), id_of(4)]}
    assert read_detail(copy_detail(DECIDED[1])) == Copy(id_of(1), 0.8123)
    assert read_detail(copy_detail(DECIDED[3])) == Copy(id_of(3), None)
    contained = near | {"coverage": None, "others": None}
    assert read_detail(copy_detail(contained, "containment")) == Copy(id_of(1), None, 0.75)
    covered = Copy(id_of(1), None, 0.75, 0.9, (id_of(2), id_of(4)))
    shadowed = near | {"shadow_reason": "wikipedia_mirror"}
    assert read_detail(copy_detail(near, "coverage")) == covered
    assert read_detail(copy_detail(shadowed, "coverage")) == covered
    assert covered.likeness == 0.9
    assert read_detail("wikiwand.com") is None


def test_the_card_makes_load_dataset_read_the_parts_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    rows = kept_rows(documents(1, 2), pa.Table.from_pylist([decision(1), decision(2)]))
    for number in range(2):
        pq.write_table(rows.slice(number, 1), folder / f"part-{number:05d}.parquet")
    (folder / "manifest.json").write_text("{}")
    (folder / "README.md").write_text(card(2, {"near_threshold": 0.5}))
    loaded = datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "cache"))
    assert loaded["text"][:] == ["text 1", "text 2"]
    assert loaded.column_names == CORPUS.names
