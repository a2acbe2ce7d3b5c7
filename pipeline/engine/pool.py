"""Worker processes that take the fall: a page that hangs, crashes or eats memory costs one row.

Workers are forked by a server (multiprocessing's), a fresh process that imports only what is named
to it, never Beam. So they share the memory of what they have alike, modules and models, and a new
one begins at once. An item has the limits of limits.py; wall time is kept by pebble. An item that
breaks its worker is tried once more, with no other item at work, then given back as a `Fault`.
"""

import contextlib
import gc
import importlib
import multiprocessing
import multiprocessing.connection
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import pebble

from pipeline.engine.limits import (
    INFINITE,
    Fault,
    Limits,
    end_of,
    fault_of_death,
    leave_signals_to_parent,
    over_time,
    set_limits,
    under_limits,
)
from pipeline.engine.server import TEMPLATE, ForkServer
from pipeline.errors import StageError
from pipeline.reasons import Reason

T = TypeVar("T")
WAIT_S = 0.2  # between two looks whether the build is asked to stop
# pebble asks a worker to end by SIGTERM, which ours do not hear, and waits so long for it.
pebble.CONSTS.term_timeout = 0
_server = ForkServer()


class Pool:
    """Worker processes shared by all parts of one process. Use as a context manager.

    Workers have the modules named by `preload`. Their server starts at once, they with the first
    item.
    """

    def __init__(
        self,
        workers: int,
        limits: Limits,
        items_per_worker: int = 2000,
        preload: tuple[str, ...] = (),
    ) -> None:
        self.workers = workers or os.cpu_count() or 1
        self.limits = limits
        self._items_per_worker = items_per_worker
        self._preload = preload
        self._turns = _Turns()
        self._hidden_main = _hide_main()
        self._lock = threading.Lock()
        self._closing = False
        self._closed = threading.Event()
        _server.enter(preload)
        self._open: set[Future[Any]] = set()  # calls of the present pool without a result
        self._pool = self._start()

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> pebble.ProcessPool:
        _server.keep()
        return pebble.ProcessPool(
            max_workers=self.workers,
            max_tasks=self._items_per_worker,
            initializer=_start_worker,
            initargs=(self._preload,),
            context=multiprocessing.get_context("forkserver"),
        )

    def map(
        self,
        function: Callable[[T], Any],
        items: Iterable[T],
        used: Callable[[float, int], None],
        heartbeat: Callable[[], None] = lambda: None,
    ) -> Iterator[Any]:
        """`function` of each item, in order: its result, or a `Fault`.

        At most four items a worker are in flight. `used` is told the CPU seconds and the tries of
        each. `heartbeat` is called while items are waited for; if it raises, they are given up.
        """
        calls: deque[_Call] = deque()
        start = partial(self._start_item, function, wait=partial(self._wait, heartbeat))
        try:
            for item in items:
                calls.append(_Call(item, start(item, alone=False)))
                if len(calls) >= 4 * self.workers:
                    yield self._result(calls[0], start, used, heartbeat)
                    calls.popleft()
            while calls:
                yield self._result(calls[0], start, used, heartbeat)
                calls.popleft()
        finally:
            for call in calls:
                call.future.cancel()

    def run(self, function: Callable[..., T], *args: Any) -> T:
        """`function(*args)` in a worker, without limits; its exception is raised here.

        A worker that dies under it (killed for memory, say) is replaced once.
        """
        for _ in range(2):
            try:
                future = self._submit(function, args, None)
                while not futures.wait([future], WAIT_S).done:
                    self._wait()
                value: T = future.result()
                return value
            except pebble.ProcessExpired as error:
                end = end_of(error.exitcode)
            except BrokenProcessPool:
                end = "itself"
        raise StageError(
            f"the worker process ended by {end}, twice. If the machine is short of memory, "
            "set engine.workers lower and run the same command to go on"
        )

    def close(self) -> None:
        """End all workers: idle ones in peace, others by force."""
        with self._lock:
            self._closing = True
        self._end_workers()
        _server.leave()
        self._closed.set()
        _show_main(self._hidden_main)

    def replace_workers(self, preload: tuple[str, ...]) -> None:
        """Go on with new workers, which have these modules: the memory of the old ones is free.

        Only while nothing is at work.
        """
        with self._lock:
            self._end_workers()
            _server.share(preload)
            self._preload = preload
            self._pool = self._start()

    def _end_workers(self) -> None:
        self._pool.close()
        try:
            self._pool.join(timeout=2)
        except TimeoutError:
            self._pool.stop()
            self._pool.join()

    def _submit(
        self, function: Callable[..., Any], args: tuple[Any, ...], limits: Limits | None
    ) -> "Future[Any]":
        self._renew()
        with self._lock:
            if self._closing:
                raise RuntimeError("the pool of workers is closed")
            future: Future[Any] = self._pool.schedule(
                _call, args=(function, args, limits), timeout=limits.wall_s if limits else None
            )
            self._open.add(future)
            future.add_done_callback(self._open.discard)
        return future

    def _renew(self) -> None:
        """Go on with new workers where pebble gave up: a worker died that had nothing to do."""
        with self._lock:
            if self._closing or self._pool.active:
                return
            left, self._open = tuple(self._open), set()
            self._pool = self._start()
        # pebble ends the calls that it had sent; those still in its queue would never end.
        futures.wait(left, WAIT_S)
        for future in left:
            with contextlib.suppress(futures.InvalidStateError):
                future.set_exception(BrokenProcessPool("its pool was given up"))

    def _start_item(
        self, function: Callable[[T], Any], item: T, *, alone: bool, wait: Callable[[], None]
    ) -> "Future[Any]":
        self._turns.take(alone=alone, wait=wait)
        try:
            future = self._submit(function, (item,), self.limits)
        except BaseException:
            self._turns.give(alone=alone)
            raise
        future.add_done_callback(lambda _: self._turns.give(alone=alone))
        return future

    def _wait(self, heartbeat: Callable[[], None] = lambda: None) -> None:
        if self._closed.is_set():
            raise RuntimeError("the pool of workers was closed while items were at work")
        self._renew()
        heartbeat()

    def _result(
        self,
        call: "_Call",
        start: Callable[..., "Future[Any]"],
        used: Callable[[float, int], None],
        heartbeat: Callable[[], None],
    ) -> Any:
        for attempt in (1, 2):
            while not futures.wait([call.future], WAIT_S).done:
                self._wait(heartbeat)
            try:
                value, cpu_s = call.future.result()
                used(cpu_s, attempt)
                return value
            except TimeoutError:
                fault = over_time(self.limits)
            except pebble.ProcessExpired as error:
                fault = fault_of_death(error.exitcode, self.limits)
            except BrokenProcessPool:
                fault = Fault(Reason.CRASHED, "the worker ended by itself")
            if attempt == 1:
                call.future = start(call.item, alone=True)
        used(0.0, attempt)
        return fault


