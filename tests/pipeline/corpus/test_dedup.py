import gzip
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from pipeline.corpus.dedup import Counts, dedup
from pipeline.errors import InputError
from pipeline.settings import CorpusSettings

WORDS = [f"{a}{b}{c}" for a in "bdfgkl" for b in "aeiou" for c in "mnrst"]
BASE = random.Random(1).choices(WORDS, k=100)
ROWS: list[dict[str, Any]] = [
    {"id": "near", "text": " ".join(BASE[:90]), "karma": 5},
    {"id": "best", "text": " ".join(BASE), "karma": 50},
    {"id": "other", "text": " ".join(reversed(BASE))},
    {"id": "same", "text": " ".join(BASE).upper() + "\n", "karma": None},
    {"id": 7, "text": "", "karma": 1},
    {"id": 8, "text": " ", "karma": 1},
]
DECIDED = [
    {"id": "near", "keep": False, "keeper": "best", "jaccard": round(86 / 96, 6)},
    {"id": "best", "keep": True, "keeper": None, "jaccard": None},
    {"id": "other", "keep": True, "keeper": None, "jaccard": None},
    {"id": "same", "keep": False, "keeper": "best", "jaccard": 1.0},
    {"id": 7, "keep": False, "keeper": 8, "jaccard": 1.0},
    {"id": 8, "keep": True, "keeper": None, "jaccard": None},
]


