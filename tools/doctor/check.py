"""One line of `webtext doctor`: what was looked at, how it is, and the mend."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "wrong"]


@dataclass(frozen=True)
class Check:
    """`wrong` stops a build, or spoils it; a `warning` may. `mend` is empty where all is well."""

    name: str
    state: State
    told: str
    mend: str = ""


def ok(name: str, told: str) -> Check:
    """All is well."""
    return Check(name, "ok", told)


def warning(name: str, told: str, mend: str) -> Check:
    """A build may end, or be good, or not."""
    return Check(name, "warning", told, mend)


def wrong(name: str, told: str, mend: str) -> Check:
    """It will not."""
    return Check(name, "wrong", told, mend)
