"""A hostile web: each site gets one named outcome, within limits, and nothing passes the guard."""

import asyncio
import socket
import ssl
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise

import hostile_web as web
import pyarrow.parquet as pq
import pytest
import trustme
from hostile_web import ABORT, HTML, PAGE, Web, answer, chunked, on_page, packed, redirect, robots

from pipeline.links.canonical import canonical, link_id
from pipeline.pages.archive.outcomes import ANSWER, Outcome, Source
from pipeline.pages.archive.segments import Archive, Folder
from pipeline.pages.fetch.frontier import Frontier
from pipeline.pages.fetch.guard import Guard
from pipeline.pages.fetch.program import Program, Rules
from pipeline.pages.fetch.sites import Sites
from pipeline.pages.fetch.transport import Http, Limits
from pipeline.pages.fetch.worklist import Counts, make_worklist, read_links
from pipeline.pages.warc import records
from pipeline.settings import PREFERENCES

BODY_MAX, DECODED_MAX, HEADER_MAX = 256 << 10, 1 << 20, 64 << 10
TRAP = "127.0.0.2"  # not opened, and a server listens there


@dataclass(frozen=True)
class Case:
    """One site. `url` is what is asked of it, if not http://NAME.test/page."""

    script: web.Script
    outcome: Outcome
    url: str = ""


def page(*steps: web.Step) -> web.Script:
    return on_page(steps)


def way_of(*hosts: str) -> dict[str, web.Script]:
    """Sites each of which leads to the next."""
    return {host: page(redirect(f"http://{there}/page")) for host, there in pairwise(hosts)}


def rules_only(robots_steps: list[web.Step], page_steps: list[web.Step] = ()) -> web.Script:
    def script(request):
        if request.path == "/robots.txt":
            return robots_steps
        if request.path.startswith("/.well-known"):
            return [answer(b"", "404 Not Found")]
        return list(page_steps) or [answer()]

    return script


def tdmrep(text: bytes) -> web.Script:
    def script(request):
        if request.path == "/robots.txt":
            return [answer(b"", "404 Not Found")]
        return [answer(text, mime="application/json") if "well-known" in request.path else answer()]

    return script


