"""Is a document Wikipedia's? By its host, by a list of mirrors, by marks of origin in its text.

WebText has no Wikipedia, since much else is evaluated on it (GPT-2 paper, 2.1). Copies elsewhere
are found by the near-duplicate walk: a document that this module drops is a shadow keeper there.
"""

import re
from urllib.parse import urlsplit

from pipeline.reasons import Drop, Reason

# Wikipedia and its sister projects: every language and mobile host is a subdomain. mediawiki.org,
# the manual of their software, is nobody's benchmark and stays.
PROJECTS = frozenset(
    """
    wikipedia.org wiktionary.org wikibooks.org wikinews.org wikiquote.org wikisource.org
    wikiversity.org wikivoyage.org wikidata.org wikimedia.org wikifunctions.org
    wikipedia.com
    """.split()
)

# Mirrors and clones, with all their subdomains. Facts merged from two public lists: the Wikipedia
# copycats of quenhus/uBlock-Origin-dev-filter (Unlicense) and the Bing filter of
# ArthurCamara/simiir_subtopics (MIT), less the domains that also have content of their own.
MIRRORS = frozenset(
    """
    360wiki.ru absoluteastronomy.com academickids.com afropedea.org alchetron.com
    answers.com artistopia.com biographybase.com buildwiki.ru classictvhits.com datewiki.ru
    dewiki.de dictionary.sensagent.com en.turkcewiki.org encyclopaedia.bid encyclopedia.kz
    encyclopedia.thefreedictionary.com enhancedwiki.territorioscuola.it
    everything.explained.today findatwiki.com findwords.info footballyears.net frwiki.wiki
    gaz.wiki getwiki.net globalwikionline.com gpedia.com hawaiilibrary.net
    heart-disease.health-cares.net hmong.ru i2osig.org kids.kiddle.co knowledgewiki.org
    knowpia.com livepcwiki.ru marspc.co.il mediawiki.feverous.co.uk medievalwarfare.info
    memim.com mondolatino.eu museumstuff.com paralumnun.com pediapress.com peoplemaven.com
    roadnow.com ru-wiki.ru second.wiki sv.abcdef.wiki taggedwiki.zubiaga.org th.hmong.wiki
    thefullwiki.org theinfolist.com tripatlas.com us.wow.com vacilando.org wiki-org.ru
    wiki.alquds.edu wiki.cologne wiki2.info wiki2.net wiki2.org wiki2wiki.ru wikibin.org
    wikibrief.org wikidark.ru wikide.wiki wikidea.ru wikimili.com wikipe.wiki wikipedia.tel
    wikipedia24.ru wikiredia.ru wikit.wiki wikivisually.com wikiwand.com wikiwix.com
    wikizero.com winentrance.com wiwa.wiki wp.wiki-wiki.ru zoo-hoo.com zxc.wiki
    """.split()
)
# Domains that are mirrors only below these paths (same lists).
MIRROR_PATHS = {"scholarship.edu.vn": "/wiki/", "secret-bases.co.uk": "/wiki/"}

# The tagline that MediaWiki prints above a Wikipedia article, in the larger languages.
_TAGLINES = (
    "From Wikipedia, the free encyclopedia",
    "aus Wikipedia, der freien Enzyklopädie",
    "Un article de Wikipédia, l['’]encyclopédie libre",
    "De Wikipedia, la enciclopedia libre",
    "Da Wikipedia, l['’]enciclopedia libera",
    "Origem: Wikipédia, a enciclopédia livre",
    "Uit Wikipedia, de vrije encyclopedie",
    "Z Wikipedii, wolnej encyklopedii",
    "Från Wikipedia, den fria encyklopedin",
    "Материал из Википедии — свободной энциклопедии",
    "出典: フリー百科事典『ウィキペディア（Wikipedia）』",
    "维基百科，自由的百科全书",
    "維基百科，自由的百科全書",
)
# What Wikipedia and its licence ask of those who copy an article, at its foot.
_CREDITS = (
    r"This article uses material from the Wikipedia article",
    r"It uses material from the Wikipedia article",
    r"Retrieved from [\"“]?https?://[a-z-]+\.(?:m\.)?wikipedia\.org/",
    r"Dieser Artikel basiert auf dem Artikel .{1,100} aus der freien Enzyklopädie Wikipedia",
)
# A tagline begins a line near the top, a credit stands near the end: a text that only talks about
# Wikipedia, or quotes it in its middle, has neither.
TOP_CHARS, END_CHARS = 400, 1000
_TOP = re.compile(r"^\W*(?:" + "|".join(_TAGLINES) + ")", re.IGNORECASE | re.MULTILINE)
_END = re.compile("|".join(_CREDITS), re.IGNORECASE)


def wikipedia(url: str, text: str) -> Drop | None:
    """Why this document is Wikipedia's, or None. `url` is the final one, after redirects."""
    try:
        parts = urlsplit(url)
    except ValueError:  # a host in broken brackets: no domain of any list
        return _by_text(text)
    domains = _domains(parts.hostname or "")
    if found := domains & PROJECTS:
        return Drop(Reason.WIKIPEDIA_DOMAIN, min(found))
    if found := domains & MIRRORS:
        return Drop(Reason.WIKIPEDIA_MIRROR, min(found))
    for domain, path in MIRROR_PATHS.items():
        if domain in domains and parts.path.startswith(path):
            return Drop(Reason.WIKIPEDIA_MIRROR, domain + path)
    return _by_text(text)


def _by_text(text: str) -> Drop | None:
    mark = _TOP.search(text[:TOP_CHARS]) or _END.search(text[-END_CHARS:])
    return Drop(Reason.WIKIPEDIA_MARK, mark[0].strip()) if mark else None


def _domains(host: str) -> set[str]:
    """The host and all its parents: en.wikipedia.org, wikipedia.org, org."""
    labels = host.rstrip(".").lower().split(".")
    return {".".join(labels[i:]) for i in range(len(labels))}
