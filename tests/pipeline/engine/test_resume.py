"""A rerun reuses what matches and does only what is missing; what it may not do, it says."""

import json
from dataclasses import dataclass, replace
from functools import partial

import pytest
import toy

from pipeline.engine.drops import read_drops
from pipeline.engine.stage import Part, PartWriter, Stage, Step, Upstream, one_part_each
from pipeline.errors import StageError
from pipeline.reasons import Reason

pytestmark = pytest.mark.usefixtures("inline")


def make_costly(toys, part_s: float) -> None:
    """Have each part of the published toy say that it took so long."""
    path = toys.folder / "toy" / "manifest.json"
    manifest = json.loads(path.read_text())
    del manifest["xxh3_128"]  # it is to be read as it is
    for step in manifest["steps"]:
        for part in step["parts"]:
            part["wall_s"] = part_s
    path.write_text(json.dumps(manifest))


def events(toys) -> list[dict]:
    return [json.loads(line) for line in (toys.folder / "log.jsonl").read_text().splitlines()]


def test_a_stage_that_is_up_to_date_is_not_made_again(toys):
    before = toys.build()
    assert toys.done() == {"read": 4, "done": 4, "group": 4}
    again = toys.build()
    assert toys.done() == {}
    assert (again.digest, again.ledgers) == (before.digest, before.ledgers)


def test_one_part_more_takes_over_the_others(toys):
    toys.build("a", "b", keep=True)
    toys.done()
    grown = toys.build("a", "b", "c", keep=True)
    assert toys.done() == {"read": 1, "done": 1, "group": 4}
    toys.folder = toys.folder.with_name("fresh")
    assert toys.build("a", "b", "c").digest == grown.digest


def test_parts_are_known_by_content_whatever_number_they_get(toys):
    toys.build("b", "c", "d", keep=True)
    toys.done()
    output = toys.build("a", "d", "b", "c", keep=True)
    assert toys.done()["read"] == 1
    parts = toys.manifest().record_of("read").parts
    assert [(part.number, part.label) for part in parts] == list(enumerate("adbc"))
    toys.folder = toys.folder.with_name("fresh")
    assert toys.build("d", "c", "b", "a").digest == output.digest


def test_an_interrupted_run_goes_on_though_its_parts_are_numbered_anew(toys):
    with pytest.raises(StageError):
        toys.build("a", "b", "c", do={"c": "raise KeyError"})
    assert toys.done()["done"] == 2
    output = toys.build("c", "a", "b")
    assert output.ledgers["posts"].rows_in == 60
    assert toys.done()["read"] <= 3
    toys.folder = toys.folder.with_name("fresh")
    assert toys.build("a", "b", "c").digest == output.digest


def test_two_parts_with_the_same_content_are_both_there(toys):
    output = toys.build("a", "a")
    assert output.ledgers["posts"].rows_in == 40
    assert toys.build("a", "b", "a").ledgers["posts"].rows_in == 60


def test_files_that_a_stage_named_itself_keep_their_names_and_are_taken_over_whole(toys):
    def plan(labels) -> list[Part]:
        # Its number is in the file's name, so it is in the content too.
        return [Part(number, label, f"{number} {label}") for number, label in enumerate(labels)]

    def stage(*labels: str) -> Stage:
        step = Step("read", 1, partial(plan, labels), with_file, toy.SCHEMA)
        return Stage("toy", "posts", (step,))

    def with_file(part: Part, out) -> None:
        toy.say(str(toys.log), f"read {part.label}")
        out.file(f"shard_{part.number:06d}.bin").write_bytes(part.label.encode())
        out.write_rows([{"id": part.label, "n": 1}])
        out.book("posts", rows_in=1, rows_out=1)

    toys.run(stage("x", "y"))
    toys.done()
    toys.run(stage("x", "y", "z"))
    assert toys.done()["read"] == 1
    toys.run(stage("y", "x", "z", "w"))
    assert toys.done()["read"] == 3
    assert {path.name: path.read_text() for path in (toys.folder / "toy").glob("*.bin")} == {
        "shard_000000.bin": "y",
        "shard_000001.bin": "x",
        "shard_000002.bin": "z",
        "shard_000003.bin": "w",
    }


def test_a_changed_setting_redoes_its_step_and_those_after_it(toys):
    toys.build(keep=True)
    toys.done()
    toys.build(rules=toy.Rules(keys=3), keep=True)
    assert toys.done() == {"read": 4, "done": 4, "group": 4}


