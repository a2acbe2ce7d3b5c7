"""The workers of a Dask cluster as the driver sees them.

Each is asked before it does a part whether it is as the driver is and sees the build: those that
are there before a step begins, those that join later while it is at work. A cluster without a
worker is waited for, out loud and not for ever.
"""

import inspect
import pickle
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from pipeline.engine import names, probe
from pipeline.engine.cluster import difference
from pipeline.engine.task import Task
from pipeline.errors import StageError

LOOK_S = 1.0  # between two looks whether a worker came
ASK_S = 20.0  # for an answer; a worker imports Beam first, which takes seconds on a busy machine
ANSWERS_S = 300.0  # for all answers, before a step begins; then those that do not answer are told
SAY_S = 30.0  # between two lines that say what is waited for
WAIT_S = 3600.0  # for a worker: one may come through the queue of a cluster
# Of the scheduler and of workers, besides what the driver needs alike anyway. Dask's own processes
# understand each other by pickles.
DASK = ("dask", "distributed")
MODULE = "pipeline.engine.runner"  # what a worker imports to do a part, and a scheduler to read it
# By name, with the source as a value: no module of ours is needed to understand it.
ASKED = "exec(source, told := {}) or told['tell'](*asked)"


class DaskWorkers:
    """The workers of one scheduler; `say` is told what people should know."""

    def __init__(self, address: str, timeout_s: float | None, say: Callable[[str], object]) -> None:
        self._address, self._timeout_s, self._say = address, timeout_s, say
        self._client: Any = None
        self._alike: dict[str, set[tuple[str, str]]] = {}  # by worker: in what it is as the driver
        self._silent: set[str] = set()  # workers that did not answer in time
        self._gone: list[str] = []  # workers that left the cluster since the last look
        self._waiting = ""  # for what, since when, and when that was said
        self._since_s = self._said_s = 0.0

    def wait(self, task: Task) -> None:
        """Return when there are workers, and all are as the driver is; or when asked to stop.

        StageError names a worker, or the scheduler, that is not, and how to mend it.
        """
        try:
            self._check_scheduler(task)
            while not (self.look(task) and self._have_answered()) and not task.stopping():
                time.sleep(LOOK_S)
        except OSError as error:
            raise StageError(
                f"no Dask scheduler answers at {self._address} ({error}); start one with `dask "
                "scheduler` and `dask worker`, and name its address as engine.scheduler"
            ) from None

    def look(self, task: Task) -> bool:
        """Whether there are workers. Those that are new are asked; StageError names what differs.

        OSError where the scheduler does not answer.
        """
        there = self._connected().nthreads()
        self._tell_of_those_that_left()
        if not there:
            self._tell_of_none()
            return False
        wanted = _wanted(task, task.libraries)
        new = [name for name in there if not wanted.items() <= self._alike.get(name, set())]
        answers = self._ask(new, task, wanted)
        self._silent = set(new) - answers.keys()
        found = []
        for address, told in answers.items():
            if isinstance(told, OSError):
                continue  # it went; another one is asked when it comes
            if isinstance(told, Exception):
                raise StageError(f"a worker at {address} cannot be asked what it is: {told!r}")
            if what := difference(f"a worker on {told['host']}", told, wanted, task.store.place):
                found.append(what)
            else:
                self._alike.setdefault(address, set()).update(wanted.items())
        if found:
            more = f" ({len(found) - 1} more workers differ)" if len(found) > 1 else ""
            raise StageError(sorted(found)[0] + more)
        if not self._silent:
            self._waiting = ""
        return True

    def close(self) -> None:
        """Leave the cluster."""
        if self._client:
            self._client.close()
            self._client = None

    def _connected(self) -> Any:
        from distributed import Client

        if self._client is None or self._client.status != "running":  # the scheduler was restarted
            self.close()
            self._client = Client(  # type: ignore[no-untyped-call]
                self._address, timeout=self._timeout_s or "30 s", set_as_default=False
            )
            self._client.subscribe_topic("all", self._heard)
        return self._client

    def _heard(self, event: tuple[float, Any]) -> None:
        """What the scheduler tells of its workers, in a thread of Dask's."""
        _, said = event
        if isinstance(said, dict) and said.get("action") == "remove-worker":
            self._gone.append(said["worker"])

    def _tell_of_those_that_left(self) -> None:
        """A worker that cannot read a part ends by itself, perhaps before it could be asked."""
        while self._gone:
            if (address := self._gone.pop()) not in self._alike:
                self._say(
                    f"the worker {address} came and went before it said what it is; its log says "
                    "why: often webtext, or a library that it needs, is not installed there"
                )

    def _ask(
        self, workers: list[str], task: Task, wanted: Mapping[str, str]
    ) -> dict[str, dict[str, Any] | Exception]:
        """What these workers say of themselves; nothing where one of them does not answer."""
        if not workers:
            return {}
        asked = (list(wanted), MODULE, pickle.dumps(task.store), names.run(task.run))
        client = self._connected()
        with suppress(TimeoutError):  # the next look asks again
            found: dict[str, dict[str, Any] | Exception] = client.sync(
                client._run,
                eval,
                ASKED,
                {"source": inspect.getsource(probe), "asked": asked},
                workers=workers,
                on_error="return",
                callback_timeout=ASK_S,
            )
            return found
        return {}

    def _check_scheduler(self, task: Task) -> None:
        """It reads the graph of a step, and sees no file of the build."""
        wanted = _wanted(task, {})
        if self._client is None or self._client.status != "running":
            source = {"source": inspect.getsource(probe), "asked": (list(wanted), MODULE)}
            told = self._connected().run_on_scheduler(eval, ASKED, source)
            what = difference(f"the Dask scheduler on {told['host']}", told, wanted, "")
            if what:
                raise StageError(what)

    def _have_answered(self) -> bool:
        """Whether all workers answered, or were waited for long enough."""
        told = f"{len(self._silent)} workers at {self._address} do not answer"
        return not self._silent or self._waited_s("answers", told) > ANSWERS_S

    def _tell_of_none(self) -> None:
        """A line now and then while there is no worker; StageError after WAIT_S."""
        start = f"start one with `dask worker {self._address}`"
        minutes = f"{WAIT_S / 60:.0f} minutes"
        waited_s = self._waited_s(
            "a worker",
            f"no worker at {self._address}",
            f", at most {minutes}: {start}",
        )
        if waited_s > WAIT_S:
            raise StageError(
                f"the Dask scheduler at {self._address} has had no worker for {minutes}; {start}, "
                "and run the same command to go on"
            )

    def _waited_s(self, what: str, told: str, more: str = "") -> float:
        """For how long this was waited for, which is said now and then."""
        now = time.monotonic()
        if self._waiting != what:
            self._waiting, self._since_s, self._said_s = what, now, now - SAY_S
        if now - self._said_s >= SAY_S:
            self._said_s = now
            since = time.localtime(time.time() - (now - self._since_s))
            self._say(f"{told} since {time.strftime('%H:%M:%S', since)}; waiting{more}")
        return now - self._since_s


def _wanted(task: Task, versions: Mapping[str, str]) -> dict[str, str]:
    ours = probe.tell(DASK)["versions"]
    return {**ours, **task.driver, **versions}
