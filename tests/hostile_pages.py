"""Pages that break their worker by order: `ACT kill`, `ACT hang`, `ACT raise` in the body."""

import os
import signal
from pathlib import Path

from pipeline.documents.extract import PageAt, ReadAndExtract
from pipeline.pages.warc import read_page


class Obey(ReadAndExtract):
    """Reads and extracts, but does what the page says. Worker processes import this module."""

    def __call__(self, page: PageAt):
        body = read_page(Path(page.warc), page.offset, page.length, 1 << 20).body
        if b"ACT kill" in body:
            os.kill(os.getpid(), signal.SIGKILL)
        while b"ACT hang" in body:
            pass
        if b"ACT raise" in body:
            raise KeyError("colour")
        return super().__call__(page)
