"""A forked child takes the fall: a hostile item is a named fault, and the parent goes on."""

import gc
import os
import signal
import threading
import time
from functools import partial
from pathlib import Path

import hostile
import pytest

from pipeline.engine.fork import Forked
from pipeline.engine.limits import Fault, Limits
from pipeline.reasons import Drop, Reason

LIMITS = Limits(cpu_s=1, wall_s=2, memory_bytes=200 << 20)


def run_forked(function, limits):
    with Forked(lambda item: function(), limits) as forked:
        return forked("item")


def children() -> list[str]:
    return Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text().split()


@pytest.mark.parametrize(
    ("act", "reason", "detail"),
    [
        ("kill", Reason.CRASHED, "signal 9"),
        ("exit", Reason.CRASHED, "exit code 3"),
        ("segfault", Reason.CRASHED, "signal 11"),
        ("sleep", Reason.TIMED_OUT, "over 2 s"),
        ("spin", Reason.TIMED_OUT, "over 1 CPU seconds"),
        ("hold the lock", Reason.TIMED_OUT, "over 1 CPU seconds"),
        ("eat memory", Reason.OUT_OF_MEMORY, "over 200 MiB"),
        ("raise", Reason.EXTRACTION_FAILED, "KeyError: 'colour'"),
        ("panic", Reason.EXTRACTION_FAILED, "Panic: no Exception"),
    ],
)
def test_a_hostile_item_is_a_named_fault(act, reason, detail):
    before = children()
    fault = run_forked(partial(hostile.act, act), LIMITS)
    assert isinstance(fault, Fault)
    assert fault.reason == reason
    # A busy machine reaches the wall limit before the CPU limit.
    assert detail in fault.detail or "over 2 s" in fault.detail
    assert children() == before


def test_each_item_has_the_whole_limit_of_cpu_time_however_much_the_parent_took():
    start_s = time.process_time()
    while time.process_time() - start_s < 1.2:
        pass
    assert run_forked(partial(hostile.act, "fine"), LIMITS) == "fine done"
    assert run_forked(partial(hostile.act, "fine"), LIMITS) == "fine done"


@pytest.mark.parametrize("value", ["x" * 5_000_000, Drop(Reason.NO_TEXT, "why"), None])
def test_the_child_gives_back_what_the_function_gives(value):
    assert run_forked(lambda: value, LIMITS) == value


def test_a_child_that_cannot_send_its_value_is_a_fault():
    fault = run_forked(lambda: lambda: "no function can be sent", LIMITS)
    assert fault == Fault(Reason.CRASHED, "the worker ended by exit code 1")


def test_what_waits_in_the_buffers_of_the_parent_is_written_once(tmp_path):
    with (tmp_path / "out").open("w") as file:
        file.write("once")
        run_forked(lambda: None, LIMITS)
        run_forked(lambda: os.abort(), LIMITS)
    assert (tmp_path / "out").read_text() == "once"


def test_no_child_outlives_a_call_that_was_interrupted():
    before = children()

    def interrupted(signum, frame):
        raise KeyboardInterrupt

    earlier = signal.signal(signal.SIGALRM, interrupted)
    signal.setitimer(signal.ITIMER_REAL, 0.5)
    try:
        with pytest.raises(KeyboardInterrupt):
            run_forked(lambda: time.sleep(100), Limits(wall_s=200))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier)
    gc.collect()
    assert children() == before


def test_one_child_takes_item_after_item_until_one_ends_it():
    pids = set()
    with Forked(lambda item: os.getpid() if item == "pid" else hostile.act(item), LIMITS) as forked:
        pids |= {forked("pid") for _ in range(3)}
        assert len(pids) == 1
        assert forked("raise").reason == Reason.EXTRACTION_FAILED
        assert forked("pid") in pids
        assert forked("kill") == Fault(Reason.CRASHED, "the worker ended by signal 9")
        after = forked("pid")
    assert after not in pids
    assert os.getpid() not in {after, *pids}


def test_what_one_item_loads_the_next_one_has():
    loaded = []
    with Forked(lambda item: loaded.append(item) or len(loaded), LIMITS) as forked:
        assert [forked(item) for item in "abc"] == [1, 2, 3]
    assert loaded == []


def test_an_item_of_any_size_is_sent():
    with Forked(len, LIMITS) as forked:
        assert [forked(b"x" * size) for size in (0, 1, 1 << 16, 5_000_000)] == [
            0,
            1,
            1 << 16,
            5_000_000,
        ]
