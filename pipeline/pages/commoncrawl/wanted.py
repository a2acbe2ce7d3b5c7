"""The URLs that are looked for in an index, in its own order, so that most of it need not be read.

A URL and the robots.txt of its site take some 650 bytes.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.links.canonical import Canonical, canonical
from pipeline.pages.commoncrawl.keys import keys_of
from pipeline.pages.commoncrawl.surt import surt_host, surt_prefixes

Bound = bytes | str | None  # of a column in a row group, None where the file does not tell it


class Wanted:
    """Keys of links, by host."""

    def __init__(self, keys: Iterable[str] | pa.Array) -> None:
        found = keys if isinstance(keys, pa.Array) else pa.array(list(keys), pa.string())
        found = found.unique()
        authorities = pc.replace_substring_regex(found, "/.*$", "").dictionary_encode()
        order = np.argsort(authorities.indices.to_numpy(), kind="stable")
        self.keys: pa.Array = found.take(pa.array(order))
        counts = np.bincount(authorities.indices.to_numpy(), minlength=len(authorities.dictionary))
        ends = np.cumsum(counts)
        names = authorities.dictionary.to_pylist()
        self._spans: dict[str, list[tuple[int, int]]] = {}  # by host, without its port
        prefixes: set[bytes] = set()
        for name, end, count in zip(names, ends.tolist(), counts.tolist(), strict=True):
            self._spans.setdefault(_without_port(name), []).append((end - count, end))
            prefixes.update(prefix.encode() for prefix in surt_prefixes(name))
        self._prefixes = sorted(prefixes)
        self._names = sorted(form.encode() for host in self._spans for form in _forms(host))

    def __len__(self) -> int:
        return len(self.keys)

    def may_be_between(self, low: Bound, high: Bound) -> bool:
        """Whether a row with a wanted host may lie between these values of `url_surtkey`.

        True where the file does not tell them.
        """
        if low is None or high is None:
            return True
        first, last = _as_bytes(low), _as_bytes(high)
        at = bisect_left(self._prefixes, first)
        if at < len(self._prefixes) and self._prefixes[at] <= last:
            return True
        # The prefix of `first` itself is smaller than `first`.
        host = surt_host(first.decode("utf-8", "surrogateescape"))
        before = host.encode("utf-8", "surrogateescape")
        at = bisect_left(self._prefixes, before)
        return at < len(self._prefixes) and self._prefixes[at] == before

    def may_be_named_between(self, low: Bound, high: Bound) -> bool:
        """The same of `url_host_name`, whose values are in lower case in this index."""
        if low is None or high is None:
            return True
        at = bisect_left(self._names, _as_bytes(low))
        return at < len(self._names) and self._names[at] <= _as_bytes(high)

    def hosts_among(self, names: Sequence[str]) -> tuple[np.ndarray, list[str]]:
        """Which of these host names are wanted (bool), and as which hosts of ours."""
        hosts = [self._host(name) for name in names]
        mask = np.fromiter((host is not None for host in hosts), bool, len(hosts))
        return mask, sorted({host for host in hosts if host is not None})

    def matches(
        self, urls: pa.Array, hosts: Sequence[str] | None = None
    ) -> tuple[pa.Array, pa.Array]:
        """Which of these URLs are wanted: their positions, and their keys.

        Only keys of `hosts` are looked for; None: all keys.
        """
        keys = keys_of(urls)
        at = pc.indices_nonzero(
            pc.is_in(keys, value_set=self._keys_of_hosts(hosts), skip_nulls=True)
        )
        return at, keys.take(at)

    def _host(self, name: str) -> str | None:
        """The host under which this name's links are; None if there are none."""
        host = name[4:] if name.startswith("www.") else name
        if host in self._spans:
            return host
        if name in self._spans:  # www.com
            return name
        if name.isascii() and name.islower() and not name.endswith("."):
            return None
        page = canonical(f"http://{name}/")
        bare = _without_port(page.key.partition("/")[0]) if isinstance(page, Canonical) else ""
        return bare if bare in self._spans else None

    def _keys_of_hosts(self, hosts: Sequence[str] | None) -> pa.Array:
        if hosts is None:
            return self.keys
        spans = [span for host in hosts for span in self._spans[host]]
        if not spans:
            return self.keys.slice(0, 0)
        return pa.concat_arrays([self.keys.slice(start, end - start) for start, end in spans])


def in_index_order(keys: pa.Array) -> np.ndarray:
    """The order (positions) in which an index has the hosts of these keys."""
    authorities = pc.replace_substring_regex(keys, "/.*$", "").dictionary_encode()
    prefixes = [min(surt_prefixes(name)) for name in authorities.dictionary.to_pylist()]
    rank = np.empty(len(prefixes), int)
    rank[np.array(sorted(range(len(prefixes)), key=prefixes.__getitem__), int)] = np.arange(
        len(prefixes)
    )
    return np.argsort(rank[authorities.indices.to_numpy()], kind="stable")


def _forms(host: str) -> tuple[str, str]:
    return host, f"www.{host}"


def _without_port(authority: str) -> str:
    host, _, port = authority.rpartition(":")
    return host if port.isdigit() and host and not host.endswith(":") else authority


def _as_bytes(value: bytes | str) -> bytes:
    return value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
