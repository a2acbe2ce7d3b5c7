"""Ledgers: every row that enters is kept, merged or dropped with a reason, and the sums agree."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import StageError


@dataclass(slots=True)
class Ledger:
    """The rows of one unit (submissions, links, …) through one part, step or stage.

    `rows_in = rows_out + merged + sum(drops)`; `check` asserts it.
    """

    rows_in: int = 0
    rows_out: int = 0
    merged: int = 0
    drops: Counter[str] = field(default_factory=Counter)

    @property
    def dropped(self) -> int:
        """All drops, whatever their reason."""
        return sum(self.drops.values())

    def check(self, where: str) -> None:
        """Raise StageError naming `where` unless the sums agree."""
        accounted = self.rows_out + self.merged + self.dropped
        if accounted != self.rows_in:
            raise StageError(
                f"{where}: {self.rows_in} rows came in, but {accounted} are accounted for "
                f"({self.rows_out} kept, {self.merged} merged, {self.dropped} dropped); "
                "this is a defect of webtext, nothing was published"
            )

    def add(self, other: "Ledger") -> None:
        """Add another part's rows of the same unit and step."""
        self.rows_in += other.rows_in
        self.rows_out += other.rows_out
        self.merged += other.merged
        self.drops.update(other.drops)

    def to_json(self) -> dict[str, Any]:
        """Plain form for records and manifests; drops by falling count."""
        return {
            "rows_in": self.rows_in,
            "rows_out": self.rows_out,
            "merged": self.merged,
            "drops": dict(sorted(self.drops.items(), key=lambda item: (-item[1], item[0]))),
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "Ledger":
        """The reverse of `to_json`."""
        return Ledger(data["rows_in"], data["rows_out"], data["merged"], Counter(data["drops"]))


Ledgers = dict[str, Ledger]  # by unit


def total(ledgers: Iterable[Mapping[str, Ledger]]) -> Ledgers:
    """Sum of many parts' ledgers, unit by unit."""
    sums: Ledgers = {}
    for by_unit in ledgers:
        for unit, ledger in by_unit.items():
            sums.setdefault(unit, Ledger()).add(ledger)
    return sums


def chain(steps: Iterable[Mapping[str, Ledger]], where: str) -> Ledgers:
    """The ledgers of a stage from those of its steps in order, checked at each boundary.

    A unit's rows in are those of the first step that books it, its rows out those of the last;
    merged rows and drops are those of all. What one step gave out the next must have received.
    """
    sums: Ledgers = {}
    for number, by_unit in enumerate(steps):
        for unit, ledger in by_unit.items():
            ledger.check(f"{where}, step {number + 1}, {unit}")
            if unit not in sums:
                sums[unit] = Ledger(ledger.rows_in)
            elif sums[unit].rows_out != ledger.rows_in:
                raise StageError(
                    f"{where}, step {number + 1}: {ledger.rows_in} {unit} were received, but "
                    f"{sums[unit].rows_out} had been sent; nothing was published"
                )
            sums[unit].rows_out = ledger.rows_out
            sums[unit].merged += ledger.merged
            sums[unit].drops.update(ledger.drops)
    for unit, ledger in sums.items():
        ledger.check(f"{where}, {unit}")
    return sums
