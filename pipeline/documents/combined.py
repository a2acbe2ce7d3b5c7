"""The extractor `combined`: blocks scored by boosted trees, which are told what other engines took.

The page is parsed once, cut into blocks (blocks/segment.py), and each is described
(blocks/features.py): by itself, by the repeated structure it is part of (blocks/units.py), by what
the page says of itself (blocks/said.py), and by whether readability's rules would take it
(blocks/readable.py). Trees score each block, others tell what type of page it is
(blocks/page_types.py). Where these scores are not sure, blocks are scored once more, by the type
and by the first scores around them (blocks/context.py). Where that is not sure either, trafilatura
and resiliparse are asked, and trees that know their texts decide. Blocks are chosen by their scores
and by rules (blocks/choice.py, blocks/copies.py), and written by our own (blocks/write.py).

The trees lie in `blocks/model.npz`, which `python -m tools.training.blocks` makes.
"""

from collections.abc import Callable
from dataclasses import dataclass

from lxml.etree import LxmlError

from pipeline.documents.blocks.choice import settled, take
from pipeline.documents.blocks.context import look_again
from pipeline.documents.blocks.features import Described, describe
from pipeline.documents.blocks.model import Model, load_model
from pipeline.documents.blocks.page import Page
from pipeline.documents.blocks.page_types import type_named, types_of
from pipeline.documents.blocks.said import Said, read_said
from pipeline.documents.blocks.segment import FEW_WORDS, segment
from pipeline.documents.blocks.words import BlockWords, Hashes, count, member, words_of
from pipeline.documents.blocks.write import write
from pipeline.documents.engines import by_resiliparse, by_trafilatura
from pipeline.documents.markup import write_words
from pipeline.documents.tree import parse

# By the letter that names them in the model.
ENGINES: dict[str, Callable[[str], str]] = {
    "T": by_trafilatura,
    "S": by_resiliparse,
}
_SPOKE = {"T": "trafilatura", "S": "resiliparse"}

OWN, TOLD = "", "TS"  # the second looks: by the blocks themselves, and told of both engines
# The page F1 below which a page is looked at again: 50 % of 1,425 labelled ones.
AGAIN = 0.95
# And that below which engines are asked then: 37 %. Asked always, page F1 is 0.0007 higher, 0.0014
# where whole sources are left out.
FAST = 0.0
THOROUGH = 0.93


@dataclass(frozen=True, slots=True)
class Combined:
    """A page's text, which engines spoke for it, the page F1 to be expected (0 to 1), its type."""

    text: str
    spoke: str
    score: float | None
    page_type: str


def read_page(html: str) -> tuple[Page, BlockWords, Described] | None:
    """A page's blocks, what is counted of them and their features; None where there is no text."""
    cut = _cut(html)
    if cut is None:
        return None
    page, said = cut
    counts = count(page, said.title)
    return page, counts, describe(page, counts, said)


def _cut(html: str) -> tuple[Page, Said] | None:
    """A page's blocks and what it says of itself; its tree is not kept."""
    tree = parse(html)
    if tree is None:
        return None
    said = read_said(html, tree)
    write_words(tree, html)
    page = segment(tree)
    return (page, said) if len(page.elements) else None


def combine(html: str, sure: float, model: Model | None = None) -> Combined:
    """The main text of a page; engines are asked where a page F1 below `sure` is to be expected.

    `model` is another than the package's.
    """
    read = read_page(html)
    shown = int((read[1].words - read[1].hidden_words).sum()) if read else 0
    words: dict[str, Hashes] = {}
    if read is None or shown < FEW_WORDS:
        text = opinion("T", html)  # it reads JSON-LD, too
        words["T"] = words_of(text)
        if read is None or len(words["T"]) >= 3 * shown + 50:
            return Combined(text, "trafilatura", None, "")
    page, counts, described = read
    model = model or load_model()
    first = model.forests["first"].predict(described.columns)[0]
    types = types_of(model.forests["types"], described)
    page_type = type_named(types)
    blocks, score = take(page, counts, described, first, page_type, model.limits["first"])
    spoke, looks = ["blocks"], [first]
    for tier, enough in ((OWN, max(AGAIN, sure)), (TOLD, sure)):
        if score >= enough:
            break
        for letter in tier:
            spoke.append(_SPOKE[letter])
            if letter not in words:
                words[letter] = words_of(opinion(letter, html))
        shares = [
            member(counts.hashes, counts.offsets, words[letter], counts.is_behind)
            for letter in tier
        ]
        sizes = [len(words[letter]) for letter in tier]
        columns = look_again(described, first, types, shares, sizes)
        looks.append(model.forests[tier or "none"].predict(columns)[0])
        scores = settled(looks, page_type)
        limits = model.limits[tier or "none"]
        blocks, score = take(page, counts, described, scores, page_type, limits)
    if not blocks:  # a few words, such as "Gone.", which say what became of the page
        return Combined(opinion("T", html), "trafilatura", round(score, 3), page_type)
    return Combined(write(page, blocks), "+".join(spoke), round(score, 3), page_type)


def opinion(letter: str, html: str) -> str:
    """An engine's text; "" where it can make nothing of a page, which is an opinion too."""
    try:
        return ENGINES[letter](html)
    except (LxmlError, ValueError):
        return ""
