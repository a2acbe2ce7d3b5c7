"""What the trees are told of each block: one row of numbers a feature, one column a block.

Counts stand as they are: trees ask only which of two is larger, and logarithms differ from machine
to machine. `BASE` names the features of the block, its elements, its neighbours, the repeated
structure it is part of (units.py), and the page; sets of bits follow (names of the element and its
parent, names around, groups of words, what the page says of itself).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.documents.blocks.kernels import compiled
from pipeline.documents.blocks.layout import Layout
from pipeline.documents.blocks.names import (
    COMMENT,
    DATE,
    DATE_WORDS,
    FORUM,
    NAME_GROUPS,
    PEOPLE,
    PRODUCT,
    WORD_GROUPS,
)
from pipeline.documents.blocks.page import TAG_NUMBERS, Numbers, Page
from pipeline.documents.blocks.readable import readable
from pipeline.documents.blocks.said import SAID_GROUPS, Said
from pipeline.documents.blocks.units import Units, find_groups, find_units, mean_by, numbered
from pipeline.documents.blocks.words import BlockWords, member, words_of

Reals = NDArray[np.float64]

_AROUND = (
    "article main nav aside footer header form table ul li blockquote pre figure figcaption p td"
    " section ol dl button"
).split()
_LEVELS = (1, 2, 3, 5)  # the block's element, its parent and so on
_NEIGHBOURS = (-1, -2, 1, 2)
_BESIDE = ("words", "link_share", "heading", "same", "stops")
_SAME = _BESIDE.index("same")
LONG_WORDS = 20  # outside of links
_SCORED_WORDS_MIN, _SCORED_WORDS_MAX, _SCORE_SHARE, _SCORE_LEVELS = 8, 100, 0.75, 4
_PATH_MAX = 64
_CODES = 1 << 16
_STOP, _CLOSE, _COLON, _LETTER = 3, 2, 1, -1
_LI = TAG_NUMBERS["li"]


def _sign_kinds() -> NDArray[np.int8]:
    """By code point: a full stop, a closing sign, a colon, an ASCII letter or digit, else 0."""
    kinds = np.full(_CODES, _CLOSE, np.int8)
    kinds[:128] = 0
    for signs, kind in ((".!?。！？", _STOP), ("\"')", _CLOSE), (":", _COLON)):
        for sign in signs:
            kinds[ord(sign)] = kind
    for first, last in ("09", "AZ", "az"):
        kinds[ord(first) : ord(last) + 1] = _LETTER
    return kinds


def _letter_kinds() -> NDArray[np.int8]:
    """By code point: 2 a capital, 1 a small letter, -1 a digit (ASCII), else 0."""
    kinds = np.zeros(_CODES, np.int8)
    for (first, last), kind in (("AZ", 2), ("az", 1), ("09", -1)):
        kinds[ord(first) : ord(last) + 1] = kind
    return kinds


_SIGN_KINDS, _LETTER_KINDS = _sign_kinds(), _letter_kinds()
_HEADING_LEVELS = np.zeros(len(TAG_NUMBERS), np.int64)
_HEADING_LEVELS[[TAG_NUMBERS[f"h{level}"] for level in range(1, 7)]] = range(1, 7)
_AROUND_BITS = np.zeros(len(TAG_NUMBERS), np.int64)
_AROUND_BITS[[TAG_NUMBERS[_name] for _name in _AROUND]] = 1 << np.arange(len(_AROUND))

BASE: list[str] = [
    *"words chars link_share commas dots digits capitals bold title_words separators".split(),
    *"last first breaks links word_chars heading tag depth place words_before copies".split(),
    *"words_after hidden italic card moneys led".split(),
    *(f"in_{tag}" for tag in _AROUND),
    *(
        f"up{level}_{what}"
        for level in _LEVELS
        for what in ("words", "link_share", "blocks", "share", "mean", "paragraphs")
    ),
    *"in_best best_up best_depth best_share own_score parent_score best_link_share".split(),
    *"best_mean after_best best_blocks".split(),
    *(f"beside{step}_{what}" for step in _NEIGHBOURS for what in _BESIDE),
    *"words_near3 words_near8 links_near3 since_heading since_h1 to_long alike alike_words".split(),
    *"alike_mean alike2 alike2_mean after_h1".split(),
    *"page_blocks page_words page_link_share page_long page_best page_articles page_mains".split(),
    *"page_elements page_comment page_forum page_product page_li page_mean page_long_words".split(),
    *"page_best_depth page_tables page_hidden".split(),
    *"unit_many unit_mean unit_share unit_links unit_top unit_index unit_words unit_at".split(),
    *"unit_blocks unit_up unit_long unit_people unit_dates unit_prices".split(),
    *"role_share role_mean role_links role_distinct role_stops role_top role_words".split(),
    *"said page_said said_words page_front readable page_readable".split(),
]
NAMES: list[str] = [
    *BASE,
    *(f"own:{group.split()[0]}" for group in NAME_GROUPS),
    *(f"around:{group.split()[0]}" for group in NAME_GROUPS),
    *(f"says:{group.split()[0]}" for group in WORD_GROUPS),
    *(f"kind:{group.split()[0]}" for group in SAID_GROUPS),
    *(f"address:{group.split()[0]}" for group in SAID_GROUPS),
]
AT: dict[str, int] = {name: number for number, name in enumerate(NAMES)}


@dataclass(frozen=True, slots=True)
class Described:
    """Features (float32, [features, blocks]), and what later steps ask of each block."""

    columns: NDArray[np.float32]
    words: Numbers
    elements: Numbers
    kinds: Numbers
    units: Units
    # Shares of each block, and words in all: what the page says of itself, what readable.py takes.
    opinions: tuple[tuple[Reals, int], tuple[Reals, int]]


def describe(page: Page, counts: BlockWords, said: Said) -> Described:
    """Describe every block of a page that has at least one."""
    described = _Description(page, counts)
    described.put_block()
    described.put_around()
    described.put_best()
    described.put_neighbours()
    described.put_alike()
    described.put_page()
    units = described.put_units()
    opinions = described.put_said(said), described.put_readable()
    described.put_bits(said)
    kinds = described.kind[described.element]
    return Described(described.columns, counts.words, described.element, kinds, units, opinions)


class _Description:
    """What the groups of features share: arrays by element, and by block."""

    def __init__(self, page: Page, counts: BlockWords) -> None:
        self.page, self.counts, layout = page, counts, Layout(page)
        self.layout, self.total = layout, layout.total
        self.element, self.tag, self.parent = layout.element, layout.tag, layout.parent
        self.outer, self.depth, self.kind = layout.outer, layout.depth, layout.kind
        self.own, self.inner = layout.own, page.inner
        self.masks = page.inherited[self.element]
        self.blocks, self.elements = layout.blocks, layout.elements
        self.columns = np.zeros((len(NAMES), self.blocks), np.float32)
        self.words, self.link_words = counts.words, counts.link_words
        self.free = self.words - self.link_words
        self.at_least = np.maximum(self.words, 1)
        self.link_share = self.link_words / self.at_least
        self.page_words = max(int(self.words.sum()), 1)
        self.number = np.arange(self.blocks)
        self.signs = _SIGN_KINDS.take(counts.last, mode="clip")
        self.stops = self.signs == _STOP
        self.tags = self.tag[self.element]
        # Also of what lies in one: `<h3><button>`.
        outer = self.outer[self.element]
        levels = _HEADING_LEVELS[self.tag]
        self.heading = np.where(
            self.tags == _LI, 0, np.maximum(levels[self.element], levels[outer])
        )
        self.sizes, self.link_sizes = self.total(np.stack([self.words, self.link_words]))
        self.held = layout.end_block - layout.begin_block
        self.best = 0

    def put(self, name: str, values: Any) -> None:
        """Set one feature of all blocks."""
        self.columns[AT[name]] = values

    def put_block(self) -> None:
        """What is counted in the block itself, and where it stands."""
        put, counts, at_least = self.put, self.counts, self.at_least
        before = np.cumsum(self.words) - self.words
        put("words", self.words)
        put("chars", counts.chars)
        put("link_share", self.link_share)
        put("commas", counts.commas / at_least)
        put("dots", counts.dots / at_least)
        put("digits", counts.digits / np.maximum(counts.chars, 1))
        put("capitals", counts.capitals / at_least)
        put("bold", counts.bold_words / at_least)
        put("title_words", counts.title_words / at_least)
        put("separators", counts.separators / at_least)
        put("last", self.signs)
        put("first", _LETTER_KINDS.take(counts.first, mode="clip"))
        put("breaks", self.page.breaks)
        put("links", self.page.links)
        put("word_chars", counts.chars / at_least)
        put("heading", self.heading)
        put("tag", self.tags)
        put("depth", self.depth[self.element])
        put("place", self.number / self.blocks)
        put("words_before", before / self.page_words)
        put("words_after", self.page_words - before)
        put("copies", counts.copies)
        put("hidden", counts.hidden_words / at_least)
        put("italic", counts.italic_words / at_least)
        put("card", counts.card_words / at_least)
        put("moneys", counts.moneys)
        # Whether a colon stands before the element, or before that around it: a list is led up to.
        ends = np.append(self.signs == _COLON, False)
        before = self.layout.begin_block - 1
        put("led", ends[before[self.element]] | ends[before[self.outer[self.element]]])

    def put_around(self) -> None:
        """What it lies in: a bit for each kind of element, and totals of the nearest ones."""
        around = self.layout.pass_down(_AROUND_BITS[self.tag], are_bits=True)[self.element]
        row = AT[f"in_{_AROUND[0]}"]
        _spread_bits(around, self.columns[row : row + len(_AROUND)])
        of_paragraphs = self.parent[1:][self.tag[1:] == TAG_NUMBERS["p"]]
        paragraphs = np.bincount(of_paragraphs, minlength=self.elements)
        sizes, held = self.sizes, self.held
        of_element = np.empty((6, self.elements))
        of_element[:] = (
            sizes,
            self.link_sizes / np.maximum(sizes, 1),
            held,
            sizes / self.page_words,
            sizes / np.maximum(held, 1),
            paragraphs,
        )
        at = self.element
        for step in range(1, max(_LEVELS) + 1):
            if step in _LEVELS:
                row = AT[f"up{step}_words"]
                self.columns[row : row + len(of_element)] = of_element[:, at]
            at = self.outer[at]

    def put_best(self) -> None:
        """The element that readability would choose: prose scores for it and for those around."""
        put, element, number = self.put, self.element, self.number
        scores = _scores(element, self.parent, self.words, self.free, self.elements)
        best = self.best = int(np.argmax(scores))
        first, end = self.layout.begin_block[best], self.layout.end_block[best]
        in_best = (number >= first) & (number < end)
        path = _path(best, self.page.parents.tolist())
        layout = self.layout
        edges = np.bincount(layout.begin_block[path], minlength=self.blocks + 1)
        edges -= np.bincount(layout.end_block[path], minlength=self.blocks + 1)
        on_path = edges.cumsum()[:-1]
        top = max(float(scores[best]), 1.0)
        put("in_best", in_best)
        put("best_up", self.depth[element] - (on_path - 1))
        put("best_depth", len(path) - on_path)
        put("best_share", self.sizes[best] / self.page_words)
        put("own_score", scores[element] / top)
        put("parent_score", scores[self.outer[element]] / top)
        put("best_link_share", self.link_sizes[best] / max(self.sizes[best], 1))
        put("best_mean", self.sizes[best] / max(self.held[best], 1))
        put("after_best", np.where(number >= end, 1, np.where(number < first, -1, 0)))
        put("best_blocks", self.held[best])

    def put_neighbours(self) -> None:
        """The blocks beside it, and the nearest heading and long block."""
        put, number, blocks, element = self.put, self.number, self.blocks, self.element
        kind = self.kind[element]
        own = np.zeros((len(_BESIDE), blocks), np.float32)
        own[0], own[1], own[2], own[4] = self.words, self.link_share, self.heading > 0, self.stops
        for step in _NEIGHBOURS:
            here = slice(max(-step, 0), blocks - max(step, 0))
            there = slice(max(step, 0), blocks - max(-step, 0))
            row = AT[f"beside{step}_{_BESIDE[0]}"]
            rows = self.columns[row : row + len(_BESIDE)]
            rows[:] = -1
            if abs(step) < blocks:
                rows[:, here] = own[:, there]
                same_kind = (kind[there] == kind[here]).astype(np.float32)
                rows[_SAME, here] = (element[there] == element[here]) + same_kind
        near3, links3 = _window(self.free, 3), _window(self.link_words, 3)
        put("words_near3", near3)
        put("words_near8", _window(self.free, 8))
        put("links_near3", links3 / np.maximum(near3 + links3, 1))
        before = _last_before(self.heading > 0)
        put("since_heading", np.where(before >= 0, np.minimum(number - before, 50), 60))
        h1 = np.flatnonzero(self.heading == 1)
        first = h1[0] if len(h1) else blocks
        put("since_h1", np.where(number >= first, np.minimum(number - first, 60), -1))
        put("after_h1", number >= first)
        put("to_long", _distance(self.free >= LONG_WORDS))

    def put_alike(self) -> None:
        """How many blocks lie in elements of the same tag and class, and how long they are."""
        kind = self.kind[self.element]
        outer = self.kind[self.outer[self.element]]
        pairs = outer * (self.kind.max() + 1) + kind
        for name, which in (("alike", kind), ("alike2", numbered(pairs))):
            many, words = np.bincount(which), np.bincount(which, self.words)
            self.put(name, many[which])
            self.put(f"{name}_mean", words[which] / many[which])
            if name == "alike":
                self.put("alike_words", words[which])

    def put_page(self) -> None:
        """The page as a whole, the same for each of its blocks."""
        put, words, page_words = self.put, self.words, self.page_words
        is_long = words >= LONG_WORDS
        tags = np.bincount(self.tag, minlength=len(TAG_NUMBERS))
        put("page_blocks", self.blocks)
        put("page_words", page_words)
        put("page_link_share", self.link_sizes[0] / page_words)
        put("page_long", np.count_nonzero(is_long))
        put("page_best", self.sizes[self.best] / page_words)
        put("page_articles", tags[TAG_NUMBERS["article"]])
        put("page_mains", tags[TAG_NUMBERS["main"]])
        put("page_elements", self.elements)
        for name, bit in (("comment", COMMENT), ("forum", FORUM), ("product", PRODUCT)):
            put(f"page_{name}", words @ (self.masks >> bit & 1) / page_words)
        put("page_li", words @ (self.columns[AT["in_li"]] > 0) / page_words)
        put("page_mean", page_words / self.blocks)
        put("page_long_words", words @ is_long / page_words)
        put("page_hidden", self.counts.hidden_words.sum() / page_words)
        put("page_best_depth", self.depth[self.best])
        put("page_tables", tags[TAG_NUMBERS["table"]])

    def put_units(self) -> Units:
        """The repeated structure that it is part of, and its role there."""
        put, words = self.put, self.words
        groups = find_groups(self.parent, self.kind, self.sizes)
        units = find_units(groups, self.layout)
        unit, group, role = units.unit, units.group, units.role
        is_some = unit > 0
        many, in_group = groups.many[group], groups.words[group]
        is_unit = np.zeros(self.elements, bool)
        is_unit[unit] = True
        members = np.flatnonzero(is_unit)
        of_members = groups.of[members]
        order = np.argsort(of_members, kind="stable")
        ordered = of_members[order]
        rank = np.zeros(self.elements, np.int64)
        rank[members[order]] = np.arange(len(members)) - ordered.searchsorted(ordered)
        put("unit_many", np.where(is_some, many, 0))
        put("unit_mean", np.where(is_some, in_group / np.maximum(many, 1), 0))
        put("unit_share", np.where(is_some, in_group / self.page_words, 0))
        links = np.bincount(group, self.link_words)
        put("unit_links", np.where(is_some, links[group] / np.maximum(in_group, 1), -1))
        put("unit_top", np.where(is_some, groups.top[group] / np.maximum(in_group, 1), -1))
        put("unit_index", np.where(is_some, rank[unit], -1))
        put("unit_words", np.where(is_some, self.sizes[unit], 0))
        first = np.full(self.elements, self.blocks)
        np.minimum.at(first, unit, self.number)
        held = np.maximum(self.held[unit], 1)
        put("unit_at", np.where(is_some, (self.number - first[unit]) / held, -1))
        put("unit_blocks", np.where(is_some, held, 0))
        put("unit_up", np.where(is_some, self.depth[self.element] - self.depth[unit], -1))
        own = self.own[self.element] | self.inner
        says = self.counts.groups
        for name, is_one in (
            ("unit_long", self.free >= LONG_WORDS),
            ("unit_people", own >> PEOPLE & 1),
            ("unit_dates", (own >> DATE | says >> DATE_WORDS) & 1),
            ("unit_prices", self.counts.moneys > 0),
        ):
            has = np.bincount(unit, is_one, self.elements) > 0
            share = np.bincount(of_members, has[members], len(groups.many))[group]
            put(name, np.where(is_some, share / np.maximum(many, 1), -1))
        of_role = np.bincount(role)[role]
        put("role_share", np.where(is_some, of_role / np.maximum(many, 1), -1))
        put("role_mean", mean_by(role, words))
        put("role_links", mean_by(role, self.link_share))
        put("role_distinct", mean_by(role, 1 / self.counts.copies))
        put("role_stops", mean_by(role, self.stops))
        top = np.zeros(int(role.max()) + 1, np.int64)
        np.maximum.at(top, role, words)
        put("role_top", top[role])
        of_role = np.bincount(role, words)[role]
        put("role_words", np.where(is_some, of_role / np.maximum(in_group, 1), -1))
        return units

    def put_said(self, said: Said) -> tuple[Reals, int]:
        """What of it the page says in its head, and how much that is."""
        words = words_of(said.text)
        counts = self.counts
        shares = member(counts.hashes, counts.offsets, words, counts.is_behind, with_short=False)
        self.put("said", shares)
        self.put("page_said", (shares * self.words).sum() / max(len(words), 1))
        self.put("said_words", len(words))
        self.put("page_front", said.is_front)
        return shares, len(words)

    def put_readable(self) -> tuple[Reals, int]:
        """Whether readability's rules take it, and how much of the page they take."""
        shares = readable(self.layout, self.counts).astype(float)
        taken = int((shares * self.words).sum())
        self.put("readable", shares)
        self.put("page_readable", taken / self.page_words)
        return shares, taken

    def put_bits(self, said: Said) -> None:
        """The groups of names and of words, a feature each."""
        element = self.element
        own = self.own[element] | self.own[self.outer[element]]
        own |= self.inner
        row = len(BASE)
        for values, count in (
            (own, len(NAME_GROUPS)),
            (self.masks, len(NAME_GROUPS)),
            (self.counts.groups, len(WORD_GROUPS)),
        ):
            _spread_bits(values, self.columns[row : row + count])
            row += count
        for mask in (said.kinds, said.place):
            for bit in range(len(SAID_GROUPS)):
                self.columns[row] = mask >> bit & 1
                row += 1