class _Turns:
    """Lets items work side by side, and a second try only when no other item is at work.

    So an item that fell because its neighbours took the memory or the time has a fair second try.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._at_work = 0
        self._alone = 0  # second tries that wait or are at work: others are held back meanwhile

    def take(self, *, alone: bool, wait: Callable[[], None]) -> None:
        """Wait for a turn; `wait` is called now and then, and may raise."""
        with self._changed:
            self._alone += alone
        try:
            while not self._taken(alone):
                wait()  # without the lock: others' turns end meanwhile
        except BaseException:
            with self._changed:
                self._alone -= alone
                self._changed.notify_all()
            raise

    def give(self, *, alone: bool) -> None:
        """Give the turn back."""
        with self._changed:
            self._at_work -= 1
            self._alone -= alone
            self._changed.notify_all()

    def _taken(self, alone: bool) -> bool:
        with self._changed:
            free = self._changed.wait_for(partial(self._free, alone), WAIT_S)
            self._at_work += free
            return free

    def _free(self, alone: bool) -> bool:
        return not self._at_work if alone else not self._alone


@dataclass
class _Call:
    item: Any
    future: "Future[Any]"


def _start_worker(preload: tuple[str, ...]) -> None:
    """Set up a worker: the parent decides on Ctrl-C, and none outlives its parent."""
    gc.freeze()  # looking for garbage writes to all that it looks at, which is shared so far
    leave_signals_to_parent()
    threading.Thread(target=_die_with_parent, daemon=True).start()
    for module in (TEMPLATE, *preload):
        importlib.import_module(module)


def _die_with_parent() -> None:
    # For other systems than Linux, and for a server that went before prctl was called. The sentinel
    # is readable once the driver is gone; code that holds the interpreter lock delays this thread.
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)


def _call(function: Callable[..., Any], args: tuple[Any, ...], limits: Limits | None) -> Any:
    """Run in a worker. With limits: (result or Fault, CPU seconds); without: the bare result."""
    if limits is None:
        set_limits(INFINITE, INFINITE)
        try:
            return function(*args)
        except Exception:
            raise
        except BaseException as error:  # a panic of a library in Rust, sys.exit()
            raise RuntimeError(f"{type(error).__name__}: {error}") from error
    return under_limits(partial(function, *args), limits)


def _hide_main() -> dict[str, Any]:
    """Keep workers from importing `__main__` again, and with it all the driver imported."""
    main = sys.modules["__main__"]
    hidden = {"__spec__": main.__spec__, "__file__": getattr(main, "__file__", None)}
    main.__spec__ = None
    main.__file__ = None
    return hidden


def _show_main(hidden: dict[str, Any]) -> None:
    main = sys.modules["__main__"]
    for name, value in hidden.items():
        setattr(main, name, value)
