"""The registrable domain of a host: what politeness counts as one, and a shard is made of.

The private section of the Public Suffix List counts like the public one: a.blogspot.com and
b.blogspot.com belong to two people, and are two domains.
"""

import re
from functools import lru_cache

import xxhash

from pipeline.suffixes import suffixes

_ORIGIN = re.compile("[a-z]+://[^/?#]*")


@lru_cache(1 << 16)
def registrable_domain(host: str) -> str:
    """`example.co.uk` of `www.example.co.uk`; of an address, or a bare suffix, the host itself."""
    found = suffixes(private=True)(host)
    if not found.domain or found.ipv4 or found.ipv6:
        return host
    if not found.suffix and found.subdomain:  # a last label that the list has not is a suffix
        return f"{found.subdomain.rpartition('.')[2]}.{found.domain}"
    return f"{found.domain}.{found.suffix}" if found.suffix else host


def host_of(url: str) -> str:
    """The host of a canonical URL, without port."""
    rest = origin_of(url).partition("//")[2]
    if rest.startswith("["):
        return rest.partition("]")[0] + "]"
    return rest.rpartition("@")[2].partition(":")[0]


def origin_of(url: str) -> str:
    """Scheme, host and port: what has a robots.txt of its own."""
    found = _ORIGIN.match(url)
    return found[0] if found else ""


def path_of(url: str) -> str:
    """What a request asks for: the path and the query, at least a slash."""
    rest = url.partition("#")[0][len(origin_of(url)) :]
    return rest if rest.startswith("/") else f"/{rest}"


def shard_of(domain: str, shards: int) -> int:
    """Which of so many machines has this domain."""
    return xxhash.xxh3_64_intdigest(domain.encode()) % shards
