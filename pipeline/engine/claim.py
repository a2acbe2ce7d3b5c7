"""One build a place in a bucket at a time.

A bucket has no locks. Each build writes a claim of its own and then lists all claims: of two that
start, the one that lists last sees the other, and is refused. A claim is renewed as long as its
build lives, and stale by the store's own times, never by clocks of machines. Correctness does not
need it: two builds at once do work twice, and write the same rows.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipeline.engine import names
from pipeline.engine.lock import named, ourselves, parsed
from pipeline.engine.store import Store
from pipeline.errors import BusyError

RENEW_S = 10.0
STALE_S = 60.0  # a claim that was not renewed for so long is of a killed build


@contextmanager
def claimed(store: Store) -> Iterator[None]:
    """Hold the lock of a build in a bucket; BusyError names the holder if there is another."""
    claim = f"{names.LOCK}/{names.new_attempt()}.json"
    holder = {**ourselves(), **_our_process()}
    store.write_json(claim, holder)
    try:
        _refuse_others(store, claim)
        with _renewed(store, claim, holder):
            yield
    finally:
        with suppress(OSError):
            store.remove([claim])


def _refuse_others(store: Store, claim: str) -> None:
    """BusyError if another claim is alive; those of killed builds go."""
    times = {entry.name: entry.time_s for entry in store.entries(names.LOCK)}
    now_s = times.pop(claim, 0.0)
    for other, time_s in times.items():
        text = store.read(other)
        if text is None:
            continue
        holder = parsed(text.decode(errors="replace"))
        if now_s - time_s > STALE_S or _is_dead(holder):
            store.remove([other])
            continue
        raise BusyError(
            f"{store.place} is being built by {named(holder)}. If that was killed, its lock goes "
            f"{STALE_S:.0f} seconds after its last sign of life"
        )


@contextmanager
def _renewed(store: Store, claim: str, holder: dict[str, Any]) -> Iterator[None]:
    ended = threading.Event()

    def renew() -> None:
        while not ended.wait(RENEW_S):
            with suppress(OSError):  # the build meets the same trouble, and tells of it
                if store.stat(claim) is None:
                    return  # taken over, since nothing was heard of us for too long
                store.write_json(claim, holder)

    thread = threading.Thread(target=renew, name="keeper of the lock", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


# A holder of this machine need not be waited for: the kernel knows whether it lives.


def _our_process() -> dict[str, str]:
    """What tells this process from any other: boot, name space of pids, time of its start."""
    with suppress(OSError):
        return {"machine": _machine(), "started": _started("self")}
    return {}


def _is_dead(holder: dict[str, Any]) -> bool:
    with suppress(OSError):
        if holder.get("machine") == _machine():
            return _started(holder["pid"]) != holder.get("started")
    return False


def _machine() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {Path('/proc/self/ns/pid').readlink()}"


def _started(pid: object) -> str:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] == "Z" else fields[19]
