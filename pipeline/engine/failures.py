"""Why parts failed, told from any process and machine to the driver: small JSON files of the run.

An error keeps its type on every runner, and no runner retries what can only fail again.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from pipeline import errors
from pipeline.engine import names
from pipeline.engine.store import Store
from pipeline.errors import WebtextError, printable


@dataclass(frozen=True)
class Failure:
    """A part that failed: its label, what it raised, and the stack."""

    part: str
    error: Exception
    stack: str


# Failures of this process that the store could not take (a full disk), by run.
_unwritten: dict[str, list[Failure]] = defaultdict(list)


def tell(store: Store, run: str, name: str, failure: Failure) -> None:
    """Keep a failure for the driver; `name` is this attempt's alone."""
    plain = {"part": failure.part, "error": _to_json(failure.error), "stack": failure.stack}
    try:
        store.write_json(f"{names.failures(run)}/{name}.json", plain, durably=False)
    except OSError:
        told = _from_json(_to_json(failure.error))  # as it would be read
        _unwritten[run].append(Failure(failure.part, told, failure.stack))


def any_unwritten(run: str) -> bool:
    """Whether a part of this process failed and could not tell."""
    return run in _unwritten


def take(store: Store, run: str) -> list[Failure]:
    """The failures so far; each is told once."""
    found = [entry.name for entry in store.entries(names.failures(run))]
    read = [store.read_json(name) for name in found]
    store.remove(found)
    told = [Failure(f["part"], _from_json(f["error"]), f["stack"]) for f in read if f]
    return told + _unwritten.pop(run, [])


def _to_json(error: Exception) -> dict[str, Any]:
    if isinstance(error, OSError):
        filename = None if error.filename is None else printable(str(error.filename))
        return {"type": "OSError", "args": [error.errno, error.strerror or str(error), filename]}
    if isinstance(error, WebtextError):
        args = [arg if isinstance(arg, str | int) else printable(arg) for arg in error.args]
        return {"type": type(error).__name__, "args": args}
    return {"type": "RuntimeError", "args": [f"{type(error).__name__}: {error}"]}


def _from_json(plain: dict[str, Any]) -> Exception:
    if plain["type"] == "OSError":
        number, text, filename = plain["args"]
        return OSError(text) if number is None else OSError(number, text, filename)
    kind = getattr(errors, plain["type"], RuntimeError)
    return kind(*plain["args"])
