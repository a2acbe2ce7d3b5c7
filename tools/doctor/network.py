"""What lies beyond the machine: the build's place, a contact, and a server where --ask names it."""

import http.client
import socket
import time
import uuid
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from urllib.parse import urlsplit

from pipeline.engine.stores import open_store
from pipeline.errors import SettingsError, WebtextError
from pipeline.pages.fetch.collect import check_settings
from pipeline.settings import Settings
from tools.doctor.check import Check, ok, warning, wrong
from tools.places import Place

PROBE = "doctor-{}.probe"  # an object of the build's place, removed at once
WAIT_S = 10
# Object stores refuse what was signed a quarter of an hour ago or ahead.
SKEW_GOOD_S, SKEW_MAX_S = 60, 900


def checks(settings: Settings, build: Place, ask: str) -> Iterator[Check]:
    """The contact, the store, DNS and the clock of a server."""
    yield _contact(settings)
    if not isinstance(build, Path):
        yield _bucket(settings, build)
    elif build.is_dir():
        yield _folder(build)
    if ask:
        yield from _server(ask)
    else:
        yield ok("dns", "no name was looked up (--ask HOST does that)")


def _contact(settings: Settings) -> Check:
    """As the fetcher asks for it: a build with the source live does not start without."""
    contact, is_live = settings.fetch.contact, "live" in settings.pages.sources
    if not contact and not is_live:
        return ok("contact", "none is set; `webtext fetch` and the source live want one")
    try:
        check_settings(settings.fetch)
    except SettingsError as error:
        make = wrong if is_live else warning
        return make("contact", str(error).partition(":")[0], "Set fetch.contact, or --contact")
    return ok("contact", contact)


def _bucket(settings: Settings, build: Place) -> Check:
    """A probe is written, read and removed, as every part of a build is."""
    name, data = PROBE.format(uuid.uuid4().hex), b"webtext doctor"
    mend = "Check the credentials, and that they may list, read, write and remove there"
    try:
        store = open_store(build, settings.engine.scratch)
        store.write(name, data)
        try:
            found = store.read(name)
        finally:
            store.remove([name])
        if found != data:
            return wrong("store", f"{store.place} gave back other bytes than it was given", mend)
        if store.stat(name):
            return wrong("store", f"{store.place} still has {name}, which was removed", mend)
    except (WebtextError, OSError) as error:
        return wrong("store", " ".join(str(error).split()), mend)
    return ok("store", f"{store.place}: a probe was written, read and removed")


def _folder(build: Path) -> Check:
    probe = build / PROBE.format(uuid.uuid4().hex)
    try:
        probe.write_bytes(b"webtext doctor")
        probe.unlink()
    except OSError as error:
        return wrong("store", f"{build}: {error.strerror}", "Check its permissions and its disk")
    return ok("store", f"{build}: a probe was written and removed")


def _server(ask: str) -> Iterator[Check]:
    """The address of a host, and the time that it says it is."""
    url = urlsplit(ask if "://" in ask else f"https://{ask}")
    host = url.hostname or ""
    try:
        found = socket.getaddrinfo(host, url.port or 0, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError, ValueError) as error:
        told = f"{ask} was not found: {getattr(error, 'strerror', '') or error}"
        yield wrong("dns", told, "Check the name, the network, and /etc/resolv.conf")
        return
    addresses = list(dict.fromkeys(str(each[4][0]) for each in found))
    yield ok("dns", f"{host} is {', '.join(addresses[:4])}")
    make = http.client.HTTPConnection if url.scheme == "http" else http.client.HTTPSConnection
    connection = make(host, url.port, timeout=WAIT_S)
    before = time.time()
    try:
        connection.request("HEAD", url.path or "/", headers={"User-Agent": "webtext-doctor"})
        date = connection.getresponse().headers.get("Date", "")
        now = (before + time.time()) / 2
        skew_s = now - parsedate_to_datetime(date).timestamp()
    except (OSError, http.client.HTTPException, ValueError, TypeError) as error:
        told = f"{ask} told no time: {error or type(error).__name__}"
        yield warning(
            "clock of a server", told, "Ask another one, or check the network and proxies"
        )
        return
    finally:
        connection.close()
    yield _skew(host, skew_s)


def _skew(host: str, skew_s: float) -> Check:
    side = "ahead of" if skew_s > 0 else "behind"
    told = f"this clock is {abs(skew_s):,.0f} s {side} that of {host}"
    mend = "Set the clock (chrony, systemd-timesyncd)"
    if abs(skew_s) > SKEW_MAX_S:
        return wrong("clock of a server", told, f"{mend}: object stores refuse such requests")
    if abs(skew_s) > SKEW_GOOD_S:
        return warning("clock of a server", told, mend)
    return ok("clock of a server", told)
