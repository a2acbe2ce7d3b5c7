"""The Public Suffix List (https://publicsuffix.org), the copy that tldextract brings along."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tldextract import TLDExtract


@cache
def suffixes(*, private: bool) -> "TLDExtract":
    """What takes a host apart; `private` has blogspot.com, say, as a suffix like co.uk."""
    # It brings requests along: 9 MB, and a fifth of a second of every command.
    from tldextract import TLDExtract

    return TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=private)
