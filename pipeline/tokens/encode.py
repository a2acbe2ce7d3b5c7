"""Text to token ids and back, with the same ids from every text, however hostile.

tiktoken does the work (5.5 MB a CPU-second, Hugging Face 1.4), from our own merges. What it cannot
take goes to Hugging Face. That both merge alike is known of every tokenizer that is loaded
(tokenizer_json.py); that they split texts alike is tried before the first document. gigatoken does
the work where it is asked for (fast.py).
"""

import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Literal

import numpy as np
import numpy.typing as npt
import tiktoken

from pipeline.errors import StageError
from pipeline.rows import without_surrogates
from pipeline.tokens.fast import FastEncoder, require
from pipeline.tokens.tokenizer import END_OF_TEXT, Tokenizer, hugging_face

Engine = Literal["tiktoken", "gigatoken"]

# GPT-2's pattern in the order of its alternatives, with possessive repeats where nothing after
# them could match less: the same pieces, without backtracking.
PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"

# tiktoken's regex gives up on a white-space run of about a million characters followed by a letter:
# a panic, no Exception, before 0.12, a ValueError after. Measured to hold at 600,000.
WHITE_SPACE_MAX = 100_000

# What differs between two regex engines and two BPEs, if anything does: contractions, digits,
# scripts, marks, white space of every kind, a special token's text, code, emoji.
SAMPLES = (
    "It's what they'll say: I'd've gone, we're 'tis DON'T",
    "In 1984, 3.14159 and ½ of ٣٤ or Ⅷ; 0x1F, 1e-9",
    "Žluťoučký kůň \u0065\u0301 ﬁ naïve Ελλάδα Россия 中文字符 日本語 한국어 עברית ภาษาไทย हिन्दी",
    "a  b   c\td\n\n e\r\n\r\nf\u00a0g\u3000h\u2028i\x85j\x1ck \n  ",
    f"x{END_OF_TEXT}y <|endoftext |> {END_OF_TEXT}",
    "def f(x):\n    return [x**2 for _ in range(10)]  # !?...---___\n",
    "👩‍👩‍👧 🇫🇷 \ufeff\u200b\u00ad\x00\ufffd",
)


class Encoder:
    """Encodes and decodes with one tokenizer. Raises StageError if its engines disagree."""

    def __init__(self, tokenizer: Tokenizer, engine: Engine = "tiktoken") -> None:
        self.tokenizer = tokenizer
        self._fast = FastEncoder(tokenizer) if engine == "gigatoken" else None
        self._hugging_face = hugging_face(tokenizer)
        self._hugging_face.encode_special_tokens = True  # a text's "<|endoftext|>" is text
        self._tiktoken = tiktoken.Encoding(
            name="webtext",
            pat_str=PATTERN,
            mergeable_ranks={token: i for i, token in enumerate(tokenizer.tokens[:-1])},
            special_tokens={END_OF_TEXT: tokenizer.eot_id},
            explicit_n_vocab=tokenizer.vocab_size,
        )
        if not self._fast:
            self._compare()

    def encode(self, text: str) -> npt.NDArray[np.uint16]:
        """The ids of a text, which is ordinary text throughout: end-of-text never comes of it.

        Lone surrogates, which no UTF-8 can hold, are encoded as U+FFFD.
        """
        if self._fast and (found := self._fast.encode(text)) is not None:
            return found
        text = without_surrogates(text)
        if white_space_run(text) > WHITE_SPACE_MAX:
            return self._slowly([text])[0]
        # No special token is allowed and none forbidden: the same as encode_ordinary, as an array.
        ids: npt.NDArray[np.uint32] = self._tiktoken.encode_to_numpy(text, disallowed_special=())
        return ids.astype(np.uint16)

    def decode(self, ids: Sequence[int] | npt.NDArray[np.uint16]) -> str:
        """The text of ids; bytes that are no UTF-8 (a text cut amid a character) become U+FFFD."""
        text: str = self._tiktoken.decode([int(i) for i in ids], errors="replace")
        return text

    def _slowly(self, texts: Sequence[str]) -> list[npt.NDArray[np.uint16]]:
        encodings = self._hugging_face.encode_batch_fast(list(texts), add_special_tokens=False)
        return [np.array(encoding.ids, dtype=np.uint16) for encoding in encodings]

    def _compare(self) -> None:
        for text, wanted in zip(SAMPLES, self._slowly(SAMPLES), strict=True):
            got = self.encode(text)
            if not np.array_equal(got, wanted):
                raise StageError(
                    f"tokenizer {self.tokenizer.digest}: tiktoken encodes {text!r} as "
                    f"{got.tolist()}, Hugging Face as {wanted.tolist()}. Use the versions of both "
                    "that pyproject.toml names, and a tokenizer that BPE training made."
                )


def version_of(engine: Engine) -> str:
    """The version of an engine's library. Raises SettingsError where it is not installed."""
    return require() if engine == "gigatoken" else version("tiktoken")


def white_space_run(text: str) -> int:
    """Characters of the longest run of white space, 0 where the text is too short to matter."""
    if len(text) <= WHITE_SPACE_MAX:
        return 0
    return max((match.end() - match.start() for match in re.finditer(r"\s+", text)), default=0)
