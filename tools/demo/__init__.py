"""The demo's input: a small web of our own as WARC files, and submissions that link to it.

`write_demo` writes it, the same on every machine, as `digest` shows;
`expected.json` beside it says what should become of every line and link, and `differences` holds a
build against that.
"""

from tools.demo.compare import Difference, differences
from tools.demo.expected import UNREACHABLE
from tools.demo.files import DemoFiles, digest, write_demo

__all__ = ["UNREACHABLE", "DemoFiles", "Difference", "differences", "digest", "write_demo"]
