"""Object stores that speak S3, over pyarrow: how a URI is read, connected to, and what errors say.

Builds (engine/bucket.py) and inputs (bucket_file.py) lie there. Credentials are the environment's.
"""

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from pipeline.errors import InputError, SettingsError

if TYPE_CHECKING:
    import pyarrow.fs

# Of a request that was throttled, cut, or not answered for 3 s. The waits between them double from
# 50 ms: 13 seconds at most, and a store that is gone ends a build in minutes. Not by the SDK's
# "standard" strategy: where a third of the requests fail, it gives up all retries after a hundred.
ATTEMPTS = 9
# What a URI may say after its "?", as Arrow's own URIs do.
OPTIONS = ("endpoint_override", "region", "scheme", "tls_ca_file_path")
_DENIED = ("ACCESS_DENIED", "status 403", "INVALID_")


def parsed(uri: str, what: str) -> tuple[str, str, dict[str, str]]:
    """Bucket, path as it is written, and options of a URI; SettingsError if it cannot be used.

    `what` is what should lie there: "a build".
    """
    parts = urlsplit(uri)
    shown = uri.replace(parts.netloc, parts.netloc.rpartition("@")[2]) if parts.netloc else uri
    if "@" in parts.netloc:
        raise SettingsError(
            f"{shown}: credentials are not taken from a URI, which logs and lists of processes "
            "show; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use ~/.aws/credentials"
        )
    if parts.scheme != "s3":
        raise SettingsError(
            f"{shown}: {what} is in a folder or in a bucket, s3://BUCKET/PREFIX; "
            f"{parts.scheme}: is not known"
        )
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in options:
        if name not in OPTIONS:
            raise SettingsError(f"{shown}: {name} is not known; known: {', '.join(OPTIONS)}")
    if not parts.netloc or parts.fragment:
        raise SettingsError(f"{shown} is no place in a bucket; write s3://BUCKET/PREFIX")
    return parts.netloc, parts.path.lstrip("/"), options


def connected(
    options: dict[str, str], attempts: int = ATTEMPTS, **more: Any
) -> "pyarrow.fs.S3FileSystem":
    """The store that the options of a URI name; nothing is asked of it yet."""
    import pyarrow.fs  # half a second of libraries

    retries = pyarrow.fs.AwsDefaultS3RetryStrategy(max_attempts=attempts)
    return pyarrow.fs.S3FileSystem(**options, retry_strategy=retries, **more)


def mended(error: str) -> str:
    """What the store said, and what may help."""
    if any(sign in error for sign in _DENIED):
        return f"{error} Check the credentials and what they may do"
    if "NETWORK_CONNECTION" in error:
        return f"{error} Check endpoint_override, scheme and the network"
    return error


def unreadable(place: str, error: OSError, where: str = "") -> InputError:
    """The error for an input that the store does not give."""
    if isinstance(error, FileNotFoundError):
        mend = "Check the name; `aws s3 ls` lists what there is"
        return InputError(place, where, "there is no such object in the bucket", f"{mend}.")
    said = " ".join(str(error).split())
    if any(sign in said for sign in _DENIED):
        mend = (
            "Check the credentials (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
            "~/.aws/credentials), and that they may read it; where listing is forbidden, a name "
            "that is not there is answered so too"
        )
        return InputError(place, where, f"the store does not give it ({said})", f"{mend}.")
    mend = "Check endpoint_override, scheme and the network, and run the same command again"
    return InputError(place, where, f"cannot be read ({said})", f"{mend}.")
