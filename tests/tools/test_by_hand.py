"""`webtext extract` of pages given by hand, in real processes: text on stdout, nothing built."""

import bz2
import gzip
import json
import lzma
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import zstandard

from pipeline.documents.files_stage import COLUMNS
from pipeline.documents.quality import measure
from pipeline.errors import InputError
from tools.demo.captures import Capture, write_warc
from tools.demo.stories import article

REPO = Path(__file__).resolve().parents[2]
MOMENT = datetime(2015, 3, 1, tzinfo=UTC)
FRENCH = "<p>" + "Il pleuvait depuis trois jours et personne ne savait quand cela finirait. " * 9
SHORT = "<p>A short page of one sentence, which no rule drops here."
# Runs the command with a page that does what it says.
HOSTILE = """
import sys
import hostile
from pipeline.documents import given
from tools.cli import main

find_text = given.find_text

def obey(page, rules):
    if page.body.startswith(b"<!--ACT "):
        hostile.act(page.body[8:].partition(b"-->")[0].decode())
    return find_text(page, rules)

given.find_text = obey
sys.exit(main(sys.argv[1:]))
"""


def page_of(seed: str) -> str:
    text = "".join(f"<p>{block}</p>" for _, block in article("travel", seed).blocks)
    return f"<html><head><title>{seed}</title></head><body><article>{text}</article></body></html>"


def extract(*words: object, code: int = 0, stdin: bytes = b"", script: str = "", **given):
    """What the command says, run in a process of its own."""
    start = ["-c", script] if script else ["-m", "tools.cli"]
    command = [sys.executable, *start, "extract", *map(str, words)]
    paths = {"PYTHONPATH": f"{REPO}{os.pathsep}{REPO / 'tests'}"}
    run = subprocess.run(
        command, input=stdin, capture_output=True, env={**os.environ, **paths}, timeout=200, **given
    )
    run.stdout, run.stderr = run.stdout.decode(), run.stderr.decode()
    assert run.returncode == code, run.stderr
    assert "Traceback" not in run.stderr
    return run


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.html"
    path.write_text(page_of("one"))
    return path


def test_the_text_of_a_page_goes_to_stdout_and_nothing_is_left(page, tmp_path):
    run = extract(page)
    assert run.stdout.startswith(article("travel", "one").blocks[0][1][:40])
    assert len(run.stdout.split("\n")) > 3
    assert run.stderr == ""
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("page.php", bytes),
        ("page", bytes),
        ("page.xhtml", bytes),
        ("page.htm.gz", gzip.compress),
        ("page.zst", zstandard.compress),
        ("page.htm.bz2", bz2.compress),
        ("page.xz", lzma.compress),
    ],
)
def test_a_page_is_known_by_its_content_whatever_its_name(page, tmp_path, name, pack):
    (tmp_path / name).write_bytes(pack(page.read_bytes()))
    assert extract(tmp_path / name).stdout == extract(page).stdout


def test_stdin_is_read_for_a_dash(page, tmp_path):
    text = extract(page).stdout
    assert extract("-", stdin=page.read_bytes()).stdout == text
    assert extract("-", stdin=gzip.compress(page.read_bytes())).stdout == text
    warc = tmp_path / "a.warc.gz"
    write_warc(warc, [Capture("http://a.example/1", MOMENT, page.read_bytes())], stored=False)
    assert extract("-", stdin=warc.read_bytes()).stdout == text
    lines = (json.dumps({"html": page.read_text()}) + "\n") * 2
    assert (
        extract("-", stdin=lines.encode()).stdout == f"==> -:1 <==\n{text}\n==> -:2 <==\n{text}\n"
    )


def test_several_pages_have_their_names_before_them(page, tmp_path):
    (tmp_path / "site" / "deep").mkdir(parents=True)
    (tmp_path / "site" / "b.html").write_text(SHORT)
    (tmp_path / "site" / ".hidden.html").write_text(SHORT)
    (tmp_path / "site" / "deep" / "a").write_text(SHORT)
    write_warc(
        tmp_path / "site" / "c.warc.gz",
        [
            Capture("http://a.example/1", MOMENT, SHORT.encode()),
            Capture("http://a.example/1", MOMENT, kind="request", block=b"GET / HTTP/1.1"),
            Capture("http://a.example/gone", MOMENT, SHORT.encode(), 404),
        ],
        stored=False,
    )
    rows = [{"id": 7, "html": SHORT}, {"url": "http://b.example/", "html": SHORT}, {"html": SHORT}]
    (tmp_path / "site" / "d").write_text("\n".join(map(json.dumps, rows)))
    run = extract("site", "page.html", code=1, cwd=tmp_path)
    heads = [line[4:-4] for line in run.stdout.split("\n") if line.startswith("==> ")]
    assert heads == [
        *("site/b.html", "site/c.warc.gz: http://a.example/1"),
        *("site/d: 7", "site/d: http://b.example/", "site/d:3"),
        *("site/deep/a", "page.html"),
    ]
    assert run.stdout.count("A short page of one sentence") == 6
    gone = "[status_error] The server answered with an error status. status 404"
    assert run.stderr.split("\n")[:-1] == [
        f"webtext: site/c.warc.gz: http://a.example/gone: {gone}",
        "webtext: site/c.warc.gz: 1 records are no pages (requests, redirects, images)",
    ]


