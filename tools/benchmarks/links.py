"""Lines per CPU-second of the stage `links`, beside a plain loop that applies the same rules.

    python -m tools.benchmarks.links RS_2019-06.zst [--repeat 8] [--rounds 3]

The plain loop is what one writes first: `zstandard`, `json.loads`, `urllib.parse`. It shares our
lists (domains, extensions, tracking parameters) and no code. Both read the same file (as many zstd
frames as `--repeat` says), both gather the rows that count, and their rows are compared first.
Rounds alternate; the best of each counts. CPU time is the process's, threads included.
"""

import argparse
import io
import ipaddress
import json
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import xxhash
import zstandard

from pipeline.lines import Lines
from pipeline.links.canonical import TRACKING_PARAMETERS, TRACKING_PREFIX
from pipeline.links.domains import (
    MEDIA_DOMAINS,
    PRIVATE_SUFFIXES,
    REDDIT_DOMAINS,
    SOCIAL_DOMAINS,
    WIKIPEDIA_DOMAINS,
)
from pipeline.links.group import posts_table
from pipeline.links.select import FILE_EXTENSIONS, Post, ReadRules, Selector
from pipeline.links.submission import parse_line
from pipeline.settings import LinksSettings

RULES = ReadRules.of(LinksSettings(date_max=date(2029, 12, 31)))
FIRST_S = datetime(2005, 1, 1, tzinfo=UTC).timestamp()
END_S = datetime(2030, 1, 1, tzinfo=UTC).timestamp()
BATCH_LINES = 10_000
Row = tuple[str, str, int, int, str, str, bool]  # key, url, karma, created, post, subreddit, 18


def plain_lines(path: Path) -> Iterator[bytes]:
    """The lines of a zstd file, as its documentation shows it."""
    with path.open("rb") as file:
        reader = zstandard.ZstdDecompressor(max_window_size=2**31).stream_reader(
            file, read_across_frames=True
        )
        yield from io.BufferedReader(reader)


def plain_row(line: bytes) -> Row | str:
    """The row of a submission that counts, or the reason why it does not."""
    try:
        post = json.loads(line)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return "line_invalid"
    if not isinstance(post, dict):
        return "line_not_object"
    url = post.get("url_overridden_by_dest") or post.get("url")
    if not url or not isinstance(url, str):
        return "url_missing"
    try:
        created = int(float(post["created_utc"]))
    except (KeyError, TypeError, ValueError):
        return "time_invalid"
    if not FIRST_S <= created < END_S:
        return "outside_dates"
    if post.get("is_self") is True or str(post.get("domain", "")).startswith("self."):
        return "self_post"
    if not isinstance(post.get("score"), int):
        return "score_missing"
    for field, reason in (
        ("hide_score", "score_hidden"),
        ("promoted", "promoted"),
        ("quarantine", "quarantined"),
        ("removed_by_category", "removed"),
    ):
        if post.get(field):
            return reason
    found = plain_url(url)
    if isinstance(found, str):
        return found
    key, fetch = found
    xxhash.xxh3_128_hexdigest(key.encode())
    over_18 = post.get("over_18") is True
    subreddit = post.get("subreddit") or ""
    return (key, fetch, post["score"], created, post.get("id") or "", subreddit, over_18)


