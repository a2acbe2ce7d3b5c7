"""What every store promises, on a disk and in a bucket; and what the bucket's calls cost."""

import itertools
import json
import multiprocessing
import os
import pickle
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import toy
from s3 import Proxy

from pipeline.engine import bucket as module
from pipeline.engine import claim
from pipeline.engine.bucket import Bucket
from pipeline.engine.cache import KEEP_S, Cache
from pipeline.engine.parts import Part
from pipeline.engine.store import Disk, Store
from pipeline.engine.stores import open_store
from pipeline.engine.writer import PartWriter
from pipeline.errors import BusyError, SettingsError, StageError

_prefixes = itertools.count()


@pytest.fixture(params=["disk", "bucket"])
def store(request, tmp_path) -> Store:
    if request.param == "disk":
        return open_store(tmp_path / "build")
    server = request.getfixturevalue("server")
    return open_store(server.uri(f"contract/{next(_prefixes)}"), str(tmp_path / "here"))


@pytest.fixture
def proxied(server, tmp_path):
    with Proxy(server.port) as proxy:
        uri = server.uri(f"proxied/{next(_prefixes)}", proxy.port)
        bucket = Bucket(uri, tmp_path / "here")
        yield bucket, proxy


def made(store: Store, data: bytes, name: str = "file") -> Path:
    store.scratch.mkdir(parents=True, exist_ok=True)
    path = store.scratch / name
    path.write_bytes(data)
    return path


def names_of(entries) -> list[str]:
    return [entry.name for entry in entries]


# The contract


def test_what_was_written_is_read_and_a_second_write_replaces_it(store):
    assert store.read("parts/a.json") is None
    store.write("parts/a.json", b"one")
    store.write("parts/a.json", b"two", durably=False)
    assert store.read("parts/a.json") == b"two"
    store.write("empty", b"")
    assert store.read("empty") == b""


def test_a_file_that_must_be_new_is_refused_where_one_is_there_and_that_stays(store):
    store.write("parts/a.json", b"one", new=True)
    with pytest.raises(FileExistsError):
        store.write("parts/a.json", b"two", new=True)
    assert store.read("parts/a.json") == b"one"
    assert names_of(store.entries("", below=True)) == ["parts/a.json"]


