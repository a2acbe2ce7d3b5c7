"""A build whose driver is killed loses at most the parts at work, and leaves no process behind."""

import pytest

SIGKILLED = -9
MID_PART = [
    pytest.param("kill the driver", marks=pytest.mark.slow),
    "kill the driver, hold the lock",
    "kill the driver before the sidecar",
]
LATER = {
    # What a rerun has to do again: reads, reductions.
    "before step.json": (0, 4),
    "between steps": (0, 4),
    "before the manifest": (0, 0),
    "before the first rename": (0, 0),
    "before cleaning": (0, 0),
    "while cleaning": (0, 0),
}


@pytest.mark.parametrize("misdeed", MID_PART)
def test_a_driver_killed_in_the_middle_of_a_part_takes_its_workers_along_and_a_rerun_redoes_it(
    killable, digest, all_gone, inline, misdeed
):
    driver = killable.start(do={"d": misdeed})
    assert killable.wait(driver) == SIGKILLED
    assert all_gone(driver)
    assert not (killable.folder / "toy").exists()
    killable.done()
    committed = killable.committed()
    assert "d" not in committed
    assert killable.build().digest == digest
    assert killable.done()["read"] == 4 - len(committed)


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(moment, marks=[pytest.mark.slow] * (moment == "before the manifest"))
        for moment in LATER
    ],
)
def test_a_driver_killed_after_its_parts_leaves_them_to_the_next_run(
    killable, digest, all_gone, inline, moment
):
    driver = killable.start(kill=moment)
    assert killable.wait(driver) == SIGKILLED
    assert all_gone(driver)
    killable.done()
    assert killable.build().digest == digest
    done = killable.done()
    assert (done["read"], done["group"]) == LATER[moment]
    left = {path.name for path in (killable.folder / ".work").iterdir()}
    assert left == {"build.json"}


@pytest.mark.parametrize("moment", ["before the first rename", "before the second rename"])
def test_a_driver_killed_while_it_replaces_a_stage_loses_neither(killable, inline, moment):
    before = killable.build("a", "b", "c")
    driver = killable.start(kill=moment)
    assert killable.wait(driver) == SIGKILLED
    published = (killable.folder / "toy" / "manifest.json").exists()
    assert published == (moment == "before the first rename")
    killable.done()
    assert killable.build().digest != before.digest
    assert killable.done() == {}
    # Nor is the stage before lost for good: its parts are taken over if it is asked for again.
    assert killable.build("a", "b", "c").digest == before.digest


def test_the_stage_before_is_taken_back_after_a_kill_between_the_renames(killable, inline):
    before = killable.build("a", "b", "c")
    driver = killable.start(kill="before the second rename")
    assert killable.wait(driver) == SIGKILLED
    killable.done()
    assert killable.build("a", "b", "c").digest == before.digest
    assert killable.done()["group"] == 0


def test_nothing_but_the_kept_files_is_left_after_a_kill_and_a_rerun(killable, inline):
    killable.wait(killable.start(do={"d": "kill the driver before the sidecar"}))
    killable.build()
    names = {str(path.relative_to(killable.folder)) for path in killable.folder.rglob("*")}
    numbers = range(4)
    expected = {"lock", "log.jsonl", ".work", ".work/build.json", "toy", "toy/.meta"}
    expected |= {"toy/manifest.json", "toy/step.json", "toy/.meta/read"}
    expected |= {f"toy/part-{n:05d}.parquet" for n in numbers}
    expected |= {f"toy/.meta/part-{n:05d}.json" for n in numbers}
    expected |= {f"toy/.meta/drops-{n:05d}.parquet" for n in numbers}
    expected |= {f"toy/.meta/read/drops-{n:05d}.parquet" for n in numbers}
    assert names == expected
