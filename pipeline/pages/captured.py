"""What a capture from another's archive tells of its owner's preferences, as far as it tells."""

from pipeline.documents.decode import beginning
from pipeline.pages.media import media_type
from pipeline.pages.owners.preferences import Preferences, merged, of_page, of_robots_txt
from pipeline.pages.owners.robots import ROBOTS_BYTES_MAX, RobotsTxt
from pipeline.pages.refresh import HEAD_BYTES
from pipeline.pages.warc import NotHttp, Response, all_values, parse_response
from pipeline.reasons import Drop

_CLIENT_ERRORS = range(400, 500)


def preferences_of(block: bytes, url: str, robots: RobotsTxt | None) -> str:
    """The preferences in an HTTP response, and in the robots.txt of that time, as text.

    `robots` None: it is not known what it said. "" where nothing can be read.
    """
    try:
        response = parse_response(block)
    except NotHttp:
        return ""
    begins = _begins(response, HEAD_BYTES)
    head = None if isinstance(begins, Drop) else begins
    found = of_page(response.headers, head, media_type(response.headers)[1])
    said = of_robots_txt(robots, url) if robots else Preferences()
    return str(merged(found, said))


def robots_of(block: bytes) -> RobotsTxt | None:
    """The robots.txt in an HTTP response; None where it tells nothing (RFC 9309, 2.3.1).

    A site that answers with a client error has none, and forbids nothing.
    """
    try:
        response = parse_response(block)
    except NotHttp:
        return None
    if response.status in _CLIENT_ERRORS:
        return RobotsTxt(b"")
    if response.status != 200:
        return None
    begins = _begins(response, ROBOTS_BYTES_MAX)
    return RobotsTxt(b"" if isinstance(begins, Drop) else begins)


def _begins(response: Response, count: int) -> bytes | Drop:
    begins = beginning(
        response.body,
        transfer_encoding=all_values(response.headers, "transfer-encoding"),
        content_encoding=all_values(response.headers, "content-encoding"),
        count=count,
    )
    return begins if isinstance(begins, Drop) else begins.head