def test_a_disk_without_hard_links_refuses_too(tmp_path, monkeypatch):
    disk = Disk(tmp_path)

    def no_links(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    disk.write("a", b"one", new=True)
    with pytest.raises(FileExistsError):
        disk.write("a", b"two", new=True)
    assert disk.read("a") == b"one"


def test_json_that_is_written_anew_while_it_is_read_is_read_whole(proxied, monkeypatch):
    # Arrow asks for the size, then for so many bytes: by then they may be of a longer file.
    bucket, _ = proxied
    bucket.write_json("run.json", {"rows": "x" * 100})
    read, cut = bucket.read, [b'{"rows": "xx', b'{"rows": "xxx']
    monkeypatch.setattr(bucket, "read", lambda name: cut.pop() if cut else read(name))
    tags = iter([b"1", b"2"])  # of the second reading too
    tag = bucket._tag
    monkeypatch.setattr(bucket, "_tag", lambda name: next(tags, b"") or tag(name))
    assert bucket.read_json("run.json") == {"rows": "x" * 100}


def test_json_comes_back_and_a_damaged_file_is_told_as_such(store):
    store.write_json("a.json", {"é": [1, None]})
    assert store.read_json("a.json") == {"é": [1, None]}
    store.write("a.json", b"{")
    with pytest.raises(ValueError):
        store.read_json("a.json")


@pytest.mark.parametrize("size", [0, 1, 25 << 20])
def test_a_finished_file_is_put_in_the_store_whole(store, size):
    data = os.urandom(size)
    store.add(made(store, data), "data/x-1.bin")
    assert store.stat("data/x-1.bin").bytes == size
    with store.open("data/x-1.bin") as file:
        assert file.read() == data
    assert store.local("data/x-1.bin").read_bytes() == data


def test_a_file_is_read_at_any_place(store):
    store.add(made(store, bytes(range(256))), "data/x")
    for read in (store.open, store.map):
        with read("data/x") as file:
            file.seek(200)
            assert file.read(3) == bytes([200, 201, 202])
            assert file.size() == 256


def test_what_is_not_there_is_none_or_not_found(store):
    assert store.stat("data/none") is None
    assert store.stat("build.json/none") is None
    for read in (store.open, store.map):
        with pytest.raises(FileNotFoundError):
            read("data/none")
    assert store.entries("data") == store.folders("data") == []
    store.remove(["data/none", "other"])
    store.remove_folder("runs")


def test_the_files_of_a_folder_are_listed_by_name_and_those_below_when_asked(store):
    for name in ("b/2", "b/1", "b/c/3", "a/1", "bb/4", "top"):
        store.write(name, b"123")
    assert names_of(store.entries("b")) == ["b/1", "b/2"]
    assert names_of(store.entries("b", below=True)) == ["b/1", "b/2", "b/c/3"]
    assert names_of(store.entries("")) == ["top"]
    assert [entry.bytes for entry in store.entries("b")] == [3, 3]
    assert store.folders("b") == ["b/c"]
    assert [name for name in store.folders("") if name != "scratch"] == ["a", "b", "bb"]


def test_removed_files_are_gone_and_no_others(store):
    for name in ("data/1", "data/2", "data/3", "runs/a/x", "runs/b", "runsafe/c"):
        store.write(name, b"")
    store.remove(["data/1", "data/3"])
    store.remove_folder("runs")
    assert names_of(store.entries("", below=True)) == ["data/2", "runsafe/c"]
    store.remove(["data/2"])
    assert store.entries("data") == []


def test_times_are_the_stores_and_do_not_run_backwards(store):
    store.write("first", b"")
    time.sleep(1.1)  # an object store counts seconds
    store.write("second", b"")
    first, second = store.stat("first"), store.stat("second")
    assert first.time_s < second.time_s
    listed = {entry.name: entry.time_s for entry in store.entries("")}
    assert listed["second"] == pytest.approx(second.time_s, abs=1)


def test_parquet_and_arrow_files_are_read_from_the_store(store):
    table = pa.table({"id": ["a", "b", "c"], "n": [1, 2, 3]})
    path = made(store, b"", "t.parquet")
    pq.write_table(table, path, row_group_size=1)
    store.add(path, "data/t.parquet")
    assert store.table("data/t.parquet", ["n"]) == table.select(["n"])
    assert store.table("data/t.parquet", filters=[("n", "==", 2)])["id"].to_pylist() == ["b"]
    with store.parquet("data/t.parquet") as file:
        assert file.read_row_group(2)["id"].to_pylist() == ["c"]
    assert sum(b.num_rows for b in store.batches("data/t.parquet", 2, row_groups=[0, 2])) == 2


def test_a_store_travels_to_another_process(store):
    store.write("a", b"1")
    copy = pickle.loads(pickle.dumps(store))
    assert copy.read("a") == b"1"
    assert (copy.place, copy.scratch) == (store.place, store.scratch)


def test_a_second_build_is_refused_and_told_who_holds_the_lock_until_it_is_free(store):
    with store.locked():
        with pytest.raises(BusyError, match=f"{store.place} .* process {os.getpid()} on "):
            store.locked().__enter__()
        with pytest.raises(BusyError):  # the one that was refused left the lock alone
            store.locked().__enter__()
    with store.locked():
        pass


def test_the_log_of_a_run_has_all_events(store):
    store.write("build.json", b"")
    log = store.log("abc")
    log.write("run", pid=1)
    log.write("end")
    found = [e.name for e in store.entries("", below=True) if "log" in e.name]
    lines = [json.loads(line) for line in store.read(found[0]).splitlines()]
    assert [line["event"] for line in lines] == ["run", "end"]
    assert found[0] in log.place


def test_what_is_left_in_scratch_is_swept(store):
    path = made(store, b"1")
    store.sweep()
    assert not path.exists()


# A bucket alone


def test_two_builds_in_one_bucket_do_not_see_each_other(server, tmp_path):
    one, other = (
        Bucket(server.uri(f"apart/{name}"), tmp_path / "here") for name in ("build", "build2")
    )
    one.write("data/1", b"")
    other.write("data/2", b"")
    with one.locked(), other.locked():
        one.remove_folder("data")
        assert names_of(other.entries("data")) == ["data/2"]
        assert len(other.entries("lock")) == 1
    assert one.scratch != other.scratch


def test_a_list_of_more_than_a_thousand_objects_is_read_to_its_end(server, tmp_path):
    bucket = Bucket(server.uri("many"), tmp_path / "here")
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda n: bucket.write(f"parts/{n:04d}", b""), range(1010)))
    assert len(bucket.entries("parts")) == 1010


REQUESTS = {
    "write": {"PUT": 1},
    "add": {"PUT": 1},
    "read": {"HEAD": 1, "GET": 1},
    "read, not there": {"HEAD": 1},
    "stat": {"HEAD": 1},
    "stat, not there": {"HEAD": 1},
    "entries": {"GET": 1},
    "local": {"HEAD": 1, "GET": 1},
    "local again": {},
    "map again": {},
    "show": {},
    # Arrow looks whether it is there, and keeps the folder by an empty object.
    "remove": {"HEAD": 1, "DELETE": 1, "PUT": 1},
    "remove, not there": {"HEAD": 1},
    "remove_folder": {"HEAD": 1, "GET": 1, "POST": 1, "DELETE": 1, "PUT": 1},
}


