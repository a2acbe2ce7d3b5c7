"""`webtext doctor` over real files, a store and a server on loopback."""

import bz2
import json
import resource
import threading
import tomllib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from pyarrow.fs import FileSelector

from pipeline.settings import Settings
from tools.build import RECORD, RECORD_HEAD
from tools.cli import main
from tools.doctor import dumps, machine
from tools.doctor.dumps import months_missing

ROOT = Path(__file__).resolve().parents[3]
POSTED_S = 1_348_000_000  # 2012-09-18


def submissions(count=50, age_s=86_400 * 30, posted_s=POSTED_S):
    rows = [
        {"id": f"p{n}", "url": f"http://a.example/{n}", "score": 5, "title": "t",
         "created_utc": posted_s + n, "retrieved_on": posted_s + n + age_s}
        for n in range(count)
    ]  # fmt: skip
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


@pytest.fixture
def doctor(tmp_path, capsys, monkeypatch):
    """Runs it in a folder with these dumps; the checks by name, and the exit code."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, "_torch", lambda: machine.ok("torch", "not asked in tests"))

    def run(*words, more="", **files):
        for name, data in files.items():
            (tmp_path / name.replace("__", "-")).write_bytes(data)
        if files or more:
            (tmp_path / "webtext.toml").write_text(f'[input]\ndumps = ["R*"]\n{more}')
        code = main(["doctor", *words, "--json"])
        found = {check["name"]: check for check in json.loads(capsys.readouterr().out)}
        assert code == int(any(check["state"] == "wrong" for check in found.values()))
        assert all(bool(check["mend"]) == (check["state"] != "ok") for check in found.values())
        return found

    return run


def test_a_whole_dump_on_a_machine_that_will_do_is_all_well(doctor):
    found = doctor(RS_2012__09=submissions())
    assert {check["state"] for check in found.values()} <= {"ok", "warning"}
    assert found["dump RS_2012-09"]["told"].startswith("6.2 kB, plain")
    assert found["scores of 2012-09"]["told"] == (
        "0% of 50 were read less than a day after posting"
    )
    assert "no server" in found["clock"]["told"]
    assert found["dns"]["told"].startswith("no name was looked up")


def test_a_torn_dump_is_wrong_and_a_warning_where_it_is_accepted(doctor):
    torn = bz2.compress(submissions())[:-20]
    check = doctor(RS_2012__09=torn)["dump RS_2012-09"]
    assert check["state"] == "wrong"
    assert f"it breaks off at byte {len(torn)}" in check["told"]
    check = doctor(RS_2012__09=torn, more="[links]\naccept_torn = true\n")["dump RS_2012-09"]
    assert check["state"] == "warning"


@pytest.mark.parametrize(
    ("name", "data", "state", "told"),
    [
        ("RS_2012__09", b"", "warning", "it is empty"),
        ("RC_2012__09", submissions(), "wrong", "by its name it holds comments"),
        ("RS_2012__09", b"<!doctype html><html>", "wrong", "an HTML page"),
        ("RS_2012__09", submissions(posted_s=1_560_000_000), "warning", "100% of its first"),
        ("R_mine", submissions(), "ok", "its name tells no month"),
    ],
)
def test_what_is_wrong_with_a_dump_is_told_with_its_name(doctor, name, data, state, told):
    check = doctor(**{name: data})[f"dump {name.replace('__', '-')}"]
    assert check["state"] == state
    assert told in check["told"]


def test_scores_that_were_read_too_early_are_a_warning_for_their_month(doctor):
    early = submissions(age_s=60)
    check = doctor(RS_2012__09=early)["scores of 2012-09"]
    assert (check["state"], check["told"][:4]) == ("warning", "100%")
    accepted = doctor(RS_2012__09=early, more="[links]\naccept_immature_scores = true\n")
    assert accepted["scores of 2012-09"]["state"] == "ok"


def test_dumps_that_are_not_there_and_settings_that_cannot_be_read_are_wrong(doctor, tmp_path):
    (tmp_path / "webtext.toml").write_text('[input]\ndumps = ["nowhere/*"]\n')
    assert "no file matches nowhere/*" in doctor()["dumps"]["told"]
    (tmp_path / "webtext.toml").write_text("[links]\nkarma_min = -3\n")
    found = doctor()
    assert "links.karma_min is -3" in found["settings"]["told"]
    assert found["disk"]["state"] == "ok"  # all else is looked at with the defaults


def test_months_between_dumps_are_missed():
    names = ["RS_2012-11.zst", "RS_v2_2013-02.xz", "RS_2013-01-05.jsonl", "other"]
    assert months_missing(names) == ["2012-12"]
    assert months_missing([]) == months_missing(["RS_2012-09"]) == []


def test_the_settings_of_a_build_are_those_that_it_was_made_with(doctor, tmp_path):
    dumps_here = tmp_path / "data"
    dumps_here.mkdir()
    (dumps_here / "RS_2012-09").write_bytes(submissions())
    build = tmp_path / "build"
    build.mkdir()
    record = f'{RECORD_HEAD}\n# Paths are relative to {dumps_here}\n\n[input]\ndumps = ["RS_*"]\n'
    (build / RECORD).write_text(record)
    found = doctor("build")
    assert found["settings"]["told"] == "those that build was made with"
    assert found["dump RS_2012-09"]["state"] == "ok"
    assert found["store"]["told"] == "build: a probe was written and removed"
    assert [path.name for path in build.iterdir()] == [RECORD]


def test_without_settings_the_machine_is_looked_at_and_the_dumps_are_asked_for(doctor):
    found = doctor()
    assert found["settings"]["state"] == found["dumps"]["state"] == "warning"


def test_a_full_disk_and_a_folder_that_cannot_be_written_are_wrong(doctor):
    floor = f"[engine]\nfree_disk_min_bytes = {1 << 60}\n"
    check = doctor(RS_2012__09=submissions(), more=floor)["disk"]
    assert check["state"] == "wrong"
    assert "below engine.free_disk_min_bytes" in check["told"]
    check = doctor("webtext.toml/build")["disk"]
    assert check["state"] == "wrong"
    assert check["told"].endswith("/webtext.toml cannot be written")


def test_windows_above_the_memory_are_wrong_and_too_many_at_once_a_warning(monkeypatch):
    monkeypatch.setattr(dumps, "available_memory", lambda: 3 << 30)
    settings = replace(Settings(), engine=replace(Settings().engine, workers=2))
    states = [
        dumps._windows(windows, settings).state
        for windows in ([1 << 31, 1 << 27], [1 << 31, 1 << 31, 0], [1 << 32, 0])
    ]
    assert states == ["ok", "warning", "wrong"]
    monkeypatch.setattr(dumps, "available_memory", lambda: None)
    assert dumps._windows([1 << 40], settings).state == "ok"


def test_a_bucket_is_probed_and_nothing_stays_in_it(doctor, server):
    found = doctor(server.uri("doctor/build"))
    assert found["store"]["state"] == "ok"
    assert "a probe was written, read and removed" in found["store"]["told"]
    assert "disk" not in found
    listed = server.files().get_file_info(FileSelector(server.bucket, recursive=True))
    assert not [each.path for each in listed if "probe" in each.path]


def test_a_bucket_that_is_not_there_is_wrong(doctor, server):
    uri = server.uri("build").replace(f"s3://{server.bucket}", "s3://no-such-bucket")
    check = doctor(uri)["store"]
    assert check["state"] == "wrong"
    assert "no-such-bucket" in check["told"]


@pytest.fixture
def clock():
    """A server whose clock is off by so many seconds (of `skew_s`)."""

    class Handler(BaseHTTPRequestHandler):
        skew_s = 0.0

        def do_HEAD(self):
            self.send_response_only(404)
            if Handler.skew_s is not None:
                moment = datetime.now(UTC) + timedelta(seconds=Handler.skew_s)
                self.send_header("Date", format_datetime(moment, usegmt=True))
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Handler, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("skew_s", "state", "told"),
    [
        (0, "ok", "this clock is "),
        (-300, "warning", "ahead of that of 127.0.0.1"),
        (3_600, "wrong", "behind that of 127.0.0.1"),
        (None, "warning", "told no time"),
    ],
)
def test_the_clock_of_a_server_is_compared_where_it_is_asked(doctor, clock, skew_s, state, told):
    handler, url = clock
    handler.skew_s = skew_s
    found = doctor("--ask", url)
    assert found["dns"]["told"] == "127.0.0.1 is 127.0.0.1"
    assert found["clock of a server"]["state"] == state
    assert told in found["clock of a server"]["told"]


def test_a_name_that_cannot_be_looked_up_is_wrong(doctor):
    check = doctor("--ask", "no..name")["dns"]
    assert check["state"] == "wrong"
    assert "clock of a server" not in doctor("--ask", "no..name")


@pytest.mark.parametrize(
    ("sources", "contact", "state"),
    [
        ('["warc"]', "", "ok"),
        ('["warc"]', "me@example.org", "ok"),
        ('["warc"]', "me", "warning"),
        ('["warc", "live"]', "", "wrong"),
        ('["live"]', "https://example.org/crawler", "ok"),
    ],
)
def test_a_contact_is_wanted_by_a_build_that_fetches(doctor, sources, contact, state):
    more = f'[pages]\nsources = {sources}\n[fetch]\ncontact = "{contact}"\n'
    assert doctor(RS_2012__09=submissions(), more=more)["contact"]["state"] == state


@pytest.mark.parametrize(
    ("files", "sources", "state"),
    [
        (100, ("warc",), "wrong"),
        (512, ("warc",), "warning"),
        (1024, ("warc",), "ok"),
        (1024, ("warc", "live"), "warning"),
        (resource.RLIM_INFINITY, ("live",), "ok"),
    ],
)
def test_the_limit_on_open_files_is_that_of_the_work(monkeypatch, files, sources, state):
    limits = {resource.RLIMIT_NOFILE: (files, files), resource.RLIMIT_FSIZE: (1 << 30, 1 << 30)}
    monkeypatch.setattr(resource, "getrlimit", limits.__getitem__)
    settings = replace(Settings(), pages=replace(Settings().pages, sources=sources))
    open_files, file_size = machine._file_limits(settings)
    assert open_files.state == state
    assert file_size.state == "warning"


def test_people_read_a_line_a_check_with_the_mend_below(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(machine, "_torch", lambda: machine.ok("torch", "not asked in tests"))
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("ok       python: CPython 3.") for line in lines)
    at = lines.index("warning  dumps: none are named")
    assert lines[at + 1] == "         Name them in the settings file: input.dumps."


@pytest.mark.timeout(240)
def test_torch_is_asked_in_a_process_of_its_own():
    pytest.importorskip("torch")
    check = machine._torch()
    assert check.state == "ok"
    assert "threads" in check.told


def test_what_is_said_of_python_and_of_extras_is_what_the_package_says():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    first, end = (".".join(map(str, two)) for two in (machine.PYTHON_MIN, machine.PYTHON_END))
    assert project["requires-python"] == f">={first},<{end}"
    extras = project["optional-dependencies"]
    for extra, (packages, _) in machine.EXTRAS.items():
        asked = " ".join(extras[extra])
        assert all(package in asked for package in packages)
    assert set(extras) - set(machine.EXTRAS) == {"test", "check", "benchmark", "extraction"}
