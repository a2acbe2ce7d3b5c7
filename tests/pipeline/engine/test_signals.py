"""Ctrl-C and SIGTERM: what is done is kept, nothing is half, and the same command goes on."""

import os
import signal
import threading
import time

import pytest

from pipeline.engine.build import Build
from pipeline.engine.control import Signals
from pipeline.errors import Stopped
from pipeline.settings import EngineSettings

ITEM_WALL_S = 60


@pytest.mark.parametrize(("signum", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_a_signal_to_the_whole_group_stops_the_build_and_the_next_run_goes_on(
    killable, inline, all_gone, signum, exit_code
):
    driver = killable.start(do={"c": "sleep"})
    killable.wait_for("asleep")
    os.killpg(driver, signum)
    assert killable.wait(driver) == exit_code
    assert all_gone(driver)
    assert "run the same command to go on" in killable.stderr.read_text()
    committed = killable.committed()
    assert "c" not in committed
    assert killable.unnamed() == []
    assert not (killable.folder / "scratch").exists()
    assert not (killable.folder / "runs").exists()
    killable.done()
    killable.build()  # the lock is free
    assert killable.done()["read"] == 4 - len(committed)


def test_a_second_signal_ends_the_driver_at_once_with_the_first_ones_exit_code(killable, all_gone):
    driver = killable.start(do={"a": "finish slowly"})
    killable.wait_for("slow")
    os.kill(driver, signal.SIGTERM)
    time.sleep(0.2)
    started = time.monotonic()
    os.kill(driver, signal.SIGINT)
    assert killable.wait(driver) == 75
    assert time.monotonic() - started < 1
    assert all_gone(driver)


def test_a_part_that_is_finished_as_the_signal_comes_is_kept(killable):
    driver = killable.start(do={"a": "finish slowly"})
    killable.wait_for("slow")
    os.kill(driver, signal.SIGINT)
    assert killable.wait(driver) == 130
    assert "a" in killable.committed()


def test_items_in_flight_do_not_hold_up_a_stop(killable, all_gone):
    killable.engine["item_wall_s"] = ITEM_WALL_S
    driver = killable.start(items=True, do={"bucket 0": "hang in the pool"})
    killable.wait_for("asleep")
    started = time.monotonic()
    os.kill(driver, signal.SIGINT)
    assert killable.wait(driver) == 130
    assert time.monotonic() - started < ITEM_WALL_S / 10
    assert all_gone(driver)


def test_a_request_to_stop_of_an_earlier_run_is_forgotten(toys, inline):
    toys.build("a")
    (toys.folder / "runs" / "0123456789ab").mkdir(parents=True)
    (toys.folder / "runs" / "0123456789ab" / "stop").write_text("a signal")
    assert toys.build("a", "b").ledgers["posts"].rows_in == 40


def test_handlers_are_given_back(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    with Signals():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_no_stage_starts_after_a_signal(tmp_path):
    with (
        pytest.raises(Stopped),
        Build(tmp_path, EngineSettings(free_disk_min_bytes=0), quiet=True) as build,
    ):
        os.kill(os.getpid(), signal.SIGTERM)
        build.run(None)


def test_a_build_outside_the_main_thread_leaves_signals_alone(toys, inline):
    found = []
    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=lambda: found.append(toys.build("a")))
    thread.start()
    thread.join()
    assert found[0].ledgers["posts"].rows_in == 20
    assert signal.getsignal(signal.SIGINT) == before
