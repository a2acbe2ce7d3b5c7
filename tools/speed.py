"""How fast a core of this machine is beside the one on which the rates of a plan were measured.

The probe does what builds spend their time on: pages are parsed and walked, JSON and gzip unpacked,
words counted. It knows nothing of disks and of how much cores slow each other down.
"""

import json
import re
import time
import zlib
from collections import Counter

from lxml import html

PROBE_S = 0.045  # CPU-seconds of one round on the machine of rates.MEASURED_ON, idle
ROUNDS = 5
WORD = re.compile(r"\w+")


def slowness() -> float:
    """CPU-seconds that this machine takes for one of rates.py: 2.0 is half as fast."""
    return min(_round() for _ in range(ROUNDS)) / PROBE_S


def _round() -> float:
    started = time.process_time()
    for number in range(20):
        _work(number)
    return time.process_time() - started


def _work(number: int) -> None:
    words = [f"word{(n * n + number) % 977}" for n in range(12)]
    paragraph = f'<div class="post"><p>{" ".join(words)} <a href="/{number}">more</a></p></div>'
    page = f"<html><body>{paragraph * 300}</body></html>"
    packed = zlib.compress(json.dumps({"body": page}).encode(), 6)
    tree = html.fromstring(json.loads(zlib.decompress(packed))["body"])
    counts = Counter[str]()
    for element in tree.iter():
        counts.update(WORD.findall(element.text or ""))
    assert len(counts) > len(set(words))