def test_a_changed_later_step_leaves_kept_earlier_ones_alone(toys):
    first = toys.build(keep=True)
    toys.done()
    stage = toy.stage(options=toy.Options(str(toys.log)), keep=True)
    stage = replace(stage, steps=(stage.steps[0], replace(stage.steps[1], version=2)))
    assert toys.run(stage).digest == first.digest
    assert toys.done() == {"group": 4}


def test_a_setting_that_changes_no_row_redoes_its_step_alone(toys):
    before = toys.build("a", "b", keep=True)
    toys.done()
    stage = toy.stage(("a", "b"), options=toy.Options(str(toys.log)), keep=True)
    read, group = stage.steps
    read = replace(read, version=2)
    stage = replace(stage, steps=(read, replace(group, inputs=(read,))))
    assert toys.run(stage).digest == before.digest
    assert toys.done() == {"read": 2, "done": 2}


def test_going_back_to_an_earlier_setting_gives_the_earlier_rows(toys):
    first = toys.build()
    toys.build(rules=toy.Rules(keys=3))
    assert toys.build().digest == first.digest


def test_other_versions_stop_the_build_and_say_both_ways_out(toys):
    toys.build(versions={"lxml": "5.3"})
    toys.done()
    with pytest.raises(StageError, match=r"lxml 5.3 -> 5.4.*--keep-versions.*--redo toy"):
        toys.build(versions={"lxml": "5.4"})
    assert toys.done() == {}


def test_keep_versions_goes_on_with_what_is_there_and_is_recorded(toys):
    before = toys.build(versions={"lxml": "5.3"})
    toys.done()
    kept = toys.build(versions={"lxml": "5.4"}, build={"keep_versions": True})
    assert kept.digest == before.digest
    assert toys.done() == {}
    assert "keep-versions" in [event["event"] for event in events(toys)]


def test_a_kept_version_stays_the_recorded_one_when_a_later_step_changes(toys):
    def stage(read: str, group: int) -> Stage:
        whole = toy.stage(options=toy.Options(str(toys.log)), versions={"lxml": read})
        return replace(whole, steps=(whole.steps[0], replace(whole.steps[1], version=group)))

    toys.run(stage("5.3", 1))
    toys.run(stage("5.4", 2), {"keep_versions": True})
    toys.done()
    toys.run(stage("5.4", 2), {"keep_versions": True})
    assert toys.done() == {}
    with pytest.raises(StageError, match=r"lxml 5\.3 -> 5\.4"):
        toys.run(stage("5.4", 2))


def test_redo_makes_a_stage_again_with_the_new_versions(toys):
    toys.build(versions={"lxml": "5.3"})
    toys.done()
    toys.build(versions={"lxml": "5.4"}, build={"redo": ["toy"]})
    assert toys.done()["read"] == 4
    toys.build(versions={"lxml": "5.4"})
    assert toys.done() == {}


def test_redo_makes_a_stage_again_that_is_up_to_date_and_its_kept_steps(toys):
    before = toys.build(keep=True)
    toys.done()
    again = toys.build(keep=True, build={"redo": ["toy"]})
    assert toys.done() == {"read": 4, "done": 4, "group": 4}
    assert again.digest == before.digest


def test_a_redo_that_was_interrupted_goes_on_without_being_asked_again(toys):
    before = toys.build()
    toys.done()
    toys.engine["workers"] = 1
    with pytest.raises(StageError):
        toys.build(do={"c": "raise KeyError"}, build={"redo": ["toy"]})
    assert toys.done()["done"] == 2
    assert toys.build().digest == before.digest
    assert toys.done() == {"read": 2, "done": 2, "group": 4}


def test_redo_takes_nothing_over_from_what_an_interrupted_run_left(toys):
    toys.build("a", "b")
    toys.engine["workers"] = 1
    with pytest.raises(StageError):
        toys.build("a", "b", "c", do={"c": "raise KeyError"})
    toys.done()
    toys.build("a", "b", build={"redo": ["toy"]})
    assert toys.done()["read"] == 2


@dataclass(frozen=True)
class Flaky:
    """Drops its row as timed out, as long as the machine is busy."""

    log: str
    busy: frozenset[str]

    def __call__(self, part: Part, out: PartWriter) -> None:
        toy.say(self.log, f"read {part.label}")
        out.book("posts", rows_in=1)
        if part.label in self.busy:
            out.drop("posts", Reason.TIMED_OUT, id=part.label, url="http://x", detail="over 60 s")
        else:
            out.write_rows([{"id": part.label, "n": 1}])
            out.book("posts", rows_out=1)


