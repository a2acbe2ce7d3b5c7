"""The faults: each is done to a build at work, and tells what happened.

What a fault promises at once (an exit code, a refusal) is checked here, all else at the end.
"""

import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from pipeline.engine import names
from pipeline.engine.store import Disk, Store
from tools.benchmarks.fault_processes import ROOT, end, is_stopped
from tools.benchmarks.fault_site import GONE_S, TIMEOUT_S, Broken, Site, environment, until
from tools.benchmarks.fault_store import TROUBLES

Fault = Callable[[Site, random.Random], str]
DISK_BYTES = 64 << 20  # of the disk that gets full
STOPPED = {signal.SIGTERM: 75, signal.SIGINT: 130}
# Where a lost worker is held in a part: at its start, or before its table, drops or record.
HOLDS = 4
DAMAGES = ("turned", "cut", "removed")


def kill_driver(site: Site, rng: random.Random) -> str:
    """SIGKILL for the driver; its workers go with it."""
    end(site.driver.pid)
    site.wait()
    return "the driver killed"


def kill_worker(site: Site, rng: random.Random) -> str:
    """SIGKILL for one worker process; the build goes on."""
    if not (workers := site.workers()):
        return "no worker yet"
    end(rng.choice(workers))
    return f"one of {len(workers)} workers killed"


def kill_all(site: Site, rng: random.Random) -> str:
    """SIGKILL for every process of the build."""
    site.kill()
    return "all killed"


def stop(signum: signal.Signals, site: Site, rng: random.Random) -> str:
    """A signal that asks to stop."""
    end(site.driver.pid, signum)
    code = site.wait()
    if code not in (STOPPED[signum], 0):  # 0: the last stage was published already
        raise Broken(f"exit code {code} after {signum.name}: {site.last_line()}")
    return f"{signum.name}, exit code {code}"


def second_build(site: Site, rng: random.Random) -> str:
    """A second build in the folder is refused, and does no harm."""
    done = subprocess.run(
        site.command(),
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        env=environment(),
        check=False,
    )
    if done.returncode == 1 and f"is being built by process {site.driver.pid} " in done.stderr:
        return "a second build refused"
    # The first one was over, or had not begun and is refused itself.
    if done.returncode == 0 and (site.wait() == 0 or "is being built by" in site.last_line()):
        return "a second build, alone"
    raise Broken(f"a second build: exit code {done.returncode}, {done.stderr[-300:]!r}")


def full_disk(site: Site, rng: random.Random) -> str:
    """No byte is left on the disk of the build until its run has ended."""
    ballast = site.folder.parent / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    code = site.wait()
    last = site.last_line()
    ballast.unlink()
    if code and "No space left on device" not in last:
        raise Broken(f"a full disk is told so: {last!r}")
    return f"the disk full, exit code {code}"


def twice(site: Site, rng: random.Random, pid: str = "") -> str:
    """A part at work is done once more at the same time, by a process that the driver misses."""
    helper = site.helpers.pop(0)
    site.late.append(helper)
    _go(helper, pid)
    return "a second attempt at a part"


def equal_pids(site: Site, rng: random.Random) -> str:
    """The same by a process that has the pid of one of the build's."""
    return twice(site, rng, str(rng.choice([*site.workers(), site.driver.pid])))


def late_commit(site: Site, rng: random.Random) -> str:
    """A process is held in a part, the build is killed, and it goes on when all is done."""
    helper = site.helpers.pop(0)
    site.late.append(helper)
    _go(helper, "")
    until(
        lambda: is_stopped(helper.pid) or helper.poll() is not None,
        TIMEOUT_S,
        "a second attempt is neither done nor held",
    )
    held = "held in a part" if helper.poll() is None else "not held"
    site.kill()
    return f"a process {held}, all others killed"


def damage(site: Site, rng: random.Random) -> str:
    """The build is killed, and one of its files is damaged."""
    site.kill()
    store = site.store
    found = {
        "record": [e.name for f in store.folders(names.RECORDS) for e in store.entries(f)],
        "journal": [entry.name for entry in store.entries(names.JOURNALS)],
        "data file": [entry.name for entry in store.entries(names.DATA)],
    }
    kinds = [kind for kind, there in found.items() if there]
    if not kinds:
        return "all killed, nothing there to damage"
    kind = rng.choice(kinds)
    name, how = rng.choice(found[kind]), rng.choice(DAMAGES)
    _damage(store, name, how, rng)
    site.damaged.append(name)
    return f"all killed, the {kind} {name} {how}"


