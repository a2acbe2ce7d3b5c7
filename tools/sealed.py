"""Files that hold their own digest, so that `status --verify` can tell whether they are whole.

The report and the commit of the model are no parts of the engine, and each is one small text.
"""

import re

import pyarrow as pa
import xxhash

from pipeline.engine.store import Store
from pipeline.engine.verify import Written

KEY = "xxh3_128"
BLANK = "0" * 32
_SEAL = re.compile(rb'"%s": "([0-9a-f]{32})"' % KEY.encode())


def seal(text: str) -> str:
    """A text that holds `"xxh3_128": "000..."` once, with the digest of that text in its place."""
    return text.replace(f'"{KEY}": "{BLANK}"', f'"{KEY}": "{_digest(text.encode())}"')


def sealed(store: Store, name: str) -> Written | None:
    """What a sealed file says of itself; without a seal it is not as it was written.

    None where there is no such file.
    """
    data = store.read(name)
    if data is None:
        return None
    found = _SEAL.search(data)
    return Written(store, name, len(data), found[1].decode() if found else "", _digest_of)


def _digest_of(file: pa.NativeFile) -> str:
    return _digest(_SEAL.sub(b'"%s": "%s"' % (KEY.encode(), BLANK.encode()), file.read()))


def _digest(data: bytes) -> str:
    return xxhash.xxh3_128_hexdigest(data)
