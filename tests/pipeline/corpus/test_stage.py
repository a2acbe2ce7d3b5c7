"""The stage as a build runs it; the rules have tests of their own."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from reading import drops_of, folder_of, tables_of

from pipeline.corpus import stage as stages
from pipeline.corpus.publish import Copy, read_detail
from pipeline.corpus.stage import corpus_stage
from pipeline.engine.build import Build
from pipeline.engine.digest import digest_of
from pipeline.engine.parts import read_record
from pipeline.engine.stage import Output, Part, PartWriter, Stage, Step
from pipeline.engine.store import Disk
from pipeline.engine.task import run_part
from pipeline.errors import StageError
from pipeline.links.canonical import link_id
from pipeline.records import CORPUS, DOCUMENT
from pipeline.settings import CorpusSettings, EngineSettings

WORDS = [f"{a}{b}{c}" for a in "bdfgkl" for b in "aeiou" for c in "mnrst"]
Row = dict[str, Any]


def text_of(seed: int, count: int = 80) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=count))


def document(name: str, text: str, karma: int = 5, final: str = "") -> Row:
    url = f"http://{name}"
    row = {"id": link_id(name), "url": url, "final_url": final or url, "host": name.split("/")[0]}
    strings = {field.name: "" for field in DOCUMENT if field.type == pa.string()}
    return {**strings, **row, "text": text, "text_chars": len(text), "karma_max": karma}


@dataclass(frozen=True)
class Documents:
    """Stands in for the stage `documents`: these rows, in parts."""

    parts: tuple[tuple[Row, ...], ...]

    def __call__(self, part: Part, out: PartWriter) -> None:
        rows = self.parts[part.number]
        out.write_rows(rows)
        out.book("documents", rows_in=len(rows), rows_out=len(rows))


def documents_stage(rows: Sequence[Row], n_parts: int = 1) -> Stage:
    parts = tuple(tuple(rows[i::n_parts]) for i in range(n_parts))
    planned = [Part(i, f"p{i}", digest_of(part), {}) for i, part in enumerate(parts)]
    step = Step("copy", 1, lambda: planned, Documents(parts), DOCUMENT, runs="items")
    return Stage("documents", "documents", (step,), empty_is_fine=True)


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Parts are done here and now: no Beam, no processes. Gives the labels of the tasks done."""
    done: list[str] = []

    def run_parts(self: Build, task: Any, parts: list[Part]) -> None:
        done.append(task.label)
        for part in parts:
            run_part(task, part)

    monkeypatch.setattr(Build, "run_parts", run_parts)
    return done


def build(
    folder: Path,
    rows: Sequence[Row],
    n_parts: int = 1,
    rules: CorpusSettings | None = None,
    **engine: Any,
) -> Output:
    settings = EngineSettings(**{"workers": 1, "free_disk_min_bytes": 1, **engine})
    with Build(folder, settings, quiet=True) as made:
        made.run(documents_stage(rows, n_parts))
        return made.run(corpus_stage(rules or CorpusSettings()))


def kept(output: Output) -> dict[str, Row]:
    """The corpus by URL."""
    tables = tables_of(output)
    assert all(table.schema == CORPUS for table in tables)
    return {row["url"]: row for table in tables for row in table.to_pylist()}


def dropped(output: Output) -> dict[str, Row]:
    """The drops by URL."""
    return {row["url"]: row for row in drops_of(output)}


TEXT, OTHER, WIKI = text_of(1), text_of(2), text_of(3)
MIXED = [
    document("a.example/best", TEXT, karma=50),
    document("b.example/near", TEXT + " printed today", karma=9),
    document("c.example/exact", TEXT.upper(), karma=8),
    document("d.example/other", OTHER),
    document("short.example/1", OTHER + " later", karma=4, final="https://www.d.example/other/"),
    document("e.example/empty", "... ..."),
    document("en.wikipedia.org/wiki/X", WIKI, karma=1),
    document("f.example/copied", WIKI, karma=70),
    document("g.example/near", WIKI + " copied too", karma=80),
    document("wikiwand.com/en/X", text_of(4)),
    document("h.example/alone", text_of(5)),
    document("en.wikipedia.org/wiki/Y", text_of(5), karma=2, final="http://i.example/y"),
]


