"""One charset for a file of anyone's texts, told from pieces of all of it, once.

A file of UTF-8 stays that where some of its rows are broken. Another file has one charset, in which
every row is read that is not UTF-8; single rows are too short to tell one. A row that does not read
in it, and does in another, is a drop (other_charset), never text of wrong letters.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pipeline.documents.charset import CONTROL_SHARE_MAX, DAMAGE_MAX, control_share, join_surrogates
from pipeline.documents.letters import SURE_FIT_MIN, codec_of, fit_of, guess, is_in_its_language
from pipeline.lines import Lines
from pipeline.reasons import Drop, Reason

CHARSET, GUESS, MIXED = "charset", "guess", "mixed"  # as counted in `mended`
LONE, REPLACED = "lone bytes", "replaced"
SAMPLE_BYTES = 1 << 17  # of bytes that are not UTF-8, from all of the file; costs 0.3 s at most
PIECE_BYTES = 1 << 12
LINE_BYTES = 1 << 20  # a longer line is looked at in pieces
# A row is in another charset than its file where it reads so much better there: by so many of its
# bytes above 127, and by such a share of them.
ROW_BYTES_MIN, ROW_SHARE_MIN = 2, 0.15
LINES_TRIED = 500  # of a document
MIXED_SHARE_MAX = 0.05  # of a document's lines; more, and it is a drop
_ASCII = bytes(range(128))
_JAPANESE = (b"\x1b$B", b"\x1b$@", b"\x1b$(D")  # escapes of ISO-2022-JP


@dataclass(frozen=True, slots=True)
class FileCharset:
    """What a file is read in; `utf8_lines` are the lines that are UTF-8 beside another charset."""

    name: str
    is_sure: bool
    utf8_lines: int = 0


@dataclass
class FileDecoder:
    """Reads a file's rows. `mended` counts what a person should know, by the words above."""

    path: Path
    mended: Counter[str]
    _told: bool = field(default=False, init=False)

    def __call__(self, row: bytes) -> str | Drop:
        """The row as text, without a byte order mark, or a drop.

        Drops: CHARSET_UNKNOWN for control characters, OTHER_CHARSET.
        """
        if row.startswith((b"\xff\xfe", b"\xfe\xff")):
            wide = "utf-16le" if row.startswith(b"\xff\xfe") else "utf-16be"
            return self._counted(row.decode("utf-16", "replace"), f"{CHARSET} {wide}")
        try:
            text = row.decode("utf-8-sig")
        except UnicodeDecodeError:
            return self._other(row)
        return self._escaped(row) if "\x1b$" in text else text

    @cached_property
    def charset(self) -> FileCharset:
        """The file's charset, for the rows that are not UTF-8; reads all of the file once."""
        return charset_of(self.path)

    def _escaped(self, row: bytes) -> str:
        if any(escape in row for escape in _JAPANESE):
            text = row.decode("iso2022_jp_2", "replace")
            return self._counted(text, f"{CHARSET} iso-2022-jp")
        return row.decode()

    def _other(self, row: bytes) -> str | Drop:
        if control_share(row) > CONTROL_SHARE_MAX:
            return Drop(Reason.CHARSET_UNKNOWN, "control characters")
        with suppress(UnicodeDecodeError):  # Java's and Oracle's UTF-8
            return join_surrogates(row).decode("utf-8-sig")
        charset = self.charset
        if charset.name == "utf-8":
            return self._broken_utf8(row)
        if not self._told and charset.utf8_lines:
            self.mended[MIXED] += charset.utf8_lines
        self._told = True
        text = row.decode(codec_of(charset.name), "replace")
        if _damage(text) > DAMAGE_MAX:
            return Drop(Reason.OTHER_CHARSET, f"it does not read as {charset.name}, its file does")
        lines = list(_spread(row.splitlines()))
        others = [other for line in lines if (other := reads_better(line, charset.name))]
        if len(others) > MIXED_SHARE_MAX * len(lines):
            return Drop(
                Reason.OTHER_CHARSET, f"it reads as {others[0]}, its file as {charset.name}"
            )
        return self._counted(text, f"{CHARSET if charset.is_sure else GUESS} {charset.name}")

    def _broken_utf8(self, row: bytes) -> str | Drop:
        text = join_surrogates(row, halves=True).decode("utf-8-sig", "webtext_lone_byte")
        if _damage(text) > DAMAGE_MAX:
            return Drop(Reason.OTHER_CHARSET, "it does not read as UTF-8, its file does")
        return self._counted(text, LONE)

    def _counted(self, text: str, what: str) -> str:
        self.mended[what] += 1
        self.mended[REPLACED] += "\ufffd" in text
        return text.removeprefix("\ufeff")


