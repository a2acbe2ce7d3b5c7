"""What a page says of itself to machines: its title, its kind, and pieces of its text.

Search engines and sharing are told in the head what a page is (schema.org's types, `og:type`, the
program that wrote it, its own address) and often how its text begins, or all of it (`articleBody`).
A block that is said there is seldom a menu; a page that says `Product` is read another way.
"""

import json
import re
from dataclasses import dataclass
from html import unescape
from typing import Any

from lxml.etree import XPath
from lxml.html import HtmlElement

# What types, programs and addresses speak of, a bit each.
SAID_GROUPS: tuple[str, ...] = (
    "article newsarticle blogposting reportagenewsarticle opinionnewsarticle scholarlyarticle"
    " articles story stories news blogentry post posts blog blogs",
    "discussionforumposting qapage question questions answer discussion discussions forum forums"
    " thread threads topic topics viewtopic showthread discourse xenforo vbulletin phpbb invision"
    " mybb smf vanilla flarum nodebb community",
    "product products productgroup offer aggregateoffer shop shopify woocommerce prestashop magento"
    " bigcommerce item dp",
    "itemlist collectionpage searchresultspage collection collections category categories search"
    " tag tags archive archives list listing listings results",
    "localbusiness organization service services professionalservice pricing solutions plans",
    "website about aboutpage contact contactpage profilepage",
    "recipe recipes howto faqpage faq event events",
    "techarticle apireference docs doc documentation wiki mediawiki sphinx docusaurus mkdocs"
    " gitbook doxygen manual reference guide tutorial help",
    "wordpress blogger ghost movabletype typepad tumblr medium substack jekyll hugo",
    "review reviews rating aggregaterating",
)
_BITS = {word: 1 << bit for bit, words in enumerate(SAID_GROUPS) for word in words.split()}
_TEXTS = frozenset(
    "articleBody description text headline name reviewBody alternativeHeadline abstract caption"
    " recipeInstructions recipeIngredient".split()
)
_TITLES = frozenset(("description", "og:description", "twitter:description", "og:title"))
_KINDS = frozenset(("og:type", "generator"))
_WORD = re.compile(r"[a-z]+")
_TAG = re.compile(r"<[^<>]*+>")
_TYPES = XPath("//@itemtype", smart_strings=False)
_TYPES_WRITTEN = ("itemtype", "itemType", "ITEMTYPE")  # to look for one costs a tenth of _TYPES
_TYPES_MAX = 200
_LEVELS_MAX = 12
_CHARS_MAX = 400_000  # of what is said, and of one script that says it


@dataclass(frozen=True, slots=True)
class Said:
    """Pieces of text, a line each, and masks of SAID_GROUPS: of its types, and of its address."""

    title: str
    text: str
    kinds: int
    place: int
    is_front: bool  # its address has no path


def read_said(html: str, tree: HtmlElement) -> Said:
    """Read what a page says; call it before scripts are dropped from the tree."""
    texts: list[str] = []
    kinds = place = 0
    titles: list[str] = []
    address = ""
    canonical = ""
    data = []
    for element in tree.iter("title", "meta", "link", "script"):
        tag = element.tag
        if tag == "meta":
            name = (element.get("property") or element.get("name") or "").lower()
            if name in _TITLES:
                texts.append(element.get("content") or "")
            elif name in _KINDS:
                kinds |= _mask(element.get("content") or "")
            elif name == "og:url":
                address = element.get("content") or ""
        elif tag == "link":
            if element.get("rel") == "canonical":
                canonical = element.get("href") or canonical
        elif tag == "title":
            titles.append(element.text or "")
        elif "ld+json" in (element.get("type") or ""):
            data.append(element.text or "")
    address = canonical or address
    has_types = any(written in html for written in _TYPES_WRITTEN)
    for kind in _TYPES(tree)[:_TYPES_MAX] if has_types else ():
        kinds |= _mask(kind.rpartition("/")[2])
    for script in data:
        kinds |= _read_data(script, texts)
    path = address.partition("://")[2].partition("/")[2]
    for word in _WORD.findall(path[:500].lower()):
        place |= _BITS.get(word, 0)
    text = "\n".join(texts)[:_CHARS_MAX]
    text = unescape(text) if "&" in text else text
    text = _TAG.sub(" ", text) if "<" in text else text
    title = titles[0] if titles else ""  # others are those of drawings
    return Said(title, text, kinds, place, is_front=bool(address) and not path)


def _mask(words: str) -> int:
    mask = 0
    for word in _WORD.findall(words[:200].lower()):
        mask |= _BITS.get(word, 0)
    return mask


def _read_data(script: str, texts: list[str]) -> int:
    """Add the texts of JSON-LD, and give back the mask of its types; 0 where it is none."""
    if len(script) > _CHARS_MAX:
        return 0
    try:
        data = json.loads(script, strict=False)
    except (ValueError, RecursionError):
        return 0
    mask = 0
    waiting: list[tuple[Any, int]] = [(data, 0)]
    while waiting:
        value, level = waiting.pop()
        if isinstance(value, dict):
            types = value.get("@type")
            for one in types if isinstance(types, list) else [types]:
                if isinstance(one, str):
                    mask |= _mask(one)
            for name, inner in value.items():
                if isinstance(inner, str):
                    if name in _TEXTS:
                        texts.append(inner)
                elif level < _LEVELS_MAX:
                    waiting.append((inner, level + 1))
        elif isinstance(value, list) and level < _LEVELS_MAX:
            waiting += [(inner, level + 1) for inner in value]
    return mask