def plain_url(url: str) -> tuple[str, str] | str:
    """Key and URL to fetch, or the reason against it."""
    if url.startswith("/") and not url.startswith("//"):
        return "reddit_internal"
    for _ in range(4):
        url = re.sub(r"[\t\r\n]", "", url.strip()).replace("&amp;", "&")
        try:
            parts = urlsplit(url)
            port, host = parts.port, (parts.hostname or "").rstrip(".")
        except ValueError:
            return "url_invalid"
        if not parts.scheme or (parts.scheme in ("http", "https") and (not host or " " in host)):
            return "url_invalid"
        if parts.scheme not in ("http", "https"):
            return "scheme_not_http"
        inner = plain_unwrapped(host, parts.path, parts.query)
        if inner is None:
            break
        url = inner
    if len(url) > RULES.url_chars_max:
        return "url_too_long"
    reason = plain_host_reason(host, parts.username is not None)
    if reason:
        return reason
    extension = parts.path.rpartition("/")[2].rpartition(".")
    if extension[0] and extension[2].lower() in FILE_EXTENSIONS and ":" not in extension[0]:
        return "file_extension"
    if any(host == d or host.endswith("." + d) for d in WIKIPEDIA_DOMAINS):
        return "wikipedia"
    return plain_forms(parts.scheme, host, port, parts.path, parts.query, parts.fragment)


def plain_unwrapped(host: str, path: str, query: str) -> str | None:
    """The URL inside a redirector's, for those that the file holds."""
    if host in ("google.com", "www.google.com"):
        if path == "/url":
            values = dict(part.partition("=")[::2] for part in query.split("&"))
            return unquote(values.get("url") or values.get("q") or "") or None
        if path.startswith("/amp/"):
            scheme = "https://" if path.startswith("/amp/s/") else "http://"
            return scheme + path[5:].removeprefix("s/") + ("?" + query if query else "")
    if host == "web.archive.org":
        match = re.match(r"/web/\d{4,14}(?:[a-z]{2}_)?/(https?:/.*)", path)
        if match:
            return match[1] + ("?" + query if query else "")
    return None


def plain_host_reason(host: str, credentials: bool) -> str:
    """The first reason against a host."""
    try:
        if not ipaddress.ip_address(host).is_global:
            return "host_private"
    except ValueError:
        if not re.fullmatch(r"[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*", host):
            return "host_invalid"
        if "." not in host or any(host.endswith("." + name) for name in PRIVATE_SUFFIXES):
            return "host_private"
    if credentials:
        return "url_credentials"
    for reason, domains in (
        ("media_host", MEDIA_DOMAINS),
        ("reddit_internal", REDDIT_DOMAINS),
        ("social_host", SOCIAL_DOMAINS),
    ):
        name = host
        while name:
            if name in domains:
                return reason
            name = name.partition(".")[2]
    return ""


def plain_forms(
    scheme: str, host: str, port: int | None, path: str, query: str, fragment: str
) -> tuple[str, str]:
    """Key and URL to fetch from a URL's parts."""
    path = quote(plain_unreserved(path or "/"), safe="/%:@!$&'()*+,;=~-._")
    path = re.sub(r";jsessionid=[^/]*", "", path, flags=re.IGNORECASE)
    pairs = []
    for part in query.split("&"):
        name = part.partition("=")[0].lower()
        if part and name not in TRACKING_PARAMETERS and not name.startswith(TRACKING_PREFIX):
            pairs.append(part)
    query = quote(plain_unreserved("&".join(pairs)), safe="/%:@!$&()*+,;=~-._?")
    mark = "?" + query if query else ""
    hash_bang = "#" + fragment if fragment.startswith("!") else ""
    number = "" if port in (None, {"http": 80, "https": 443}[scheme]) else f":{port}"
    fetch = f"{scheme}://{host}{number}{path}{mark}{hash_bang}"
    short = path if mark else re.sub(
        r"/(index|default)\.(s?html?|php|aspx?|jsp|cfm)$", "/", path, flags=re.IGNORECASE
    )  # fmt: skip
    short = short.removesuffix("/") or "/"
    bare = host[4:] if host.startswith("www.") and "." in host[4:] else host
    return f"{bare}{number}{short}{mark}{hash_bang}", fetch


def plain_unreserved(text: str) -> str:
    """Percent-encoding normalised."""

    def one(match: re.Match[str]) -> str:
        char = chr(int(match[0][1:], 16))
        return char if re.fullmatch(r"[A-Za-z0-9._~-]", char) else match[0].upper()

    return re.sub(r"%[0-9A-Fa-f]{2}", one, text)


