"""The object store of builds under faults: moto's server, and the proxy through which they see it.

What befalls the store lasts some seconds, and then is over.
"""

import os
import random
from collections.abc import Mapping
from dataclasses import dataclass

from tools.benchmarks.object_store import CREDENTIALS, SLOW, Proxy, Server
from tools.places import Uri

READS, UPLOADS = ("GET", "HEAD"), ("PUT", "POST")
LASTS_S = (2.0, 20.0)


@dataclass(frozen=True)
class Trouble:
    """What happens to this share of the requests of these methods."""

    share: float
    kinds: tuple[str, ...]
    methods: tuple[str, ...] = (*READS, *UPLOADS, "DELETE")


TROUBLES: Mapping[str, Trouble] = {
    "store fails": Trouble(0.2, ("500",)),
    "store throttles": Trouble(0.4, ("503",)),
    "store hangs": Trouble(0.05, ("hang",)),
    "store is slow": Trouble(0.5, (SLOW,)),
    "store is away": Trouble(1.0, ("cut before",)),
    "uploads are torn": Trouble(0.3, ("cut before", "cut after"), UPLOADS),
    "answers are torn": Trouble(0.2, ("cut after", "torn answer"), READS),
}


class FaultyStore:
    """One bucket for all builds of a benchmark. Use as a context manager."""

    def __enter__(self) -> "FaultyStore":
        os.environ.update(CREDENTIALS)  # for all processes that are started from here
        self._server = Server()
        self.proxy = Proxy(self._server.port).__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.proxy.__exit__()
        self._server.close()

    def place(self, name: str) -> Uri:
        """A place for a build, through the proxy."""
        return Uri(self._server.uri(name, self.proxy.port))

    def past_proxy(self, name: str) -> Uri:
        """The same place for those who look at what the build has made."""
        return Uri(self._server.uri(name))

    def remove(self, name: str) -> None:
        """Remove a build."""
        self._server.files().delete_dir(f"{self._server.bucket}/{name}")

    def begin(self, trouble: Trouble, rng: random.Random) -> float:
        """Let it begin: the seconds that it is to last."""
        self.proxy.kinds, self.proxy.methods = trouble.kinds, trouble.methods
        self.proxy.share = trouble.share
        self.proxy.faults.clear()
        return rng.uniform(*LASTS_S)

    def end(self) -> int:
        """End it: how many requests it met."""
        self.proxy.share = 0
        return self.proxy.faults.total() - self.proxy.faults[""]