def test_what_each_call_costs_in_requests(proxied):
    bucket, proxy = proxied
    bucket.write("seen/marker", b"")
    calls = {
        "write": lambda: bucket.write("data/a", b"x" * 1000),
        "add": lambda: bucket.add(made(bucket, b"x" * 1000), "data/b"),
        "read": lambda: bucket.read("data/a"),
        "read, not there": lambda: bucket.read("data/none"),
        "stat": lambda: bucket.stat("data/a"),
        "stat, not there": lambda: bucket.stat("data/none"),
        "entries": lambda: bucket.entries("data"),
        "local": lambda: bucket.local("data/b"),
        "local again": lambda: bucket.local("data/b"),
        "map again": lambda: bucket.map("data/b"),
        "show": lambda: bucket.show({"toy/part-00000.parquet": "data/b"}),
        "remove": lambda: bucket.remove(["data/a"]),
        "remove, not there": lambda: bucket.remove(["data/a"]),
        "remove_folder": lambda: bucket.remove_folder("data"),
    }
    proxy.count()
    found = {}
    for name, call in calls.items():
        call()
        found[name] = dict(proxy.count())
    assert found == REQUESTS


def test_an_upload_that_breaks_off_raises_and_nothing_is_under_its_name(proxied, monkeypatch):
    bucket, _ = proxied
    path = made(bucket, bytes(25 << 20))
    real = Path.open

    class Breaking:
        def __init__(self, file) -> None:
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *_) -> None:
            self.file.close()

        def read(self, size: int) -> bytes:
            if self.file.tell() > 10 << 20:
                raise OSError("the disk cannot be read")
            return self.file.read(size)

    monkeypatch.setattr(Path, "open", lambda self, *a, **k: Breaking(real(self, *a, **k)))
    with pytest.raises(OSError, match="cannot be read"):
        bucket.add(path, "data/torn")
    assert bucket.entries("data") == []


def test_a_part_whose_file_did_not_arrive_whole_is_not_committed(proxied, monkeypatch):
    bucket, _ = proxied
    out = PartWriter(bucket, "toy", "read", Part(0, "a", "a", fingerprint="0" * 32), toy.SCHEMA)
    out.write_rows([{"id": "a", "n": 1}])
    out.book("posts", rows_in=1, rows_out=1)
    # The store lost its end, or another has written there.
    monkeypatch.setattr(Bucket, "add", lambda self, path, name: self.write(name, b"short"))
    with pytest.raises(StageError, match=r"data/.*\.parquet is not in s3://.* as it was written"):
        out.commit()
    out.abandon()
    assert bucket.entries("", below=True) == []


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["500", "torn answer"])
def test_a_store_that_fails_a_third_of_all_requests_for_long_is_asked_again(proxied, kind):
    bucket, proxy = proxied
    table = pa.table({"n": range(10_000)})
    path = made(bucket, b"")
    pq.write_table(table, path)
    bucket.add(path, "data/t.parquet")
    proxy.share, proxy.kinds = 0.35, (kind,)
    for number in range(15):
        bucket.write(f"parts/{number}", b"x" * 1000)
        assert bucket.read(f"parts/{number}") == b"x" * 1000
        assert bucket.table("data/t.parquet") == table
        assert bucket.stat("data/none") is None
        assert names_of(bucket.entries("data")) == ["data/t.parquet"]
        bucket.remove([f"parts/{number}"])
    assert proxy.faults[kind] > 50


def test_a_file_that_the_store_does_not_give_is_not_called_damaged(proxied, monkeypatch):
    bucket, proxy = proxied
    monkeypatch.setattr(module, "ATTEMPTS", 1)
    path = made(bucket, b"")
    pq.write_table(pa.table({"n": [1]}), path)
    bucket.add(path, "data/t.parquet")
    for proxy.all_with in ("500", "503"):
        with pytest.raises(OSError, match="AWS Error"):
            bucket.table("data/t.parquet")
        with pytest.raises(OSError, match="AWS Error"):
            list(bucket.batches("data/t.parquet", 10))


def test_a_second_copy_of_a_file_is_not_fetched_by_another_process(proxied):
    bucket, proxy = proxied
    bucket.add(made(bucket, bytes(5 << 20)), "data/x")
    proxy.count()
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        sizes = pool.map(size_of_local, [bucket] * 6, chunksize=1)
    assert sizes == [5 << 20] * 6
    assert proxy.count()["GET"] == 1


def size_of_local(bucket: Bucket) -> int:
    return bucket.local("data/x").stat().st_size


def test_a_copy_whose_process_was_killed_is_fetched_anew(tmp_path):
    cache = Cache(tmp_path)
    context = multiprocessing.get_context("fork")
    process = context.Process(target=cache.get, args=("a", 4, die_in_the_middle))
    process.start()
    process.join()
    assert cache.find("a") is None
    assert (
        cache.get("a", 4, lambda path: path.write_bytes(b"good") and None).read_bytes() == b"good"
    )


