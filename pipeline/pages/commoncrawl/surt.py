"""Host names as the index sorts them: SURT, `www.example.com` as `com,example)`.

A row's `url_surtkey` is that and the path, in lower case. The index takes off `www.` and `www2.`;
a link's key only the first. IP addresses are reversed in some years and not in others. So a host
has one or more forms, and a row of this host begins with one of them.
"""

import re

_WWW = re.compile(r"www\d*\.(?=[^.]+\.|[^.]+$)")
_IPV4 = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")


def surt_prefixes(authority: str) -> set[str]:
    """The beginnings of `url_surtkey` that a host may have, each to the `)` that ends it.

    `authority` is the host of a link's key: lower case, punycode, with the port where it has one.
    """
    host, colon, port = authority.partition(":")
    if authority.startswith("["):  # IPv6, which the index hardly has: as it is
        return {f"{authority})"}
    forms = {host, _WWW.sub("", host, count=1) if _WWW.match(host) else host}
    reversed_forms = {",".join(reversed(form.split("."))) for form in forms}
    if _IPV4.fullmatch(host):
        reversed_forms.add(host)
    return {f"{form}{colon}{port})" for form in reversed_forms}


def surt_host(surtkey: str) -> str:
    """The beginning of a `url_surtkey` up to the `)`; all of it where there is none."""
    host, mark, _ = surtkey.partition(")")
    return host + mark
