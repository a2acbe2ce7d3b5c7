import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.engine.store import Disk
from tools import nearest
from tools.nearest import nearest_urls

KEYS = ("a.example/one", "a.example/two", "a.example/three", "a.example/four", "other.org/one")


@pytest.fixture
def links(tmp_path):
    """A store with links in two files, and their names."""
    names = []
    for number, keys in enumerate((KEYS[:2], KEYS[2:])):
        table = pa.table({"key": keys, "url": [f"http://{key}" for key in keys]})
        names.append(f"part-{number}.parquet")
        pq.write_table(table, tmp_path / names[-1])
    return Disk(tmp_path), names


def test_the_most_alike_of_the_same_host_come_first(links):
    assert nearest_urls(*links, "a.example/thre")[0] == "http://a.example/three"
    assert len(nearest_urls(*links, "a.example/thre")) == 3
    assert all(url.startswith("http://a.example/") for url in nearest_urls(*links, "a.example/zzz"))


def test_where_the_host_is_unknown_those_of_nearly_its_name_are_told(links):
    assert nearest_urls(*links, "othr.org/one") == ["http://other.org/one"]
    assert nearest_urls(*links, "nowhere.net/one") == []
    assert nearest_urls(*links, "") == []


def test_so_many_links_are_read_and_no_more(links, monkeypatch):
    monkeypatch.setattr(nearest, "LINKS_READ", 2)
    assert nearest_urls(*links, "other.org/one") == []
    monkeypatch.setattr(nearest, "URLS_COMPARED", 1)
    assert nearest_urls(*links, "a.example/three") == ["http://a.example/one"]
