"""E-mail addresses, public IP addresses and telephone numbers of a text, each as a word.

    Write to <EMAIL> or call <PHONE_NUMBER>; the server is <IP_ADDRESS>.

The words are those of StarCoder and Dolma. FineWeb puts invented addresses in their place, which no
reader can tell from real ones. Code is masked like prose: the people in it are people.

What is nobody's stays: addresses of example.com and of names that are reserved (RFC 2606, RFC
6761), IP addresses that are not public (as datatrove has it: private, of documentation, of this
machine). Addresses that are written for people alone ("ann at home dot org") stay, too.

Precision stands before recall. An IPv4 address looks like a version, a section or an object
identifier: words before it and what touches it tell. A telephone number must be valid
(`phonenumbers`, Google's tables), and is international (+44 …), or grouped as North Americans
write theirs, or follows a word such as "call".
"""

import ipaddress
import re
from collections.abc import Iterator
from typing import NamedTuple

import phonenumbers

from pipeline.suffixes import suffixes

EMAIL, IP_ADDRESS, PHONE_NUMBER = "<EMAIL>", "<IP_ADDRESS>", "<PHONE_NUMBER>"

_LOCAL_CHARS_MAX = 64  # before the @ (RFC 5321, 4.5.3.1.1)
_DOMAIN = re.compile(r"@((?:[a-z0-9](?:[a-z0-9-]{0,62})\.){1,8}[a-z]{2,24})(?![\w@-])", re.I)
_LOCAL = re.compile(r"(?<![\w.%+=&/-])[\w.%+=&-]+\Z")
_PATH = re.compile(r":[\w~./]")
_NOBODYS = re.compile(r"(?:^|\.)(?:example\.(?:com|net|org|edu)|domain\.com)\Z")

_IPV4 = re.compile(r"(?<![\w.:/=-])(?<![\w.]@)(?:\d{1,3}\.){3}\d{1,3}(?![\w+-]|\.\w)")
_IPV6 = re.compile(r"(?<![\w:.])[23][0-9a-f]{3}(?::[0-9a-f]{0,4}){2,7}(?![\w:]|\.\d)", re.I)
_LIKE_IP = re.compile(r"[.][0-9]{1,3}[.][0-9]{1,3}[.][0-9]|:[0-9a-fA-F]{0,4}:")  # fast to see
_BEFORE_CHARS = 40
_IP_WORD = re.compile(
    r"\b(?:ip|ips|ipv4|dns|ping|host|server|proxy|address|from|port|subnet)\b", re.I
)
# A version, a section, a clause, an object identifier; or any name, as that of a program.
_VERSION_WORD = re.compile(
    r"\b(?:v|ver|version|release|released|build|rev|revision|firmware|driver|update|upgrade|patch|"
    r"section|chapter|clause|article|rule|oid|figure|table|appendix|part|§)s?[.:# (]{0,3}\Z",
    re.I,
)
_NAME = re.compile(r"[A-Za-z)][A-Za-z0-9_]*[ /]\Z")
_SMALL_OCTET = 32  # versions have such numbers alone; of addresses one in two thousand has

_PHONE_WORD = re.compile(
    r"(?:\b(?:tel|telephone|phone|call|fax|mobile|cell|ph|toll[ -]free|hotline|whatsapp|sms|text|"
    r"dial|voicemail)\b|\b[tpf](?=[.:]))[^\d+(\n]{0,24}\Z",
    re.I,
)
_PHONE = re.compile(
    r"(?<![\w.,:/$€£#=@%+~-])"
    r"(?:\+ ?[0-9]|\(\+?[0-9]|[0-9])(?:[ .()/\u2010-\u2013-]{0,3}[0-9]){6,16}"
    r"(?![\w%$€£/=@]|[.,:-][0-9])"
)
# What holds a number, and is fast to find: a character on either side tells whether it is one.
_DIGITS = re.compile(r"[0-9][0-9 .()/\u2010-\u2013-]{5,}[0-9]")
_NORTH_AMERICAN = re.compile(
    r"(?:\+?1[ .-]?)?(?:\(\d{3}\) ?|\d{3}([.-]))\d{3}[.-]\d{4}\Z|(?:1[ .-])?\d{3} \d{3}[ -]\d{4}\Z"
)
_REGIONS = {"uk": "GB"}


