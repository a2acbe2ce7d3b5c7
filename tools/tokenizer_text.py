"""Text to token ids and back, of files of any size."""

import codecs
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from pipeline.errors import InputError, printable
from pipeline.formats import format_of
from pipeline.inputs import STDIN
from pipeline.lines import Lines
from pipeline.row_files import put_in_place
from pipeline.settings import TextsSettings
from pipeline.texts import Odd, Row, read_texts, told
from pipeline.tokens.encode import Encoder
from pipeline.tokens.evaluate import shown
from pipeline.tokens.pieces import joined
from pipeline.tokens.tokenizer_files import load
from tools.given import GivenTexts
from tools.places import Place

_BETWEEN_IDS = re.compile(r"[\s,\[\]]+")


def encode_files(
    tokenizer: Path, files: Sequence[Place], out: Path | None, *, pieces: bool
) -> None:
    """Write the ids of each file on a line, or with `pieces` a token a line."""
    encoder = Encoder(load(tokenizer))
    tokens = encoder.tokenizer.tokens
    with given(files or [STDIN], out) as paths, _written(out) as target:
        for path, name in paths.items():
            between = b""
            for piece in pieces_of(path, name):
                ids = encoder.encode(piece).tolist()
                if pieces:
                    target.write("".join(f"{i}\t{shown(tokens[i])}\n" for i in ids).encode())
                elif ids:
                    target.write(between + " ".join(map(str, ids)).encode())
                    between = b" "
            if not pieces:
                target.write(b"\n")


def decode_files(tokenizer: Path, files: Sequence[Place], out: Path | None) -> None:
    """Write the text of the ids of all files; InputError for what is no id of the tokenizer."""
    tokens = load(tokenizer).tokens
    with given(files or [STDIN], out) as paths:
        found = b"".join(
            tokens[i] for path, name in paths.items() for i in _ids(path, name, len(tokens))
        )
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
    text = decoder.decode(found)
    if rest := decoder.getstate()[0]:
        text += decoder.decode(b"", final=True)
        print(f"the ids end amid a character: {shown(rest)} begins one", file=sys.stderr)
    with _written(out) as target:
        target.write(text.encode())
    if out is None and sys.stdout.isatty():
        print()


def count_tokens(
    tokenizer: Path, files: Sequence[Place], rules: TextsSettings
) -> dict[str, dict[str, int]]:
    """Tokens, bytes and texts of each file; of plain text, those of all that it holds."""
    encoder, odd = Encoder(load(tokenizer)), Odd()
    counts = {}
    with given(files or [STDIN]) as paths:
        for path, name in paths.items():
            tokens = text_bytes = texts = 0
            plain = format_of(path, rules.text_field) == "text"
            for text in pieces_of(path, name) if plain else rows_of(path, rules, odd):
                tokens += len(encoder.encode(text))
                text_bytes += len(text.encode(errors="replace"))
                texts += 1
            counts[name] = {
                "tokens": tokens,
                "text_bytes": text_bytes,
                "texts": 1 if plain else texts,
            }
    for sentence in told(odd):
        print(sentence, file=sys.stderr)
    return counts


@contextmanager
def given(files: Sequence[Place], out: Path | None = None) -> Iterator[dict[Path, str]]:
    """The files that these name, and their names for people.

    stdin and what lies in a bucket are files here, for so long. SettingsError for an `out` that is
    one of them.
    """
    results = {"--out": out} if out else {}
    with (
        TemporaryDirectory(prefix="webtext-") as scratch,
        GivenTexts(files).files(Path(scratch, "none"), TextsSettings(), results=results) as paths,
    ):
        yield {p: p.name if Path(scratch) in p.parents else printable(p) for p in paths}


def pieces_of(path: Path, name: str) -> Iterator[str]:
    """A file of text in UTF-8 in pieces whose ids are, one after the other, the text's."""
    with Lines(path) as file:
        yield from joined(_decoded(name, file.chunks()))


def rows_of(path: Path, rules: TextsSettings, odd: Odd) -> Iterator[str]:
    """The texts of a file, without those that are drops."""
    for found in read_texts(path, path.name, rules, odd):
        if isinstance(found.row, Row):
            yield found.row.text


def _decoded(name: str, chunks: Iterator[bytes]) -> Iterator[str]:
    decoder, before = codecs.getincrementaldecoder("utf-8")(), 0
    mend = "`iconv -f CHARSET -t UTF-8 FILE > NEW` converts it."
    try:
        for chunk in chunks:
            held = len(decoder.getstate()[0])
            before -= held
            yield decoder.decode(chunk)
            before += held + len(chunk)
        held = len(decoder.getstate()[0])
        before -= held
        decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        place = f"byte {before + error.start}"
        raise InputError(name, place, "is not UTF-8", mend) from None


def _ids(path: Path, name: str, size: int) -> Iterator[int]:
    with Lines(path) as file:
        words = _BETWEEN_IDS.split("".join(_decoded(name, file.chunks())))
    for number, word in enumerate(filter(None, words), 1):
        problem = ""
        if not (word.isascii() and word.isdigit()):
            problem = f"{word[:40]!r} is no id"
        elif int(word[:10]) >= size:
            problem = f"{word[:40]} is no id of the tokenizer, whose {size:,} end with {size - 1}"
        if problem:
            mend = "Give ids of this tokenizer, parted by white space or commas."
            raise InputError(name, f"word {number}", problem, mend)
        yield int(word)


@contextmanager
def _written(out: Path | None) -> Iterator[IO[bytes]]:
    if out is None:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with put_in_place(out) as aside, aside.open("wb") as file:
        yield file
