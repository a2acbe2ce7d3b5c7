"""The URLs of a build that are nearest to one that it does not know: for `webtext why`.

First those of the same host, by how alike they are; where the host is unknown too, those of hosts
with nearly its name. The work is bounded: so many links are read, so many are compared.
"""

import difflib
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.engine.store import Store

SHOWN = 3
LINKS_READ = 3_000_000  # about two seconds
BATCH_ROWS = 1 << 16
URLS_COMPARED = 2_000  # of one host: a second
HOSTS_COMPARED = 20_000
HOST_LIKENESS_MIN = 0.75  # difflib's ratio: exmaple.com and example.com have 0.91


def nearest_urls(store: Store, links: Sequence[str], key: str) -> list[str]:
    """At most SHOWN URLs in these tables of links, the nearest to a canonical `key` first."""
    host = _host(key)
    if not host:
        return []
    of_host = _urls_of(_batches(store, links), {host})
    if not of_host:
        known = _hosts(_batches(store, links))
        hosts = difflib.get_close_matches(host, known, SHOWN, HOST_LIKENESS_MIN)
        of_host = _urls_of(_batches(store, links), set(hosts))
    return sorted(of_host, key=lambda url: (-_likeness(of_host[url], key), url))[:SHOWN]


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()


def _host(key: str) -> str:
    return key.partition("/")[0]


def _urls_of(links: Iterable[pa.RecordBatch], hosts: set[str]) -> dict[str, str]:
    """URL -> key of links to these hosts, at most URLS_COMPARED."""
    found: dict[str, str] = {}
    if not hosts:
        return found
    for batch in links:
        wanted = pc.is_in(_hosts_of(batch), pa.array(sorted(hosts)))
        rows = batch.filter(wanted)
        found.update(zip(rows["url"].to_pylist(), rows["key"].to_pylist(), strict=True))
        if len(found) >= URLS_COMPARED:
            return dict(list(found.items())[:URLS_COMPARED])
    return found


def _hosts(links: Iterable[pa.RecordBatch]) -> list[str]:
    found: dict[str, None] = {}
    for batch in links:
        found.update(dict.fromkeys(pc.unique(_hosts_of(batch)).to_pylist()))
        if len(found) >= HOSTS_COMPARED:
            break
    return list(found)[:HOSTS_COMPARED]


def _hosts_of(batch: pa.RecordBatch) -> pa.Array:
    return pc.replace_substring_regex(batch["key"], pattern="/.*", replacement="")


def _batches(store: Store, links: Iterable[str]) -> Iterator[pa.RecordBatch]:
    read = 0
    for table in links:
        for batch in store.batches(table, BATCH_ROWS, ["key", "url"]):
            yield batch
            read += batch.num_rows
            if read >= LINKS_READ:
                return
