"""TDM reservation (W3C Community Group, TDMRep, final report of 10 May 2024).

An owner reserves the rights to text and data mining by `tdm-reservation: 1`: in
/.well-known/tdmrep.json by path, in a header, or in a meta element. `0` says that they are not
reserved; all else is an error that says nothing.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from pipeline.pages.owners.path_patterns import matches, path_of, pattern_of

TDMREP_PATH = "/.well-known/tdmrep.json"
TDMREP_BYTES_MAX = 500 << 10  # as much as of a robots.txt


def reservation(value: Any) -> bool | None:
    """Whether rights are reserved by this value (text or JSON); None where it says nothing."""
    return {"1": True, "0": False}.get(str(value).strip())


@dataclass(frozen=True, slots=True)
class TdmRules:
    """The rules of one origin, in order: a path pattern, and whether rights are reserved there."""

    rules: tuple[tuple[str, bool | None], ...] = ()

    @classmethod
    def parse(cls, content: bytes) -> "TdmRules":
        """Those of a tdmrep.json; none where it is no JSON array. Wrong rules are left out."""
        try:
            found = msgspec.json.decode(content[:TDMREP_BYTES_MAX].removeprefix(b"\xef\xbb\xbf"))
        except (msgspec.DecodeError, RecursionError):
            return cls()
        rules = [
            (pattern_of(rule["location"]), reservation(rule.get("tdm-reservation")))
            for rule in (found if isinstance(found, list) else ())
            if isinstance(rule, dict) and isinstance(rule.get("location"), str)
        ]
        return cls(tuple(rules))

    def reservation(self, url: str) -> bool | None:
        """What the first rule that matches says of this URL; None where none does, or nothing."""
        path = path_of(url)
        return next((said for pattern, said in self.rules if matches(pattern, path)), None)
