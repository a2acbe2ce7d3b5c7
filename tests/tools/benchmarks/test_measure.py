import multiprocessing
import subprocess
import time

import pytest

from tools.benchmarks.measure import measure


def much() -> str:
    """More than a pipe holds."""
    return "x" * (1 << 20)


def refuse() -> None:
    raise ValueError("no such thing")


@pytest.mark.timeout(60)
def test_a_result_larger_than_a_pipe_comes_back():
    assert measure(f"{__name__}:much").result == much()


def test_what_fails_says_why():
    with pytest.raises(subprocess.CalledProcessError) as raised:
        measure(f"{__name__}:refuse")
    assert "no such thing" in raised.value.__notes__[0]


def spend(cpu_s: float) -> None:
    while time.process_time() < cpu_s:
        pass


def fork_by_server() -> None:
    context = multiprocessing.get_context("forkserver")
    child = context.Process(target=spend, args=(1.0,))
    child.start()
    child.join()


@pytest.mark.timeout(60)
def test_the_time_of_processes_that_a_server_forked_counts():
    assert measure(f"{__name__}:fork_by_server").cpu_s > 1.0
