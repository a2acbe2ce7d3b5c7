"""A small stage for tests of the engine; worker processes import it.

Its rows are made up from part and row numbers; a log file outside the build tells what was done.
`do` makes one part misbehave: {"1": "kill the driver"}.
"""

import multiprocessing
import os
import re
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.engine.stage import (
    Exchange,
    Output,
    Part,
    PartWriter,
    ReduceStep,
    Stage,
    Step,
    Table,
    one_part_each,
)
from pipeline.errors import InputError
from pipeline.reasons import Reason

SCHEMA = pa.schema([("id", pa.string()), ("n", pa.int64())])


@dataclass(frozen=True)
class Rules:
    """Settings of the toy."""

    rows: int = 20
    keys: int = 7


@dataclass(frozen=True)
class Options:
    """What a toy does besides its rows; nothing here shapes a digest."""

    log: str = ""
    do: Mapping[str, str] = field(default_factory=dict)  # part's label: what it does


def say(log: str, line: str) -> None:
    """Append a line to the log, whole even from several processes."""
    if log:
        descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{line}\n".encode())
        os.close(descriptor)


def plan(labels: tuple[str, ...], options: Options) -> list[Part[None]]:
    """One part a label; its content is its label."""
    return [Part(number, label, label) for number, label in enumerate(labels)]


@dataclass(frozen=True)
class Read:
    """Makes a part's rows; drops every tenth."""

    rules: Rules
    options: Options

    def __call__(self, part: Part, out: PartWriter) -> None:
        say(self.options.log, f"read {part.label}")
        misbehave(self.options.do.get(part.label, ""), out, self.options.log)
        seed = sum(part.label.encode())
        rows = [
            {"id": f"k{(seed * 31 + row * 7) % self.rules.keys}", "n": seed * 1000 + row}
            for row in range(self.rules.rows)
        ]
        out.write_rows(row for row in rows if row["n"] % 10)
        dropped = [row for row in rows if row["n"] % 10 == 0]
        for row in dropped:
            out.drop("posts", Reason.URL_INVALID, id=row["id"], url=f"http://{row['n']}")
        out.book("posts", rows_in=len(rows), rows_out=len(rows) - len(dropped))
        say(self.options.log, f"done {part.label}")


@dataclass(frozen=True)
class Group:
    """Sums the rows of each key."""

    options: Options

    def __call__(self, *tables: pa.Table, out: PartWriter) -> None:
        table = pa.concat_tables(tables)
        say(self.options.log, f"group {table.num_rows}")
        sums = table.group_by("id").aggregate([("n", "sum")]).rename_columns(["id", "n"])
        out.write(sums)
        out.book(
            "posts",
            rows_in=table.num_rows,
            rows_out=sums.num_rows,
            merged=table.num_rows - sums.num_rows,
        )


def plan_items(group: Output) -> list[Part[Table]]:
    """A part for each bucket."""
    return [replace(part, digest=f"{part.number} {part.digest}") for part in one_part_each(group)]


@dataclass(frozen=True)
class Items:
    """Sends each row through the pool."""

    options: Options

    def __call__(self, part: Part, out: PartWriter) -> None:
        say(self.options.log, f"items {part.label}")
        misbehave(self.options.do.get(part.label, ""), out, self.options.log)
        table = out.store.table(part.source.name)
        rows = list(out.pool.map(double, table.to_pylist()))
        out.write_rows(rows)
        out.book("posts", rows_in=table.num_rows, rows_out=len(rows))


def double(row: dict[str, Any]) -> dict[str, Any]:
    """The work on one item."""
    return {"id": row["id"], "n": row["n"] * 2}


def stage(
    labels: tuple[str, ...] = ("a", "b", "c", "d"),
    rules: Rules = Rules(),
    options: Options = Options(),
    *,
    items: bool = False,
    keep: bool = False,
    versions: Mapping[str, str] | None = None,
    **more: Any,
) -> Stage:
    """posts -> posts by key (-> items)."""
    read = Step(
        "read",
        1,
        partial(plan, labels, options),
        Read(rules, options),
        SCHEMA,
        settings=rules,
        exchange=Exchange("id"),
        keep=keep,
        versions=versions or {},
    )
    group = ReduceStep("group", 1, "id", Group(options), SCHEMA, (read,))
    if not items:
        return Stage("toy", "posts", (read, group), **more)
    each = Step("items", 1, plan_items, Items(options), SCHEMA, inputs=(group,), runs="items")
    return Stage("toy", "posts", (read, group, each), **more)


# What a part can do instead of, or before, its work


