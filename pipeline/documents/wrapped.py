"""Prose that was broken into lines of 50 to 90 characters, joined to one line a paragraph.

Mail archives, old pages and prose in <pre> are so. What tells it from verse, lists and addresses:

- lines are full: of each, the next one's first word would not have fitted;
- lines break within sentences: most go on in lower case, some end with "the" or "of".

Both must hold for four lines in a row. Lines that begin with a mark of a list or a quote, hold
columns or look like code are never joined, indented ones only where a whole text is indented and
no code. Nor is a line joined to one before it that ended a sentence, if no empty lines say where
paragraphs end: it may begin one.
"""

import re
from collections.abc import Iterator

WIDTH_MIN, WIDTH_MAX = 50, 90
LINES_MIN = 4  # in a row
SLACK_CHARS = 5  # by which a line may be shorter than greedy filling makes it, the space too
BROKEN_SHARE_MIN = 0.5  # of the joints, those within a sentence
HANGING_SHARE_MIN = 0.15  # those after a word at which no verse and no list breaks
INDENT_MAX = 16  # in a text that is indented as a whole
INDENTED_SHARE_MIN = 0.5  # of its lines
CODE_SHARE_MAX = 0.03  # of them, those that look like code
LETTERS_MIN = 0.7  # of a line, letters and spaces: not code, formulas or tables

_OTHER = re.compile(
    r"[\s>|#*+\u2022\u00b7\u25aa\u25cf=_~<\[{}/\\-]"  # indented, quoted, a list, a rule, code
    r"|\(?(?:\d{1,3}|[a-zA-Z])[.)] "  # numbered
    r"|.*(?:\S(?:  \s+|\t)\S|[;{}\\|]$|\.{4}|://\S*$)"  # columns, code, leaders
)
_CODE = re.compile(
    r"[;{}]$|^ *(?:def|class|import|from|return|if|elif|else|for|while|try|with|#|//|/\*|[$>])\b.*"
    r"[:;(){}=]|[\w\]] [-+*/]?= \S|^ *@\w+$|\"{3}|'{3}"
)
_COMMENT = re.compile(r"\"{3}|'{3}|/\*|\*/")  # of code: opens or ends one
_ENDS = re.compile(r"""[.!?:]["'\u201d\u2019)\]]*$""")
_GOES_ON = re.compile(r"[a-z(\u00df-\u00f6\u00f8-\u00ff]")
_LAST_WORD = re.compile(
    r"\b(?:the|of|a|an|and|to|in|for|with|that|by|on|is|was|were|are|be|or|as|at|from|his|her|"
    r"their|its|this|which|not|has|have|had|would|will|can|our|my|your)$",
    re.I,
)
_EMPTY_BULLET = re.compile(r"^ {0,8}[-\u2022\u00b7\u25aa\u25cf\u25e6] *$", re.M)
_VALUE = re.compile(r"[-+]?[\d.,%]+$|[-+]\S")


def join_wrapped(text: str) -> str:
    """The text with each paragraph of hard-wrapped prose on one line; others as they are."""
    while True:  # what is joined leaves others side by side
        lines = text.split("\n")
        joints = set(_sure(lines))
        if not joints:
            return text
        out = lines[:1]
        for at, line in enumerate(lines[1:], 1):
            if at in joints:
                out[-1] += f" {line.lstrip(' ')}"
            else:
                out.append(line)
        text = "\n".join(out)


def without_empty_bullets(text: str) -> str:
    """The text without lines that are the mark of a list and nothing else.

    One beside a number may be a value, and one beside "-word" a line of a patch: they stay.
    """
    if not _EMPTY_BULLET.search(text):
        return text
    lines = text.split("\n")
    around = zip(["", *lines], lines, [*lines[1:], ""], strict=False)
    kept = [
        line
        for before, line, after in around
        if not _EMPTY_BULLET.match(line) or _VALUE.match(before) or _VALUE.match(after)
    ]
    return "\n".join(kept).strip("\n")


def _runs(lines: list[str]) -> Iterator[range]:
    """Neighbouring lines that may be wrapped prose: not too long, and nothing else by looks."""
    indent_max = INDENT_MAX if _is_plain(lines) else 0
    start, indent, in_comment = None, 0, False
    for at, line in enumerate([*lines, ""]):
        if "*" in line or '"""' in line or "'''" in line:
            for mark in _COMMENT.findall(line):
                in_comment = mark == "/*" or (mark != "*/" and not in_comment)
        own = len(line) - len(line.lstrip(" "))
        may_be = not in_comment and own <= indent_max and _may_be_wrapped(line[own:])
        if start is not None and not (may_be and own == indent):
            if at - start >= LINES_MIN:
                yield range(start, at)
            start = None
        if may_be and start is None:
            start, indent = at, own


def _is_plain(lines: list[str]) -> bool:
    """Whether a text is indented as a whole, as RFCs and manuals are, and no code."""
    shown = [line for line in lines if line]
    indented = sum(line.startswith(" ") for line in shown)
    if indented < INDENTED_SHARE_MIN * len(shown):
        return False
    return sum(_CODE.search(line) is not None for line in shown) <= CODE_SHARE_MAX * len(shown)


def _may_be_wrapped(line: str) -> bool:
    if not line or len(line) > WIDTH_MAX or _OTHER.match(line):
        return False
    return sum(map(str.isalpha, line)) + line.count(" ") >= LETTERS_MIN * len(line)


def _sure(lines: list[str]) -> Iterator[int]:
    """The lines that go on with the line before them."""
    runs = [(run, chain) for run in _runs(lines) for chain in _chains(lines, run)]
    chains = [
        (run, chain)
        for run, chain in runs
        if sum(_is_broken(lines, at) for at in chain) >= BROKEN_SHARE_MIN * len(chain)
    ]
    joints = [at for _, chain in chains for at in chain]
    hanging = sum(_LAST_WORD.search(lines[at - 1]) is not None for at in joints)
    if hanging >= HANGING_SHARE_MIN * len(joints):
        for run, chain in chains:
            apart = _stands_apart(lines, run)
            yield from (at for at in chain if apart or not _ENDS.search(lines[at - 1]))


def _chains(lines: list[str], run: range) -> Iterator[list[int]]:
    """Neighbouring lines that each follow on a full one: some width filled all of them."""
    chain: list[int] = []
    longest, limit = 0, WIDTH_MAX
    for at in run[1:]:
        size = len(lines[at - 1])
        with_word = size + len(lines[at].split(None, 1)[0]) + SLACK_CHARS
        has_words = " " in lines[at - 1]
        if has_words and max(longest, size, WIDTH_MIN) <= min(limit, with_word):
            chain.append(at)
            longest, limit = max(longest, size), min(limit, with_word)
        else:
            if len(chain) >= LINES_MIN - 1:
                yield chain
            chain, longest, limit = [], 0, WIDTH_MAX
    if len(chain) >= LINES_MIN - 1:
        yield chain


def _is_broken(lines: list[str], at: int) -> bool:
    return not _ENDS.search(lines[at - 1]) and _GOES_ON.match(lines[at].lstrip()) is not None


def _stands_apart(lines: list[str], run: range) -> bool:
    """Whether empty lines, or the text's ends, are around a run: then it is one paragraph."""
    before = run.start == 0 or not lines[run.start - 1]
    after = run.stop == len(lines) or not lines[run.stop]
    return before and after and (run.start > 0 or run.stop < len(lines))
