"""A small grammar that writes English: rules with alternatives in `phrases/*.txt`.

A rule's name stands at the margin, its alternatives are indented below it. In an alternative,
`{rule}` expands to one of that rule's alternatives, `{rule@}` does so once for a whole text (and
`{rule@2}` gives a second such choice), `{3-20}` is a number, `{3-20th}` one with its ending, and
`{a rule}` puts the article before it. Lines that begin with `|` are one alternative of several
lines, up to an empty line: code, in which other braces stay as they are. Everything is drawn from
the `random.Random` that is passed in, by `rng.random()` alone, whose sequence Python promises to
keep.
"""

import random
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TypeVar

SLOT = re.compile(r"\{((?:a )?\w[\w.@-]*)\}", re.ASCII)
_RANGE = re.compile(r"(\d+)-(\d+)(th)?")
T = TypeVar("T")
# A piece of a page, its kind and its text. Kinds: p, h2, li, pre, table (a row a line, its cells
# parted by tabs), and "post", which opens a forum post by the nick that it names.
Block = tuple[str, str]


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
        name, in_code = "", False
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            words = line.strip()
            if words.startswith("|"):
                *before, last = found[name] if in_code else (*found[name], "")
                found[name] = (*before, f"{last}\n{words[1:]}".removeprefix("\n"))
            elif line.startswith(" "):
                found[name] = (*found[name], words)
            elif words and not words.startswith("#"):
                name = words
                if name in found:
                    raise ValueError(f"{path.name} line {number}: a second rule {name}")
                found[name] = ()
            in_code = words.startswith("|")
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
        return SLOT.sub(lambda slot: self._fill(slot[1]), pattern)

    def _fill(self, slot: str) -> str:
        if numbers := _RANGE.fullmatch(slot):
            low, high = int(numbers[1]), int(numbers[2])
            number = low + below(self.rng, high - low + 1)
            return f"{number}{_ordinal(number) if numbers[3] else ''}"
        if slot.startswith("a "):
            word = self._fill(slot[2:])
            return f"{'an' if word[0] in 'aeiouAEIOU' else 'a'} {word}"
        name, at, _ = slot.partition("@")
        if not at:
            return self.expand(choose(self.rng, rules()[name]))
        if slot not in self.bound:
            # {town@} and {town@2} are two towns: a choice that is taken is not made again.
            taken = {value for key, value in self.bound.items() if key.partition("@")[0] == name}
            drawn = self.expand(choose(self.rng, rules()[name]))
            while drawn in taken:
                drawn = self.expand(choose(self.rng, rules()[name]))
            self.bound[slot] = drawn
        return self.bound[slot]


def _capital(text: str) -> str:
    """The text with its sentences beginning in capitals, which slots at the start leave small."""
    return re.sub(r"(^|[.!?] )([a-z])", lambda m: m[1] + m[2].upper(), text)


def _ordinal(number: int) -> str:
    """What stands behind the number of a day: st, nd, rd, th."""
    special = 10 < number % 100 < 14
    return "th" if special else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