def test_a_text_that_a_build_would_drop_is_given_and_json_tells_why(tmp_path):
    (tmp_path / "fr").write_text(FRENCH)
    (tmp_path / "short").write_text(SHORT)
    (tmp_path / "fine").write_text(page_of("one"))
    run = extract("fr", cwd=tmp_path)
    assert run.stdout.startswith("Il pleuvait depuis trois jours")
    assert run.stderr == ""
    run = extract("fr", "short", "fine", "--json", cwd=tmp_path)
    french, short, fine = map(json.loads, run.stdout.splitlines())
    assert {*french} == {*COLUMNS, "name", "kept", "reason", "detail"}
    assert (french["name"], french["kept"], french["reason"]) == ("fr", False, "other_language")
    assert french["language"] == "fr"
    assert french["detail"].startswith("fr ")
    assert french["text"].startswith("Il pleuvait")
    assert (short["kept"], short["reason"], short["detail"]) == (
        False,
        "too_short",
        "55 characters",
    )
    assert (fine["kept"], fine["reason"], fine["detail"]) == (True, None, None)
    assert fine["quality"] == pytest.approx(measure(fine["text"]), rel=1e-6)
    assert (fine["title"], fine["language"], fine["id"]) == ("one", "en", "fine")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["--languages", "en"],
            "[other_language] The text is not in a language that was asked for",
        ),
        (["--language-score-min", "0.9"], "[other_language]"),
        (["--text-chars-min", "5000"], "[too_short] The text is shorter than the limit. 6"),
        (["--text-chars-max", "100"], "[too_long] The text is longer than the limit. 6"),
        (["--languages", "fr"], ""),
        (["--text-chars-min", "100", "--text-chars-max", "1000"], ""),
    ],
)
def test_a_rule_drops_a_page_where_it_is_asked_for(tmp_path, words, said):
    (tmp_path / "fr").write_text(FRENCH)
    run = extract("fr", *words, code=1 if said else 0, cwd=tmp_path)
    assert run.stdout.startswith("" if said else "Il pleuvait")
    assert bool(run.stdout) != bool(said)
    assert run.stderr.startswith(f"webtext: fr: {said}" if said else "")
    run = extract("fr", *words, "--json", code=1 if said else 0, cwd=tmp_path)
    assert json.loads(run.stdout)["text"].startswith("Il pleuvait")


@pytest.mark.parametrize(
    ("data", "reason", "detail"),
    [
        (b"%PDF-1.4 " + bytes(99), "not_html", "PDF"),
        (b"PK\3\4 and more", "not_html", "zip"),
        (b'{"a": [1,\n2]}', "not_html", "JSON"),
        (b"words without a tag", "not_html", "no markup"),
        (b"", "page_empty", ""),
        (b"<p>", "no_text", ""),
        (b"<br>" * 200_000, "too_many_tags", '200000 "<"'),
        (bz2.compress(bytes(9 << 20)), "body_too_large", "8388609 bytes"),
    ],
)
def test_what_gives_no_text_is_told_with_its_reason_and_others_come(tmp_path, data, reason, detail):
    (tmp_path / "bad").write_bytes(data)
    (tmp_path / "good").write_text(SHORT)
    run = extract("bad", "good", code=1, cwd=tmp_path)
    assert run.stderr.startswith(f"webtext: bad: [{reason}] ")
    assert run.stderr.endswith(f"{detail}\n")
    assert run.stdout == "==> good <==\nA short page of one sentence, which no rule drops here.\n\n"
    bad, good = map(
        json.loads, extract("bad", "good", "--json", code=1, cwd=tmp_path).stdout.split("\n")[:-1]
    )
    assert (bad["name"], bad["kept"], bad["reason"], bad["text"]) == ("bad", False, reason, None)
    assert {*bad} == {*good}


def test_what_cannot_be_read_is_told_and_others_come(page, tmp_path):
    (tmp_path / "torn.warc.gz").write_bytes(gzip.compress(b"WARC/1.0\r\nWARC-Type: x\r\n")[:-9])
    (tmp_path / "empty").mkdir()
    name = os.fsdecode(b"p\xff.html")
    (tmp_path / name).write_text(SHORT)
    run = extract(
        "gone",
        "torn.warc.gz",
        "empty",
        name,
        code=2,
        cwd=tmp_path,
    )
    first, second, third = run.stderr.splitlines()
    assert first == "webtext: gone: there is no such file or folder. Check the name."
    assert second.startswith("webtext: torn.warc.gz, byte 0: the file ends within the record")
    assert third == "webtext: empty: the folder has no files. Hidden ones do not count."
    assert run.stdout.startswith("==> p\\xff.html <==\nA short page")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read_is_told(page):
    page.chmod(0)
    told = extract(page, code=InputError.exit_code).stderr
    assert told == f"webtext: {page}: cannot be read: Permission denied. Check its permissions.\n"