def _spread_bits(values: Numbers, rows: NDArray[np.float32]) -> None:
    """Set each row to one bit of the values, 0 or 1."""
    if compiled:
        compiled.spread_bits(values, rows)
    else:
        rows[:] = values >> np.arange(len(rows))[:, None] & 1


def _path(element: int, parents: Sequence[int]) -> list[int]:
    path = [element]
    while (element := parents[element]) >= 0:
        path.append(element)
    return path[-_PATH_MAX:]


def _scores(
    element: Numbers, parent: Numbers, words: Numbers, free: Numbers, elements: int
) -> Reals:
    is_prose = (free >= _SCORED_WORDS_MIN) & (2 * free > words)
    at = element[is_prose]
    weight = np.minimum(free[is_prose], _SCORED_WORDS_MAX).astype(float)
    scores = np.zeros(elements)
    for _ in range(_SCORE_LEVELS):
        scores += np.bincount(at, weight, elements)
        is_left = parent[at] >= 0
        at, weight = parent[at][is_left], weight[is_left] * _SCORE_SHARE
    return scores


def _window(values: Numbers, reach: int) -> Numbers:
    sums = np.concatenate([[0], np.cumsum(values)])
    number = np.arange(len(values))
    end, begin = np.minimum(number + reach + 1, len(values)), np.maximum(number - reach, 0)
    return np.asarray(sums[end] - sums[begin], np.int64)


def _last_before(is_one: NDArray[np.bool_]) -> Numbers:
    """For each place the last one before it, -1 where there is none."""
    number = np.arange(len(is_one))
    last = np.maximum.accumulate(np.where(is_one, number, -1))
    return np.concatenate([[-1], last[:-1]])


def _distance(is_one: NDArray[np.bool_]) -> Numbers:
    """Blocks to the nearest one, itself among them on the way on; 50 at most."""
    size = len(is_one)
    number = np.arange(size)
    after = np.minimum.accumulate(np.where(is_one, number, size + 50)[::-1])[::-1]
    before = _last_before(is_one)
    back = np.where(before >= 0, number - before, 50)
    return np.minimum(np.minimum(after - number, back), 50)
