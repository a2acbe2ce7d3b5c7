"""A second opinion in readability's manner, from the blocks that are there already.

The rules are those of Arc90's readability (2009) as readability-lxml keeps them: paragraphs give
points to their parent and grandparent, the best element and its good siblings are the text, and
what in it looks like a list of links goes. Counted in words of blocks, not in a tree that is
rewritten: pictures and fields of forms, which the rules ask about too, are not known here.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.documents.blocks.segment import TAG_NUMBERS, Page
from pipeline.documents.blocks.words import BlockWords, Numbers

Mask = NDArray[np.bool_]

_TAG_POINTS = {
    **dict.fromkeys(("div", "article"), 5),
    **dict.fromkeys(("pre", "td", "blockquote"), 3),
    **dict.fromkeys("address ol ul dl dd dt li form aside".split(), -3),
    **dict.fromkeys("h1 h2 h3 h4 h5 h6 th header footer nav".split(), -5),
}
_PARAGRAPH_CHARS_MIN = 25
_PAGE_CHARS_MIN = 250  # less, and unlikely elements are looked at too
_ARTICLE_SHARE = 0.25  # of the points of what it lies in
_MAIN_CHARS_MIN, _MAIN_LINKS_MAX = 500, 0.15
_BESIDE_CHARS = 1000  # of siblings: so much text beside it speaks for an element


def _numbers(tags: str) -> list[int]:
    return [TAG_NUMBERS[tag] for tag in tags.split()]


_POINTS = np.zeros(len(TAG_NUMBERS))
for _tag, _points in _TAG_POINTS.items():
    _POINTS[TAG_NUMBERS[_tag]] = _points
_WHOLE, _DIV = _numbers("html body"), TAG_NUMBERS["div"]
_ARTICLE, _MAIN = TAG_NUMBERS["article"], TAG_NUMBERS["main"]
_PARAGRAPHS, _HEADINGS = _numbers("p pre td blockquote"), _numbers("h1 h2 h3 h4 h5 h6")
_SHAKY = _numbers("table ul div aside header footer section")
_ALLOWED_INSIDE = _numbers("table ul div section")


def readable(page: Page, counts: BlockWords) -> Mask:
    """Which blocks of a page readability would take for its text."""
    rules = _Rules(page, counts)
    kept = rules.keep(rules.unlikely())
    if counts.chars[kept].sum() < _PAGE_CHARS_MIN:
        kept = rules.keep(np.zeros(len(page.tags), bool))
    return kept


class _Rules:
    """What the rules ask of each element of a page."""

    def __init__(self, page: Page, counts: BlockWords) -> None:
        self.tag, self.parent = np.asarray(page.tags, np.int64), np.asarray(page.parents, np.int64)
        self.ends = np.asarray(page.ends, np.int64)
        self.element = np.asarray(page.elements, np.int64)
        self.class_weight = np.asarray(page.weights, np.int64)
        self.is_unlikely = np.asarray(page.unlikely, bool)
        self.counts, self.elements = counts, len(page.tags)
        self.outer = np.maximum(self.parent, 0)

    def unlikely(self) -> Mask:
        """The elements that lie in one whose name says that it is no text."""
        frames = np.cumsum(np.isin(self.tag, (_ARTICLE, _MAIN)))
        frames = np.concatenate([[0], frames])
        has_frame = frames[self.ends] > frames[:-1]
        is_one = self.is_unlikely & ~has_frame & ~np.isin(self.tag, _WHOLE)
        return self.inside(np.flatnonzero(is_one))

    def inside(self, elements: Numbers) -> Mask:
        """These elements and all that they hold."""
        edges = np.zeros(self.elements + 1, np.int64)
        np.add.at(edges, elements, 1)
        np.add.at(edges, self.ends[elements], -1)
        return np.asarray(np.cumsum(edges)[:-1] > 0)

    def total(self, values: Numbers) -> Numbers:
        """The sum over the blocks inside of each element."""
        sums = np.concatenate([[0], np.cumsum(np.bincount(self.element, values, self.elements))])
        return np.asarray(sums[self.ends] - sums[:-1], np.int64)

    def keep(self, is_gone: Mask) -> Mask:
        """The blocks that are kept of a page without some of its elements."""
        seen = ~is_gone[self.element]
        counts = self.counts
        own_chars = (counts.chars + counts.words) * seen
        own_commas = counts.commas * seen
        self.chars, self.commas = self.total(own_chars), self.total(own_commas)
        words = self.total(counts.words * seen)
        self.links = self.total(counts.link_words * seen) / np.maximum(words, 1)
        scores, is_scored = self.scores(is_gone, own_chars, own_commas)
        if not is_scored.any():
            return seen & False
        best = self.best(scores, is_scored)
        taken = self.with_siblings(best, scores, is_scored) & ~is_gone
        taken &= ~self.cleaned(np.where(is_scored, scores, 0), taken)
        return np.asarray(taken[self.element] & seen)

    def scores(
        self, is_gone: Mask, own_chars: Numbers, own_commas: Numbers
    ) -> tuple[NDArray[np.float64], Mask]:
        """Points of each element, and which have any: parents and grandparents of paragraphs."""
        tag, outer = self.tag, self.outer
        is_leaf = np.ones(self.elements, bool)
        is_leaf[outer[1:]] = False
        whole = np.flatnonzero(np.isin(tag, _PARAGRAPHS) | ((tag == _DIV) & is_leaf))
        # Text beside other elements of a `div` is read as paragraphs of it.
        loose = np.flatnonzero((tag[self.element] == _DIV) & ~is_leaf[self.element])
        over = np.concatenate([outer[whole], self.element[loose]])
        chars = np.concatenate([self.chars[whole], own_chars[loose]])
        commas = np.concatenate([self.commas[whole], own_commas[loose]])
        holder = np.concatenate([whole, self.element[loose]])
        is_one = (chars >= _PARAGRAPH_CHARS_MIN) & ~is_gone[holder]
        over, points = over[is_one], (2 + commas + np.minimum(chars / 100, 3))[is_one]
        given = np.bincount(over, points, self.elements)
        given += np.bincount(outer[over], points / 2, self.elements)
        is_scored = np.zeros(self.elements, bool)
        is_scored[over] = is_scored[outer[over]] = True
        return (given + self.class_weight + _POINTS[tag]) * (1 - self.links), is_scored

    def best(self, scores: NDArray[np.float64], is_scored: Mask) -> int:
        """The element with most points, an article in it, or the `main` around it."""
        best = int(np.argmax(np.where(is_scored, scores, -np.inf)))
        inside = np.arange(best, self.ends[best])
        is_good = is_scored & (self.tag == _ARTICLE) & (self.chars >= _PAGE_CHARS_MIN)
        articles = inside[(is_good & (scores >= _ARTICLE_SHARE * scores[best]))[inside]]
        if len(articles):
            best = int(articles[np.argmax(scores[articles])])
        around, at = [], best
        while at >= 0:
            around.append(at)
            at = int(self.parent[at])
        if any(self.tag[one] == _ARTICLE for one in around):
            return best
        for one in around[1:]:
            if self.tag[one] == _MAIN:
                is_more = self.chars[one] >= max(_MAIN_CHARS_MIN, 2 * self.chars[best])
                return one if is_more and self.links[one] <= _MAIN_LINKS_MAX else best
        return best

    def with_siblings(self, best: int, scores: NDArray[np.float64], is_scored: Mask) -> Mask:
        """The best element and those beside it that are good too, with all that they hold."""
        beside = np.flatnonzero(self.parent == self.parent[best])
        is_good = is_scored[beside] & (scores[beside] >= max(10.0, 0.2 * scores[best]))
        is_prose = (self.tag[beside] == TAG_NUMBERS["p"]) & (self.chars[beside] > 80)
        is_good |= is_prose & (self.links[beside] < 0.25)
        return self.inside(
            np.union1d(beside[is_good], [best, *self.segments(best, scores, is_scored)])
        )

    def segments(self, best: int, scores: NDArray[np.float64], is_scored: Mask) -> Numbers:
        """Elements elsewhere in the same frame that have the best one's tag and a good name too."""
        if self.class_weight[best] <= 0:
            return np.zeros(0, np.int64)
        frame = int(self.parent[best])
        while frame > 0 and self.tag[frame] not in (_ARTICLE, _MAIN):
            frame = int(self.parent[frame])
        inside = np.arange(max(frame, 0), self.ends[max(frame, 0)])
        is_one = is_scored & (scores >= max(10.0, 0.2 * scores[best])) & (self.links <= 0.2)
        is_one &= (self.tag == self.tag[best]) & (self.class_weight > 0)
        around = (np.arange(self.elements) <= best) & (self.ends > best)
        return np.asarray(inside[(is_one & ~around)[inside]])

    def cleaned(self, scores: NDArray[np.float64], taken: Mask) -> Mask:
        """What goes: lists of links, short pieces, headings that are links, forms."""
        tag, links, chars = self.tag, self.links, self.chars
        gone = np.isin(tag, _HEADINGS) & ((self.class_weight < 0) | (links > 0.33))
        gone |= tag == TAG_NUMBERS["form"]
        shaky = taken & np.isin(tag, _SHAKY)
        is_bad = self.class_weight + scores < 0
        limit = np.where(self.class_weight < 25, 0.2, 0.5)
        is_thin = (chars < _PARAGRAPH_CHARS_MIN) | (links > limit)
        shaky &= is_bad | ((self.commas < 10) & is_thin)
        saved = np.flatnonzero(shaky & ~is_bad & (self.beside() > _BESIDE_CHARS))
        shaky &= ~(self.inside(saved) & np.isin(tag, _ALLOWED_INSIDE))
        shaky[saved] = False
        return self.inside(np.flatnonzero((gone | shaky) & taken))

    def beside(self) -> Numbers:
        """The characters of the nearest siblings that have any, before and after each element."""
        order = np.argsort(self.parent, kind="stable")
        place, found = np.arange(self.elements), np.zeros_like(self.chars)
        for way in (order, order[::-1]):
            chars, outer = self.chars[way], self.parent[way]
            is_new = outer != np.roll(outer, 1)
            first = np.maximum.accumulate(np.where(is_new, place, 0))
            last = np.maximum.accumulate(np.where(chars > 0, place, -1))
            last = np.concatenate([[-1], last[:-1]])
            found[way] += np.where(last >= first, chars[last], 0)
        return found
