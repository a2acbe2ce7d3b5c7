"""A second opinion in readability's manner, from the blocks that are there already.

The rules are those of Arc90's readability (2009) as readability-lxml keeps them: paragraphs give
points to their parent and grandparent, the best element and its good siblings are the text, and
what in it looks like a list of links goes. Counted in words of blocks, not in a tree that is
rewritten: pictures and fields of forms, which the rules ask about too, are not known here.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.documents.blocks.kernels import compiled
from pipeline.documents.blocks.layout import Layout, Mask
from pipeline.documents.blocks.page import TAG_NUMBERS, Numbers
from pipeline.documents.blocks.words import BlockWords

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


def _are(tags: str) -> Mask:
    """By the number of a tag: whether it is one of these."""
    are = np.zeros(len(TAG_NUMBERS), bool)
    are[[TAG_NUMBERS[tag] for tag in tags.split()]] = True
    return are


_POINTS = np.zeros(len(TAG_NUMBERS))
for _tag, _points in _TAG_POINTS.items():
    _POINTS[TAG_NUMBERS[_tag]] = _points
_DIV, _P = TAG_NUMBERS["div"], TAG_NUMBERS["p"]
_ARTICLE, _MAIN = TAG_NUMBERS["article"], TAG_NUMBERS["main"]
_IS_WHOLE, _IS_FRAME = _are("html body"), _are("article main")
_IS_PARAGRAPH, _IS_HEADING = _are("p pre td blockquote"), _are("h1 h2 h3 h4 h5 h6")
_IS_FORM = _are("form")
_IS_SHAKY = _are("table ul div aside header footer section")
_IS_ALLOWED_INSIDE = _are("table ul div section")
# For readable.c, a bit each.
_ALL = _IS_WHOLE, _IS_FRAME, _IS_PARAGRAPH, _IS_HEADING, _IS_FORM, _IS_SHAKY, _IS_ALLOWED_INSIDE
_FLAGS = np.zeros(len(TAG_NUMBERS), np.int64)
for _bit, _those in enumerate((*_ALL, *map(_are, ("div", "p", "article", "main")))):
    _FLAGS |= _those.astype(np.int64) << _bit


def readable(layout: Layout, counts: BlockWords) -> Mask:
    """Which blocks of a page readability would take for its text."""
    if not compiled:
        return _readable(layout, counts)
    kept = np.zeros(layout.blocks, bool)
    range_of_blocks = layout.begin_block, layout.end_block
    of_elements = layout.tag, layout.parent, layout.ends, layout.weight, *range_of_blocks
    of_blocks = layout.element, counts.chars, counts.commas, counts.words, counts.link_words
    arrays = *of_elements, layout.is_unlikely, *of_blocks
    compiled.read_by_rules(*arrays, _POINTS, _FLAGS, kept)
    return kept


def _readable(layout: Layout, counts: BlockWords) -> Mask:
    rules = _Rules(layout, counts)
    kept = rules.keep(rules.unlikely())
    if counts.chars[kept].sum() < _PAGE_CHARS_MIN:
        kept = rules.keep(np.zeros(layout.elements, bool))
    return kept


class _Rules:
    """What the rules ask of each element of a page."""

    def __init__(self, layout: Layout, counts: BlockWords) -> None:
        self.layout = layout
        self.tag, self.parent, self.outer = layout.tag, layout.parent, layout.outer
        self.ends, self.element = layout.ends, layout.element
        self.class_weight, self.elements = layout.weight, layout.elements
        self.inside = layout.inside
        chars = counts.chars + counts.words
        self.counted = np.stack([chars, counts.commas, counts.words, counts.link_words])
        is_leaf = np.ones(self.elements, bool)
        is_leaf[self.outer[1:]] = False
        is_div = self.tag == _DIV
        self.whole = np.flatnonzero(_IS_PARAGRAPH[self.tag] | (is_div & is_leaf))
        # Text beside other elements of a `div` is read as paragraphs of it.
        self.loose = np.flatnonzero((is_div & ~is_leaf)[self.element])

    def unlikely(self) -> Mask:
        """The elements that lie in one whose name says that it is no text."""
        frames = np.zeros(self.elements + 1, np.int64)
        _IS_FRAME[self.tag].cumsum(out=frames[1:])
        has_frame = frames[self.ends] > frames[:-1]
        is_one = self.layout.is_unlikely & ~has_frame & ~_IS_WHOLE[self.tag]
        return self.inside(np.flatnonzero(is_one))

    def keep(self, is_gone: Mask) -> Mask:
        """The blocks that are kept of a page without some of its elements."""
        seen = ~is_gone[self.element]
        own = self.counted * seen
        self.chars, self.commas, words, link_words = self.layout.total(own)
        self.links = link_words / np.maximum(words, 1)
        scores, is_scored = self.scores(is_gone, own[0], own[1])
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
        outer, whole, loose = self.outer, self.whole, self.loose
        holder = np.concatenate([whole, self.element[loose]])
        over = holder.copy()
        over[: len(whole)] = outer[whole]
        chars = np.concatenate([self.chars[whole], own_chars[loose]])
        commas = np.concatenate([self.commas[whole], own_commas[loose]])
        is_one = (chars >= _PARAGRAPH_CHARS_MIN) & ~is_gone[holder]
        over, points = over[is_one], (2 + commas + np.minimum(chars / 100, 3))[is_one]
        given = np.bincount(over, points, self.elements)
        given += np.bincount(outer[over], points / 2, self.elements)
        is_scored = np.zeros(self.elements, bool)
        is_scored[over] = is_scored[outer[over]] = True
        return (given + self.class_weight + _POINTS[self.tag]) * (1 - self.links), is_scored

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
        is_prose = (self.tag[beside] == _P) & (self.chars[beside] > 80)
        is_good |= is_prose & (self.links[beside] < 0.25)
        others = self.segments(best, scores, is_scored)
        return self.inside(np.concatenate([beside[is_good], [best], others]))

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
        gone = _IS_HEADING[tag] & ((self.class_weight < 0) | (links > 0.33))
        gone |= _IS_FORM[tag]
        shaky = taken & _IS_SHAKY[tag]
        is_bad = self.class_weight + scores < 0
        limit = np.where(self.class_weight < 25, 0.2, 0.5)
        is_thin = (chars < _PARAGRAPH_CHARS_MIN) | (links > limit)
        shaky &= is_bad | ((self.commas < 10) & is_thin)
        asked = np.flatnonzero(shaky & ~is_bad)
        saved = asked[self.beside(asked) > _BESIDE_CHARS]
        if len(saved):
            shaky &= ~(self.inside(saved) & _IS_ALLOWED_INSIDE[tag])
            shaky[saved] = False
        return self.inside(np.flatnonzero((gone | shaky) & taken))

    def beside(self, asked: Numbers) -> Numbers:
        """The characters of the nearest siblings that have any, before and after some elements."""
        found = np.zeros(len(asked), np.int64)
        some = np.flatnonzero(self.chars > 0)
        if len(asked) == 0 or len(some) == 0:
            return found
        keys = self.parent[some] * self.elements + some
        order = keys.argsort()
        keys, some = keys[order], some[order]
        own = self.parent[asked] * self.elements + asked
        for place in (keys.searchsorted(own) - 1, keys.searchsorted(own, "right")):
            nearest = some[np.clip(place, 0, len(some) - 1)]
            is_one = (place >= 0) & (place < len(some))
            is_one &= self.parent[nearest] == self.parent[asked]
            found += np.where(is_one, self.chars[nearest], 0)
        return found
