"""The same program on a portable runner: Beam's job service on loopback, over a shared folder."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def job_service(tmp_path_factory) -> Iterator[str]:
    """The address of a job service."""
    folder = tmp_path_factory.mktemp("jobs")
    port_file = folder / "port"
    # The service starts `python` by that name: the environment's must come first on PATH.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "apache_beam.runners.portability.local_job_service_main"),
            *("--port", "0", "--port_file", str(port_file)),
            *("--staging_dir", str(folder / "staging")),
        ],
        env={**os.environ, "PATH": path},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not port_file.exists() and time.monotonic() < deadline:
        assert process.poll() is None, "the job service ended"
        time.sleep(0.1)
    yield f"localhost:{port_file.read_text().strip()}"
    process.terminate()
    process.wait(10)


@pytest.fixture
def portable(toys, job_service):
    """A build folder for toys on the job service."""
    toys.engine |= {
        "runner": "portable",
        "runner_options": (f"--job_endpoint={job_service}", "--environment_type=LOOPBACK"),
    }
    return toys


@pytest.mark.slow
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


@pytest.mark.slow
def test_an_input_error_keeps_its_type_on_a_portable_runner_and_the_rest_is_resumed(portable):
    from pipeline.errors import InputError

    with pytest.raises(InputError, match=r"dump\.zst, byte 10240"):
        portable.build(do={"d": "raise InputError"})
    committed = portable.committed()
    portable.done()
    portable.build()
    assert portable.done()["read"] == 4 - len(committed)
