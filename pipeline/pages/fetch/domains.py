"""The registrable domain of a host: what politeness counts as one, and a shard is made of.

The private section of the Public Suffix List counts like the public one: a.blogspot.com and
b.blogspot.com belong to two people, and are two domains.
"""

from functools import lru_cache
from urllib.parse import urlsplit

import tldextract
import xxhash

_suffixes = tldextract.TLDExtract(
    suffix_list_urls=(), cache_dir=None, include_psl_private_domains=True
)  # the bundled list only


@lru_cache(1 << 16)
def registrable_domain(host: str) -> str:
    """`example.co.uk` of `www.example.co.uk`; of an address, or a bare suffix, the host itself."""
    found = _suffixes(host)
    if not found.domain or found.ipv4 or found.ipv6:
        return host
    if not found.suffix and found.subdomain:  # a last label that the list has not is a suffix
        return f"{found.subdomain.rpartition('.')[2]}.{found.domain}"
    return f"{found.domain}.{found.suffix}" if found.suffix else host


def host_of(url: str) -> str:
    """The host of a canonical URL, without port."""
    rest = url.partition("//")[2]
    for end in "/?#":
        rest = rest.partition(end)[0]
    if rest.startswith("["):
        return rest.partition("]")[0] + "]"
    return rest.rpartition("@")[2].partition(":")[0]


def origin_of(url: str) -> str:
    """Scheme, host and port: what has a robots.txt of its own."""
    scheme, _, rest = url.partition("://")
    for end in "/?#":
        rest = rest.partition(end)[0]
    return f"{scheme}://{rest}"


def path_of(url: str) -> str:
    """What a request asks for: the path and the query, at least a slash."""
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def shard_of(domain: str, shards: int) -> int:
    """Which of so many machines has this domain."""
    return xxhash.xxh3_64_intdigest(domain.encode()) % shards
