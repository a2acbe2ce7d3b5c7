"""Content signals (contentsignals.org): `search=yes, ai-train=no` on a line of robots.txt."""

import re

AI_TRAIN = "ai-train"
_VALUES = {"yes": True, "no": False}
_BETWEEN = re.compile(r"[,;\s]+")
_EQUALS = re.compile(r"\s*=\s*")


def signals_of(value: str) -> dict[str, bool]:
    """What is allowed (True) and what is not, by signal; a `no` holds against a `yes`.

    Signals are `search`, `ai-input`, `ai-train`; what is neither yes nor no is passed over.
    """
    said: dict[str, bool] = {}
    for member in _BETWEEN.split(_EQUALS.sub("=", value.lower())):
        name, _, word = member.partition("=")
        if word in _VALUES:
            said[name] = _VALUES[word] and said.get(name, True)
    return said