def lines_of(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def run(source: Path) -> tuple[list[dict[str, Any]], Counts]:
    out = source.parent / "decisions.jsonl"
    counts = dedup(source, out, CorpusSettings(), lambda _: None)
    return [json.loads(line) for line in out.read_text().splitlines()], counts


SENTENCE = "The council decided to mend the wooden bridge in May, when the water had gone down."


def decide(tmp_path: Path, *texts: str) -> tuple[list[Any], Counts]:
    """The keepers of texts that are named a, b, c ...; the first is the best."""
    source = tmp_path / "texts.jsonl"
    rows = [{"id": "abcdefgh"[n], "text": text, "karma": 9 - n} for n, text in enumerate(texts)]
    source.write_bytes(lines_of(rows))
    decisions, counts = run(source)
    return [decision["keeper"] for decision in decisions], counts


@pytest.mark.parametrize(
    "hidden", ["\u00ad", "\u200b", "\u200d", "\u2060", "\ufeff", "\u200e", "\u034f"]
)
def test_characters_that_are_not_seen_make_no_text_another_one(tmp_path: Path, hidden: str) -> None:
    split = hidden + SENTENCE.replace("e", f"e{hidden}")
    near = SENTENCE.replace("e", f"{hidden}e") + " Then it rained."
    keepers, counts = decide(tmp_path, SENTENCE, split, near)
    assert keepers == [None, "a", "a"]
    assert counts == Counts(texts=3, kept=1, exact_copies=1, near_copies=1)


def test_a_sign_that_changes_the_meaning_makes_no_exact_copy(tmp_path: Path) -> None:
    signs = f"{SENTENCE} It weighs 10\u2076 kg, \u00bd of it H\u2082O."
    flat = f"{SENTENCE} It weighs 106 kg, 1\u20442 of it H2O."
    assert decide(tmp_path, signs, flat)[1].exact_copies == 0
    assert decide(tmp_path, "10\u2076 kg", "106 kg", "C++", "C", "C#")[0] == [None] * 5


def test_a_text_of_marks_alone_takes_linear_time(tmp_path: Path) -> None:
    # Sorted by insertion these took hours: the test's own time limit is the assertion.
    marks = "e\u0323" + "\u0301\u0323" * 200_000
    keepers, _ = decide(tmp_path, f"{SENTENCE} {marks}", f"{SENTENCE} {marks} end")
    assert keepers == [None, "a"]


def two_frames(data: bytes) -> bytes:
    half = len(data) // 2
    compress = zstandard.ZstdCompressor().compress
    return compress(data[:half]) + compress(data[half:])


@pytest.mark.parametrize(
    "pack",
    [
        lambda data: data,
        lambda data: data.rstrip(b"\n"),
        lambda data: b"\n" + data.replace(b"\n", b"\r\n"),
        gzip.compress,
        lambda data: gzip.compress(data[:99]) + gzip.compress(data[99:]),
        two_frames,
    ],
)
def test_each_text_gets_one_decision_in_its_order(
    pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    source = tmp_path / "texts"
    source.write_bytes(pack(lines_of(ROWS)))
    assert run(source) == (DECIDED, Counts(6, 3, 2, 1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["decisions.jsonl", "texts"]


def test_parquet_gives_the_same_decisions(tmp_path: Path) -> None:
    rows = [{**row, "id": str(row["id"]), "more": 1} for row in ROWS]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "texts.parquet")
    decided, counts = run(tmp_path / "texts.parquet")
    strings = [
        {**row, "id": str(row["id"]), "keeper": row["keeper"] and str(row["keeper"])}
        for row in DECIDED
    ]
    assert (decided, counts) == (strings, Counts(6, 3, 2, 1))


def test_the_order_of_the_texts_changes_no_decision(tmp_path: Path) -> None:
    rows = list(ROWS)
    random.Random(3).shuffle(rows)
    (tmp_path / "texts").write_bytes(lines_of(rows))
    decided, _ = run(tmp_path / "texts")
    assert [row["id"] for row in decided] == [row["id"] for row in rows]
    assert sorted(map(str, decided)) == sorted(map(str, DECIDED))


def test_no_texts_give_no_decisions(tmp_path: Path) -> None:
    (tmp_path / "texts").write_bytes(b"\n")
    assert run(tmp_path / "texts") == ([], Counts(0, 0, 0, 0))


@pytest.mark.filterwarnings("error")
def test_texts_without_a_word_are_copies_only_of_their_like(tmp_path: Path) -> None:
    texts = ["...", "!!!", "...", "?"]
    rows = [{"id": number, "text": text} for number, text in enumerate(texts)]
    (tmp_path / "texts").write_bytes(lines_of(rows))
    decided, _ = run(tmp_path / "texts")
    assert [row["keeper"] for row in decided] == [None, None, 0, None]


GOOD = lines_of(ROWS)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (GOOD + b"{", "line 7: not a text"),
        (GOOD + b"\n[1]\n", "line 8: not a text"),
        (b'{"id": "a"}\n', "line 1: not a text.*`text`"),
        (b'{"id": "a", "text": null}\n', "line 1: not a text"),
        (b'{"text": "a"}\n', "line 1: not a text.*`id`"),
        (b'{"id": "a", "text": "b", "karma": "3"}\n', "line 1: not a text.*karma"),
        (b'{"id": "a", "text": "\xff"}\n', "line 1: not a text"),
        (GOOD + b'{"id": "best", "text": "x"}\n', "1 ids occur more than once, 'best' among"),
        (GOOD + b'{"id": "7", "text": "x"}\n', "1 ids occur more than once, '7' among"),
        (gzip.compress(GOOD, mtime=0)[:-20], "byte [0-9]+: torn"),
        (gzip.compress(GOOD, mtime=0) + b"rest", "damaged"),
        (zstandard.ZstdCompressor().compress(GOOD)[:-9], "torn|damaged"),
        (b"PAR1" + GOOD, "damaged Parquet"),
    ],
)
def test_a_bad_input_names_the_file_and_the_place(
    data: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / "texts").write_bytes(data)
    with pytest.raises(InputError, match=f"texts.*{message}"):
        run(tmp_path / "texts")
    assert [path.name for path in tmp_path.iterdir()] == ["texts"]


def test_parquet_without_texts_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": ["a"], "body": ["b"]}), tmp_path / "texts")
    with pytest.raises(InputError, match=r"its columns are id, body\. It needs `id` and `text`"):
        run(tmp_path / "texts")
    pq.write_table(pa.table({"id": ["a", "b"], "text": ["b", None]}), tmp_path / "texts")
    with pytest.raises(InputError, match="row 2: not a text"):
        run(tmp_path / "texts")


# Goals of the near-duplicate walk on data/neardup (score.py counts pairs of kept texts that are
# alike). Both may be lowered, never raised.
BOTH_KEPT_MAX = {0.5: 30, 0.7: 20}


@pytest.mark.real
@pytest.mark.parametrize("threshold", [0.5, 0.7])
def test_the_labelled_set_loses_no_text_unjustly(
    threshold: float, shared_data: Path, tmp_path: Path
) -> None:
    data = shared_data / "neardup"
    documents, pairs = data / "set-a" / "documents.jsonl.zst", data / "set-a" / "pairs.tsv.zst"
    out = tmp_path / "decisions.jsonl"
    dedup(documents, out, CorpusSettings(near_threshold=threshold), lambda _: None)
    wanted = f"unjustified<=0,bad_keepers<=0,both_kept<={BOTH_KEPT_MAX[threshold]}"
    command = [sys.executable, str(data / "score.py"), "--pairs", str(pairs)]
    command += ["--documents", str(documents), "--decisions", str(out), "--t", str(threshold)]
    scored = subprocess.run([*command, "--require", wanted], capture_output=True, text=True)
    assert scored.returncode == 0, scored.stdout + scored.stderr
