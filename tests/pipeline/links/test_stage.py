"""The stage through the engine: ledgers add up, and parts, order and reruns change nothing."""

import gzip
import json
import random
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from reading import drops_in, kept_paths, manifest_of

from pipeline.engine.build import Build
from pipeline.engine.manifest import Manifest
from pipeline.errors import InputError, StageError
from pipeline.links.stage import immature_months, links_stage
from pipeline.settings import EngineSettings, LinksSettings

JUNE_2013 = 1370044800
ENGINE = EngineSettings(buckets=2, free_disk_min_bytes=0, workers=1)
ODD = {3: {"is_self": True}, 5: {"score": None}, 7: {"url": "https://i.imgur.com/a.jpg"}}
# The digest of what these dumps give, by the versions of the steps.
GOLDEN = {"read 3 once 1 group 2 verdict 1": "689f1180b4030c0675b2bba6cbf61bb3"}
Rows = list[dict[str, Any]]


def submissions(count: int = 400) -> list[bytes]:
    """Lines of a dump: links with reposts under variants, drops of many kinds, broken lines."""
    draw = random.Random(6)
    lines = []
    for number in range(count):
        page = draw.randrange(count // 4)
        url = draw.choice(
            ["http://site{}.example.com/a/", "https://www.site{}.example.com/a?utm_source=x",
             "https://www.google.com/url?q=http%3A%2F%2Fsite{}.example.com%2Fa"]
        ).format(page)  # fmt: skip
        post: dict[str, Any] = {
            "id": f"p{number}", "url": url, "score": draw.randrange(6), "is_self": False,
            "created_utc": JUNE_2013 + 60 * number, "retrieved_on": JUNE_2013 + 10**7,
            "subreddit": draw.choice(["news", "science"]), "over_18": number % 20 == 0,
        }  # fmt: skip
        lines.append(json.dumps(post | ODD.get(number % 12, {})).encode())
        if number % 50 == 9:
            lines += [b"null", lines[-1][:40], lines[-1]]
    return lines


LINES = submissions()


def dumps(folder: Path, parts: int, lines: list[bytes] = LINES) -> list[Path]:
    """The lines spread over so many files."""
    folder.mkdir()
    paths = []
    for number in range(parts):
        data = b"".join(line + b"\n" for line in lines[number::parts])
        paths.append(folder / f"RS_{number}.zst")
        paths[-1].write_bytes(zstandard.ZstdCompressor().compress(data))
    return paths


def run(
    folder: Path, paths: list[Path], said: list[str] | None = None, **changed: Any
) -> tuple[Manifest, Rows, list[str]]:
    """Builds the stage; its manifest, its rows by id, and the gates that failed."""
    say = [].append if said is None else said.append
    with Build(folder, ENGINE, quiet=True) as build:
        build.run(links_stage(LinksSettings(**changed), paths, build.files.digest, say))
        gates = list(build.gates)
    manifest = manifest_of(folder, "links")
    tables = [pq.read_table(path) for path in sorted((folder / "links").glob("part-*.parquet"))]
    rows = [row for table in tables for row in table.to_pylist()]
    return manifest, sorted(rows, key=lambda row: str(row["id"])), gates


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest, Rows]:
    folder = tmp_path_factory.mktemp("links")
    manifest, rows, _ = run(folder / "build", dumps(folder / "dumps", 2))
    return folder, manifest, rows


def test_every_submission_is_kept_merged_or_dropped(built: tuple[Path, Manifest, Rows]) -> None:
    _, manifest, rows = built
    ledger = manifest.ledgers["submissions"]
    kept = [row for row in rows if row["verdict"] == "kept"]
    low = [row for row in rows if row["verdict"] == "karma_low"]
    assert ledger.rows_in == len(LINES)
    assert ledger.rows_out == len(kept) > 0
    assert ledger.drops["karma_low"] == sum(row["posts"] for row in low) > 0
    twice = sum(number % 12 not in ODD for number in range(9, 400, 50))  # lines that stand twice
    assert ledger.merged == sum(row["posts"] - 1 for row in kept) + twice
    assert ledger.drops["line_invalid"] == ledger.drops["line_not_object"] == 8
    assert {"self_post", "score_missing", "media_host"} <= set(ledger.drops)
    assert ledger.rows_out + ledger.merged + ledger.dropped == ledger.rows_in


