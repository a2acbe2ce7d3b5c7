"""Token files that only have names: their split, what they hold instead of 16-bit tokens, and the
characters that nanoGPT's meta.pkl lists beside them.
"""

import codecs
import io
import json
import pickle
import re
from collections.abc import Mapping, Sequence
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
TEXT_BYTES_MIN = 64  # fewer may be tokens by chance
CONTROL = frozenset(range(32)) - frozenset(b"\t\n\f\r")
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


def told(unread: list[Path]) -> list[str]:
    """A sentence on files whose names say no split that is read, one on those of another ending."""
    reasons = {
        "neither train nor val (valid, validation, dev) is a word of the name": [
            path for path in unread if path.suffix == ".bin"
        ],
        "the name does not end in .bin": [path for path in unread if path.suffix != ".bin"],
    }
    return [f"not read, for {why}: {_listed(paths)}" for why, paths in reasons.items() if paths]


def _listed(paths: list[Path]) -> str:
    more = f" and {len(paths) - 3:,} more" if len(paths) > 3 else ""
    return ", ".join(path.name for path in paths[:3]) + more


def not_16_bit(head: bytes, size: int, later: Sequence[bytes] = ()) -> str:
    """What a file holds instead of 16-bit tokens without a header, and the mend; "" if nothing.

    `head` is its first LOOKED_AT_BYTES, `later` are others from a multiple of 8 on, `size` the
    bytes of the whole. 16-bit tokens of which every second one is 0 are the same bytes as 32-bit
    ones. They are taken for these, since no text has them; llm.c's header says that they are not.
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
    if _is_text(head):
        return "text, not tokens: `webtext tokenizer train` and `webtext shards` make them of it"
    if size % 2:
        return f"an odd number of bytes, {size:,}, so no 16-bit tokens; copy it anew"
    if width := width_of([head, *later]):
        rewrite = _rewrite(f"numpy.fromfile(F, '<u{width // 8}')")
        return (
            f"{width}-bit tokens, for in {1 + len(later)} places every second 16 bits are next to "
            f"nothing; write 16-bit ones: {rewrite}. If they are 16-bit ones, say so by a header "
            "as llm.c writes it"
        )
    return ""


def _is_text(head: bytes) -> bool:
    """Whether these are letters in UTF-8; tokens have control characters among their bytes."""
    if len(head) < TEXT_BYTES_MIN or CONTROL.intersection(head):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # the last letter may be cut
    except UnicodeDecodeError:
        return False
    return True


def width_of(places: Sequence[bytes]) -> int:
    """32 or 64 bits, where all places of a file look like such integers; else 0."""
    widths = {_width(np.frombuffer(raw[: len(raw) // 8 * 8], "<u2")) for raw in places}
    return min(widths) if 0 not in widths else 0


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
    except (AttributeError, TypeError, OverflowError, MemoryError) as error:
        raise _refusal(path, repr(error)) from None
    if type(vocab_size) is not int or not 0 < vocab_size <= 1 << 16 or strange:
        raise _refusal(path, f"vocab_size {vocab_size!r}, {len(strange)} entries of another kind")
    return Characters(vocab_size, ids)


def _refusal(path: Path, why: str) -> DataError:
    return DataError(
        f"{path}: not nanoGPT's list of characters, of strings and integers alone ({why}); make it "
        "anew, or move it away if the tokens are GPT-2's"
    )
