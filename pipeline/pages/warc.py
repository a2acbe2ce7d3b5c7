"""What the records of a WARC file hold: their headers, and the HTTP response as it was received."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pipeline.bucket_file import InputFile
from pipeline.errors import InputError
from pipeline.pages.frames import HEAD_BYTES, START, Frame, Range, frames, read_frame, whole_number

_HEADER_END = re.compile(rb"\r?\n\r?\n")
# Real servers also say HTTPX/1.1, HTTP/2, "HTTP 200 OK" or "HTTP/1.1200 OK", leave the reason out,
# or send blank lines first.
_STATUS_LINE = re.compile(
    rb"[\r\n\t ]*+HTTP[a-z]{0,8}(?:/[\d.]{0,8})?[\t ]*([1-9]\d\d)(?!\d)", re.IGNORECASE
)
# A record's block ends with two line ends; some writers add one or two more.
_PADDING_BYTES = 16

# So many records of a WET or WAT file, and no others among them, tell what it is.
DERIVED_RECORDS = 8

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Record:
    """One WARC record. `block` is its first bytes only; `headers` have lower-case names.

    With a `fault` the record could not be read, and the rest says nothing (the headers may).
    """

    offset: int
    length: int  # compressed bytes
    headers: Mapping[str, str]
    block: bytes
    fault: str = ""
    torn: bool = False  # the file ends within this record
    block_bytes: int = 0  # of the whole block

    @property
    def kind(self) -> str:
        """The WARC-Type: response, revisit, request, …"""
        return self.headers.get("warc-type", "").lower()


@dataclass(frozen=True, slots=True)
class Response:
    """An HTTP response as it was received: the body still chunked and compressed."""

    status: int
    headers: Headers
    body: bytes

    def header(self, name: str) -> str:
        """The first value of this header, "" where there is none."""
        return first_header(self.headers, name)


class NotHttp(ValueError):  # noqa: N818 (a verdict on a block of bytes)
    """The block of a record is no HTTP response."""


def records(
    path: InputFile, span: Range | None = None, *, accept_torn: bool = False
) -> Iterator[Record]:
    """The records of a WARC file, or of a range of it, in order; the damaged ones with a fault.

    Raises InputError naming the byte; see `frames`. A compressed file must hold one record a
    member: otherwise a single one could not be read again, so that is an InputError too.
    """
    for frame in frames(path, span, accept_torn=accept_torn):
        yield _record(frame, path)


def checked(found: Iterable[Record], path: InputFile) -> Iterator[Record]:
    """These records of a file that should hold pages: InputError if it is a WET or a WAT file."""
    derived, told, others = 0, "", False
    for record in found:
        if kind := _derived_kind(record):
            derived, told = derived + 1, kind
        elif record.kind != "warcinfo":
            others = True  # among pages they are records like all others
        if derived == DERIVED_RECORDS and not others:
            break
        yield record
    if derived and not others:
        raise InputError(
            path,
            "byte 0",
            f"this is a {told}",
            "Use the WARC file that it was made from: Common Crawl has it under the same name in "
            "/warc/, without .wet or .wat",
        )


def read_page(path: InputFile, offset: int, length: int, body_bytes_max: int) -> Response:
    """The HTTP response of the record at `offset`, its body at most `body_bytes_max` + 1 bytes.

    A body that has more than `body_bytes_max` bytes was larger than that. A `resource` record gives
    status 200 and the Content-Type of the record. Raises InputError where no response can be read:
    the file is another one than was indexed.
    """
    content = read_frame(path, offset, length, 2 * HEAD_BYTES + body_bytes_max + 1)
    record = _record(Frame(offset, length, content, len(content)), path, whole=False)
    try:
        if record.fault:
            raise NotHttp(record.fault)
        response = response_of(record)
    except NotHttp as error:
        raise InputError(
            path,
            f"byte {offset}",
            f"no page lies here ({error})",
            "Has the file been changed? Run `webtext build` again to index it anew",
        ) from None
    return Response(response.status, response.headers, response.body[: body_bytes_max + 1])


def whole_record(path: InputFile, record: Record, bytes_max: int) -> Record:
    """This record with at most `bytes_max` bytes of its block, where `records` gave its beginning.

    Raises InputError where it cannot be read again: the file has changed.
    """
    content = read_frame(path, record.offset, record.length, HEAD_BYTES + bytes_max)
    frame = Frame(record.offset, record.length, content, len(content))
    return _record(frame, path, whole=False)


def response_of(record: Record) -> Response:
    """The response that a record holds, its body as far as the block was read; raises NotHttp."""
    if record.kind == "resource":
        content_type = record.headers.get("content-type", "")
        return Response(200, (("Content-Type", content_type),), record.block)
    return parse_response(record.block)


def parse_response(block: bytes) -> Response:
    """Status, headers and the bytes after them; raises NotHttp.

    Lenient as browsers are: lines may end with LF alone, the reason may be missing, a header line
    without a colon is left out. Header bytes are read as Latin-1. What came before the answer (100
    Continue, a proxy's "200 Connection established") is passed over.
    """
    block = _with_line_feeds(block)
    status = _STATUS_LINE.match(block)
    if not status:
        raise NotHttp(f"it starts with {block[:20]!r}, not with an HTTP status line")
    while True:
        ends = _HEADER_END.search(block, status.end())
        if not ends and len(block) - status.start() >= HEAD_BYTES:
            raise NotHttp(f"its header has no end within {HEAD_BYTES} bytes")
        end, body = ends.span() if ends else (len(block), len(block))
        headers = tuple(_header_lines(block[status.end() : end]))
        follows = _STATUS_LINE.match(block, body)
        if not follows or (headers and not status[1].startswith(b"1")):
            return Response(int(status[1]), headers, block[body:])
        status = follows


def _with_line_feeds(block: bytes) -> bytes:
    """The block; where the lines of its header end with CR alone, with CR LF there."""
    feed = block.find(b"\n")
    end = block.find(b"\r\r", 0, feed if feed >= 0 else len(block))
    if end < 0:
        return block
    return block[:end].replace(b"\r", b"\r\n") + b"\r\n\r\n" + block[end + 2 :]


def first_header(headers: Headers, name: str) -> str:
    """The first value of a header, "" where there is none; its name in any case."""
    wanted = name.lower()
    return next((value for key, value in headers if key.lower() == wanted), "")


def all_values(headers: Headers, name: str) -> str:
    """All values of a header, as one list; its name in lower case."""
    return ", ".join(value for key, value in headers if key.lower() == name)


def _derived_kind(record: Record) -> str:
    if record.kind == "conversion":
        return "WET file: its records hold text, not pages"
    is_wat = record.kind == "metadata" and record.block.startswith(b'{"Container"')
    return "WAT file: its records tell of pages, in JSON" if is_wat else ""


def _header_lines(head: bytes) -> Iterator[tuple[str, str]]:
    """Names and values of all lines but the first; folded lines are joined."""
    lines = re.sub(rb"\r?\n[ \t]+", b" ", head).split(b"\n")[1:]
    for line in lines:
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            yield name.strip(), value.strip()


def _record(frame: Frame, path: InputFile, *, whole: bool = True) -> Record:
    """The record in a frame; of one that is not `whole` the length is not checked."""
    if frame.fault:
        return Record(frame.offset, frame.length, {}, b"", frame.fault, frame.torn)
    ends = _HEADER_END.search(frame.head)
    if not frame.head.startswith(START) or not ends:
        return Record(frame.offset, frame.length, {}, b"", "it has no WARC header")
    headers: dict[str, str] = {}
    for name, value in _header_lines(frame.head[: ends.start()]):
        # URIs may hold any character: the standard says UTF-8, and Latin-1 keeps what is not.
        headers.setdefault(name.lower(), _utf8(value))
    length = whole_number(headers.get("content-length", ""))
    if length is None:
        problem = "it has no Content-Length that can be read"
        return Record(frame.offset, frame.length, headers, b"", problem)
    end = ends.end() + length
    fault = _length_fault(frame, end, path) if whole else ""
    block = frame.head[ends.end() : end]
    return Record(frame.offset, frame.length, headers, block, fault, block_bytes=length)


def _length_fault(frame: Frame, end: int, path: InputFile) -> str:
    """What is wrong with a record of `frame.size` bytes that says it ends at `end`, or ""."""
    if frame.size < end:
        return f"it lacks {end - frame.size} of the bytes of its Content-Length"
    if frame.head[end:].lstrip(b"\r\n").startswith(START):
        raise InputError(
            path,
            f"byte {frame.offset}",
            "one compressed member holds several records, so none of them can be found again",
            "Write it anew with one member a record: `warcio recompress OLD NEW`",
        )
    is_blank = frame.size == len(frame.head) and not frame.head[end:].strip(b"\r\n\0")
    if frame.size > end + _PADDING_BYTES and not is_blank:
        return f"it has {frame.size - end} bytes more than its Content-Length"
    return ""


def _utf8(value: str) -> str:
    try:
        return value.encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return value
