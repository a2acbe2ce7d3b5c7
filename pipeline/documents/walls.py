"""Pages that stand where a page was: not found, moved, log in, a challenge, a parked domain.

Their status is 200, so the text alone can tell. A text is a wall if it says so in a sentence that
servers and site software write, and says little else: an article about error 404 has prose.
Sentences in English are known; a wall in another language stays a document.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.reasons import Drop, Reason

CHARS_MAX = 3_000  # most walls have some hundred; menus make the rest
PROSE_WORDS_MAX = 60  # besides the wall's own sentences
# A short post stands above "log in to reply" and "forgot your password?" as well.
PROSE_WORDS_BY_LOGIN_MAX = 20
WORDS_MAX = 400  # of prose and of the wall's sentences together
PROSE_SENTENCE_WORDS_MIN = 6
FUNCTION_WORDS_MIN = 0.2  # of a sentence's words; those of a menu are below

_THING = (
    r"(?:web ?)?(?:pages?|files?|documents?|articles?|stor(?:y|ies)|posts?|topics?|threads?|"
    r"messages?|products?|items?|listings?|jobs?|events?|profiles?|users?|accounts?|blogs?|sites?|"
    r"url|address|resource|content|links?|entry|entries|records?|videos?|images?|forums?|boards?|"
    r"categor(?:y|ies)|itinerary|auctions?|ads?|search)"
)
_NOT = (
    r"(?:(?:could|can|was|were|has|have|is|are|did|does|do) ?n[o']t|ca ?n't|cannot|"
    r"(?:could|can|has|have|does) not (?:been|be)|no longer|un(?:able|fortunately))"
)
_GONE = (
    r"(?:found|locate[d]?|find|available|exists?|recogni[sz]ed|displayed|accessible|"
    r"present|unavailable|here|active)"
)


def _any(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)


# What servers and site software say, a sentence each. A few words between are allowed, no stop.
_SAYINGS = {
    Reason.WALL_NOT_FOUND: _any(
        rf"\b{_THING}\b[^.!?]{{0,90}}\b{_NOT}\b[^.!?]{{0,25}}\b{_GONE}\b",
        rf"\b{_THING} (?:was |were |is )?not[ -]found\b",
        rf"\b{_THING} (?:is )?unavailable\b",
        r"\b(?:error|http)[ :#-]{0,3}4(?:04|10)\b",
        r"\b404[ :|-]{0,3}(?:error|not found|page|file)\b",
        r"\b(?:can ?not|can't|could ?n[o']t|unable to|(?:trouble|failed) (?:in )?(?:to )?)"
        r" ?(?:find(?:ing)?|locat(?:e|ing)) (?:the|that|this|what|your)\b",
        r"\b(?:sorry|oops)\b[^.]{0,40}\bno (?:results|matches|items|products|posts|listings)\b",
        r"\b(?:did not|didn't|could not|couldn't) find (?:any )?results?\b",
        r"\b(?:invalid|no) (?:topic|thread|post|user|link|product|item|forum) specified\b",
        rf"\btried to access an? {_THING} that\b",
        r"\bmight have been removed, had its name changed\b",
        r"\ball choices for locator urls\b",
    ),
    Reason.WALL_MOVED: _any(
        r"\b(?:this|our|your|the) (?:web ?)?(?:pages?|site|document|file|url|journal|forums?)\b"
        r"[^.!?]{0,60}\b(?:has|have) (?:been )?(?:permanently )?(?:moved|relocated)\b",
        r"\byou (?:will|should|are) (?:now )?(?:be )?(?:being )?(?:automatically )?(?:be )?"
        r"(?:redirected|forwarded|taken)\b",
        r"\bif (?:you are not|you're not|your browser does ?n[o']t)[^.]{0,30}\b(?:re)?direct",
        r"^(?:object|document|page|301|302) (?:has )?moved\b",
        r"\bmoved (?:permanently|temporarily)$",
    ),
    Reason.WALL_LOGIN: _any(
        r"\b(?:must|need to|have to|please|required to)\b[^.!?]{0,30}\b(?:log|sign|logged|signed)"
        r"[ -]?(?:in|on)\b[^.!?]{0,40}\b(?:to(?! (?:reply|post|comment|vote|rate|leave|add|join))|"
        r"before|using|with|first|below)\b",
        r"\byou (?:are|'re) not (?:currently )?logged[ -]?in\b",
        r"\b(?:content|page|article|area|feature|section|stor(?:y|ies))\b[^.!?]{0,50}\b(?:is|are) "
        r"(?:reserved |only |restricted |available |exclusive |exclusively )*(?:for|to) "
        r"(?:\w+ ){0,3}(?:members|subscribers|registered users)\b",
        r"\b(?:members|subscribers)[ -]only\b",
        r"\b(?:subscribe|register|sign up|log ?in|sign in)(?: now| today)? "
        r"to (?:continue|read|view|access|see|keep)\b",
        r"\bto (?:continue|read|view|access)[^.]{0,60}\b(?:log ?in|sign in|subscribe|register)\b",
        r"\b(?:forgot|forgotten|lost|forget)\b[^.]{0,20}\bpassword\b",
        r"\bpassword (?:field )?(?:is|must be) (?:case|at least)\b",
        r"\b(?:subscription|registration|login) (?:is )?required\b",
        r"^(?:please )?(?:log|sign)[ -]?in to (?:your|the|my) .{0,40}$",
    ),
    Reason.WALL_CONSENT: _any(
        r"\bbefore you continue to\b",
        r"\b(?:accept|reject|allow)(?: all)?(?: our)? cookies\b",
        r"\bwe value your privacy\b",
        r"\bwe and our (?:\d+ )?partners\b",
        r"\b(?:we|this (?:web)?site)\b[^.]{0,20}\buses? cookies\b",
    ),
    Reason.WALL_SCRIPT: _any(
        r"\b(?:enable|requires?|need|needs|turn(?:ed)?|activate)\b[^.!?]{0,45}\bjava ?script\b",
        r"\bjava ?script\b[^.!?]{0,40}\b(?:disabled|required|turned off|enabled|not available|on "
        r"and reload)\b",
        r"\bdoes ?n[o']t (?:work|function) (?:properly |correctly )?without java ?script\b",
        r"\byour browser (?:is not supported|does ?n[o']t support|is out of date)\b",
        r"\b(?:upgrade|update) (?:your|to a \w+) browser\b",
    ),
    Reason.WALL_CHALLENGE: _any(
        r"\b(?:not a robot|no robots allowed|are you (?:a )?(?:human|robot)|captcha)\b",
        r"\b(?:verify|confirm|know|sure|checking) (?:that |if )?(?:you(?:'re| are)) (?:a )?human\b",
        r"\bchecking (?:your|if the site) (?:browser|connection)\b",
        r"\bunusual (?:traffic|activity) from\b",
        r"\baccess (?:to this page |to this site )?(?:has been |is |was )?denied\b",
        r"\byour (?:ip|ip address|request|access)\b[^.]{0,30}\b(?:has been|was|is) "
        r"(?:temporarily )?(?:blocked|banned)\b",
        r"\byou don't have permission to access\b",
        r"^(?:error )?(?:403 )?forbidden$",
        r"\bnot (?:available|accessible) in your (?:country|region|location)\b",
    ),
    Reason.WALL_PARKED: _any(
        r"\bdomain(?: name)?\b[^.!?]{0,30}\b(?:for sale|parked|expired|pending renewal|available "
        r"for purchase|(?:recently |been )registered|registered (?:at|by|with|through))\b",
        r"\bbuy (?:this )?domain\b",
        r"\bwhy am i seeing this (?:web ?)?site\b",
        r"\bfuture home of\b",
        r"\b(?:site|page) (?:is )?(?:currently |still )?(?:under construction|coming soon)\b",
        r"\bsponsored listings\b",
        r"\b(?:apache2? \w* ?default|default web|server test) (?:site )?page\b",
        r"\bwelcome to nginx\b",
        r"\bdomain (?:is )?(?:established )?(?:to be used |for use )(?:for|in) illustrative\b",
        r"\bdomain registration\b[^.]{0,40}\b(?:renewals?|transfers?)\b[^.]{0,60}\bwhois\b",
        r"^welcome to [a-z0-9-]+\.(?:com|net|org|info|biz)$",
    ),
    Reason.WALL_ERROR: _any(
        r"\binternal server error\b",
        r"\b(?:an|unexpected|application|database|fatal|unknown) error "
        r"(?:has )?(?:occurr?ed|was encountered)\b",
        r"\berror (?:establishing a database|processing (?:your|the) request|connecting to)\b",
        r"\b(?:service|site|page|server) (?:is )?(?:temporarily|currently) (?:unavailable|offline|"
        r"down|out of service)\b",
        r"\bservice unavailable\b",
        r"\bwe'll be right back\b",
        r"\b(?:down|closed|undergoing|offline)\b[^.]{0,25}\bmaintenance\b",
        r"\b(?:502 )?bad gateway\b|\bgateway time-?out\b",
        r"\bsomething (?:went|has gone) wrong\b",
        r"\bbandwidth (?:limit )?exceeded\b",
        r"\baccount (?:has been )?suspended\b",
        r"\b(?:warning|notice|fatal error|parse error) ?: .{0,200}\bon line \d+",
        r"\bhaving (?:some )?(?:trouble|technical (?:problems|difficulties))\b",
    ),
}
# Each saying has one of its kind's keywords (in small letters, as `_folded` gives them), so a
# sentence without any is not searched: 0.3 ms a short page where a search in all takes 2.3 ms.
_KEYWORDS = {
    Reason.WALL_NOT_FOUND: (
        *("not", "n't", "no longer", "unable", "unfortunately", "unavailable", "trouble", "failed"),
        *("404", "410", "sorry", "oops", "specified", "tried to access"),
        *("might have been removed", "all choices for locator"),
    ),
    Reason.WALL_MOVED: ("moved", "relocated", "direct", "forwarded", "taken"),
    Reason.WALL_LOGIN: (
        *("must", "need to", "have to", "please", "required", "in to ", "logged", "password"),
        *("to continue", "to read", "to view", "to access", "to see", "to keep"),
        *("members", "subscribers", "registered users"),
    ),
    Reason.WALL_CONSENT: ("before you continue", "cookies", "value your privacy", "we and our"),
    Reason.WALL_SCRIPT: ("java", "browser"),
    Reason.WALL_CHALLENGE: (
        *("robot", "captcha", "human", "checking", "unusual", "denied", "blocked", "banned"),
        *("permission", "forbidden", "in your "),
    ),
    Reason.WALL_PARKED: (
        *("domain", "why am i seeing", "future home", "under construction", "coming soon"),
        *("sponsored", "default", "server test", "welcome to"),
    ),
    Reason.WALL_ERROR: (
        *("error", "temporarily", "currently", "unavailable", "right back", "maintenance"),
        *("gateway", "something", "bandwidth", "suspended", "on line", "having"),
    ),
}
# Sentences that stand beside: what to do next, forms, small print. They are no prose of a page.
_BESIDE = _any(
    r"\b(?:bookmarks?|webmaster|home ?page|site ?map|a-z index|search (?:box|engine)?|url|"
    r"web address(?:es)?|spelling|typed?|menu|browser|reload|refresh|redirect\w*|redesigned)\b",
    r"\b(?:user ?name|password|e-?mail|log(?:ged)? ?-?in|sign(?:ed)? ?(?:in|up)|register(?:ed)?|"
    r"subscri\w+|member(?:s|ship)?|virtual library card|case sensitive)\b",
    r"\b(?:copyright|©|rights reserved|terms (?:of|and)|privacy|cookies?|powered by|"
    r"trademarks?)",
    r"\b(?:sorry|apologi[sz]e|inconvenience|oops|try again|check back|problem persists|"
    r"contact us|please (?:visit|try|use|check|click|contact)|click here|go back|return to)\b",
)
_ORDER = {reason: place for place, reason in enumerate(_SAYINGS)}
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+|\n+|\s\|\s|\s[•·»]\s")
_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
FUNCTION_WORDS = frozenset(
    "a an and are as at be been but by can for from had has have he her his i if in is it its my "
    "no not of on or our she so than that the their them they this to was we were what when which "
    "who will with would you your".split()
)


@dataclass(frozen=True, slots=True)
class _Said:
    reason: Reason
    evidence: str


def find_wall(text: str, title: str) -> Drop | None:
    """The kind of wall that a text is, with the words that say so, or None.

    The kind of most sayings wins, the title's twice; of equals the first as listed in Reason.
    """
    if len(text) > CHARS_MAX:
        return None
    text, title = (part.replace("’", "'") for part in (text, title))
    sentences = _SENTENCE_END.split(text)
    prose_words = [*map(_prose_words, sentences)]
    if sum(prose_words) > WORDS_MAX:  # most pages end here
        return None
    keywords = _keywords_in(f"{title}\n{text}")
    said = [*_said(title.strip(), keywords)] * 2
    prose = 0
    for sentence, words in zip(sentences, prose_words, strict=True):
        in_sentence = [*_said(sentence.strip(), keywords)]
        said += in_sentence
        if words and not in_sentence and not _BESIDE.search(sentence):
            prose += words
            if prose > PROSE_WORDS_MAX:  # and no wall has so much
                return None
    counts = Counter(each.reason for each in said)
    for reason in sorted(counts, key=lambda reason: (-counts[reason], _ORDER[reason])):
        if prose <= (PROSE_WORDS_BY_LOGIN_MAX if reason is Reason.WALL_LOGIN else PROSE_WORDS_MAX):
            return Drop(reason, next(each.evidence for each in said if each.reason is reason))
    return None


def _keywords_in(text: str) -> list[tuple[str, Reason]]:
    folded = _folded(text)
    return [
        (word, reason) for reason, words in _KEYWORDS.items() for word in words if word in folded
    ]


def _said(sentence: str, keywords: list[tuple[str, Reason]]) -> Iterator[_Said]:
    folded = _folded(sentence)
    for reason in {reason: None for word, reason in keywords if word in folded}:
        if match := _SAYINGS[reason].search(sentence):
            yield _Said(reason, match.group())


def _folded(text: str) -> str:
    """The text in small letters as re.IGNORECASE takes them: for it İ and ı are an i, ſ is an s."""
    return text.replace("İ", "i").lower().replace("ı", "i").replace("ſ", "s")


def _prose_words(sentence: str) -> int:
    words = _WORD.findall(sentence.lower())
    if len(words) < PROSE_SENTENCE_WORDS_MIN:
        return 0
    function_words = sum(map(FUNCTION_WORDS.__contains__, words))
    return len(words) if function_words >= FUNCTION_WORDS_MIN * len(words) else 0
