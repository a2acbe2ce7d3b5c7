"""Token files that only have names: their split, what they hold instead of 16-bit tokens, and the
characters that nanoGPT's meta.pkl lists beside them.
"""

import io
import json
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from train.errors import DataError

HEADER_BYTES = 1024  # llm.c's: 256 int32
LOOKED_AT_BYTES = 1 << 16  # of a file without a known header, to tell its width
# Words of a name, and the split that they say. A test set is never read.
SPLIT_OF_WORD = {
    **{"train": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val"},
    "test": "test",
}
OTHER_HEADERS = {
    20240801: "llm.c's header of 32-bit tokens (Llama 3)",
    20240522: "llm.c's header of questions with answers, no text",
}
# The upper half of a 32-bit id is below this for all vocabularies of up to a million tokens. Of
# 16-bit tokens every second one being so low, and the others not, is no text.
UPPER_HALF_MAX = 16
WORDS_MIN = 32  # fewer tell nothing
META = "meta.pkl"


def split_of(path: Path) -> str | None:
    """train, val or test by a whole word of the file's name (between _ - . or its ends).

    Digits may follow the word. None where no word says it; DataError where two say different ones.
    """
    words = (word.rstrip("0123456789") for word in re.split(r"[-_.]", path.stem.lower()))
    found = {SPLIT_OF_WORD[word] for word in words if word in SPLIT_OF_WORD}
    if len(found) > 1:
        raise DataError(
            f"{path}: its name says {' and '.join(sorted(found))}; rename it, so that it belongs "
            "to one split"
        )
    return found.pop() if found else None


def told(unread: list[Path]) -> str:
    """A sentence on files whose names say no split that is read."""
    names = ", ".join(path.name for path in unread[:3])
    more = f" and {len(unread) - 3:,} more" if len(unread) > 3 else ""
    return (
        "not read, for neither train nor val (valid, validation, dev) is a word of the name: "
        f"{names}{more}"
    )


def not_16_bit(head: bytes, size: int) -> str:
    """What a file holds instead of 16-bit tokens without a header, and the mend; "" if nothing.

    `head` is its first LOOKED_AT_BYTES, `size` the bytes of the whole.
    """
    if head.startswith(np.lib.format.MAGIC_PREFIX):
        kind = _npy_dtype(head)
        return f"a NumPy array of {kind}; write it without its header: {_rewrite('numpy.load(F)')}"
    header = np.frombuffer(head[:HEADER_BYTES].ljust(HEADER_BYTES, b"\0"), "<i4")
    if size > HEADER_BYTES and header[0] and not header[3:].any():
        known = OTHER_HEADERS.get(int(header[0]), "a header of another format")
        return (
            f"{known} (magic {header[0]}, version {header[1]}); write 16-bit tokens, of a "
            "vocabulary of at most 65,536"
        )
    if size % 2:
        return f"an odd number of bytes, {size:,}, so no 16-bit tokens; copy it anew"
    if width := _width(np.frombuffer(head[: len(head) // 8 * 8], "<u2")):
        rewrite = _rewrite(f"numpy.fromfile(F, '<u{width // 8}')")
        return f"{width}-bit tokens, by its first {len(head):,} bytes; write 16-bit ones: {rewrite}"
    return ""


def _npy_dtype(head: bytes) -> str:
    file = io.BytesIO(head)
    try:
        major, _ = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0
        _, _, dtype = (read if major == 1 else np.lib.format.read_array_header_2_0)(file)
    except ValueError:
        return "an unknown type"
    return str(dtype)


def _rewrite(array: str) -> str:
    return f"{array}.astype('<u2').tofile(F), if no id is above 65,535"


def _width(words: npt.NDArray[np.uint16]) -> int:
    """32 or 64 bits, where the upper words of such integers are next to nothing; else 0."""
    if len(words) < WORDS_MIN or words[::2].max() < UPPER_HALF_MAX:
        return 0
    if words[1::2].max() >= UPPER_HALF_MAX:
        return 0
    return 32 if words[2::4].max() else 64


@dataclass(frozen=True)
class Characters:
    """nanoGPT's meta.pkl: how many ids there are, and the id of each character, if it says so."""

    vocab_size: int
    ids: Mapping[str, int]

    def tokenizer_json(self) -> str | None:
        """The characters as a tokenizer.json, which samples text; None where they do not add up.

        A byte-pair encoding without merges takes a text letter by letter.
        """
        ids = sorted(self.ids.values())
        if ids != list(range(self.vocab_size)) or any(len(one) != 1 for one in self.ids):
            return None
        model = {"type": "BPE", "vocab": self.ids, "merges": []}
        content = {"version": "1.0", "added_tokens": [], "decoder": {"type": "Fuse"}}
        return json.dumps({**content, "model": model})


class _Values(pickle.Unpickler):
    """Reads built-in values alone: a pickle that names a class or a function is refused."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def characters(folder: Path) -> Characters | None:
    """What meta.pkl in the folder says; None where there is none, DataError if it is another thing.

    Nothing in it is run.
    """
    path = folder / META
    if not path.exists():
        return None
    try:
        meta = _Values(io.BytesIO(path.read_bytes())).load()
        vocab_size, ids = meta["vocab_size"], meta.get("stoi", {})
        strange = [key for key, i in ids.items() if type(key) is not str or type(i) is not int]
    # What damaged bytes raise, by the manual of pickle; all else is the wrong shape.
    except (pickle.UnpicklingError, EOFError, ImportError, LookupError, ValueError) as error:
        raise _refusal(path, repr(error)) from None
    except (AttributeError, TypeError, OverflowError) as error:
        raise _refusal(path, repr(error)) from None
    if type(vocab_size) is not int or not 0 < vocab_size <= 1 << 16 or strange:
        raise _refusal(path, f"vocab_size {vocab_size!r}, {len(strange)} entries of another kind")
    return Characters(vocab_size, ids)


def _refusal(path: Path, why: str) -> DataError:
    return DataError(
        f"{path}: not nanoGPT's list of characters, of strings and integers alone ({why}); make it "
        "anew, or move it away if the tokens are GPT-2's"
    )
