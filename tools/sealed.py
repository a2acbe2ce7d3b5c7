"""Files that hold their own digest, so that `status --verify` can tell whether they are whole.

The report and the commit of the model are no parts of the engine, and each is one small text.
"""

import re
from pathlib import Path

import xxhash

from pipeline.engine.verify import Written

KEY = "xxh3_128"
BLANK = "0" * 32
_SEAL = re.compile(rb'"%s": "([0-9a-f]{32})"' % KEY.encode())


def seal(text: str) -> str:
    """A text that holds `"xxh3_128": "000..."` once, with the digest of that text in its place."""
    return text.replace(f'"{KEY}": "{BLANK}"', f'"{KEY}": "{_digest(text.encode())}"')


def sealed(path: Path) -> Written:
    """What a sealed file says of itself; without a seal it is not as it was written."""
    data = path.read_bytes()
    found = _SEAL.search(data)
    return Written(path, len(data), found[1].decode() if found else "", _digest_of)


def _digest_of(path: Path) -> str:
    return _digest(_SEAL.sub(b'"%s": "%s"' % (KEY.encode(), BLANK.encode()), path.read_bytes()))


def _digest(data: bytes) -> str:
    return xxhash.xxh3_128_hexdigest(data)