def test_every_document_is_kept_or_dropped_with_its_reason(
    inline: list[str], tmp_path: Path
) -> None:
    output = build(tmp_path, MIXED, 3)
    best, other = link_id("a.example/best"), link_id("d.example/other")
    wiki = link_id("en.wikipedia.org/wiki/X")
    assert {url: row["copies"] for url, row in kept(output).items()} == {
        "http://a.example/best": 2,
        "http://d.example/other": 1,
        "http://h.example/alone": 1,
    }
    drops = dropped(output)
    reasons = {url.removeprefix("http://"): row["reason"] for url, row in drops.items()}
    assert reasons == {
        "b.example/near": "near_copy",
        "c.example/exact": "exact_copy",
        "short.example/1": "same_url",
        "e.example/empty": "empty_text",
        "en.wikipedia.org/wiki/X": "wikipedia_domain",
        "f.example/copied": "exact_copy",
        "g.example/near": "near_copy",
        "wikiwand.com/en/X": "wikipedia_mirror",
        # It is judged by its final URL, which is not Wikipedia's.
        "en.wikipedia.org/wiki/Y": "exact_copy",
    }
    assert read_detail(drops["http://b.example/near"]["detail"]) == Copy(best, round(76 / 78, 4))
    assert read_detail(drops["http://short.example/1"]["detail"]) == Copy(other, None)
    assert read_detail(drops["http://g.example/near"]["detail"]) == Copy(wiki, round(76 / 78, 4))
    ledger = output.ledgers["documents"]
    assert (ledger.rows_in, ledger.rows_out, ledger.dropped) == (12, 3, 9)


def test_wikipedia_stays_where_it_is_wanted(inline: list[str], tmp_path: Path) -> None:
    output = build(tmp_path, MIXED, rules=CorpusSettings(wikipedia=True))
    assert "http://wikiwand.com/en/X" in kept(output)
    assert not [row for row in dropped(output).values() if "wikipedia" in row["reason"]]


