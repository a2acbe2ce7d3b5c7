"""gigatoken behind a check of its own: the ids of Hugging Face, many times as fast as tiktoken.

Once it took the wrong pre-tokenizer without a word (its #40, #42). So 1,000 strings, made of this
very vocabulary and of every kind of character, must give the ids of Hugging Face before it is used.
The characters that are new in Unicode 17 are letters and numbers to it, and not yet to the others
(of all 1.1 million code points it splits these alone otherwise): a text that has one is not for it.

Its cache of pre-tokens grows with each new one, without a bound in 0.10 (its #36): by 11 bytes for
each byte of words that never repeat, by far less for text. So it is made anew, which takes 0.2 s,
when the process has grown by MEMORY_BYTES_MAX; never before TEXT_BYTES_MIN, and always then where
memory is not known (it is on Linux). A warm cache is worth twice the speed of an empty one.
"""

import json
import random
import re
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from mmap import PAGESIZE
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tokenizers

from pipeline.errors import SettingsError, StageError
from pipeline.tokens.pieces import PIECE_CHARS, cut
from pipeline.tokens.tokenizer import END_OF_TEXT, Tokenizer, hugging_face

TEXT_BYTES_MIN = 64 << 20  # of text between two makings; of words that never repeat 700 MB
MEMORY_BYTES_MAX = 512 << 20  # by which the process may have grown before it is made anew
_STATM = Path("/proc/self/statm")
TRIED, PIECES_IN_EACH = 1000, 24
_NEW = re.compile(
    "[\u088f\u0c5c\u0cdc\ua7ce\ua7cf\ua7d2\ua7d4\ua7f1\U00010940-\U00010959\U00010ec5-\U00010ec7"
    "\U00011db0-\U00011ddb\U00011de0-\U00011de9\U00016ea0-\U00016eb8\U00016ebb-\U00016ed3"
    "\U00016ff2-\U00016ff6\U000187f8-\U000187ff\U00018d09-\U00018d1e\U00018d80-\U00018df2"
    "\U0001e6c0-\U0001e6ff\U0002b73a-\U0002b73f\U0002cea2-\U0002cead\U000323b0-\U00033479]"
)
# What their UTF-8 begins with, of which nearly no text has any: found far faster than they are.
_BEGIN_NEW = (b"\xf0", b"\xe0", b"\xea")
_NEAR_NEW = re.compile(
    rb"\xf0[\x90\x91\x96\x98\x9e\xab\xac\xb2\xb3]|\xe0(?:\xa2\x8f|[\xb1\xb3]\x9c)|\xea\x9f[\x8e-\xb1]"
)
# Where the pattern turns: contractions, white space of all kinds, digits, marks, joiners.
_TURNS = (
    *("'s", "'t", "'re", "'ve", "'m", "'ll", "'d", "'S", "'", " ", "  ", "\n", "\n\n", "\r\n"),
    *("\t", "\x0b", "\x1c", "\x85", "\u00a0", "\u2003", "\u2028", "\u3000", "\u200b", "\ufeff"),
    *("1", "٣", "½", "Ⅷ", "e\u0301", "中", "한", "👩‍👩‍👧", "\0", "_", END_OF_TEXT),
)


def require() -> str:
    """The version of gigatoken. Raises SettingsError where it is not installed."""
    try:
        import gigatoken.gigatoken_rs  # noqa: F401
    except ImportError as error:
        raise SettingsError(
            f'shards.encoder = "gigatoken": {error}; install it by `pip install "webtext[fast]"`, '
            'or take "tiktoken"'
        ) from None
    return version("gigatoken")


class FastEncoder:
    """Encodes with one tokenizer. Raises StageError where gigatoken gives other ids."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        require()
        own = hugging_face(tokenizer)
        self._file = _without_special(own)
        self._seen = 0  # bytes of text since memory was looked at
        self._memory_bytes_max = memory_bytes() + MEMORY_BYTES_MAX if _STATM.exists() else 0
        self._make()
        own.encode_special_tokens = True
        _compare(self, own, list(strings(tokenizer)))

    def encode(self, text: str) -> npt.NDArray[np.uint16] | None:
        """The ids of a text, None where it has a lone surrogate or a character that is new.

        A long one is encoded in pieces.
        """
        try:
            content = text.encode()
        except UnicodeEncodeError:
            return None
        near = any(byte in content for byte in _BEGIN_NEW) and _NEAR_NEW.search(content)
        if near and _NEW.search(text):
            return None
        if len(text) <= PIECE_CHARS:
            return self._ids(content)
        return np.concatenate([self._ids(piece.encode()) for piece in cut(text)])

    def _ids(self, content: bytes) -> npt.NDArray[np.uint16]:
        self._seen += len(content)
        if self._seen > TEXT_BYTES_MIN:
            if memory_bytes() >= self._memory_bytes_max:
                self._make()
            self._seen = 0
        ids: npt.NDArray[np.uint32] = self._gigatoken.encode(content)
        return ids.astype(np.uint16)

    def _make(self) -> None:
        from gigatoken.gigatoken_rs import load_hf_json

        self._gigatoken: Any = load_hf_json(self._file)


def memory_bytes() -> int:
    """The process's resident memory; 0 where it is not known."""
    try:
        return int(_STATM.read_text().split()[1]) * PAGESIZE
    except OSError:
        return 0


def _without_special(own: tokenizers.Tokenizer) -> str:
    """The tokenizer.json without end-of-text: no text gives it."""
    content = json.loads(own.to_str())
    content["added_tokens"] = []
    del content["model"]["vocab"][END_OF_TEXT]
    return json.dumps(content)


def strings(tokenizer: Tokenizer) -> Iterator[str]:
    """TRIED strings of tokens, turns of the pattern and characters; in all, every byte of UTF-8."""
    draw = random.Random(tokenizer.digest)
    tokens = [token.decode("utf-8", "ignore") for token in tokenizer.tokens]
    # All code points of one and two bytes, and some of the others: all bytes that begin one.
    yield "".join(map(chr, range(0x800)))
    yield "".join(chr(c) for c in range(0x800, 0x110000, 0xFC1) if not 0xD800 <= c < 0xE000)
    for _ in range(TRIED - 2):
        kinds = draw.choices((tokens, _TURNS, ()), (6, 3, 1), k=PIECES_IN_EACH)
        yield "".join(draw.choice(kind) if kind else _between(draw) for kind in kinds)


def _between(draw: random.Random) -> str:
    """Any character, where a letter, a number and what is neither give three splits."""
    code = draw.randrange(draw.choice((0xD800, 0x34000, 0x110000 - 0x800)))
    return f"1{chr(code if code < 0xD800 else code + 0x800)}'t"


def _compare(fast: FastEncoder, own: tokenizers.Tokenizer, texts: Sequence[str]) -> None:
    encodings = own.encode_batch_fast(list(texts), add_special_tokens=False)
    for text, encoding in zip(texts, encodings, strict=True):
        ids, wanted = fast.encode(text), encoding.ids
        if ids is not None and (got := ids.tolist()) != wanted:
            pairs = enumerate(zip(got, wanted, strict=False))
            alike = next((i for i, (one, other) in pairs if one != other), 0)
            raise StageError(
                f"gigatoken {require()} does not give this tokenizer's ids: of {text[:60]!r} the "
                f"tokens from {alike} on are {got[alike:][:5]}, Hugging Face's "
                f'{wanted[alike:][:5]}. Take shards.encoder = "tiktoken"'
            )