def misbehave(what: str, out: PartWriter, log: str) -> None:
    """Do it."""
    if what:
        MISDEEDS[what](out, log)


def _driver() -> int:
    driver = multiprocessing.parent_process()
    assert driver is not None
    assert driver.pid is not None
    return driver.pid


def _kill_driver(out: PartWriter, log: str) -> None:
    os.kill(_driver(), signal.SIGKILL)
    time.sleep(600)


def _kill_driver_and_hold_the_lock(out: PartWriter, log: str) -> None:
    os.kill(_driver(), signal.SIGKILL)
    hold_interpreter_lock()


def hold_interpreter_lock() -> None:
    """Stay in C code for ages: no other thread of this process runs."""
    re.match(r"(a+)+$", "a" * 50 + "b")


def _kill_driver_before_record(out: PartWriter, log: str) -> None:
    # In the worker: the part's files are in the store, its record is never written.
    def write_json(name: str, value: Any, **more: Any) -> None:
        if name.startswith("parts/"):
            _kill_driver(out, log)

    out.store.write_json = write_json  # type: ignore[method-assign]


def _sleep(out: PartWriter, log: str) -> None:
    say(log, f"asleep {os.getpid()}")
    deadline = time.monotonic() + 600
    while time.monotonic() < deadline:
        time.sleep(0.02)
        out.heartbeat("asleep")


def _meet(other: str) -> Callable[[PartWriter, str], None]:
    def act(out: PartWriter, log: str) -> None:
        say(log, f"here {out._part.label}")
        deadline = time.monotonic() + 30
        while f"here {other}" not in Path(log).read_text():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{other} did not come")
            time.sleep(0.05)

    return act


def _finish_slowly(out: PartWriter, log: str) -> None:
    say(log, f"slow {os.getpid()}")
    time.sleep(1.5)


def _raise_input_error(out: PartWriter, log: str) -> None:
    raise InputError("dump.zst", "byte 10240", "the file ends in the middle of a frame", "Mend it")


def _die_once(out: PartWriter, log: str) -> None:
    if Path(log).read_text().count("dying") == 0:
        say(log, "dying")
        os._exit(9)


def _time_out_a_row(out: PartWriter, log: str) -> None:
    out.book("posts", rows_in=1)
    out.drop("posts", Reason.TIMED_OUT, id="slow", url="http://slow", detail="over 60 s")


def _book_wrongly(out: PartWriter, log: str) -> None:
    out.book("posts", rows_in=1)


def _fail(error: BaseException) -> Callable[[PartWriter, str], None]:
    def act(out: PartWriter, log: str) -> None:
        raise error

    return act


def _fill_disk(out: PartWriter, log: str) -> None:
    out.file("more.bin").write_bytes(bytes(64 << 20))


def _once(act: Callable[[PartWriter, str], None]) -> Callable[[PartWriter, str], None]:
    """The first attempt at a part does it, those after it do not."""

    def once(out: PartWriter, log: str) -> None:
        line = f"once {out._part.label}"
        if line not in Path(log).read_text():
            say(log, line)
            act(out, log)

    return once


def _wait_for_a_twice(out: PartWriter, log: str) -> None:
    say(log, "waiting")
    deadline = time.monotonic() + 60
    while Path(log).read_text().count("done a\n") < 2:
        if time.monotonic() > deadline:
            raise TimeoutError("a was done once")
        time.sleep(0.05)


def _hang_in_pool(out: PartWriter, log: str) -> None:
    say(log, f"asleep {os.getpid()}")
    list(out.pool.map(time.sleep, [500.0, 500.0]))


MISDEEDS: dict[str, Callable[[PartWriter, str], None]] = {
    "kill the driver": _kill_driver,
    "kill the driver, hold the lock": _kill_driver_and_hold_the_lock,
    "kill the driver before the record": _kill_driver_before_record,
    "sleep": _sleep,
    "meet a": _meet("a"),
    "meet b": _meet("b"),
    "finish slowly": _finish_slowly,
    "raise InputError": _raise_input_error,
    "raise KeyError": _fail(KeyError("colour")),
    "exit": _fail(SystemExit(3)),
    "die once": _die_once,
    "die": lambda out, log: os._exit(9),
    "time out a row": _time_out_a_row,
    "book wrongly": _book_wrongly,
    "fill the disk": _fill_disk,
    "hang in the pool": _hang_in_pool,
    "hang in the pool once": _once(_hang_in_pool),
    "sleep once": _once(_sleep),
    "wait for a twice": _wait_for_a_twice,
}
