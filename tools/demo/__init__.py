"""The demo's input: a small web of our own as WARC files, and submissions that link to it.

`write_demo` writes it; `digest` is that of the part which is the same on every machine;
`expected.json` beside it says what should become of every line and link (`expected.py`).
"""

from tools.demo.files import DemoFiles, digest, write_demo
from tools.demo.expected import UNREACHABLE

__all__ = ["DemoFiles", "digest", "write_demo", "UNREACHABLE"]
