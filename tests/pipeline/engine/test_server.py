"""Workers are forked from a process that has what they share; it is there as long as they are."""

import os
import signal
import time
from pathlib import Path

import hostile
import pytest
from processes import is_alive

from pipeline.engine.limits import Limits
from pipeline.engine.pool import Pool

LIMITS = Limits(cpu_s=10, wall_s=60, memory_bytes=200 << 20)


@pytest.fixture(autouse=True)
def _tests_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    # The server is a fresh process: of this one's paths it knows what the environment tells.
    monkeypatch.setenv("PYTHONPATH", str(Path(hostile.__file__).parent))


def imported_by() -> tuple[int, int]:
    """The process that imported the shared module, and the worker's parent."""
    import shared_module

    return shared_module.IMPORTED_BY, os.getppid()


def test_workers_share_what_the_process_imported_that_they_are_forked_from():
    with Pool(2, LIMITS, preload=("shared_module",)) as pool:
        importer, parent = pool.run(imported_by)
    assert importer == parent


def test_new_workers_have_other_modules_and_nothing_of_the_old_ones():
    with Pool(1, LIMITS) as pool:
        old, (importer, _) = pool.run(hostile.pid, 0), pool.run(imported_by)
        assert importer == old
        pool.replace_workers(("shared_module",))
        new, (importer, parent) = pool.run(hostile.pid, 0), pool.run(imported_by)
        assert new != old
        assert importer == parent
        with pytest.raises(ProcessLookupError):
            os.kill(old, 0)


def test_other_pools_keep_their_workers_when_one_has_new_ones():
    with Pool(1, LIMITS) as other, Pool(1, LIMITS) as pool:
        before = other.run(hostile.pid, 0)
        pool.replace_workers(("shared_module",))
        assert pool.run(imported_by)[0] == pool.run(hostile.pid, 0)
        assert other.run(hostile.pid, 0) == before


def test_no_process_is_left_when_the_last_pool_is_closed():
    with Pool(1, LIMITS) as pool:
        worker, (_, server) = pool.run(hostile.pid, 0), pool.run(imported_by)
    for pid in (worker, server):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_where_the_server_was_killed_another_one_follows():
    with Pool(1, LIMITS) as pool:
        old, (_, server) = pool.run(hostile.pid, 0), pool.run(imported_by)
        os.kill(server, signal.SIGKILL)
        while is_alive(old):  # it dies with the server
            time.sleep(0.01)
        assert pool.run(hostile.pid, 0) != old
        assert pool.run(imported_by)[1] != server
