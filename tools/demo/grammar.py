"""A small grammar that writes English: rules with alternatives in `phrases/*.txt`.

A rule's name stands at the margin, its alternatives are indented below it. In an alternative,
`{rule}` expands to one of that rule's alternatives, `{rule@}` does so once for a whole text (and
`{rule@2}` gives a second such choice), `{3-20}` is a number, and `{a rule}` puts the article
before it. Everything is drawn from the `random.Random` that is passed in, by `rng.random()`
alone, whose sequence Python promises to keep.
"""

import random
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar

_SLOT = re.compile(r"\{([^{}]+)\}")
_RANGE = re.compile(r"(\d+)-(\d+)")
T = TypeVar("T")


def below(rng: random.Random, limit: int) -> int:
    """A whole number from 0 to limit - 1, from one call of `rng.random()`."""
    return int(rng.random() * limit)


def choose(rng: random.Random, items: Sequence[T]) -> T:
    """One of the items."""
    return items[below(rng, len(items))]


def sample(rng: random.Random, items: Sequence[T], count: int) -> list[T]:
    """Up to `count` different items, in a drawn order."""
    rest = list(items)
    return [rest.pop(below(rng, len(rest))) for _ in range(min(count, len(rest)))]


@cache
def rules() -> dict[str, tuple[str, ...]]:
    """All rules of all phrase files, by name. Raises ValueError for a name given twice."""
    found: dict[str, tuple[str, ...]] = {}
    for path in sorted(Path(__file__).with_name("phrases").glob("*.txt")):
        name = ""
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if not line.strip() or line.startswith("#"):
                continue
            if line.startswith(" "):
                found[name] = (*found[name], line.strip())
                continue
            name = line.strip()
            if name in found:
                raise ValueError(f"{path.name} line {number}: a second rule {name}")
            found[name] = ()
    return found


class Writer:
    """Expands rules for one text: what `{rule@}` chose stays chosen."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.bound: dict[str, str] = {}

    def write(self, rule: str) -> str:
        """One expansion of a rule, beginning with a capital letter."""
        return _capital(self.expand(choose(self.rng, rules()[rule])))

    def several(self, rule: str, count: int) -> list[str]:
        """Up to `count` expansions of different alternatives of a rule."""
        return [_capital(self.expand(line)) for line in sample(self.rng, rules()[rule], count)]

    def expand(self, pattern: str) -> str:
        """The pattern with every slot filled. Raises KeyError for an unknown rule."""
        return _SLOT.sub(lambda slot: self._fill(slot[1]), pattern)

    def _fill(self, slot: str) -> str:
        if numbers := _RANGE.fullmatch(slot):
            low, high = int(numbers[1]), int(numbers[2])
            return str(low + below(self.rng, high - low + 1))
        if slot.startswith("a "):
            word = self._fill(slot[2:])
            return f"{'an' if word[0] in 'aeiouAEIOU' else 'a'} {word}"
        name, at, _ = slot.partition("@")
        if not at:
            return self.expand(choose(self.rng, rules()[name]))
        if slot not in self.bound:
            # {town@} and {town@2} are two towns: a choice that is taken is not made again.
            taken = {value for key, value in self.bound.items() if key.partition("@")[0] == name}
            free = [line for line in rules()[name] if line not in taken]
            self.bound[slot] = self.expand(choose(self.rng, free))
        return self.bound[slot]


def _capital(text: str) -> str:
    """The text with its sentences beginning in capitals, which slots at the start leave small."""
    return re.sub(r"(^|[.!?] )([a-z])", lambda m: m[1] + m[2].upper(), text)