def kill_dask_worker(site: Site, rng: random.Random) -> str:
    """SIGKILL for a Dask worker, with its nanny or without."""
    assert site.cluster is not None
    worker = rng.choice(site.cluster.workers)
    if rng.random() < 0.5:
        end(rng.choice(site.cluster.children(worker)))
        return "a Dask worker killed under its nanny"
    site.cluster.kill_one(worker)
    site.cluster.mend()
    return "a Dask worker killed, another one started"


def kill_scheduler(site: Site, rng: random.Random) -> str:
    """SIGKILL for the scheduler; the build says so, and ends."""
    assert site.cluster is not None
    end(site.cluster.process.pid)
    code = site.wait()
    site.cluster.mend()
    return f"the scheduler killed, exit code {code}"


def kill_cluster(site: Site, rng: random.Random) -> str:
    """SIGKILL for every process of the build and of the cluster."""
    assert site.cluster is not None
    site.cluster.kill()
    site.kill()
    site.cluster.mend()
    return "the build and the cluster killed"


def _go(helper: "subprocess.Popen[str]", pid: str) -> None:
    assert helper.stdin is not None
    helper.stdin.write(f"{pid}\n")
    helper.stdin.flush()


def _damage(store: Store, name: str, how: str, rng: random.Random) -> None:
    with store.open(name) as file:
        data = bytearray(file.read())
    if how == "removed":
        store.remove([name])
        return
    place = rng.randrange(max(1, len(data)))
    if how == "cut":
        data = data[:place]
    elif data:
        data[place] ^= 1 << rng.randrange(8)
    if isinstance(store, Disk):
        (store.folder / name).write_bytes(data)  # in place: a view for people is the same file
    else:
        store.write(name, bytes(data))


def trouble(kind: str) -> Fault:
    """Something befalls the object store for some seconds; the build goes on, or ends and says."""

    def befall(site: Site, rng: random.Random) -> str:
        assert site.bucket is not None
        lasts_s = site.bucket.begin(TROUBLES[kind], rng)
        deadline = time.monotonic() + lasts_s
        while time.monotonic() < deadline and site.driver.poll() is None:
            time.sleep(0.05)
        met = site.bucket.end()
        return f"{kind} for {lasts_s:.0f} s, {met} requests met it"

    return befall


def disk_of_its_own(folder: Path) -> bool:
    """Make the folder a small disk of its own; False where that is not allowed."""
    if not shutil.which("mount") or os.geteuid():
        return False
    words = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "webtext-faults", str(folder)]
    return subprocess.run(words, capture_output=True, check=False, cwd=ROOT).returncode == 0


def without_disk(folder: Path) -> None:
    """Take that disk away."""
    if folder.is_mount():
        subprocess.run(["umount", str(folder)], check=True, timeout=GONE_S)


LOCAL: dict[str, Fault] = {
    "kill the driver": kill_driver,
    "kill a worker": kill_worker,
    "kill all": kill_all,
    "SIGTERM": lambda site, rng: stop(signal.SIGTERM, site, rng),
    "SIGINT": lambda site, rng: stop(signal.SIGINT, site, rng),
    "second build": second_build,
    "full disk": full_disk,
    "part twice": twice,
    "equal pids": equal_pids,
    "late commit": late_commit,
    "damage": damage,
}
DASK: dict[str, Fault] = {
    "kill the driver": kill_driver,
    "kill a Dask worker": kill_dask_worker,
    "kill the scheduler": kill_scheduler,
    "kill all": kill_cluster,
    "SIGTERM": LOCAL["SIGTERM"],
    "part twice": twice,
    "late commit": late_commit,
}
STORE: dict[str, Fault] = {kind: trouble(kind) for kind in TROUBLES}
HELPED = {"part twice", "equal pids", "late commit"}