def charset_of(path: Path) -> FileCharset:
    """The charset of the file's lines that are not UTF-8.

    It is UTF-8 where most of the bytes above 127 are that: they do not come about by chance.
    """
    sample = _Sample()
    right = wrong = utf8_lines = 0
    for line in map(join_surrogates, _lines(path)):
        high = len(line.translate(None, _ASCII))
        bad = high - _utf8_bytes(line) if high else 0
        right, wrong = right + high - bad, wrong + bad
        if bad:
            sample.add(line)
        utf8_lines += bool(high and not bad)
    if right >= wrong:
        return FileCharset("utf-8", is_sure=True)
    found = guess(sample.bytes(), old=True)
    return FileCharset(found.name, found.is_sure, utf8_lines)


def reads_better(line: bytes, name: str) -> str:
    """The charset in which this line reads that does not read in the one of this name, or ""."""
    fit, high = fit_of(line, name), len(line.translate(None, _ASCII))
    if fit > 1 - ROW_SHARE_MIN or high < ROW_BYTES_MIN:
        return ""
    other = guess(line[:SAMPLE_BYTES], old=True)
    gain = other.fit - fit
    better = gain > ROW_SHARE_MIN and gain * high >= ROW_BYTES_MIN and other.fit >= SURE_FIT_MIN
    return other.name if better and is_in_its_language(line, other.name) else ""


class _Sample:
    """Pieces of what is added, evenly spread over all of it."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._every, self._seen, self._held = 1, 0, 0

    def add(self, line: bytes) -> None:
        for piece in _pieces(line):
            if self._seen % self._every == 0:
                self._pieces.append(piece)
                self._held += len(piece)
            self._seen += 1
            if self._held > 2 * SAMPLE_BYTES:
                self._pieces, self._every = self._pieces[::2], 2 * self._every
                self._held = sum(map(len, self._pieces))

    def bytes(self) -> bytes:
        """All pieces, each on a line of its own."""
        every = -(-self._held // SAMPLE_BYTES)
        return b"\n".join(self._pieces[:: max(1, every)])


def _pieces(line: bytes) -> Iterator[bytes]:
    """Parts of a line that hold bytes above 127; each begins behind ASCII, where characters do."""
    at = 0
    while at < len(line):
        end = at + PIECE_BYTES
        while end < len(line) and line[end - 1] > 0x7F:
            end += 1
        if not (piece := line[at:end]).isascii():
            yield piece
        at = end


def _lines(path: Path) -> Iterator[bytes]:
    """The lines of a file without their ends; long ones in pieces that end behind ASCII."""
    rest = b""
    with Lines(path) as file:
        for chunk in file.chunks():
            *lines, rest = (rest + chunk).split(b"\n")
            yield from lines
            if len(rest) > LINE_BYTES:
                end = len(rest.rstrip(bytes(range(128, 256)))) or len(rest)
                yield rest[:end]
                rest = rest[end:]
    yield rest


def _spread(lines: list[bytes]) -> Iterable[bytes]:
    return lines[:: max(1, len(lines) // LINES_TRIED)]


def _utf8_bytes(line: bytes) -> int:
    """How many of the bytes above 127 are characters in UTF-8."""
    meant = line.decode("utf-8", "ignore").encode()
    return len(meant.translate(None, _ASCII))


def _damage(text: str) -> float:
    """The share of U+FFFD among the characters that are not ASCII."""
    foreign = len(text) - len(text.encode("ascii", "ignore"))
    return text.count("\ufffd") / foreign if foreign else 0.0
