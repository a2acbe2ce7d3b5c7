import socket

import pytest

from pipeline.errors import SettingsError
from pipeline.pages.archive.outcomes import Outcome
from pipeline.pages.fetch.guard import AddressRefused, Guard, address_fault

PORTS = frozenset({80, 443})
PUBLIC = "8.8.8.8 1.1.1.1 172.15.0.1 172.32.0.1 100.63.0.1 2606:4700::1111 64:ff9b::808:808"
PRIVATE = """
    0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 127.0.0.1 127.255.255.255 169.254.169.254 172.16.0.1
    172.31.255.255 192.0.0.1 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1 198.19.255.255
    198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
    :: ::1 ::ffff:8.8.8.8 ::ffff:127.0.0.1 ::127.0.0.1 64:ff9b::127.0.0.1 64:ff9b::a00:1
    64:ff9b:1::808:808 100::1 2001::1 2001:db8::1 2002:7f00:1:: 2002:808:808:: 3fff::1 5f00::1
    fc00::1 fd12:3456::1 fe80::1 fe80::1%eth0 fec0::1 ff02::1 2606:4700::1111%eth0 nonsense
    """


@pytest.mark.parametrize("address", PUBLIC.split())
def test_public_addresses_may_be_asked(address):
    assert Guard().allows(address)


@pytest.mark.parametrize("address", PRIVATE.split())
def test_no_other_address_may_be_asked(address):
    assert not Guard().allows(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.1.1", "::1", "::ffff:127.0.0.1"])
def test_no_socket_is_made_for_others(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with pytest.raises(AddressRefused, match="address is not public"):
        Guard().socket((family, socket.SOCK_STREAM, 0, "", (address, 80)))


def test_a_setting_opens_a_network_and_no_form_that_hides_it():
    guard = Guard(["127.0.0.0/8"])
    assert guard.allows("127.0.0.1")
    assert not guard.allows("10.0.0.1")
    assert not guard.allows("::ffff:127.0.0.1")
    with guard.socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 80))) as made:
        assert made.gettimeout() == 0


def test_what_is_no_network_is_refused():
    with pytest.raises(SettingsError, match=r"fetch.networks: '127.0.0.1/8' is no network"):
        Guard(["127.0.0.1/8"])


@pytest.mark.parametrize(
    ("url", "outcome"),
    [
        ("http://example.org/", None),
        ("https://example.org:443/", None),
        ("http://8.8.8.8/", None),
        ("http://127.0.0.1/", Outcome.HOST_PRIVATE),
        ("http://2130706433/", Outcome.HOST_PRIVATE),  # decimal
        ("http://0177.0.0.1/", Outcome.HOST_PRIVATE),  # octal
        ("http://0x7f000001/", Outcome.HOST_PRIVATE),
        ("http://0x7f.1/", Outcome.HOST_PRIVATE),
        ("http://127.1/", Outcome.HOST_PRIVATE),
        ("http://127.0.0.1./", Outcome.HOST_PRIVATE),
        ("http://１２７.0.0.1/", Outcome.HOST_PRIVATE),  # full-width digits
        ("http://127%2e0.0.1/", Outcome.HOST_PRIVATE),
        ("http://[::1]/", Outcome.HOST_PRIVATE),
        ("http://[::ffff:127.0.0.1]/", Outcome.HOST_PRIVATE),
        ("http://[::ffff:8.8.8.8]/", Outcome.HOST_PRIVATE),
        ("http://[64:ff9b::7f00:1]/", Outcome.HOST_PRIVATE),
        ("http://localhost/", Outcome.HOST_PRIVATE),
        ("http://LOCALHOST./", Outcome.HOST_PRIVATE),
        ("http://a.localhost/", Outcome.HOST_PRIVATE),
        ("http://printer.local/", Outcome.HOST_PRIVATE),
        ("http://example.org:8080/", Outcome.PORT_NOT_ALLOWED),
        ("https://example.org:22/", Outcome.PORT_NOT_ALLOWED),
        ("file:///etc/passwd", Outcome.SCHEME_NOT_HTTP),
        ("ftp://example.org/", Outcome.SCHEME_NOT_HTTP),
        ("gopher://example.org:80/", Outcome.SCHEME_NOT_HTTP),
        ("javascript:alert(1)", Outcome.SCHEME_NOT_HTTP),
        ("data:text/html,hello", Outcome.SCHEME_NOT_HTTP),
        ("http://user:word@example.org/", Outcome.URL_CREDENTIALS),
        ("http://example.org@127.0.0.1/", Outcome.URL_CREDENTIALS),
        ("http:///", Outcome.URL_INVALID),
        ("http://a..b/", Outcome.HOST_INVALID),
        ("http://256.1.1.1/", Outcome.URL_INVALID),
        ("http://example.org:99999/", Outcome.URL_INVALID),
        ("http://[bad/", Outcome.URL_INVALID),
        ("/path", Outcome.URL_INVALID),
        ("http://example.org/" + "x" * 100, Outcome.URL_TOO_LONG),
    ],
)
def test_what_a_url_tells_by_itself(url, outcome):
    found = address_fault(url, Guard(), PORTS, 100)
    assert (found and found[0]) == outcome