class Masked(NamedTuple):
    """A text with its masks, and how many stand in it for each kind."""

    text: str
    emails: int = 0
    ips: int = 0
    phones: int = 0


def mask(text: str, host: str = "") -> Masked:
    """The text with masks; the host's country tells how its people write telephone numbers."""
    emails = ips = phones = 0
    if "@" in text:
        text, emails = _without(text, _emails(text), EMAIL)
    if _LIKE_IP.search(text):
        text, ips = _without(text, _ips(text), IP_ADDRESS)
    text, phones = _without(text, _phones(text, host), PHONE_NUMBER)
    return Masked(text, emails, ips, phones)


Span = tuple[int, int]


def _without(text: str, spans: list[Span], word: str) -> tuple[str, int]:
    if not spans:
        return text, 0
    pieces, done = [], 0
    for start, stop in spans:
        pieces += [text[done:start], word]
        done = stop
    return "".join([*pieces, text[done:]]), len(spans)


def _emails(text: str) -> list[Span]:
    spans = []
    done = 0
    for found in _DOMAIN.finditer(text):
        at, domain = found.start(), found[1].lower()
        local = _LOCAL.search(text, max(done, at - _LOCAL_CHARS_MAX - 1), at)
        # git@github.com:name/repository is an account of a machine.
        if local is None or len(local[0]) > _LOCAL_CHARS_MAX or _PATH.match(text, found.end()):
            continue
        if not _NOBODYS.search(domain) and _is_public(domain):
            start = local.start() + len(local[0]) - len(local[0].lstrip(".-=&"))
            if start < at:
                spans.append((start, found.end()))
                done = found.end()
    return spans


def _is_public(domain: str) -> bool:
    found = suffixes(private=False)(domain)
    return bool(found.suffix and found.domain)


def _ips(text: str) -> list[Span]:
    spans = []
    for found in _IPV4.finditer(text):
        before = text[max(0, found.start() - _BEFORE_CHARS) : found.start()]
        if _is_global(found[0]) and not _is_version(found[0], before):
            spans.append(found.span())
    for found in _IPV6.finditer(text):
        if found[0].count(":") >= 3 and _is_global(found[0]):
            spans.append(found.span())
    return sorted(spans)


def _is_version(address: str, before: str) -> bool:
    if _VERSION_WORD.search(before):
        return True
    is_doubtful = _NAME.search(before) or all(int(n) < _SMALL_OCTET for n in address.split("."))
    return bool(is_doubtful) and not _IP_WORD.search(before)


def _is_global(address: str) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:  # 300.1.1.1, or 01.2.3.4
        return False
    return found.is_global and not found.is_multicast


def _phones(text: str, host: str) -> list[Span]:
    spans = []
    for found in _phone_candidates(text):
        number = found[0]
        before = text[max(0, found.start() - _BEFORE_CHARS) : found.start()]
        regions: list[str | None]
        if "+" in number[:2]:
            regions = [None]
        elif _PHONE_WORD.search(before):
            regions = list(dict.fromkeys([_region(host), "US"]))
        elif _NORTH_AMERICAN.match(number):
            regions = ["US"]
        else:
            continue
        if any(_is_number(number, region) for region in regions):
            spans.append(found.span())
    return spans


def _phone_candidates(text: str) -> Iterator[re.Match[str]]:
    for digits in _DIGITS.finditer(text):
        yield from _PHONE.finditer(text, max(0, digits.start() - 3), digits.end() + 2)


def _region(host: str) -> str:
    ending = host.rpartition(".")[2].lower()
    region = _REGIONS.get(ending, ending.upper())
    return region if region in phonenumbers.SUPPORTED_REGIONS else "US"


def _is_number(number: str, region: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False
