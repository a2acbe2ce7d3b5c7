"""Worker processes take the fall: a hostile item costs itself, no other, and the order is kept."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import hostile
import pytest

from pipeline.engine.limits import Fault, Limits
from pipeline.engine.pool import Pool
from pipeline.errors import InputError, StageError
from pipeline.reasons import Reason

LIMITS = Limits(cpu_s=1, wall_s=2, memory_bytes=200 << 20)


def loaded_by_an_array() -> bool:
    """Whether pandas is loaded once pyarrow made an array."""
    import pyarrow as pa

    pa.array([1, 2])
    return "pandas" in sys.modules


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    found = Pool(2, LIMITS)
    yield found
    found.close()


def test_workers_do_without_pandas_which_arrow_would_load():
    pytest.importorskip("pandas")
    with Pool(1, LIMITS) as pool:
        assert pool.run(loaded_by_an_array) is False


def test_hostile_items_become_named_faults_in_their_place_and_no_other_item_is_lost(pool):
    acts = {
        3: ("kill", Reason.CRASHED, "signal 9"),
        7: ("exit", Reason.CRASHED, "exit code 3"),
        11: ("segfault", Reason.CRASHED, "signal 11"),
        13: ("sleep", Reason.TIMED_OUT, "over 2 s"),
        17: ("spin", Reason.TIMED_OUT, "over 1 CPU seconds"),
        19: ("hold the lock", Reason.TIMED_OUT, "over 1 CPU seconds"),
        23: ("eat memory", Reason.OUT_OF_MEMORY, "over 200 MiB"),
        29: ("raise", Reason.EXTRACTION_FAILED, "KeyError: 'colour'"),
        31: ("panic", Reason.EXTRACTION_FAILED, "Panic: no Exception"),
        37: ("raise TimeoutError", Reason.EXTRACTION_FAILED, "TimeoutError: mine"),
    }
    items = [acts[n][0] if n in acts else f"fine {n}" for n in range(60)]
    used: list[tuple[float, int]] = []
    results = list(pool.map(hostile.act, items, lambda cpu_s, tries: used.append((cpu_s, tries))))
    assert len(results) == len(used) == 60
    for n, result in enumerate(results):
        if n in acts:
            _, reason, detail = acts[n]
            assert isinstance(result, Fault), items[n]
            assert result.reason == reason, items[n]
            # A busy machine reaches the wall limit before the CPU limit.
            assert detail in result.detail or "over 2 s" in result.detail, items[n]
        else:
            assert result == f"fine {n} done"
    tries = {items[n]: used[n][1] for n in acts}
    assert {what for what, count in tries.items() if count == 2} == {
        "kill",
        "exit",
        "segfault",
        "sleep",
        "spin",
        "hold the lock",
    }


def test_an_item_that_broke_its_worker_by_bad_luck_succeeds_the_second_time(pool, tmp_path):
    tries: list[int] = []
    path = tmp_path / "tried"
    assert list(pool.map(hostile.die_once, [str(path)], lambda _, n: tries.append(n))) == ["alive"]
    assert tries == [2]


def test_the_second_try_of_an_item_is_alone_in_the_pool_whoever_else_waits(pool, tmp_path):
    folders = [tmp_path / "one", tmp_path / "two"]
    found: list[list[str]] = []

    def a_part(folder: Path) -> None:
        folder.mkdir()
        items = [(str(folder), number) for number in range(12)]
        found.extend(pool.map(hostile.look_around, items, lambda *_: None))

    threads = [threading.Thread(target=a_part, args=(folder,)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [[]] * 24


def test_a_worker_that_dies_as_it_starts_loses_no_item_that_waits_in_the_queue():
    with Pool(2, LIMITS) as pool:
        found: list[int] = []

        def a_part() -> None:  # more than the pipe to the workers holds
            found.extend(pool.map(len, [bytes(1_000_000)] * 12, lambda *_: None))

        thread = threading.Thread(target=a_part, daemon=True)
        thread.start()
        while not (pids := list(pool._pool._pool_manager.worker_manager.workers)):
            time.sleep(0.001)
        os.kill(pids[0], signal.SIGKILL)
        thread.join(30)
    assert found == [1_000_000] * 12


def test_what_an_item_used_is_told_in_cpu_seconds():
    used: list[float] = []
    pool = Pool(1, replace(LIMITS, wall_s=60))  # a busy machine takes seconds for a third of one
    list(pool.map(hostile.burn, [0.3], lambda cpu_s, _: used.append(cpu_s)))
    pool.close()
    assert used[0] == pytest.approx(0.3, abs=0.15)


def test_items_are_given_up_when_nobody_waits_for_them_any_more(pool):
    class Enough(Exception):  # noqa: N818
        pass

    def heartbeat() -> None:
        raise Enough

    started = time.monotonic()
    with pytest.raises(Enough):
        list(pool.map(time.sleep, [60.0] * 4, lambda *_: None, heartbeat))
    # The workers are free again: those that slept were ended.
    assert list(pool.map(abs, [-1, -2], lambda *_: None)) == [1, 2]
    assert time.monotonic() - started < LIMITS.wall_s * 2


def test_items_are_taken_only_as_fast_as_they_are_done(pool):
    taken = []

    def items() -> Iterator[int]:
        for n in range(1000):
            taken.append(n)
            yield n

    results = pool.map(abs, items(), lambda *_: None)
    next(results)
    assert len(taken) <= 4 * pool.workers
    results.close()


def test_a_worker_knows_nothing_of_beam_nor_of_the_program_that_started_it(pool):
    loaded = pool.run(hostile.modules)
    assert "apache_beam" not in loaded
    assert "pytest" not in loaded
    assert "pyarrow" not in loaded


def test_a_whole_part_has_no_limits_also_after_items_had_them(pool):
    list(pool.map(abs, [1] * 8, lambda *_: None))
    assert pool.run(hostile.limits) == [-1, -1]
    list(pool.map(abs, [1] * 8, lambda *_: None))
    assert pool.run(hostile.burn, LIMITS.cpu_s + 0.5) is None


def test_an_error_of_a_whole_part_arrives_with_its_type_and_its_fields(pool):
    with pytest.raises(InputError) as error:
        pool.run(hostile.raise_input_error)
    assert (error.value.path, error.value.place) == ("dump.zst", "byte 7")


def test_a_panic_in_a_whole_part_arrives_as_an_exception(pool):
    with pytest.raises(RuntimeError, match="Panic: no Exception"):
        pool.run(hostile.act, "panic")
    with pytest.raises(RuntimeError, match="SystemExit: 3"):
        pool.run(hostile.leave)


def test_a_whole_part_whose_worker_dies_is_done_once_more_then_named(pool, tmp_path):
    assert pool.run(hostile.die_once, str(tmp_path / "tried")) == "alive"
    with pytest.raises(StageError, match="ended by signal 9, twice"):
        pool.run(hostile.act, "kill")


def test_workers_are_replaced_after_so_many_items():
    pool = Pool(1, LIMITS, items_per_worker=3)
    pids = list(pool.map(hostile.pid, range(7), lambda *_: None))
    pool.close()
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 1]


def test_closing_ends_running_items_too():
    pool = Pool(1, LIMITS)
    ended: list[BaseException] = []

    def wait() -> None:
        try:
            list(pool.map(time.sleep, [60.0], lambda *_: None))
        except BaseException as error:  # noqa: BLE001 (whatever ends it)
            ended.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.5)
    started = time.monotonic()
    pool.close()
    thread.join(5)
    assert ended
    assert time.monotonic() - started < 5


def test_a_worker_that_is_killed_while_it_waits_is_replaced():
    pool = Pool(1, LIMITS)
    for _ in range(2):
        (pid,) = pool.map(hostile.pid, [0], lambda *_: None)
        os.kill(pid, signal.SIGKILL)
        time.sleep(0.5)  # pebble looks for dead workers ten times a second
    assert list(pool.map(abs, [-1], lambda *_: None)) == [1]
    assert pool.run(abs, -2) == 2
    pool.close()


def test_a_pool_lives_on_when_the_thread_that_started_it_ends():
    found: list[Pool] = []
    thread = threading.Thread(target=lambda: found.append(Pool(1, LIMITS)))
    thread.start()
    thread.join()
    (pool,) = found
    first, second = (pool.run(hostile.pid, 0) for _ in range(2))
    time.sleep(0.3)
    assert first == second == pool.run(hostile.pid, 0)
    pool.close()
