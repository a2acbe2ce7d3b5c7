"""The environment (Python, packages, torch), and memory, limits, disk and clock of the machine."""

import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.filesize import decimal

from pipeline.settings import Settings
from tools.doctor.check import Check, ok, warning, wrong
from tools.places import Place
from tools.plan import free_bytes

PYTHON_MIN, PYTHON_END = (3, 11), (3, 15)  # as pyproject.toml says
# The packages of an extra, and what cannot be done without it.
EXTRAS = {
    "train": (
        ("torch", "safetensors"),
        "models: webtext train, and builds that go on to the model",
    ),
    "dask": (("dask", "distributed"), 'clusters: engine.runner = "dask"'),
    "fast": (("gigatoken",), 'faster shards: shards.encoder = "gigatoken"'),
    "eval": (("sacrebleu",), "BLEU of translations: webtext evaluate --suite generation"),
}
# A build opens some files of each part; an exchange has hundreds open, a fetch one each request.
FILES_MIN, FILES_GOOD = 256, 1024
TORCH_WAIT_S = 120  # its first import on a slow disk takes half a minute
# Asked in a process of its own: its import takes a second and 200 MB.
_ASK_TORCH = (
    "import torch; print(torch.__version__, torch.get_num_threads(), torch.cuda.is_available())"
)


def environment() -> Iterator[Check]:
    """Python, webtext itself, and the packages of the extras."""
    told = f"{platform.python_implementation()} {platform.python_version()}, {platform.platform()}"
    if PYTHON_MIN <= sys.version_info[:2] < PYTHON_END:
        yield ok("python", told)
    else:
        yield wrong("python", told, "Install webtext under Python 3.11 to 3.14")
    try:
        yield ok("webtext", version("webtext"))
    except PackageNotFoundError:
        yield ok("webtext", "run from a checkout that is not installed")
    for extra, (packages, use) in EXTRAS.items():
        yield _extra(extra, packages, use)


def resources(settings: Settings, build: Place) -> Iterator[Check]:
    """Threads, memory, limits, disk and clock."""
    yield _torch()
    yield _cores(settings)
    yield _memory(settings)
    yield from _file_limits(settings)
    if isinstance(build, Path):
        yield _disk("disk", build, settings)
    if settings.engine.scratch:
        yield _disk("scratch", Path(settings.engine.scratch), settings)
    yield _clock()


def available_memory() -> int | None:
    """Bytes that can be had without swapping, None where the system does not tell."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return None
    found = next((line for line in text.splitlines() if line.startswith("MemAvailable:")), "")
    return int(found.split()[1]) << 10 if found else None


def _extra(extra: str, packages: tuple[str, ...], use: str) -> Check:
    there, absent = [], []
    for package in packages:
        try:
            there.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            absent.append(package)
    if not absent:
        return ok(f"extra {extra}", ", ".join(there))
    told = f"{' and '.join(absent)} not installed; it is for {use}"
    return warning(f"extra {extra}", told, f"pip install 'webtext[{extra}]', where that is wanted")


def _torch() -> Check:
    try:
        version("torch")
    except PackageNotFoundError:
        return ok("torch", "not installed")
    command = [sys.executable, "-c", _ASK_TORCH]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TORCH_WAIT_S)
    except subprocess.TimeoutExpired:
        mend = "Try `python -c 'import torch'`: does it end?"
        return wrong("torch", f"its import took over {TORCH_WAIT_S} s", mend)
    if done.returncode:
        told = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return wrong(
            "torch", f"it cannot be imported: {told}", "Install it again, for this machine"
        )
    name, threads, has_cuda = done.stdout.split()
    device = "CUDA can be used" if has_cuda == "True" else "no CUDA device"
    return ok("torch", f"{name}, {threads} threads, {device}")


def _cores(settings: Settings) -> Check:
    mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = settings.engine.workers
    if workers and workers > mine:
        mend = "Set engine.workers to the number of cores, or to 0"
        told = f"{mine} for this process, and engine.workers is {workers}"
        return warning("cores", told, mend)
    return ok("cores", f"{mine} for this process, {workers or mine} workers")


def _memory(settings: Settings) -> Check:
    free = available_memory()
    if free is None:
        return ok("memory", "the system does not tell how much is free")
    workers = settings.engine.workers or os.cpu_count() or 1
    needed = workers * settings.engine.worker_memory_bytes
    told = f"{decimal(free)} can be had"
    if needed <= free:
        return ok("memory", told)
    told += f"; {workers} workers may take {decimal(needed)} together before they are ended"
    mend = "If memory runs out, lower engine.workers or engine.worker_memory_bytes"
    # Workers hardly ever take what they may: a page takes a hundredth of it.
    return ok("memory", told) if needed <= 4 * free else warning("memory", told, mend)


def _file_limits(settings: Settings) -> Iterator[Check]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    told = f"{_limit(soft)} open files (at most {_limit(hard)})"
    wanted = FILES_GOOD
    if "live" in settings.pages.sources:
        wanted += settings.fetch.connections
    mend = f"`ulimit -n {wanted * 2}` before webtext raises it"
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        yield ok("open files", told)
    else:
        make = wrong if soft < FILES_MIN else warning
        yield make("open files", f"{told}, and {wanted:,} may be wanted", mend)
    size = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if size != resource.RLIM_INFINITY:
        told = f"no file may grow above {decimal(size)}"
        yield warning("file size", told, "`ulimit -f unlimited` before webtext lifts that")


def _limit(value: int) -> str:
    return "no limit" if value == resource.RLIM_INFINITY else f"{value:,}"


def _disk(name: str, place: Path, settings: Settings) -> Check:
    there = next(p for p in (place.absolute(), *place.absolute().parents) if p.exists())
    free, floor = free_bytes(place), settings.engine.free_disk_min_bytes
    told = f"{decimal(free)} free for {place}"
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return wrong(name, f"{there} cannot be written", "Build in another folder, with --out")
    if free < floor:
        told += f", below engine.free_disk_min_bytes ({decimal(floor)}): a build stops there"
        return wrong(name, told, "Free some space, or build on another disk with --out")
    return ok(name, f"{told}; `webtext plan` says what a build takes")


def _clock() -> Check:
    """A clock that is behind the program's own files is wrong; more is told by --ask."""
    now, told = time.time(), f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    written = Path(__file__).stat().st_mtime
    if now < written:
        mend = "Set the clock: certificates and object stores refuse another time"
        return wrong("clock", f"{told} is before webtext was installed", mend)
    return ok("clock", f"{told}; compared with no server (--ask HOST does that)")