def die_in_the_middle(path: Path) -> None:
    path.write_bytes(b"ba")
    os._exit(9)


def test_the_cache_drops_its_oldest_copies_and_none_that_was_just_asked_for(tmp_path):
    cache = Cache(tmp_path, bytes_max=300)
    for name in "abc":
        path = cache.get(name, 100, lambda path: path.write_bytes(bytes(100)) and None)
        os.utime(path, (time.time() - 2 * KEEP_S,) * 2)
    assert cache.find("a")
    cache.get("d", 100, lambda path: path.write_bytes(bytes(100)) and None)
    assert {path.name for path in tmp_path.iterdir()} == {"a", "c", "d"}
    cache.find("c")
    cache.get("e", 100, lambda path: path.write_bytes(bytes(100)) and None)
    assert {path.name for path in tmp_path.iterdir()} == {"a", "c", "d", "e"}
    assert not cache.has_room(0)


def test_where_the_cache_has_no_room_a_map_reads_ranges(proxied):
    bucket, _ = proxied
    bucket.add(made(bucket, bytes(5 << 20)), "data/x")
    bucket._cache = Cache(bucket._cache.folder, bytes_max=1 << 20)
    with bucket.map("data/x") as file:
        assert file.size() == 5 << 20
        assert file.read(10) == bytes(10)
    assert bucket._cache.find("data/x") is None


def test_a_killed_builds_lock_is_taken_over_when_it_is_stale_by_the_stores_times(
    proxied, monkeypatch
):
    bucket, _ = proxied
    elsewhere = {"pid": 7, "host": "node3", "command": "webtext build", "machine": "another"}
    bucket.write_json("lock/old.json", elsewhere)
    monkeypatch.setattr(time, "time", lambda: 0.0)  # a machine whose clock is wrong
    with pytest.raises(BusyError, match=r"process 7 on node3 \(webtext build\).* 60 seconds"):
        bucket.locked().__enter__()
    monkeypatch.setattr(claim, "STALE_S", 1.0)
    time.sleep(2.1)
    with bucket.locked():
        assert "lock/old.json" not in names_of(bucket.entries("lock"))


def test_a_lock_is_renewed_as_long_as_its_build_lives(proxied, monkeypatch):
    bucket, _ = proxied
    monkeypatch.setattr(claim, "RENEW_S", 0.2)
    monkeypatch.setattr(claim, "STALE_S", 2.0)
    monkeypatch.setattr(claim, "_is_dead", lambda holder: False)
    with bucket.locked():
        time.sleep(4)
        with pytest.raises(BusyError):
            bucket.locked().__enter__()


def test_a_holder_of_this_machine_that_is_dead_is_not_waited_for(proxied):
    bucket, _ = proxied
    process = multiprocessing.get_context("spawn").Process(target=claim_and_die, args=(bucket,))
    process.start()
    process.join()
    assert len(bucket.entries("lock")) == 1
    with bucket.locked():
        assert len(bucket.entries("lock")) == 1


def claim_and_die(bucket: Bucket) -> None:
    with bucket.locked():
        os._exit(9)


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("s3://key:secret@b/p", r"s3://b/p: credentials .* AWS_ACCESS_KEY_ID"),
        ("s3://b/p?regoin=x", "regoin is not known; known: endpoint_override, region"),
        ("s3:///p", "no place in a bucket"),
        ("gs://b/p", r"gs: is not known"),
    ],
)
def test_a_uri_that_cannot_be_used_is_refused_with_the_mend(uri, told):
    with pytest.raises(SettingsError, match=told) as error:
        open_store(uri)
    assert "secret@" not in str(error.value)


def test_a_bucket_that_is_not_there_is_refused_by_name(server):
    with pytest.raises(SettingsError, match=r"no bucket nowhere at 127.0.0.1:\d+; make it"):
        open_store(server.uri("x").replace("webtext", "nowhere"))


def test_a_store_that_nobody_answers_for_is_refused(server):
    with Proxy(server.port) as proxy:
        pass
    with pytest.raises(SettingsError, match=r"cannot be used: .* Check endpoint_override"):
        open_store(server.uri("x", proxy.port))


def test_credentials_that_the_store_refuses_are_named(server):
    with (
        Proxy(server.port, all_with="403") as proxy,
        pytest.raises(SettingsError, match="Check the credentials"),
    ):
        open_store(server.uri("x", proxy.port))


def test_a_path_and_a_file_uri_are_folders(tmp_path):
    assert isinstance(open_store(str(tmp_path)), Disk)
    assert open_store(f"file://{tmp_path}/a%20b").place == f"{tmp_path}/a b"