def our_row(line: bytes, selector: Selector) -> Row | str:
    """Our verdict in the plain loop's form."""
    post = selector.judge(line)
    if not isinstance(post, Post):
        return post.reason.value
    key, url = post.target.key, post.target.url
    return (key, url, post.karma, post.created_s, post.post_id, post.subreddit, post.over_18)


def run_plain(path: Path) -> int:
    """Read the file in the plain way; lines read."""
    number, rows = 0, []
    for number, line in enumerate(plain_lines(path), 1):  # noqa: B007
        row = plain_row(line)
        if not isinstance(row, str):
            rows.append(row)
            if len(rows) == BATCH_LINES:
                rows.clear()
    return number


def run_ours(path: Path) -> int:
    """Read the file as the step `read` does, into Arrow tables; lines read."""
    selector, number, posts = Selector(RULES), 0, list[Post]()
    with Lines(path) as lines:
        for number, line in enumerate(lines, 1):  # noqa: B007
            post = selector.judge(line)
            if isinstance(post, Post):
                posts.append(post)
                if len(posts) == BATCH_LINES:
                    posts_table(posts)
                    posts.clear()
    return number


def count(lines: Iterator[Any]) -> int:
    """How many there are."""
    return sum(1 for _ in lines)


def our_lines(path: Path) -> Iterator[bytes]:
    """The lines as our stage gets them."""
    with Lines(path) as lines:
        yield from lines


def best(rounds: int, **loops: Callable[[], int]) -> dict[str, float]:
    """Microseconds of CPU a line for each loop, the best of alternating rounds."""
    times: dict[str, float] = {}
    for _ in range(rounds):
        for name, loop in loops.items():
            start = time.process_time()
            lines = loop()
            spent = (time.process_time() - start) / lines * 1e6
            times[name] = min(spent, times.get(name, spent))
    return times


def compare(path: Path) -> None:
    """Print how many lines get the same row or reason from both, and examples of others."""
    selector, same, others = Selector(RULES), 0, []
    for line in plain_lines(path):
        plain, ours = plain_row(line), our_row(line, selector)
        if plain == ours:
            same += 1
        else:
            others.append((plain, ours))
    print(f"same row or reason: {same:,} of {same + len(others):,} lines")
    for plain, ours in others[:20]:
        print(f"  plain {plain}\n  ours  {ours}")


def main() -> None:
    """Compare the rows, then the times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dump", type=Path)
    parser.add_argument("--repeat", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    compare(options.dump)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "repeated.zst"
        path.write_bytes(options.dump.read_bytes() * options.repeat)
        times = best(
            options.rounds,
            plain=lambda: run_plain(path),
            ours=lambda: run_ours(path),
            plain_lines=lambda: count(plain_lines(path)),
            our_lines=lambda: count(our_lines(path)),
            plain_parsed=lambda: count(map(_loads, plain_lines(path))),
            our_parsed=lambda: count(map(parse_line, our_lines(path))),
        )
    print("us of CPU a line      plain   ours")
    previous = (0.0, 0.0)
    for name, step in (("decompression", "lines"), ("parsing", "parsed"), ("rules, rows", "")):
        plain = times[f"plain_{step}" if step else "plain"]
        ours = times[f"our_{step}" if step else "ours"]
        print(f"  {name:16} {plain - previous[0]:8.2f} {ours - previous[1]:6.2f}")
        previous = (plain, ours)
    print(f"  {'all':16} {times['plain']:8.2f} {times['ours']:6.2f}")
    plain, ours = 1e6 / times["plain"], 1e6 / times["ours"]
    print(f"lines per CPU-second: plain {plain:,.0f}, ours {ours:,.0f}, {ours / plain:.2f} times")


def _loads(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


if __name__ == "__main__":
    main()
