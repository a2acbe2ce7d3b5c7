"""The process that workers are forked from: one for all pools of this process.

It is multiprocessing's own fork server, which imports what it is told and waits. As nothing else
runs in it, forking it is safe, which forking a driver full of threads is not.
"""

import os
import signal
import threading
from contextlib import suppress
from multiprocessing import forkserver
from typing import Any

TEMPLATE = "pipeline.engine.template"  # imported before all others, and this one after them
TEMPLATE_END = "pipeline.engine.template_end"


class ForkServer:
    """Starts with the first pool and ends with the last; `modules` are those of its workers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pools = 0
        self._modules: tuple[str, ...] | None = None
        self._ended = threading.Event()

    def enter(self, modules: tuple[str, ...]) -> None:
        """Count one more pool, and import these modules if it is the only one."""
        with self._lock:
            self._pools += 1
        self.share(modules)

    def share(self, modules: tuple[str, ...]) -> None:
        """Have these modules instead of others, from a pool that has no worker now.

        Where there are other pools it stays as it is: a worker imports itself what it lacks.
        """
        with self._lock:
            if self._pools == 1 and modules != self._modules:
                self._stop()
                forkserver.set_forkserver_preload([TEMPLATE, *modules, TEMPLATE_END])
                self._modules = modules

    def keep(self) -> None:
        """Start it if it does not run, from a thread that lives as long: it would die with it."""
        started = threading.Event()

        def keep() -> None:
            try:
                forkserver.ensure_running()
            finally:
                started.set()
            ended.wait()

        ended = self._ended
        threading.Thread(target=keep, daemon=True, name="keeper of the fork server").start()
        started.wait()

    def leave(self) -> None:
        """Count a pool less, which has no worker any more."""
        with self._lock:
            self._pools -= 1
            if not self._pools:
                self._stop()
                self._modules = None

    def _stop(self) -> None:
        # A worker that began as its pool was closed dies with it. It is waited for, so that the CPU
        # time of its workers counts as this process's. The library has no public way.
        server: Any = forkserver._forkserver
        if server._forkserver_pid is not None:
            with suppress(ProcessLookupError):  # it was killed, and collected
                os.kill(server._forkserver_pid, signal.SIGKILL)
        server._stop()
        self._ended.set()
        self._ended = threading.Event()
