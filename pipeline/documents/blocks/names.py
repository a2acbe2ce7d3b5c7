"""What the names that pages give their elements, and the first words of a block, speak of.

Each group of names is a bit of a mask: an element whose class is `post-body` has those of `post`
and of `body`. Groups were chosen by hand; what one is worth is for the trees to learn.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.documents.blocks.kernels import compiled

_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SMALL = re.compile(r"[a-z]+")
_DIGITS = re.compile(r"[0-9]+")
_NAME_CHARS_MAX = 500
_SHARED_MIN = 3  # elements of a page whose classes have a word
_REMEMBERED_MAX = 10_000  # values of attributes; a hostile page may invent millions

NAME_GROUPS: tuple[str, ...] = (
    "comment comments disqus discuss discussion respond reply replies",
    "forum thread message messages msg postcontent topicpost postrow",
    "product price cart buy sku add shop stock",
    "sidebar side aside rail rightcol leftcol secondary",
    "nav navigation navbar menu submenu topnav",
    "footer foot bottom colophon",
    "header head masthead banner topbar",
    "share sharing social addthis facebook twitter whatsapp pinterest follow",
    "related recommended recommend recommendations more suggestions also readnext morefrom",
    "promo promotion sponsor sponsored outbrain taboola affiliate",
    "ad ads advert advertisement adsense dfp advertising",
    "widget widgets module gadget block",
    "byline author authors bio contributor profile",
    "date time timestamp published pubdate posted updated dateline",
    "caption captions credit credits figcaption imgcaption",
    "content contents maincontent",
    "article articlebody articletext story storybody",
    "post posts postbody hentry blogpost",
    "body bodytext bodycopy",
    "entry entrycontent",
    "text textblock richtext rte copy prose wysiwyg",
    "main primary maincol page",
    "hidden hide invisible visually sr screenreader offscreen noprint",
    "cookie cookies consent gdpr privacy legal onetrust didomi cookiebot cmp qc",
    "newsletter subscribe subscription signup optin mailing email",
    "tag tags category categories topics topic keywords label labels",
    "breadcrumb breadcrumbs crumb crumbs",
    "pagination pager paging pages prev next previous",
    "login signin register account user",
    "popup modal overlay lightbox dialog tooltip dropdown",
    "search searchform find",
    "meta metadata info details postmeta",
    "title headline heading hed entrytitle",
    "subtitle standfirst lead lede intro summary excerpt abstract dek deck description teaser",
    "list listing listings items item grid cards card tile tiles row",
    "review reviews rating ratings stars",
    "quote blockquote pullquote",
    "gallery slideshow carousel slider slide photo image img media figure video player",
    "tool tools toolbar actions action button buttons btn print",
    "link links blogroll archive archives",
    "copyright disclaimer terms",
    "hero cover jumbotron",
    "faq accordion tab tabs panel",
    "toc tableofcontents index",
    "table data spec specs specification specifications features feature",
    "code highlight syntax snippet pre",
    "container wrapper wrap inner outer",
    "poll quiz survey form",
    "trending popular mostread latest recent top news",
    "paywall premium subscriber locked",
    "signature sig",
    "documentation docs doc markdown",
    "answer answers question",
    "mw wiki reference references footnote footnotes notes",
    "step steps recipe ingredients instructions",
    "download downloads file files",
    "contact address location phone hours map",
    "event events calendar schedule",
    "service services pricing plan plans",
    "testimonial testimonials client clients team",
    "cta callout notice alert warning",
    "collection shopcategory facet filter filters sort",
    "skip jump",
)
COMMENT, FORUM, PRODUCT = 0, 1, 2  # groups that a page as a whole is measured by
CONTENT = NAME_GROUPS.index("content contents maincontent")
POST = NAME_GROUPS.index("post posts postbody hentry blogpost")
QUOTE = NAME_GROUPS.index("quote blockquote pullquote")
PEOPLE, DATE = 12, 13  # and those that a unit of repeated structure is
TOOL = NAME_GROUPS.index("tool tools toolbar actions action button buttons btn print")
CALL = NAME_GROUPS.index("cta callout notice alert warning")
REVIEW = NAME_GROUPS.index("review reviews rating ratings stars")
SIGNATURE = NAME_GROUPS.index("signature sig")

WORD_GROUPS: tuple[str, ...] = (
    "share tweet pin email print facebook twitter whatsapp linkedin instagram youtube pinterest",
    "comment comments reply replies",
    "read more continue",
    "subscribe newsletter newsletters signup",
    "cookie cookies consent vendors purposes partners",
    "copyright rights reserved",
    "privacy terms policy conditions",
    "sign login register logout account password",
    "advertisement sponsored ad ads",
    "related recommended trending popular",
    "posted published updated by written",
    "photo image credit getty reuters afp video picture",
    "tags tagged filed categories category topics",
    "next previous prev older newer",
    "menu home about contact",
    "am pm january february march april may june july august september october november december"
    " jan feb mar apr jun jul aug sep sept oct nov dec"
    " monday tuesday wednesday thursday friday saturday sunday",
    "ago hours minutes min days",
    "you your we our",
    "he she his her they said was were had",
    "the of and to in",
    "click here view see",
    "search filter sort",
    "cart buy price shop add shipping checkout",
    "like likes follow followers views votes",
    "download app",
    "loading javascript enable browser",
    "permalink report flag quote",
    "joined posts member location",
    "said wrote originally quote",
    "reactions liked thanked upvotes upvote points answered",
    "moderator administrator admin registered guest junior senior contributor",
)
DATE_WORDS = 15  # months and days
MEMBER_WORDS = WORD_GROUPS.index("joined posts member location")


def bits_of(groups: tuple[str, ...]) -> dict[str, int]:
    """The mask of each word: the bits of all groups that hold it."""
    bits: dict[str, int] = {}
    for number, words in enumerate(groups):
        for word in words.split():
            bits[word] = bits.get(word, 0) | 1 << number
    return bits


_BITS = bits_of(NAME_GROUPS)
GOOD, BAD, UNLIKELY, MAYBE = 1, 2, 4, 8
CONSENT, READ_ALOUD = 16, 32
# The dialogs of the programs that ask for consent, by their ids and classes.
_CONSENT = re.compile(
    r"onetrust-(?:consent|banner|pc)-sdk|didomi-(?:host|popup|notice)(?![\w-])"
    r"|cybotcookiebotdialog|qc-cmp2?-(?:container|ui)|usercentrics-root|sp_message_container"
    r"|truste-consent|cky-consent|iubenda-cs|fc-consent-root|osano-cm|cmplz-cookiebanner"
    r"|moove_gdpr_cookie"
)
_READ_ALOUD = re.compile(
    r"(?<!\w)(?:sr-only|screen-?reader(?!s)|visually-?hidden|a11y-hidden|hidden-accessible)"
    r"|(?:^|[-_])sr-text|^a11y$"
)
# One of these stands in each name that the two patterns find.
_STEMS = (
    "onetrust- didomi- cybotcookiebotdialog qc-cmp usercentrics-root sp_message_container"
    " truste-consent cky-consent iubenda-cs fc-consent-root osano-cm cmplz-cookiebanner"
    " moove_gdpr_cookie sr-only sr-text screenreader screen-reader visuallyhidden visually-hidden"
    " a11y hidden-accessible"
).split()
# What readability reads in a class or an id (readability-lxml 0.9), anywhere in it.
_HYPHENED = {"com-": BAD, "ad-break": UNLIKELY}
_SIGNS: dict[int, tuple[str, ...]] = {
    sign: tuple(parts.split())
    for sign, parts in (
        (GOOD, "article body content entry main page pagination post text blog story"),
        (
            BAD,
            "combx comment contact foot masthead media meta outbrain promo related scroll shoutbox"
            " sidebar sponsor shopping tags tool widget",
        ),
        (
            UNLIKELY,
            "combx comment community disqus extra foot header menu remark rss shoutbox sidebar"
            " sponsor agegate pagination pager popup tweet twitter",
        ),
        (MAYBE, "and article body column content main shadow"),
    )
}


class _Remembered(dict[str, Any]):
    """What was read of each name. It forgets all when it is full: lru_cache costs a third more."""

    def __init__(self, read: Callable[[str], Any]) -> None:
        self.read = read

    def __missing__(self, name: str) -> Any:
        if len(self) >= _REMEMBERED_MAX:
            self.clear()
        self[name] = found = self.read(name)
        return found


def _read_run(run: str) -> tuple[int, int]:
    """The mask of a run of small letters, and the signs that stand somewhere in it."""
    signs = 0
    for sign, parts in _SIGNS.items():
        for part in parts:
            if part in run:
                signs |= sign
                break
    return _BITS.get(run, 0), signs


_RUNS = _Remembered(_read_run)


def _read_word(word: str) -> tuple[int, str, int]:
    """The mask of a word between spaces, itself without digits, and its signs.

    Its parts end at what is no letter and where a capital follows a small one.
    """
    small = word.lower()
    mask = signs = 0
    if small == word:
        for run in _SMALL.findall(small):
            own, said = _RUNS[run]
            mask |= own
            signs |= said
    else:
        for run in _SMALL.findall(small):
            signs |= _RUNS[run][1]
        for part in _PART.findall(word):
            mask |= _BITS.get(part.lower(), 0)
    has_hyphen = "-" in small
    if has_hyphen:
        for part, sign in _HYPHENED.items():
            signs |= sign * (part in small)
    if has_hyphen or small != word:  # as one word, too
        for run in _SMALL.findall(small.replace("-", "")):
            mask |= _BITS.get(run, 0)
    if _CONSENT.match(small):
        signs |= CONSENT
    if _READ_ALOUD.search(small):
        signs |= READ_ALOUD
    return mask, _DIGITS.sub("", word), signs


_WORDS = _Remembered(_read_word)


def _read_name(value: str) -> tuple[int, str, int]:
    """The mask of all its words, they themselves without digits, and their signs."""
    words = value[:_NAME_CHARS_MAX].split()
    if len(words) == 1:
        return _WORDS[words[0]]  # type: ignore[no-any-return]
    mask = signs = 0
    kinds = []
    for word in words:
        own, kind, said = _WORDS[word]
        mask |= own
        signs |= said
        kinds += [kind] if kind else []
    return mask, " ".join(kinds), signs


def _parts() -> list[tuple[str, int]]:
    """What names.c finds anywhere in a name: signs, and -1 where the patterns must be asked."""
    parts = {**_HYPHENED, **dict.fromkeys(_STEMS, -1)}
    for sign, those in _SIGNS.items():
        for part in those:
            parts[part] = parts.get(part, 0) | sign
    return sorted(parts.items())


# By the value of a class, id, role or itemprop.
NAMES = _Remembered(_read_name)
if compiled:
    compiled.know_names(sorted(_BITS.items()), _parts(), NAMES)


def shared_kinds(
    known: Sequence[tuple[int, str]], numbers: NDArray[np.int64]
) -> tuple[NDArray[np.int64], set[int]]:
    """The kind of each element: its tag, and those words of its class that others have too.

    Posts of one list are of one kind though each has its number and its tags for classes. `known`
    has tags with their whole classes, `numbers` the place there of each element. Also gives back
    the kinds that have no class.
    """
    many = np.bincount(numbers, minlength=len(known)).tolist()
    words = [frozenset(kind.split()) for _, kind in known]
    standing: dict[str, int] = {}
    for number, of_kind in enumerate(words):
        for word in of_kind:
            standing[word] = standing.get(word, 0) + many[number]
    alone = {word for word, times in standing.items() if times < _SHARED_MIN}
    kinds: dict[tuple[int, frozenset[str]], int] = {}
    shared = [
        kinds.setdefault((tag, of_kind - alone or of_kind), len(kinds))
        for (tag, _), of_kind in zip(known, words, strict=True)
    ]
    plain = {kind for (_, of_kind), kind in kinds.items() if not of_kind}
    return np.array(shared, np.int64)[numbers], plain