def flaky_stage(toys, busy: str, lxml: str = "5.3") -> Stage:
    options = toy.Options(str(toys.log))
    work = Flaky(str(toys.log), frozenset(busy))
    plan = partial(toy.plan, tuple("abcd"), options)
    step = Step("read", 1, plan, work, toy.SCHEMA, versions={"lxml": lxml})
    return Stage("toy", "posts", (step,))


def test_drops_by_limits_are_listed_in_the_manifest_and_replay_does_their_parts_alone(toys):
    toys.run(flaky_stage(toys, busy="bc"))
    assert [(fault["id"], fault["reason"]) for fault in toys.manifest().faults] == [
        ("b", "timed_out"),
        ("c", "timed_out"),
    ]
    toys.done()
    toys.run(flaky_stage(toys, busy="c"))
    assert toys.done() == {}
    shown = set(toys.manifest().view())
    replayed = toys.run(flaky_stage(toys, busy="c"), {"replay": ["toy"]})
    assert toys.done() == {"read": 2}
    assert replayed.ledgers["posts"].rows_out == 3
    assert not shown & set(toys.manifest().view())  # no reader mixes the rows of both
    assert toys.unnamed() == []
    healed = toys.run(flaky_stage(toys, busy=""), {"replay": ["toy"]})
    assert toys.done() == {"read": 1}
    assert not toys.manifest().faults
    toys.run(flaky_stage(toys, busy=""), {"replay": ["toy"]})
    assert toys.done() == {}
    toys.folder = toys.folder.with_name("undisturbed")
    assert toys.run(flaky_stage(toys, busy="")).digest == healed.digest


def test_a_replay_of_what_was_never_finished_says_so(toys, monkeypatch):
    told = []
    monkeypatch.setattr("pipeline.engine.progress.Progress.say", lambda _, text: told.append(text))
    for _ in range(2):
        toys.run(flaky_stage(toys, busy="b"), {"replay": ["toy"]})
        told.append("|")
    first, second, _ = " ".join(told).split("|")
    assert "toy: it is not finished yet, and goes on; replay it when it is" in first
    assert "not finished" not in second and "toy: 1 faults to try again" in second


def test_a_replay_mixes_no_versions_and_leaves_the_stage_as_it_is(toys):
    before = toys.run(flaky_stage(toys, busy="b"))
    toys.done()
    asked = {"replay": ["toy"], "keep_versions": True}
    with pytest.raises(StageError, match=r"lxml 5\.3 -> 5\.4.*--redo toy"):
        toys.run(flaky_stage(toys, busy="", lxml="5.4"), asked)
    assert toys.run(flaky_stage(toys, busy="")).digest == before.digest
    assert toys.done() == {}


def test_a_costly_stage_is_made_again_only_when_asked(toys):
    toys.build()
    make_costly(toys, 3600.0)
    toys.done()
    with pytest.raises(StageError, match=r"read would take about 120 minutes.*--redo toy"):
        toys.build(rules=toy.Rules(keys=3))
    assert toys.done() == {}
    toys.build(rules=toy.Rules(keys=3), build={"redo": ["toy"]})
    assert toys.done()["read"] == 4


def test_a_stage_made_in_several_runs_counts_all_of_them_as_its_cost(toys):
    toys.engine["workers"] = 1
    with pytest.raises(StageError):
        toys.build(do={"a": "finish slowly", "d": "raise KeyError"})
    toys.build()
    assert toys.manifest().wall_s > 1.5


def test_a_stage_that_keeps_nothing_stops_the_build_and_shows_why(toys):
    with pytest.raises(StageError) as error:
        toys.build("nothing", rules=toy.Rules(rows=1))
    text = str(error.value)
    assert "toy kept nothing of 1 posts (url_invalid 1); nothing was published" in text
    assert "http://" in text
    assert "The URL cannot be parsed." in text
    assert not (toys.folder / "toy").exists()


def test_a_stage_without_any_input_stops_the_build_unless_that_is_fine(toys):
    def empty(**more) -> Stage:
        step = Step("read", 1, list, lambda part, out: None, toy.SCHEMA)
        return Stage("toy", "posts", (step,), gives="links", **more)

    with pytest.raises(StageError, match="kept nothing of 0 posts"):
        toys.run(empty())
    assert toys.run(empty(empty_is_fine=True)).parts == []


def test_a_part_whose_ledger_does_not_add_up_is_named_and_not_committed(toys):
    with pytest.raises(StageError, match=r"part b, posts: 21 rows came in, but 20 are accounted"):
        toys.build(do={"b": "book wrongly"})
    assert toys.committed() == {"a"}
    assert not (toys.folder / "toy").exists()


