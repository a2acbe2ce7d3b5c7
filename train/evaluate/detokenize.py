"""Detokenizers that can be undone: text as people write it, for models that were trained on such.

A probability of the detokenized text is one of the original only where the original can be had back
from it. So every line is split again; one that does not come back stays as it is, and is counted.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

# Words that end with a full stop of their own, so that it is not split off.
SHORT = (
    "Mr Mrs Ms Dr St Jr Sr vs etc No Nos Co Inc Ltd Corp Lt Col Gen Sgt Capt Maj Gov Sen Rep Rev "
    "Prof Hon Mt Ft Ave Blvd Vol Jan Feb Mar Apr Aug Sept Oct Nov Dec cf al ca approx Bros Brig "
    "Cmdr Adm Cpl Pvt Messrs Esq Op fig pp ed eds"
)
_SHORT = "|".join(SHORT.split())
_ABBREVIATION = re.compile(rf"(?:^|(?<=\s)|(?<=-))(?:{_SHORT}|[A-Za-z]|(?:[A-Za-z]\.)+[A-Za-z])\.$")
_SUFFIX = r"'(?:s|t|re|ve|m|d|ll|S|T|RE|VE|M|D|LL)"
_CLOSING = {",", ".", ";", ":", "?", "!", ")", "]", "%"}
_OPENING = {"(", "[", "$", "£", "¥", "#"}


@dataclass(frozen=True)
class Detokenizer:
    """`glue` makes a line of tokens a line of text, `split` is its inverse wherever it can be."""

    name: str
    glue: Callable[[str], str]
    split: Callable[[str], str]

    def line(self, line: str) -> tuple[str, bool]:
        """The line as text, and whether it can be had back; if not, the line is as it was.

        Tokenized lines of WikiText and PTB begin with a space, detokenized ones do not: so a line
        that was left as it was is known by it, and nothing is ever lost.
        """
        text = self.glue(line)
        return (text, True) if self.split(text) == line else (line, False)

    def text(self, text: str) -> tuple[str, int]:
        """All lines as text, and the number of exceptions: lines that stay as they were."""
        lines = text.removesuffix("\n").split("\n")
        found = [self.line(line) for line in lines]
        end = "\n" if text.endswith("\n") else ""
        return "\n".join(line for line, _ in found) + end, sum(not whole for _, whole in found)


def _glue_wikitext(line: str) -> str:
    out, opening, quoted = "", True, False  # opening: the next token follows without a space
    for token in line.split():
        if token in ("@-@", "@,@", "@.@"):
            out, opening = out + token[1], True
            continue
        if token == '"':
            quoted = not quoted
        left = (
            token in _CLOSING or (token == '"' and not quoted)
            or re.fullmatch(_SUFFIX, token) or (token == "'" and out.endswith("s"))
        )  # fmt: skip
        both = token == "/"
        out += token if opening or left or both else f" {token}"
        opening = token in _OPENING or (token == '"' and quoted) or both
    return out


def _split_wikitext(text: str) -> str:
    if not text:
        return " "
    text = re.sub(r'(["()\[\]$£¥#%?!;/])', r" \1 ", text)
    text = re.sub(r"(?<=\S)-(?=\S)", " @-@ ", text)
    text = re.sub(r"(?<=[\w>])([,.])(?=[\d<])", r" @\1@ ", text)
    text = re.sub(rf"(?<=\S)({_SUFFIX})(?![\w])", r" \1", text)
    text = re.sub(r"(?<=s)'(?=\s|[,.;:]|$)", " '", text)
    text = re.sub(r"(?<=[^\s,:]),(?=\s|$)|(?<=[^\s,:]):(?=\s|$)", lambda m: f" {m[0]}", text)
    words = [piece for word in text.split() for piece in _split_stop(word)]
    return f" {' '.join(words)} "


def _split_stop(word: str) -> list[str]:
    ends = word.endswith(".") and len(word) > 1 and not word.endswith("..")
    return [word[:-1], "."] if ends and not _ABBREVIATION.search(word) else [word]


def _glue_ptb(line: str) -> str:
    text = re.sub(rf" (n't|{_SUFFIX})(?= |$)", r"\1", line.strip(" "))
    return re.sub(r"(^| )([$#]) (?=N(?: |$))", r"\1\2", text)


def _split_ptb(text: str) -> str:
    if not text:
        return " "
    text = re.sub(rf"(?<=[\w.])(n't|{_SUFFIX})(?= |$)", r" \1", text)
    return " " + re.sub(r"(^| )([$#])(?=N(?: |$))", r"\1\2 ", text) + " "


WIKITEXT = Detokenizer("wikitext-1", _glue_wikitext, _split_wikitext)
PTB = Detokenizer("ptb-1", _glue_ptb, _split_ptb)