def test_rows_change_only_with_the_version_of_a_step(built: tuple[Path, Manifest, Rows]) -> None:
    steps = links_stage(LinksSettings(), [], str).steps
    versions = " ".join(f"{step.name} {step.version}" for step in steps)
    assert built[1].digest == GOLDEN[versions], "a rule changed: raise its step's version"


def test_all_karmas_are_there_for_links_below_the_limit_too(
    built: tuple[Path, Manifest, Rows],
) -> None:
    for row in built[2]:
        assert row["karma_max"] <= row["karma_sum"]
        assert row["verdict"] == ("kept" if row["karma_max"] >= 3 else "karma_low")
        assert row["key"].startswith("site")
        assert row["via"] in ("", "www.google.com")


@pytest.mark.parametrize("parts", [1, 7])
def test_the_number_of_dumps_changes_no_row(
    parts: int, built: tuple[Path, Manifest, Rows], tmp_path: Path
) -> None:
    manifest, rows, _ = run(tmp_path / "build", dumps(tmp_path / "dumps", parts))
    assert rows == built[2]
    assert manifest.digest == built[1].digest
    assert manifest.ledgers == built[1].ledgers


def test_another_karma_rule_redoes_the_verdicts_alone(
    built: tuple[Path, Manifest, Rows], tmp_path: Path
) -> None:
    folder, before, _ = built
    build = tmp_path / "build"
    shutil.copytree(folder / "build", build)
    after, rows, _ = run(build, sorted((folder / "dumps").iterdir()), karma_min=1, karma_rule="sum")
    assert [s.fingerprint for s in after.steps][:3] == [s.fingerprint for s in before.steps][:3]
    assert after.steps[3].fingerprint != before.steps[3].fingerprint
    assert all((row["verdict"] == "kept") == (row["karma_sum"] >= 1) for row in rows)
    assert grouped_at(build) == grouped_at(folder / "build")  # not grouped again, let alone read


def grouped_at(build: Path) -> list[int]:
    """When the parts of the step `group` were written."""
    paths = kept_paths(build, "links", "group")
    assert paths
    return [path.stat().st_mtime_ns for path in paths]


def test_dropped_links_are_explained_one_by_one(built: tuple[Path, Manifest, Rows]) -> None:
    folder, _, rows = built
    low = {row["id"] for row in rows if row["verdict"] == "karma_low"}
    drops = drops_in(folder / "build", "links")
    explained = {row["id"]: row for row in drops if row["reason"] == "karma_low"}
    assert set(explained) == low
    assert all(row["detail"].startswith("karma_max ") for row in explained.values())


def test_a_torn_dump_of_a_fresh_month_is_refused_then_accepted_with_two_gates(
    tmp_path: Path,
) -> None:
    noise = random.Random(1)
    lines = [
        line.replace(b"1380044800", b"1370070000")[:-1]
        + b',"selftext":"%x"}' % noise.getrandbits(9000)
        for line in LINES
        if line.endswith(b"}")
    ]
    (path,) = dumps(tmp_path / "dumps", 1, lines)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=r"RS_0\.zst, byte \d+: torn"):
        run(tmp_path / "build", [path])
    assert not (tmp_path / "build" / "links").exists()
    manifest, _, gates = run(tmp_path / "build", [path], accept_torn=True)
    assert 0 < manifest.ledgers["submissions"].rows_in < len(lines)
    assert ["RS_0.zst is torn" in gate for gate in gates] == [True, False]
    assert ["2013-06" in gate for gate in gates] == [False, True]


def test_a_misnamed_dump_is_refused_before_any_other_is_read(tmp_path: Path) -> None:
    good, bad = dumps(tmp_path / "dumps", 2)
    bad.write_bytes(b"<html>not found</html>")
    with pytest.raises(InputError, match="named like a zstd file"):
        run(tmp_path / "build", [good, bad])
    assert not list((tmp_path / "build").rglob("part-*"))