def test_a_file_that_the_system_does_not_give_is_told(page):
    run = extract("/proc/self/mem", page, code=InputError.exit_code)
    assert run.stderr.startswith("webtext: /proc/self/mem: cannot be read: Input/output error. ")
    assert run.stdout.startswith(f"==> {page} <==\n")


@pytest.mark.parametrize(
    ("act", "reason", "words"),
    [
        ("spin", "timed_out", ["--item-cpu-s", "1"]),
        ("sleep", "timed_out", ["--item-wall-s", "2"]),
        ("eat memory", "out_of_memory", ["--worker-memory-bytes", "200000000"]),
        ("segfault", "crashed", []),
        ("raise", "extraction_failed", []),
    ],
)
def test_a_page_that_breaks_its_limits_costs_itself(tmp_path, act, reason, words):
    (tmp_path / "bad").write_text(f"<!--ACT {act}-->{SHORT}")
    (tmp_path / "good").write_text(SHORT)
    run = extract("bad", "good", "bad", *words, code=1, script=HOSTILE, cwd=tmp_path)
    assert run.stderr.count(f"webtext: bad: [{reason}] ") == 2
    assert run.stdout.count("A short page") == 1


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_a_signal_ends_it_with_its_code_and_leaves_no_child_and_no_copy(tmp_path, signum, code):
    page = f"<!--ACT sleep-->{SHORT}".encode()
    temporary = {"TMPDIR": str(tmp_path), "PYTHONPATH": f"{REPO}{os.pathsep}{REPO / 'tests'}"}
    command = [sys.executable, "-c", HOSTILE, "extract", "-"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **temporary}
    ) as webtext:
        webtext.stdin.write(page)
        webtext.stdin.close()
        listed = Path(f"/proc/{webtext.pid}/task/{webtext.pid}/children")
        deadline = time.monotonic() + 100
        while not (children := listed.read_text().split()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        webtext.send_signal(signum)
        assert webtext.wait(100) == code
        assert b"Traceback" not in webtext.stderr.read()
    assert not Path(f"/proc/{children[0]}").exists()
    assert list(tmp_path.iterdir()) == []


def test_a_text_comes_before_the_next_page_is_worked_on(tmp_path):
    (tmp_path / "good").write_text(SHORT)
    (tmp_path / "slow").write_text(f"<!--ACT sleep-->{SHORT}")
    paths = {"PYTHONPATH": f"{REPO}{os.pathsep}{REPO / 'tests'}"}
    command = [sys.executable, "-c", HOSTILE, "extract", "good", "slow"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, cwd=tmp_path, env={**os.environ, **paths}
    ) as webtext:
        assert webtext.stdout.readline() == b"==> good <==\n"
        assert webtext.poll() is None
        webtext.terminate()
        assert webtext.wait(100) == 75


def test_limits_count_anew_for_each_page(tmp_path):
    for n in range(6):
        (tmp_path / f"{n}").write_text(page_of("one") * 20)
    extract(".", "--item-cpu-s", "1", cwd=tmp_path)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name a file or a folder, or - for stdin"),
        (
            ["x", "--workers", "2"],
            "--workers does nothing without --out; leave it out, or give --out",
        ),
        (["x", "--runner", "DirectRunner"], "--runner does nothing without --out"),
        (["x", "--range-bytes", "9"], "--range-bytes does nothing without --out"),
        (["x", "--text-chars-max", "few"], "--text-chars-max is 'few'"),
    ],
)
def test_what_does_nothing_here_is_refused_before_any_work(tmp_path, words, said):
    run = extract(*words, code=2, cwd=tmp_path)
    assert said in run.stderr
    assert run.stdout == ""


def test_a_reader_that_goes_away_is_no_error(tmp_path):
    (tmp_path / "pages.jsonl").write_text((json.dumps({"html": page_of("one")}) + "\n") * 200)
    command = [sys.executable, "-m", "tools.cli", "extract", str(tmp_path / "pages.jsonl")]
    with subprocess.Popen(
        command, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as webtext:
        assert (
            webtext.stdout.readline() == b"==> " + str(tmp_path).encode() + b"/pages.jsonl:1 <==\n"
        )
        webtext.stdout.close()
        assert webtext.wait(100) == 0
        assert webtext.stderr.read() == b""


def test_one_page_loads_neither_the_language_model_nor_what_a_build_needs(page):
    script = "import sys; from tools.cli import main; main(sys.argv[1:]); print(*sys.modules)"
    script += "; from pipeline.documents.language import _identifier"
    script += "; print(_identifier.cache_info().currsize)"
    told = extract(page, script=script).stdout.split()
    assert told[-1] == "0"
    assert not {"apache_beam", "pyarrow", "torch", "pebble", "ftfy", "tokenizers"} & {*told}
    assert extract(page, "--json", script=script).stdout.split()[-1] == "1"
