"""Articles of the demo's small web, each written by the grammar of its genre: the prose."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from tools.demo.figures import figures
from tools.demo.grammar import Block, Writer, below, choose
from tools.demo.reference import project, question, reference

FIRST_DAY = date(2010, 1, 4)
DAYS = 3_700  # to the beginning of 2020


@dataclass(frozen=True)
class Article:
    """A text with what a page shows around it."""

    title: str
    author: str
    day: date
    blocks: tuple[Block, ...]

    @property
    def text(self) -> str:
        """The paragraphs alone, one a line."""
        return "\n".join(text for kind, text in self.blocks if kind != "post")

    @property
    def slug(self) -> str:
        """The title as a URL's last segment."""
        words = "".join(c if c.isalnum() else " " for c in self.title.lower()).split()
        return "-".join(words[:9])


# Each genre's themes: a paragraph draws four to six sentences of one theme.
THEMES = {
    "news": ("money", "people", "history", "work", "doubt"),
    "travel": ("road", "stay", "place", "thought", "advice"),
    "review": ("build", "use", "compare", "verdict"),
    "fiction": ("event", "mood", "talk", "turn", "event"),
    "nature": ("method", "result", "explain", "scene"),
    "howto": ("prepare", "do", "why", "trouble"),
}
LANGUAGES = ("de", "fr", "es", "nl", "pt", "ru", "ja", "sv")


def article(genre: str, seed: str) -> Article:
    """The article of this genre that the seed names; the same words on every machine."""
    writer = Writer(random.Random(seed))
    if genre in _WHOLE:
        title, blocks = _WHOLE[genre](writer)
    else:
        title = writer.write(f"{genre}.title")
        blocks = _BLOCKS.get(genre, _themes)(writer, genre)
    author = writer.expand("{person@9}")
    day = FIRST_DAY + timedelta(days=below(writer.rng, DAYS))
    return Article(title, author, day, tuple(blocks))


def _themes(writer: Writer, genre: str) -> list[Block]:
    rng = writer.rng
    blocks: list[Block] = [("p", writer.write(f"{genre}.open"))]
    for theme in (*THEMES[genre], choose(rng, THEMES[genre])):
        sentences = writer.several(f"{genre}.{theme}", 4 + below(rng, 3))
        if rng.random() < 0.2 and genre in ("nature", "howto", "review"):
            blocks.append(("h2", writer.write("heading")))
        blocks.append(("p", " ".join(sentences)))
    blocks.append(("p", writer.write(f"{genre}.close")))
    return blocks


def _recipe(writer: Writer, genre: str) -> list[Block]:
    rng = writer.rng
    story = writer.several("recipe.story", 3 + below(rng, 3))
    return [
        ("p", writer.write("recipe.open")),
        ("p", " ".join(story)),
        ("h2", "Ingredients"),
        *(("li", line) for line in writer.several("recipe.ingredient", 7 + below(rng, 4))),
        ("h2", "Method"),
        *(("p", line) for line in writer.several("recipe.step", 8 + below(rng, 5))),
        ("h2", "Notes"),
        ("p", " ".join(writer.several("recipe.note", 3 + below(rng, 3)))),
        ("p", writer.write("recipe.close")),
    ]


def _forum(writer: Writer, genre: str) -> list[Block]:
    rng = writer.rng
    asker = writer.expand("{nick}")
    question = [writer.write("forum.open"), *writer.several("forum.ask", 3 + below(rng, 3))]
    blocks: list[Block] = [("post", asker), ("p", " ".join(question))]
    for reply in writer.several("forum.reply", 5 + below(rng, 7)):
        blocks += [("post", writer.expand("{nick}")), ("p", reply)]
        if rng.random() < 0.3:
            blocks.append(("p", writer.write("forum.reply")))
    return [*blocks, ("post", asker), ("p", writer.write("forum.thanks"))]


def _listing(writer: Writer, genre: str) -> list[Block]:
    items: list[Block] = []
    for _ in range(2):
        items += [("li", line) for line in writer.several("listing.item", 11)]
    opening = ("p", writer.write("listing.open"))
    return [opening, *items, ("p", writer.write("listing.close"))]


def _encyclopedia(writer: Writer, genre: str) -> list[Block]:
    rng = writer.rng
    blocks: list[Block] = [("p", writer.write("wiki.open"))]
    sentences = writer.several("wiki.text", 11 + below(rng, 4))
    for heading, start in (("History", 0), ("Description", 4), ("Reception", 8)):
        blocks += [("h2", heading), ("p", " ".join(sentences[start : start + 4]))]
    return [*blocks, ("p", " ".join([*sentences[12:], writer.write("wiki.close")]))]


def _lexicon(writer: Writer) -> tuple[str, list[Block]]:
    rng = writer.rng
    kind = choose(rng, ("person", "craft", "place"))
    title = writer.write(f"lexicon.{kind}.title")
    blocks: list[Block] = [("p", writer.write(f"lexicon.{kind}.open"))]
    for part in ("life", "work", "legacy"):
        sentences = writer.several(f"lexicon.{kind}.{part}", 4 + below(rng, 3))
        heading = _LEXICON_HEADINGS[kind, part]
        blocks += [("h2", heading), ("p", " ".join(sentences))]
    return title, blocks


def _foreign(writer: Writer, genre: str) -> list[Block]:
    sentences = writer.several(f"{genre}.text", 10)
    joint = "" if genre == "ja" else " "
    return [("p", joint.join(sentences[i : i + 3])) for i in range(0, len(sentences), 3)]


_LEXICON_HEADINGS = {
    ("person", "life"): "Life",
    ("person", "work"): "Work",
    ("person", "legacy"): "Reception",
    ("craft", "life"): "Technique",
    ("craft", "work"): "History",
    ("craft", "legacy"): "Today",
    ("place", "life"): "Geography and economy",
    ("place", "work"): "History",
    ("place", "legacy"): "Sights and customs",
}
_WHOLE: dict[str, Callable[[Writer], tuple[str, list[Block]]]] = {
    "figures": figures,
    "lexicon": _lexicon,
    "project": project,
    "question": question,
    "reference": reference,
}
_BLOCKS: dict[str, Callable[[Writer, str], list[Block]]] = {
    "recipe": _recipe,
    "forum": _forum,
    "listing": _listing,
    "wiki": _encyclopedia,
    **dict.fromkeys(LANGUAGES, _foreign),
}
