"""Which addresses may be asked: public ones, and those of networks that a setting opens.

The guard makes the socket of every connection, so it sees the address that is really asked: a
redirect, a name that has a private address, or one whose address changes after it was looked up
are all the same to it. `address_fault` says the same of a URL before anything is sent.
"""

import errno
import socket
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Any

import can_ada

from pipeline.errors import SettingsError
from pipeline.links.domains import suffixes
from pipeline.pages.archive.outcomes import Outcome

# IANA's special-purpose registries (RFC 6890 and later), and multicast. A table of our own, since
# `is_global` differs between versions of Python.
_PRIVATE_4 = tuple(
    IPv4Network(network)
    for network in """
    0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24
    192.0.2.0/24 192.31.196.0/24 192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24
    198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
    """.split()
)
# Of IPv6 only global unicast is public, without Teredo, ORCHID, 6to4 and documentation. Mapped
# addresses and all other forms that hide an IPv4 address lie outside of it, but for NAT64.
_UNICAST_6 = IPv6Network("2000::/3")
_PRIVATE_6 = tuple(
    IPv6Network(network)
    for network in "2001::/23 2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20".split()
)
_NAT64 = IPv6Network("64:ff9b::/96")  # what an IPv6-only network writes public IPv4 addresses as
# Names that no public server has (RFC 6761, 6762, 8375).
_LOCAL_NAMES = frozenset("localhost local localdomain internal intranet lan home.arpa".split())
DEFAULT_PORTS = {"http:": 80, "https:": 443}


class AddressRefused(OSError):  # noqa: N818 (a verdict)
    """The address is not public; its text begins so, whatever wraps it."""

    TEXT = "address is not public"

    def __init__(self, address: str) -> None:
        super().__init__(errno.EACCES, f"{self.TEXT}: {address}")


class Guard:
    """Says which addresses are public, and makes no socket for others.

    `networks` are open although they are not public; raises SettingsError for what is none.
    """

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._open = []
        for network in networks:
            try:
                self._open.append(ip_network(network))
            except ValueError as error:
                raise SettingsError(
                    f"fetch.networks: {network!r} is no network ({error}); write 127.0.0.0/8"
                ) from None
        self.allows = lru_cache(1 << 16)(self._allows)

    def _allows(self, address: str) -> bool:
        """Whether this address may be asked; what is no address may not."""
        try:
            found = ip_address(address)
        except ValueError:
            return False
        if isinstance(found, IPv6Address) and (found.scope_id or found.ipv4_mapped):
            return False
        return any(found in network for network in self._open) or is_public(found)

    def socket(self, address_info: tuple[Any, ...]) -> socket.socket:
        """A socket for this address, as aiohttp's `socket_factory`; raises AddressRefused."""
        family, kind, protocol, _, address = address_info
        if not self.allows(address[0]):
            raise AddressRefused(address[0])
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether anyone on the internet may be behind this address."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _PRIVATE_4)
    if address in _NAT64:
        return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    return address in _UNICAST_6 and not any(address in network for network in _PRIVATE_6)


def address_fault(
    url: str, guard: Guard, ports: frozenset[int], url_chars_max: int
) -> tuple[Outcome, str] | None:
    """Why this URL may not be asked, as far as it tells by itself; None if it may.

    The URL is parsed as browsers do, so `2130706433`, `0x7f.1` and `0177.0.0.1` are addresses.
    """
    if len(url) > url_chars_max:
        return Outcome.URL_TOO_LONG, f"{len(url):,} characters"
    try:
        parsed = can_ada.parse(url)
    except (ValueError, TypeError):
        return Outcome.URL_INVALID, url
    if parsed.protocol not in DEFAULT_PORTS:
        return Outcome.SCHEME_NOT_HTTP, parsed.protocol.removesuffix(":")
    if parsed.has_credentials():
        return Outcome.URL_CREDENTIALS, ""
    host = parsed.hostname
    if host.startswith("[") or host.rpartition(".")[2].isdigit():
        if not guard.allows(host.strip("[]")):
            return Outcome.HOST_PRIVATE, host
    elif not _LOCAL_NAMES.isdisjoint(suffixes(host.rstrip("."))):
        return Outcome.HOST_PRIVATE, host
    elif len(host) > 253 or not host.rstrip(".") or ".." in host:
        return Outcome.HOST_INVALID, host
    port = int(parsed.port or DEFAULT_PORTS[parsed.protocol])
    return None if port in ports else (Outcome.PORT_NOT_ALLOWED, str(port))