def write_dump(path: Path, rows: Rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def post(id: str, **fields: Any) -> dict[str, Any]:
    url = f"http://{id}.example.com/"
    return {"id": id, "url": url, "score": 5, "created_utc": JUNE_2013} | fields


def drops_of(folder: Path, reason: str) -> list[str]:
    return [r["url"] for r in drops_in(folder, "links") if r["reason"] == reason]


def test_a_password_in_a_url_is_kept_nowhere(tmp_path: Path) -> None:
    rows = [
        post("kept", url="http://medium.example.com/@ann"),
        post("told", url="ftp://ann:secret@a.example.com/"),
        post("drop", url="http://ann:secret@a.example.com/x@y"),
    ]
    run(tmp_path / "build", [write_dump(tmp_path / "RS", rows)])
    assert drops_of(tmp_path / "build", "url_credentials") == ["http://…@a.example.com/x@y"]
    assert drops_of(tmp_path / "build", "scheme_not_http") == ["ftp://…@a.example.com/"]
    files = list((tmp_path / "build").rglob("*.parquet"))
    assert not [path for path in files if "secret" in str(pq.read_table(path).to_pylist())]


@pytest.mark.parametrize("order", [1, -1])
def test_a_mark_in_any_copy_of_a_post_drops_them_all_and_the_ledger_adds_up(
    tmp_path: Path, order: int
) -> None:
    old = write_dump(
        tmp_path / "RS_old", [post(id) for id in ("kept", "gone", "lost", "ad", "moved")] * 2
    )
    new = write_dump(
        tmp_path / "RS_new",
        [
            post("kept", score=9),
            post("gone", removed_by_category="deleted"),
            post("lost", url="", _meta={"removal_type": "moderator"}),
            post("ad", promoted=True, score=None),
            post("moved", url="http://elsewhere.example.com/", removed_by_category="reddit"),
            post("alone", removed_by_category="author"),
        ],
    )
    manifest, rows, _ = run(tmp_path / "build", [old, new][::order])
    assert [(r["best_post_id"], r["karma_sum"], r["posts"]) for r in rows] == [("kept", 9, 1)]
    ledger = manifest.ledgers["submissions"]
    assert (ledger.rows_in, ledger.rows_out, ledger.merged) == (16, 1, 2)
    assert ledger.drops == {"removed": 9, "promoted": 2, "url_missing": 1, "score_missing": 1}
    assert drops_of(tmp_path / "build", "removed").count("http://lost.example.com/") == 2

    _, rows, _ = run(tmp_path / "other", [old, new][::order], accept_removed=True)
    assert {r["best_post_id"] for r in rows} == {"kept", "gone", "lost", "moved", "alone"}


@pytest.mark.parametrize("lines", [5, 10_001])
def test_a_dump_of_comments_is_refused_with_what_to_take(tmp_path: Path, lines: int) -> None:
    comment = {"id": "c", "body": "words", "link_id": "t3_a", "score": 5, "created_utc": JUNE_2013}
    path = write_dump(tmp_path / "RC_2013-06", [comment] * lines)
    with pytest.raises(InputError, match=r"RC_2013-06, line 1: .* comments.*RS_\*"):
        run(tmp_path / "build", [write_dump(tmp_path / "RS_2013-06", [post("a")]), path])


def test_comments_among_submissions_are_counted_and_most_of_a_file_is_a_gate(
    tmp_path: Path,
) -> None:
    comment = {"id": "c", "body": "words", "link_id": "t3_a", "score": 5, "created_utc": JUNE_2013}
    path = write_dump(tmp_path / "mixed", [post("a"), comment, post("b")])
    manifest, _, gates = run(tmp_path / "build", [path])
    assert manifest.ledgers["submissions"].drops == {"comment": 1}
    assert not gates
    _, _, gates = run(tmp_path / "most", [write_dump(path, [post("a"), comment, comment])])
    (gate,) = gates
    assert gate.startswith("links: mixed: 2 of 3 lines could not be read as submissions")
    assert "comment" in gate


def test_broken_lines_and_a_dump_without_scores_are_told_by_a_gate(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.write_text("oops\n" + ",\n".join(json.dumps(post(id)) for id in "ab") + "\n{]}\n")
    scoreless = write_dump(tmp_path / "scoreless", [post(id, score=None) for id in "efg"])
    _, rows, gates = run(tmp_path / "build", [broken, scoreless])
    assert [r["best_post_id"] for r in rows] == ["b"]
    assert ["3 of 4 lines" in gate for gate in gates] == [True, False]
    assert ["most often score_missing" in gate for gate in gates] == [False, True]


@pytest.mark.parametrize("parts", [1, 2])
def test_submissions_of_every_form_and_name_give_the_same_links(parts: int, tmp_path: Path) -> None:
    rows = [post(id, score=number) for number, id in enumerate("abcdefgh")]
    plain, _, _ = run(tmp_path / "plain", [write_dump(tmp_path / "RC_2013-06", rows)])
    array = tmp_path / "RS.json"
    array.write_text(json.dumps(rows[:parts], indent=1))
    table = tmp_path / "RS.parquet"
    pq.write_table(pa.Table.from_pylist(rows[parts:]), table)
    manifest, _, gates = run(tmp_path / "build", [array, table])
    assert (manifest.digest, manifest.ledgers) == (plain.digest, plain.ledgers)
    assert not gates


def test_an_empty_dump_stops_no_other_and_is_said_once(
    built: tuple[Path, Manifest, Rows], tmp_path: Path
) -> None:
    nothing, packed = tmp_path / "RS_none.zst", tmp_path / "RS_packed.gz"
    nothing.write_bytes(b"")
    packed.write_bytes(gzip.compress(b""))
    paths = [nothing, *dumps(tmp_path / "dumps", 2), packed]
    said: list[str] = []
    manifest, rows, gates = run(tmp_path / "build", paths, said)
    assert (rows, manifest.digest, manifest.ledgers) == (
        built[2],
        built[1].digest,
        built[1].ledgers,
    )
    assert said == ["links: 2 of 4 dumps hold nothing: RS_none.zst, RS_packed.gz"]
    assert not gates
    with pytest.raises(InputError, match=r"RS_none\.zst.*the file is empty"):
        run(tmp_path / "none", [nothing])
    with pytest.raises(StageError, match="of 0 submissions"):
        run(tmp_path / "packed", [nothing, packed])


def test_a_dump_of_another_year_is_said(tmp_path: Path) -> None:
    late = [post(f"z{number}", score=9, created_utc=1_700_000_000) for number in range(3)]
    late.append(post("zz", score=9))
    paths = [*dumps(tmp_path / "dumps", 2), write_dump(tmp_path / "RS_2023-11", late)]
    said: list[str] = []
    run(tmp_path / "build", paths, said)
    told = "links: most submissions of 1 of 3 dumps are not of links.date_min 2005-01-01 to"
    assert said == [f"{told} links.date_max 2017-12-31: RS_2023-11"]


def test_comments_that_are_named_like_submissions_are_refused_as_what_they_are(
    tmp_path: Path,
) -> None:
    comments = [{"id": f"c{n}", "body": "words", "link_id": "t3_a", "score": 5} for n in range(5)]
    for rows in (comments, [post("t1_c")] * 3):
        path = write_dump(tmp_path / "RS_2013-06", rows)
        with pytest.raises(InputError, match=r"all of them comments.*In spite of its name"):
            run(tmp_path / "build", [path])


def test_half_a_surrogate_pair_in_a_url_is_a_drop_that_can_be_shown(tmp_path: Path) -> None:
    path = write_dump(
        tmp_path / "dump",
        [
            post("a", title="\ud83d", subreddit="\udc00"),
            post("b", url="http://b.example.com/\ud83d"),
            post("c", score="\ud83d"),
        ],
    )
    _, rows, _ = run(tmp_path / "build", [path])
    assert [(r["best_post_id"], r["subreddit"]) for r in rows] == [("a", "")]
    assert drops_of(tmp_path / "build", "url_invalid") == [r"http://b.example.com/\ud83d"]


def test_the_age_of_a_months_scores_is_taken_over_all_dumps() -> None:
    ages = [{"2023-08": [10, 10], "2023-07": [10, 6]}, {"2023-07": [10, 4], "2017-01": [5, 0]}]
    (message,) = immature_months(ages)
    assert "100% of the scores of 2023-08" in message
