"""The same program on a portable runner: Beam's job service on loopback, over a shared folder."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]
# What a driver writes for people: what stopped it, and plain lines of progress.
OURS = re.compile(r"StageError: |\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  toy: ")
PATHS = [str(ROOT), str(ROOT / "tests")]
# Services start `python` by that name: the environment's must come first.
PATH = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])


@pytest.fixture(scope="module")
def job_service(tmp_path_factory) -> Iterator[str]:
    """The address of a job service."""
    process, address = start_job_service(tmp_path_factory.mktemp("jobs"))
    yield address
    process.terminate()
    process.wait(10)


def start_job_service(folder: Path) -> "tuple[subprocess.Popen[bytes], str]":
    """Start one; its process and address."""
    port_file = folder / "port"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "apache_beam.runners.portability.local_job_service_main"),
            *("--port", "0", "--port_file", str(port_file)),
            *("--staging_dir", str(folder / "staging")),
        ],
        env={**os.environ, "PATH": PATH},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not port_file.exists() and time.monotonic() < deadline:
        assert process.poll() is None, "the job service ended"
        time.sleep(0.1)
    return process, f"localhost:{port_file.read_text().strip()}"


@pytest.fixture
def portable(toys, job_service):
    """A build folder for toys on the job service."""
    toys.engine |= {
        "runner": "portable",
        "runner_options": (f"--job_endpoint={job_service}", "--environment_type=LOOPBACK"),
    }
    return toys


@pytest.mark.parametrize("transport", ["files", "shuffle"])
def test_a_portable_runner_gives_the_rows_of_the_local_one(portable, local_digest, transport):
    portable.engine["exchange"] = transport
    output = portable.build(items=True)
    assert output.digest == local_digest
    assert portable.done() == {"read": 4, "done": 4, "group": 4, "items": 4}


@pytest.fixture
def local_digest(toys, tmp_path, job_service) -> str:
    """What the local runner gives."""
    from toy import stage

    from pipeline.engine.build import Build
    from pipeline.settings import EngineSettings

    settings = EngineSettings(workers=1, buckets=4, free_disk_min_bytes=0)
    with Build(tmp_path / "local", settings, quiet=True) as build:
        return build.run(stage(items=True)).digest


def test_an_input_error_keeps_its_type_on_a_portable_runner_and_the_rest_is_resumed(portable):
    from pipeline.errors import InputError

    with pytest.raises(InputError, match=r"dump\.zst, byte 10240"):
        portable.build(do={"d": "raise InputError"})
    committed = portable.committed()
    portable.done()
    portable.build()
    assert portable.done()["read"] == 4 - len(committed)


@pytest.fixture
def on_own(killable, tmp_path):
    """A build folder for toys on a job service that may be killed, whose drivers may be too."""
    folder = tmp_path / "own"
    folder.mkdir()
    killable.service, address = start_job_service(folder)
    killable.engine |= {
        "runner": "portable",
        "runner_options": (f"--job_endpoint={address}", "--environment_type=LOOPBACK"),
    }
    yield killable
    killable.service.kill()
    killable.service.wait(10)


def test_a_driver_of_loopback_listens_on_loopback_alone(on_own):
    driver = on_own.start(do={"a": "sleep"})
    on_own.wait_for("asleep", 60)
    listening = listening_addresses(driver)
    os.kill(driver, signal.SIGINT)
    assert on_own.wait(driver) == 130
    assert listening
    assert all(re.fullmatch("(0{16}FFFF0{4})?0100007F", address) for address in listening)


def listening_addresses(pid: int) -> list[str]:
    """The addresses, as the kernel writes them, on which a process listens."""
    links = [str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()]
    sockets = {found.group(1) for link in links if (found := re.match(r"socket:\[(\d+)\]", link))}
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and words[9] in sockets:
                found.append(words[1].partition(":")[0])
    return found


def test_a_job_service_that_dies_is_one_message_and_a_rerun_on_a_new_one_goes_on(
    on_own, tmp_path, local_digest
):
    driver = on_own.start(items=True, do={"c": "sleep"})
    on_own.wait_for("asleep", 60)
    on_own.service.kill()
    assert on_own.wait(driver) == 1
    told = on_own.stderr.read_text().splitlines()
    assert [line for line in told if line.startswith("StageError: ")] == told[-1:]
    assert "the runner failed" in told[-1]
    assert "run the same command to go on" in told[-1]
    assert [line for line in told if not OURS.match(line)] == []
    (tmp_path / "next").mkdir()
    on_own.service, address = start_job_service(tmp_path / "next")
    on_own.engine["runner_options"] = (f"--job_endpoint={address}", "--environment_type=LOOPBACK")
    assert on_own.build(items=True).digest == local_digest


@pytest.fixture
def worker_pool(tmp_path) -> Iterator[str]:
    """The address of an EXTERNAL worker pool: a process that starts workers for a job service."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["-m", "apache_beam.runners.worker.worker_pool_main", f"--service_port={port}"]
    process = subprocess.Popen(
        [sys.executable, *words],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(PATHS), "PATH": PATH},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not _listens(port) and time.monotonic() < deadline:
        assert process.poll() is None, "the worker pool ended"
        time.sleep(0.1)
    yield f"localhost:{port}"
    process.terminate()
    process.wait(20)


def _listens(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex(("127.0.0.1", port)) == 0


def test_an_external_worker_gives_the_rows_of_the_local_runner(on_own, worker_pool, local_digest):
    endpoint = on_own.engine["runner_options"][0]
    words = ("--environment_type=EXTERNAL", f"--environment_config={worker_pool}")
    on_own.engine["runner_options"] = (endpoint, *words)
    assert on_own.build(items=True).digest == local_digest


def test_ctrl_c_ends_a_build_whose_workers_never_come(on_own):
    endpoint = on_own.engine["runner_options"][0]
    with socket.create_server(("127.0.0.1", 0)) as deaf:  # takes calls, and answers none
        place = f"--environment_config=127.0.0.1:{deaf.getsockname()[1]}"
        words = ("--environment_type=EXTERNAL", place)
        on_own.engine["runner_options"] = (endpoint, *words)
        driver = on_own.start()
        deadline = time.monotonic() + 60
        while not on_own.store.folders("runs") and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(3)
        os.kill(driver, signal.SIGINT)
        assert on_own.wait(driver) == 130, on_own.stderr.read_text()