OK, LOST, SLOW = Outcome.CAPTURED, Outcome.CONNECTION_LOST, Outcome.ANSWER_TIMED_OUT
PRIVATE, INVALID = Outcome.HOST_PRIVATE, Outcome.HTTP_INVALID
DRIP = [answer(b"", mime=HTML).replace(b"Length: 0", b"Length: 5000"), *([b"x", 0.3] * 100)]
CASES = {
    "plain": Case(page(answer()), OK),
    "gzip": Case(page(answer(packed(PAGE, "gzip"), "200 OK", ("Content-Encoding", "gzip"))), OK),
    "deflate": Case(
        page(answer(packed(PAGE, "deflate"), "200 OK", ("Content-Encoding", "deflate"))), OK
    ),
    "raw-deflate": Case(
        page(answer(packed(PAGE * 9, "raw"), "200 OK", ("Content-Encoding", "deflate"))), OK
    ),
    "brotli": Case(page(answer(packed(PAGE, "br"), "200 OK", ("Content-Encoding", "br"))), OK),
    "not-gzip": Case(page(answer(PAGE, "200 OK", ("Content-Encoding", "gzip"))), OK),
    "unsaid-gzip": Case(page(answer(packed(PAGE, "gzip"))), OK),
    "chunked": Case(
        page(answer(chunked(PAGE, b""), "200 OK", ("Transfer-Encoding", "chunked"))), OK
    ),
    "until-close": Case(page(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", PAGE), OK),
    "http-1-0": Case(page(b"HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n", PAGE), OK),
    "no-type": Case(page(answer(mime="")), OK),
    "odd-status-203": Case(page(answer(PAGE, "203 Non-Authoritative")), OK),
    "continue-first": Case(page(b"HTTP/1.1 100 Continue\r\n\r\n", answer()), OK),
    "slow-but-whole": Case(page(answer()[:90], 0.3, answer()[90:]), OK),
    "latin-header": Case(page(answer(PAGE, "200 OK", ("X-Name", "caf\xe9"))), OK),
    "redirect-relative": Case(
        lambda request: page(answer() if request.path == "/there" else redirect("there#x"))(
            request
        ),
        OK,
    ),
    "redirect-utf8": Case(
        lambda request: page(answer() if "%C3%A9" in request.path else redirect("/caf\xc3\xa9"))(
            request
        ),
        OK,
    ),
    "refresh": Case(
        lambda request: page(
            answer()
            if request.path == "/there"
            else answer(b'<meta http-equiv="refresh" content="0; url=/there">')
        )(request),
        OK,
    ),
    "hops-5a": Case(page(redirect("http://hops-5b.test/page")), OK),
    "hops-6a": Case(page(redirect("http://hops-6b.test/page")), Outcome.REDIRECT_LOOP),
    "to-https": Case(
        lambda request: page(
            answer() if "secure" in request.path else redirect("https://to-https.test/secure")
        )(request),
        OK,
    ),
    "status-404": Case(page(answer(b"gone", "404 Not Found")), Outcome.STATUS_ERROR),
    "status-410": Case(page(answer(b"gone", "410 Gone")), Outcome.STATUS_ERROR),
    "status-403": Case(page(answer(b"no", "403 Forbidden")), Outcome.STATUS_ERROR),
    "status-204": Case(page(b"HTTP/1.1 204 No Content\r\n\r\n"), Outcome.STATUS_ERROR),
    "status-304": Case(page(b"HTTP/1.1 304 Not Modified\r\n\r\n"), Outcome.STATUS_ERROR),
    "status-300": Case(page(answer(b"many", "300 Multiple Choices")), Outcome.STATUS_ERROR),
    "status-999": Case(page(answer(b"", "999 Denied")), Outcome.SERVER_ERROR),
    "status-500": Case(page(answer(b"", "500 Error")), Outcome.SERVER_ERROR),
    "status-408": Case(page(answer(b"", "408 Timeout")), Outcome.SERVER_ERROR),
    "status-429": Case(
        page(answer(b"", "429 Too Many", ("Retry-After", "0"))), Outcome.SERVER_BUSY
    ),
    "status-503": Case(page(answer(b"", "503 Busy", ("Retry-After", "1"))), Outcome.SERVER_BUSY),
    "long-error": Case(page(answer(b"x" * 300_000, "404 Not Found")), Outcome.STATUS_ERROR),
    "redirect-self": Case(page(redirect("/page")), Outcome.REDIRECT_LOOP),
    "redirect-counting": Case(
        lambda request: page(redirect(request.path + "x"))(request), Outcome.REDIRECT_LOOP
    ),
    "redirect-ring-a": Case(
        page(redirect("http://redirect-ring-b.test/page")), Outcome.REDIRECT_LOOP
    ),
    "redirect-nowhere": Case(page(answer(b"", "301 Moved")), Outcome.REDIRECT_LOST),
    "redirect-file": Case(page(redirect("file:///etc/passwd")), Outcome.SCHEME_NOT_HTTP),
    "redirect-ftp": Case(page(redirect("ftp://plain.test/x")), Outcome.SCHEME_NOT_HTTP),
    "redirect-script": Case(page(redirect("javascript:alert(1)")), Outcome.SCHEME_NOT_HTTP),
    "redirect-data": Case(page(redirect("data:text/html,<p>x")), Outcome.SCHEME_NOT_HTTP),
    "redirect-broken": Case(page(redirect("http://[bad/")), Outcome.URL_INVALID),
    "redirect-password": Case(page(redirect("http://u:p@plain.test/")), Outcome.URL_CREDENTIALS),
    "redirect-long": Case(page(redirect("/" + "x" * 9_000)), Outcome.URL_TOO_LONG),
    "redirect-port-22": Case(page(redirect("http://plain.test:22/")), Outcome.PORT_NOT_ALLOWED),
    "redirect-port-8080": Case(page(redirect("http://plain.test:8080/")), Outcome.PORT_NOT_ALLOWED),
    "redirect-metadata": Case(page(redirect("http://169.254.169.254/latest/")), PRIVATE),
    "redirect-10": Case(page(redirect("http://10.0.0.1/")), PRIVATE),
    "redirect-v6": Case(page(redirect("http://[::1]:{trap}/")), PRIVATE),
    "redirect-mapped": Case(page(redirect("http://[::ffff:127.0.0.2]:{trap}/")), PRIVATE),
    "redirect-trap": Case(page(redirect("http://127.0.0.2:{trap}/")), PRIVATE),
    "redirect-decimal": Case(page(redirect("http://2130706434:{trap}/")), PRIVATE),
    "redirect-octal": Case(page(redirect("http://0177.0.0.2:{trap}/")), PRIVATE),
    "redirect-hex": Case(page(redirect("http://0x7f.0.0.0x2:{trap}/")), PRIVATE),
    "redirect-localhost": Case(page(redirect("http://localhost:{trap}/")), PRIVATE),
    "refresh-private": Case(
        page(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n",
            b'<meta http-equiv=refresh content="0;http://127.0.0.2:{trap}/">',
        ),
        PRIVATE,
    ),
    "pdf": Case(
        page(answer(b"%PDF-1.4" + b"z" * 99_999, mime="application/pdf")), Outcome.NOT_A_PAGE
    ),
    "image": Case(page(answer(b"GIF89a", mime="image/gif")), Outcome.NOT_A_PAGE),
    "json": Case(page(answer(b"{}", mime="application/json")), Outcome.NOT_A_PAGE),
    "large": Case(page(answer(b"x" * (BODY_MAX + 1))), Outcome.BODY_TOO_LARGE),
    "says-large": Case(
        page(answer(PAGE, "200 OK", ("Content-Length", "99999999999"))), Outcome.BODY_TOO_LARGE
    ),
    "endless": Case(
        page(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", *[b"x" * 65_536] * 2_000),
        Outcome.BODY_TOO_LARGE,
    ),
    "endless-chunks": Case(
        page(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n",
            *[chunked(b"y" * 65_536)] * 2_000,
        ),
        Outcome.BODY_TOO_LARGE,
    ),
    "bomb": Case(
        page(answer(web.bomb(200 << 20), "200 OK", ("Content-Encoding", "gzip"))),
        Outcome.BODY_TOO_LARGE,
    ),
    "bomb-in-bomb": Case(
        page(
            answer(packed(web.bomb(20 << 20), "gzip"), "200 OK", ("Content-Encoding", "gzip, gzip"))
        ),
        Outcome.BODY_TOO_LARGE,
    ),
    "encodings": Case(
        page(answer(b"\0\1\2", "200 OK", ("Content-Encoding", ", ".join(["gzip"] * 9)))),
        Outcome.BODY_UNDECODABLE,
    ),
    "garbage-gzip": Case(
        page(answer(b"\x1f\x8b\x08\0" + b"\xff" * 200, "200 OK", ("Content-Encoding", "gzip"))),
        Outcome.BODY_UNDECODABLE,
    ),
    "empty": Case(page(answer(b"")), Outcome.PAGE_EMPTY),
    "blank": Case(page(answer(b" \r\n\t ")), Outcome.PAGE_EMPTY),
    "not-http": Case(page(b"SSH-2.0-OpenSSH_9.6\r\n"), INVALID),
    "not-http-binary": Case(page(bytes(range(256)) * 4), INVALID),
    "bad-status": Case(page(b"HTTP/1.1 abc OK\r\n\r\n"), INVALID),
    "bad-header": Case(
        page(b"HTTP/1.1 200 OK\r\nX Bad: 1\r\n\x01\x02: x\r\nContent-Length: 5\r\n\r\nhello"),
        INVALID,
    ),
    "two-lengths": Case(
        page(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 9\r\n\r\nhello"), INVALID
    ),
    "bad-length": Case(page(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nhello"), INVALID),
    "bad-chunk": Case(
        page(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n"), INVALID
    ),
    "headers-300-kb": Case(
        page(answer(PAGE, "200 OK", *[(f"X-{n}", "v" * 1_000) for n in range(300)])),
        Outcome.HEADER_TOO_LARGE,
    ),
    "header-line-100-kb": Case(
        page(answer(PAGE, "200 OK", ("X-Long", "v" * 100_000))), Outcome.HEADER_TOO_LARGE
    ),
    "headers-10000": Case(
        page(answer(PAGE, "200 OK", *[("X", "v")] * 10_000)), Outcome.HEADER_TOO_LARGE
    ),
    "headers-endless": Case(
        page(b"HTTP/1.1 200 OK\r\n", *[b"X: " + b"v" * 500 + b"\r\n"] * 5_000),
        Outcome.HEADER_TOO_LARGE,
    ),
    "status-line-endless": Case(
        page(b"HTTP/1.1 200 ", *[b"x" * 1_000] * 500), Outcome.HEADER_TOO_LARGE
    ),
    "closes-at-once": Case(page(), LOST),
    "resets-at-once": Case(page(ABORT), LOST),
    "resets-in-head": Case(page(b"HTTP/1.1 200 OK\r\nContent-Ty", 0.05, ABORT), LOST),
    "resets-in-body": Case(page(answer(b"x" * 9_999)[:5_000], 0.05, ABORT), LOST),
    "short": Case(page(answer(b"x" * 9_999)[:5_000], 0.05), LOST),
    "short-chunks": Case(
        page(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n",
            chunked(PAGE),
        ),
        LOST,
    ),
    "stalls": Case(page(60.0), SLOW),
    "stalls-in-head": Case(page(b"HTTP/1.1 200 OK\r\n", 60.0), SLOW),
    "stalls-in-body": Case(page(answer(b"x" * 9_999)[:5_000], 60.0), SLOW),
    "drips": Case(page(*DRIP), SLOW),
    "drips-headers": Case(page(b"HTTP/1.1 200 OK\r\n", *[b"X: 1\r\n", 0.3] * 100), SLOW),
    "refuses": Case(page(), Outcome.CONNECT_FAILED, "https://refuses.test/"),
    "tls": Case(page(answer()), OK, "https://tls.test/page"),
    "tls-other-name": Case(page(), Outcome.TLS_FAILED, "https://tls-other-name.test/"),
    "tls-unknown": Case(page(), Outcome.TLS_FAILED, "https://tls-unknown.test/"),
    "tls-expired": Case(page(), Outcome.TLS_FAILED, "https://tls-expired.test/"),
    "tls-gzip": Case(
        page(answer(packed(PAGE, "gzip"), "200 OK", ("Content-Encoding", "gzip"))),
        OK,
        "https://tls-gzip.test/page",
    ),
    "tls-stalls": Case(page(60.0), SLOW, "https://tls-stalls.test/page"),
    "tls-resets": Case(page(answer()[:50], 0.05, ABORT), LOST, "https://tls-resets.test/page"),
    "tls-endless": Case(
        page(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n", *[b"x" * 65_536] * 500),
        Outcome.BODY_TOO_LARGE,
        "https://tls-endless.test/page",
    ),
    "tls-private": Case(
        page(redirect("https://127.0.0.2:{trap}/")), PRIVATE, "https://tls-private.test/page"
    ),
    "tls-none": Case(page(), Outcome.TLS_FAILED, "https://tls-none.test/"),
    "robots-all": Case(robots("User-agent: *\nDisallow: /\n"), Outcome.ROBOTS_DISALLOWED),
    "robots-path": Case(robots("User-agent: webtext\nDisallow: /pa\n"), Outcome.ROBOTS_DISALLOWED),
    "robots-other": Case(robots("User-agent: *\nDisallow: /other\n"), OK),
    "robots-403": Case(rules_only([answer(b"", "403 Forbidden")]), OK),
    "robots-500": Case(rules_only([answer(b"", "500 Error")]), Outcome.ROBOTS_UNAVAILABLE),
    "robots-429": Case(rules_only([answer(b"", "429 Busy")]), Outcome.ROBOTS_UNAVAILABLE),
    "robots-stalls": Case(rules_only([60.0]), SLOW),
    "robots-garbage": Case(rules_only([b"\0\1\2\3\r\n\r\n"]), Outcome.ROBOTS_UNAVAILABLE),
    "robots-binary": Case(rules_only([answer(bytes(range(256)) * 99)]), OK),
    "robots-loop": Case(rules_only([redirect("/robots.txt")]), OK),
    "robots-private": Case(
        rules_only([redirect("http://127.0.0.2:{trap}/robots.txt")]), Outcome.ROBOTS_UNAVAILABLE
    ),
    "robots-elsewhere": Case(
        rules_only([redirect("http://robots-all.test/robots.txt")]), Outcome.ROBOTS_DISALLOWED
    ),
    "robots-endless": Case(
        rules_only(
            [
                b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n",
                b"User-agent: *\nDisallow: /page\n",
                *[b"# " + b"x" * 65_000 + b"\n"] * 200,
            ]
        ),
        Outcome.ROBOTS_DISALLOWED,
    ),
    "ai-agents": Case(robots("User-agent: GPTBot\nDisallow: /\n"), Outcome.AI_AGENTS_DISALLOWED),
    "content-signal": Case(
        robots("User-agent: *\nContent-Signal: ai-train=no\nAllow: /\n"), Outcome.CONTENT_SIGNAL
    ),
    "tdm-file": Case(tdmrep(b'[{"location": "/", "tdm-reservation": 1}]'), Outcome.TDM_RESERVED),
    "tdm-header": Case(
        page(answer(PAGE, "200 OK", ("TDM-Reservation", "1"))), Outcome.TDM_RESERVED
    ),
    "noai-header": Case(page(answer(PAGE, "200 OK", ("X-Robots-Tag", "noai"))), Outcome.NOAI),
    "noai-meta": Case(page(answer(b'<meta name=robots content="noai">' + PAGE)), Outcome.NOAI),
    "usage-header": Case(
        page(answer(PAGE, "200 OK", ("Content-Usage", "train-ai=n"))), Outcome.CONTENT_USAGE
    ),
    # By DNS; see `names`.
    "dns-none": Case(page(), Outcome.HOST_NOT_FOUND),
    "dns-fails": Case(page(), Outcome.DNS_FAILED),
    "dns-private": Case(page(), PRIVATE),
    "dns-trap": Case(page(), PRIVATE, "http://dns-trap.test:{trap}/"),
    "dns-mapped": Case(page(), PRIVATE),
    "dns-rebinds": Case(page(), PRIVATE, "http://dns-rebinds.test:{trap}/"),
    "dns-label": Case(page(), Outcome.HOST_INVALID, f"http://{'x' * 70}.test/"),
    # By the address that was given.
    "given-private": Case(page(), PRIVATE, "http://127.0.0.2:{trap}/"),
    "given-decimal": Case(page(), PRIVATE, "http://2130706434:{trap}/decimal"),
    "given-mapped": Case(page(), PRIVATE, "http://[::ffff:127.0.0.2]:{trap}/"),
    "given-port": Case(page(), Outcome.PORT_NOT_ALLOWED, "http://given-port.test:25/"),
    "given-file": Case(page(), Outcome.SCHEME_NOT_HTTP, "file:///etc/passwd"),
    "given-nothing": Case(page(), Outcome.URL_INVALID, "nothing at all"),
}
MORE_SITES = {
    **way_of("hops-5b.test", "hops-5c.test", "hops-5d.test", "hops-5e.test", "plain.test"),
    **way_of(*(f"hops-6{n}.test" for n in "bcdefg"), "plain.test"),
    "redirect-ring-b.test": page(redirect("http://redirect-ring-a.test/page")),
    "xxx.test": page(answer()),
}
# Only those that never end are to be given up, however slow the machine is.
LIMITS = Limits(dns_s=60, connect_s=60, idle_s=60, total_s=120, header_bytes_max=HEADER_MAX)
SHORT = replace(LIMITS, idle_s=1.0, total_s=2.0)


def names(trap: str):
    """What DNS says of the sites that are about DNS; of `dns-rebinds` it changes its mind."""
    rebinds = iter(["8.8.8.8"])
    told = {
        "dns-private.test": ["192.168.1.1"],
        "dns-trap.test": [trap],
        "dns-mapped.test": ["::ffff:127.0.0.2"],
    }

    def getaddrinfo(host, port, *more, **named):
        if host == "dns-fails.test":
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        if host == "dns-rebinds.test":
            found = [next(rebinds, trap)]
        elif host in told:
            found = told[host]
        elif len(host.partition(".")[0]) > 63:
            host.encode("idna")
            raise AssertionError
        else:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port)) for each in found]

    return getaddrinfo


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """All sites in one run: the answers by name, the server, the archive, the trap."""
    folder = tmp_path_factory.mktemp("hostile")
    authority, other = trustme.CA(), trustme.CA()
    hosts = [f"{name}.test" for name in CASES if name != "tls-other-name"]
    server_tls = _context(authority.issue_cert(*hosts))
    by_name = {
        "tls-unknown.test": _context(other.issue_cert("tls-unknown.test")),
        "tls-expired.test": _context(
            authority.issue_cert("tls-expired.test", not_after=datetime(2020, 1, 1, tzinfo=UTC))
        ),
    }

    def choose(connection, name, _):
        connection.context = by_name.get(name, server_tls)

    server_tls.sni_callback = choose
    client_tls = ssl.create_default_context()
    authority.configure_trust(client_tls)
    sites = {**{f"{name}.test": case.script for name, case in CASES.items()}, **MORE_SITES}
    with Web(sites, server_tls) as server, Web({}, address=TRAP) as trap:
        server.sites = {host: _with_trap(script, trap.trap_port) for host, script in sites.items()}
        places = {}
        for host in sites:
            if not host.startswith(("dns-", "given-")):
                places[f"{host}:80"] = "127.0.0.1", server.port
                places[f"{host}:443"] = "127.0.0.1", server.tls_port
        places["refuses.test:443"] = "127.0.0.1", free_port()
        places["tls-none.test:443"] = "127.0.0.1", server.no_tls_port
        urls = {
            name: (case.url or f"http://{name}.test/page").replace("{trap}", str(trap.trap_port))
            for name, case in CASES.items()
        }
        answers = _fetch(folder, urls, places, trap.trap_port, client_tls)
        yield answers, server, folder / "archive", trap


def _context(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def _with_trap(script, port):
    def scripted(request):
        steps = script(request) if callable(script) else script
        return [
            step.replace(b"{trap}", str(port).encode()) if isinstance(step, bytes) else step
            for step in steps
        ]

    return scripted


def _fetch(folder, urls, places, trap_port, tls):
    slow = {name for name, case in CASES.items() if case.outcome is SLOW}
    with (
        pytest.MonkeyPatch.context() as patch,
        Archive(Folder(folder / "archive"), folder / "scratch") as archive,
    ):
        patch.setattr(socket, "getaddrinfo", names(TRAP))
        for limits, asked in ((LIMITS, set(urls) - slow), (SHORT, slow)):
            given = folder / "urls.txt"
            given.write_text("".join(f"{urls[name]}\n" for name in sorted(asked)))
            work, counts = make_worklist(
                read_links(given, Counts()), folder / "links", archive.settled(Source.LIVE)
            )
            assert counts.doubled == 0
            asyncio.run(_program(work, archive, limits, places, trap_port, tls))
        archive.flush()
        rows = archive.answers(ANSWER.names).to_pylist()
    by_id = {row["id"]: row for row in rows}
    assert len(by_id) == len(rows) == len(urls)
    found = {}
    for name, url in urls.items():
        form = canonical(url)
        found[name] = by_id[link_id(getattr(form, "key", url))]
    return found


async def _program(work, archive, limits, places, trap_port, tls):
    guard = Guard(["127.0.0.1/32"])
    frontier = Frontier(
        work, connections=50, address_connections=50, delay_s=0.0, rounds=1, round_wait_s=0.0,
        clock=asyncio.get_running_loop().time,
    )  # fmt: skip
    sites = Sites(PREFERENCES, failures_max=5, pause_s=10)
    rules = Rules(
        guard=guard, ports=frozenset({80, 443, trap_port}), url_chars_max=8_000, hops_max=5,
        connections=50, body_bytes_max=BODY_MAX, decoded_bytes_max=DECODED_MAX,
        respect=PREFERENCES,
    )  # fmt: skip
    headers = {"User-Agent": "webtext/0 (+mailto:a@b.test)", "Accept-Encoding": "gzip"}
    async with Http(guard, limits, headers, places=places, tls=tls) as transport:
        transport._resolver._kept = Forgetful()
        await Program(frontier, sites, transport, archive, rules).run()


class Forgetful(dict):
    """A cache of addresses that keeps none, so that DNS is asked before each connection."""

    def __setitem__(self, key, value):
        pass

    def move_to_end(self, key):
        pass


def test_there_are_enough_cases():
    assert len(CASES) >= 60


@pytest.mark.parametrize("name", CASES)
def test_each_site_gets_its_outcome(run, name):
    answer = run[0][name]
    assert (answer["outcome"], answer["detail"]) == (CASES[name].outcome.value, answer["detail"])
    assert answer["is_final"] == CASES[name].outcome.is_final


def test_nothing_passes_the_guard(run):
    _, server, _, trap = run
    assert trap.trapped == [] and trap.log == []
    assert server.trapped == []


def test_what_is_disallowed_was_not_asked_for(run):
    _, server, _, _ = run
    asked = {(request.host, request.path) for request in server.log}
    for name in ("robots-all", "robots-path", "robots-500", "robots-elsewhere", "ai-agents",
                 "content-signal", "tdm-file"):  # fmt: skip
        assert (f"{name}.test", "/robots.txt") in asked
        assert (f"{name}.test", "/page") not in asked


def test_every_request_is_honest(run):
    _, server, _, _ = run
    assert {request.headers.get("user-agent") for request in server.log} == {
        "webtext/0 (+mailto:a@b.test)"
    }
    assert not any("cookie" in request.headers for request in server.log)


def test_the_archive_is_read_back_by_all_readers_with_all_digests(run):
    fastwarc = pytest.importorskip("fastwarc")
    from warcio.archiveiterator import ArchiveIterator

    _, _, archive, _ = run
    (path,) = archive.glob("*.warc.gz")
    ours = [record for record in records(path) if not record.fault]
    with path.open("rb") as file:
        theirs = 0
        for each in fastwarc.ArchiveIterator(file, parse_http=False):
            told = {name.lower(): value for name, value in each.headers}
            assert "warc-block-digest" not in told or each.verify_block_digest()
            theirs += 1
    with path.open("rb") as file:
        checked = 0
        for each in ArchiveIterator(file, check_digests="raise"):
            each.raw_stream.read()  # it cannot decode brotli
            checked += 1
    assert len(ours) == theirs == checked
    targets = {record.headers.get("warc-target-uri") for record in ours}
    assert "http://robots-all.test/robots.txt" in targets


@pytest.mark.parametrize("name", ["noai-meta", "noai-header", "tdm-header", "bomb", "endless"])
def test_what_is_reserved_or_too_large_is_told_and_not_stored(run, name):
    answers, _, archive, _ = run
    (path,) = archive.glob("*.warc.gz")
    url = f"http://{name}.test/page"
    kinds = [r.kind for r in records(path) if r.headers.get("warc-target-uri") == url]
    assert kinds == ["metadata"]
    assert answers[name]["status"] == 200 and answers[name]["segment"] == ""


def test_bodies_lie_there_as_they_came(run):
    answers, _, archive, _ = run
    from pipeline.pages.warc import read_page

    for name, body in (("gzip", packed(PAGE, "gzip")), ("chunked", PAGE), ("not-gzip", PAGE)):
        row = answers[name]
        response = read_page(archive / row["segment"], row["offset"], row["length"], 1 << 20)
        if name != "gzip":  # its header has a time in it
            assert response.body == body
        assert response.status == 200


def test_every_answer_has_one_row_in_the_table_and_one_record(run):
    answers, _, archive, _ = run
    (path,) = archive.glob("*.warc.gz")
    (table,) = archive.glob("*.parquet")
    told = [record for record in records(path) if record.kind == "metadata"]
    assert len(told) == len(pq.read_table(table)) == len(answers)