def test_rows_lost_between_two_steps_are_named_and_nothing_is_published(toys):
    stage = toy.stage(options=toy.Options(str(toys.log)))

    def forgetful(read, out) -> None:
        out.write(read.slice(1))
        rows = max(read.num_rows - 1, 0)
        out.book("posts", rows_in=rows, rows_out=rows)

    stage = replace(stage, steps=(stage.steps[0], replace(stage.steps[1], reduce=forgetful)))
    with pytest.raises(StageError, match=r"group received \d+ posts, but read sent 72"):
        toys.run(stage)
    assert not (toys.folder / "toy").exists()


def test_a_step_that_gives_other_rows_the_second_time_is_found_out(toys):
    # Its rows are gone after the first run, so the second makes them again, for the later step.
    def stage(version: int) -> Stage:
        whole = toy.stage(options=toy.Options(str(toys.log)))
        read, group = whole.steps
        read = replace(read, work=moody)
        return replace(whole, steps=(read, replace(group, inputs=(read,), version=version)))

    moods = iter("ab")

    def moody(part: Part, out) -> None:
        if part.number == 0:
            part = replace(part, label=next(moods))
        toy.Read(toy.Rules(), toy.Options())(part, out)

    toys.run(stage(1))
    with pytest.raises(StageError, match="read gave other rows than the last time"):
        toys.run(stage(2))


def test_two_parts_with_one_number_are_refused(toys):
    step = Step(
        "read",
        1,
        lambda: [Part(0, "a", "a"), Part(0, "b", "b")],
        toy.Read(toy.Rules(), toy.Options()),
        toy.SCHEMA,
    )
    with pytest.raises(StageError, match="two parts have number 0"):
        toys.run(Stage("toy", "posts", (step,)))


def test_gates_that_failed_are_told_also_when_the_stage_is_up_to_date(toys):
    from pipeline.engine.build import Build
    from pipeline.settings import EngineSettings

    stage = toy.stage(check=lambda read, _: [f"{read.ledgers['posts'].rows_in} rows"])
    for _ in range(2):
        with Build(toys.folder, EngineSettings(**toys.engine), quiet=True) as build:
            build.run(stage)
            assert build.gates == ["80 rows"]


def test_finish_adds_files_before_the_stage_is_published(toys):
    def finish(_, group) -> dict[str, bytes]:
        assert not (toys.folder / "toy").exists()
        return {"README.md": f"{len(group.parts)} parts".encode()}

    toys.build(finish=finish)
    assert "README.md" in toys.manifest().files
    assert (toys.folder / "toy" / "README.md").read_text() == "4 parts"


def test_dropped_rows_of_all_steps_are_in_the_published_stage(toys):
    toys.build()
    drops = read_drops(toys.store, toys.manifest().all_parts)
    assert drops.num_rows == toys.build().ledgers["posts"].dropped == 8
    toys.build("a", keep=True)
    toys.build("a", "b", keep=True)
    assert read_drops(toys.store, toys.manifest().all_parts).num_rows == 4


def test_rows_of_middle_steps_go_and_those_of_kept_ones_stay(toys):
    def read_of(*labels: str, keep: bool) -> tuple[set[str], int, int]:
        toys.build(*labels, keep=keep)
        tables = list((toys.folder / "data").glob("*.arrow"))
        assert toys.unnamed() == []
        return toys.committed(), len(tables), len(list((toys.folder / "steps").iterdir()))

    assert read_of("a", keep=True) == ({"a"}, 1, 1)
    assert read_of("b", keep=True) == ({"b"}, 1, 1)
    assert read_of("b", "c", keep=False) == (set(), 0, 0)
    assert not (toys.folder / "scratch").exists()
    assert not (toys.folder / "runs").exists()


def test_the_next_stage_reads_the_one_before_under_the_name_of_its_rows(toys):
    def work(part: Part, out) -> None:
        table = out.store.table(part.source.name)
        out.write(table)
        out.book("links", rows_in=table.num_rows, rows_out=table.num_rows - lost)
        out.book("links", merged=lost)

    copy = Step("copy", 1, one_part_each, work, toy.SCHEMA, inputs=(Upstream("toy"),))
    later = Stage("later", "links", (copy,))
    lost = 0
    first = toys.build(gives="links")
    assert toys.run(later).digest == first.digest
    assert toys.run(later).ledgers["links"].rows_in == first.ledgers["links"].rows_out


def test_a_stage_whose_step_reads_another_than_those_before_it_is_refused():
    read, group = toy.stage().steps
    with pytest.raises(ValueError, match="toy: group reads read, no step before it"):
        Stage("toy", "posts", (replace(read, version=2), group))
