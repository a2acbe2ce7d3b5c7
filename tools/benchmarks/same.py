"""The same content everywhere: one input built by each runner, transport, number of workers, store.

    python -m tools.benchmarks.same [--fast]

Links to shards over the fast demo's web. Exit code 1 if any digest differs from the first one's.
Beam's job service is compared in tests/pipeline/engine/test_portable.py.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tools.benchmarks.fault_processes import Cluster
from tools.benchmarks.measure import show
from tools.benchmarks.object_store import CREDENTIALS, Server
from tools.demo import write_demo

COMMAND = [sys.executable, "-P", "-m", "tools.entry"]
TRANSPORTS = ("files", "shuffle")


def main() -> int:
    """Build them all; 1 if they differ."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fast", action="store_true", help="one number of workers, no bucket")
    fast = parser.parse_args().fast
    os.environ.update(CREDENTIALS)
    rows, digests = [], []
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        settings = write_demo(folder / "input", fast=True).settings_path
        cluster = stack.enter_context(Cluster(folder / "dask"))
        dask = ["--engine.runner", "dask", "--engine.scheduler", cluster.address]
        ways = [
            (f"local, {workers} workers", transport, "disk", ["--engine.workers", str(workers)])
            for workers in ((2,) if fast else (1, 2, 7))
            for transport in TRANSPORTS
        ]
        ways += [("Dask, 2 workers", transport, "disk", dask) for transport in TRANSPORTS]
        if not fast:
            server = Server()
            stack.callback(server.close)
            ways += [("local, 2 workers", "files", "S3", ["--engine.workers", "2"])]
            ways += [("Dask, 2 workers", "files", "S3", dask)]
        for number, (runner, transport, store, more) in enumerate(ways):
            place = server.uri(f"b{number}") if store == "S3" else str(folder / f"b{number}")
            more = [*more, "--engine.scratch", str(folder / "scratch")] if store == "S3" else more
            started = time.monotonic()
            digest = built(settings, place, ["--engine.exchange", transport, *more])
            digests.append(digest)
            took = f"{time.monotonic() - started:.0f}"
            rows.append([runner, transport, store, took, digest[:8], str(digest == digests[0])])
            print(*rows[-1], file=sys.stderr)
    show(["runner", "transport", "store", "seconds", "digest", "as the first"], rows)
    return int(len(set(digests)) > 1)


def built(settings: Path, place: str, more: list[str]) -> str:
    """The digest of a build to the shards."""
    words = ["build", str(settings), "--out", place, "--to", "shards", "--force", *more]
    done = subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2_000:])
    status = [*COMMAND, "status", place, "--json"]
    told = subprocess.run(status, capture_output=True, text=True, check=True).stdout
    digest: str = json.loads(told)["digest"]
    return digest


if __name__ == "__main__":
    raise SystemExit(main())