@pytest.mark.parametrize(("n_parts", "buckets", "part_bytes"), [(2, 1, 1), (7, 4, 1 << 20)])
def test_order_parts_and_buckets_change_nothing(
    n_parts: int,
    buckets: int,
    part_bytes: int,
    inline: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = [document(f"x{i}.example/", text_of(i % 40, 60 + i % 9), i % 5) for i in range(150)]
    once = build(tmp_path / "once", rows)
    monkeypatch.setattr(stages, "PART_BYTES", part_bytes)
    monkeypatch.setattr(stages, "BATCH_ROWS", 11)
    shuffled = random.Random(n_parts).sample(rows, len(rows))
    again = build(tmp_path / "again", shuffled, n_parts, buckets=buckets)
    assert again.digest == once.digest
    assert kept(again) == kept(once)
    assert dropped(again) == dropped(once)


@pytest.fixture
def killed_in_the_walk(inline: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A build of MIXED in two parts that ended in the walk; `inline` is empty again."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(stages, "decide", killed)
        with pytest.raises(KeyboardInterrupt):
            build(tmp_path / "killed", MIXED, 2)
    assert not (tmp_path / "killed" / "corpus").exists()
    inline.clear()
    return tmp_path / "killed"


def test_a_build_that_ended_in_the_walk_goes_on_there(
    killed_in_the_walk: Path, inline: list[str], tmp_path: Path
) -> None:
    output = build(killed_in_the_walk, MIXED, 2)
    assert inline == ["corpus: walk", "corpus: publish"]
    assert output.digest == build(tmp_path / "fresh", MIXED, 1).digest


def test_parts_that_stand_in_another_order_are_taken_over_with_their_sketches(
    killed_in_the_walk: Path, inline: list[str], tmp_path: Path
) -> None:
    turned = [row for pair in zip(MIXED[1::2], MIXED[::2], strict=True) for row in pair]
    output = build(killed_in_the_walk, turned, 2)
    assert "corpus: sign" not in inline
    assert output.digest == build(tmp_path / "fresh", MIXED, 1).digest


def test_the_bytes_of_a_sketch_file_count_in_no_digest(killed_in_the_walk: Path) -> None:
    store = Disk(killed_in_the_walk)
    (entry, *_) = store.entries("parts/corpus-sign")
    record = read_record(store, entry.name)
    assert record is not None
    assert record.files[stages.SKETCHES].side
    assert not record.own_files()


def test_another_threshold_gives_another_corpus(inline: list[str], tmp_path: Path) -> None:
    loose = set(kept(build(tmp_path, MIXED)))
    strict = set(kept(build(tmp_path, MIXED, rules=CorpusSettings(near_threshold=0.99))))
    assert strict - loose == {"http://b.example/near", "http://g.example/near"}


def test_the_corpus_lies_there_with_its_card_and_no_scratch(
    inline: list[str], tmp_path: Path
) -> None:
    output = build(tmp_path, MIXED)
    card = (folder_of(output) / "README.md").read_text()
    assert "path: part-*.parquet" in card
    assert "3 documents" in card
    assert "`corpus.near_threshold`: 0.5" in card
    assert not list(tmp_path.rglob("*.arrow"))
    assert not list(tmp_path.rglob("*.sketches"))


def test_a_corpus_of_nothing_is_an_error(inline: list[str], tmp_path: Path) -> None:
    wiki = [document("en.wikipedia.org/wiki/X", WIKI)]
    with pytest.raises(StageError, match=r"kept nothing of 1 documents \(wikipedia_domain 1\)"):
        build(tmp_path, wiki)


def test_a_real_run_gives_the_same_as_parts_done_here(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Build,
            "run_parts",
            lambda self, task, parts: [run_part(task, p) for p in parts],
        )
        here = build(tmp_path / "here", MIXED)
    there = build(tmp_path / "there", MIXED, 2, buckets=2)
    assert there.digest == here.digest
    assert tables_of(there)[0].num_rows == 3


PROSE = (
    "The ships that went out in the morning came home late, and nobody could say why this was so."
)
TEMPLATE = [
    document(f"t.example/{i}", f"Log in\n{text_of(100 + i)}\n{PROSE}\nShare this") for i in range(6)
]
PRIVATE = [document("p.example/1", f"{text_of(200)}\nWrite to ann@mail.org, call 212-555-2368.")]
CLEAN = CorpusSettings(boilerplate=True, pii=True)


def test_boilerplate_and_personal_data_leave_kept_texts_and_are_counted(
    inline: list[str], tmp_path: Path
) -> None:
    output = build(tmp_path, TEMPLATE + PRIVATE, 3, CLEAN, buckets=4)
    rows = kept(output)
    for i in range(6):
        row = rows[f"http://t.example/{i}"]
        assert row["text"] == f"{text_of(100 + i)}\n{PROSE}"
        assert (row["lines_cut"], row["text_chars"]) == (2, len(row["text"]))
    row = rows["http://p.example/1"]
    assert row["text"].endswith("Write to <EMAIL>, call <PHONE_NUMBER>.")
    assert (row["emails_masked"], row["ips_masked"], row["phones_masked"]) == (1, 0, 1)
    lines = output.ledgers["lines"]
    assert (lines.rows_in, lines.rows_out, lines.drops) == (26, 14, {"boilerplate": 12})
    cut = [row for row in drops_of(output) if row["unit"] == "lines"]
    assert {row["detail"] for row in cut} == {"Log in", "Share this"}
    assert output.digest == build(tmp_path / "again", TEMPLATE + PRIVATE, 1, CLEAN).digest


def test_copies_of_one_article_make_no_template(inline: list[str], tmp_path: Path) -> None:
    text = f"Log in\n{text_of(7)}\n{PROSE}"
    copies = [document(f"t.example/{i}", text) for i in range(6)]
    (row,) = kept(build(tmp_path, copies, rules=CLEAN)).values()
    assert (row["text"], row["lines_cut"], row["copies"]) == (text, 0, 5)


def test_the_papers_profile_changes_no_text(inline: list[str], tmp_path: Path) -> None:
    output = build(tmp_path, TEMPLATE + PRIVATE)
    texts = {row["url"]: row["text"] for row in TEMPLATE + PRIVATE}
    assert {url: row["text"] for url, row in kept(output).items()} == texts
    assert "corpus: edges" not in inline
