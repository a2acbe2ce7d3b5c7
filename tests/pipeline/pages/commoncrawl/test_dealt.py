"""Links come back in the order of an index, each once."""

from itertools import pairwise

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipeline.pages.commoncrawl import dealt
from pipeline.pages.commoncrawl.surt import surt_prefixes
from pipeline.pages.sources import LINKS

HOSTS = st.sampled_from(["a.com", "b.com", "www2.b.com", "x.org", "de.wiki.org", "z.co.uk", "c.de"])


def table_of(keys):
    rows = [
        {
            "id": str(n),
            "key": key,
            "url": f"http://{key}",
            "first_post_s": n,
            "capture_hint_s": None,
        }
        for n, key in keys
    ]
    return pa.Table.from_pylist(rows, schema=LINKS)


@given(hosts=st.lists(HOSTS, max_size=40), size=st.integers(1, 7), ranges=st.integers(1, 8))
def test_ranges_hold_all_links_in_the_order_of_their_hosts(tmp_path_factory, hosts, size, ranges):
    keys = list(enumerate(f"{host}/{n}" for n, host in enumerate(hosts)))
    tables = [table_of(keys[at : at + size]) for at in range(0, len(keys), size)]
    before, dealt.RANGES = dealt.RANGES, ranges
    try:
        found = list(dealt.in_ranges(tables, tmp_path_factory.mktemp("dealt")))
    finally:
        dealt.RANGES = before
    rows = [row for table in found for row in table.to_pylist()]
    assert sorted(rows, key=lambda row: int(row["id"])) == table_of(keys).to_pylist()
    spans = [
        [min(surt_prefixes(row["key"].partition("/")[0])) for row in table.to_pylist()]
        for table in found
    ]
    for one, other in pairwise(spans):
        assert max(one) < min(other)
