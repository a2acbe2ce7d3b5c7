"""A build whose driver is killed loses at most the parts at work, and leaves no process behind.

Here drivers die by SIGKILL, with their workers, at the moments that matter most; test_faults.py has
all moments, in this process.
"""

import pytest
import toy

SIGKILLED = -9
MID_PART = [
    pytest.param("kill the driver", marks=pytest.mark.slow),
    "kill the driver, hold the lock",
    "kill the driver before the record",
]
LATER = {
    # What a rerun has to do again: reads, reductions.
    "before the journal": (0, 4),
    "between steps": (0, 4),
    "before the manifest": (0, 0),
    "before the view": (0, 0),
    "in the middle of the view": (0, 0),
    "before tidying": (0, 0),
    "before the first record goes": (0, 0),
    "in the middle of the data that go": (0, 0),
}
SLOW = ("before the manifest", "before the view", "before the first record goes")
REDO = {
    "before the list of what is stale": 0,  # nothing was begun; the stage is up to date
    "before the old view goes": 4,
    "before the old manifest goes": 4,
    "before the third record goes": 4,
}


def moments(found, slow=()):
    return [
        pytest.param(moment, marks=[pytest.mark.slow] * (moment in slow), id=moment)
        for moment in found
    ]


def kill(toys, all_gone, moment: str = "", **stage) -> None:
    driver = toys.start(kill=moment, **stage)
    assert toys.wait(driver) == SIGKILLED
    assert all_gone(driver)
    toys.done()


@pytest.mark.parametrize("misdeed", MID_PART)
def test_a_driver_killed_in_the_middle_of_a_part_takes_its_workers_along_and_a_rerun_redoes_it(
    killable, digest, all_gone, inline, misdeed
):
    kill(killable, all_gone, do={"d": misdeed})
    assert not (killable.folder / "toy").exists()
    committed = killable.committed()
    assert "d" not in committed
    assert killable.build().digest == digest
    assert killable.done()["read"] == 4 - len(committed)


@pytest.mark.parametrize("moment", moments(LATER, SLOW))
def test_a_driver_killed_after_its_parts_leaves_them_to_the_next_run(
    killable, digest, all_gone, inline, moment
):
    kill(killable, all_gone, moment)
    assert killable.build().digest == digest
    done = killable.done()
    assert (done["read"], done["group"]) == LATER[moment]
    assert killable.unnamed() == []
    assert killable.names_nothing_lost()
    assert killable.store.entries("steps") == []
    assert killable.store.entries("parts/toy-read") == []


@pytest.mark.parametrize("moment", ["before the manifest", "before the view"])
def test_a_driver_killed_while_it_replaces_a_stage_loses_neither(
    killable, all_gone, inline, moment
):
    before = killable.build("a", "b", "c")
    kill(killable, all_gone, moment)
    published = killable.manifest().digest == before.digest
    assert published == (moment == "before the manifest")
    assert killable.build().digest != before.digest
    assert killable.done() == {}
    # Nor is the stage before lost for good: its inputs give it again.
    assert killable.build("a", "b", "c").digest == before.digest
    assert killable.unnamed() == []


@pytest.mark.parametrize("moment", ["before the manifest", "before the view"])
def test_the_stage_before_is_taken_back_after_a_kill_while_it_was_replaced(
    killable, all_gone, inline, moment
):
    before = killable.build("a", "b", "c")
    kill(killable, all_gone, moment)
    assert killable.build("a", "b", "c").digest == before.digest
    assert killable.done()["group"] == 0
    assert killable.unnamed() == []
    assert killable.names_nothing_lost()


@pytest.mark.parametrize("moment", moments(REDO, ["before the old view goes"]))
def test_a_redo_that_is_killed_as_it_forgets_goes_on_without_being_asked_again(
    killable, digest, all_gone, inline, moment
):
    killable.build()
    kill(killable, all_gone, moment, redo=["toy"])
    assert killable.build().digest == digest
    assert killable.done()["read"] == REDO[moment]
    assert killable.unnamed() == []
    assert killable.names_nothing_lost()


def test_a_replay_that_is_killed_as_it_forgets_goes_on_without_being_asked_again(
    killable, digest, all_gone, inline
):
    killable.build(do={"b": "time out a row"}, keep=True)
    kill(killable, all_gone, "before the first data go", replay=["toy"], keep=True)
    assert killable.build(keep=True).digest == digest
    assert killable.done()["read"] == 1
    assert killable.unnamed() == []
    assert killable.names_nothing_lost()


def test_nothing_but_what_is_named_is_left_after_a_kill_and_a_rerun(killable, all_gone, inline):
    killed = "kill the driver before the record"
    kill(killable, all_gone, do={"d": killed})
    left = killable.unnamed()
    output = killable.build()
    names = {str(path.relative_to(killable.folder)) for path in killable.folder.rglob("*")}
    read = killable.manifest().record_of("read").parts
    publication = killable.manifest().publication[:8]
    expected = {"lock", "log.jsonl", "build.json", "data", "steps", "forget", "parts"}
    expected |= {"parts/toy-read", "parts/toy-group", "toy", "toy/manifest.json"}
    expected |= {f"toy/part-{publication}-{n:05d}.parquet" for n in range(4)}
    expected |= {f"parts/toy-group/{part.fingerprint}.json" for part in output.parts}
    expected |= {part.file("drops") for part in (*read, *output.parts)}
    expected |= {part.table for part in output.parts}
    assert names - set(left) == expected
    # Only `clean` removes what the killed attempt had put in data/; its part is told by the name.
    (killed_part,) = (part for part in read if part.label == "d")
    assert len(left) == 2
    assert all(name.startswith(f"data/{killed_part.fingerprint}-") for name in left)


def test_a_part_that_commits_after_its_step_was_published_changes_nothing(toys, inline):
    before = toys.build()
    published = (toys.folder / "toy" / "manifest.json").read_bytes()
    lost = toy.stage(options=toy.Options(str(toys.log)))
    # A worker that was given up: it finishes a part of the middle step, and one of the last.
    for step in ("read", "group"):
        late_commit(toys, lost, step)
    assert (toys.folder / "toy" / "manifest.json").read_bytes() == published
    assert toys.names_nothing_lost()
    toys.done()
    assert toys.build().digest == before.digest
    assert toys.done() == {}
    assert toys.unnamed() == []
    assert toys.store.entries("parts/toy-read") == []
    assert toys.build(build={"redo": ["toy"]}).digest == before.digest
    assert toys.unnamed() == []


def late_commit(toys, stage, name: str) -> None:
    """The first part of a step once more, by the record that the manifest has of it."""
    from pipeline.engine.stage import Part
    from pipeline.engine.writer import PartWriter

    record = toys.manifest().record_of(name).parts[0]
    step = next(step for step in stage.steps if step.name == name)
    part = Part(record.number, record.label, "", fingerprint=record.fingerprint)
    out = PartWriter(
        toys.store, "toy", name, part, step.schema, run="gone", exchange=step.exchange, buckets=4
    )
    if name == "read":
        step.work(part, out)
    else:
        out.write(toys.store.table(record.table))
        for unit, ledger in record.ledgers.items():
            out.book(unit, rows_in=ledger.rows_in, rows_out=ledger.rows_out, merged=ledger.merged)
    assert out.commit().digest == record.digest
