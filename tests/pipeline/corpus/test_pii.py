import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.corpus.pii import Masked, mask


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Write to ann.lee@mail.org, please.", "Write to <EMAIL>, please."),
        ("<ann+news@a.co.uk>", "<<EMAIL>>"),
        ("mailto:ann@mail.org?subject=x", "mailto:<EMAIL>?subject=x"),
        ("Ann (ann_lee@mail.museum)", "Ann (<EMAIL>)"),
        ("ann@mail.org: hello", "<EMAIL>: hello"),
        ("# Author: Ann <ann@mail.org>", "# Author: Ann <<EMAIL>>"),
    ],
)
def test_an_address_of_electronic_mail_is_masked(text: str, masked: str) -> None:
    assert mask(text) == Masked(masked, emails=1)


@pytest.mark.parametrize(
    "text",
    [
        "ann@example.com and bob@lists.example.org",  # RFC 2606
        "root@localhost, ann@home",
        "ann@host.invalid, bob@site.test, joe@a.example",
        "git clone git@github.com:ann/tool.git",
        "icon@2x.png",
        "react@16.8.0 and lodash@4.x",
        "@ann and ann@",
        "medium.com/@ann",
        "a matrix product is a@b.T",
        "ann at mail dot org",
    ],
)
def test_what_is_no_one_s_mail_address_stays(text: str) -> None:
    assert mask(text) == Masked(text)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Banned: 72.14.203.99.", "Banned: <IP_ADDRESS>."),
        ("ping 8.8.8.8", "ping <IP_ADDRESS>"),
        ("http://72.14.203.99:8080/x", "http://72.14.203.99:8080/x"),
        ("from [201.17.5.4] by", "from [<IP_ADDRESS>] by"),
        ("AAAA 2a00:1450:4001:81b::200e", "AAAA <IP_ADDRESS>"),
        ("at 2001:4860:4860:0:0:0:0:8888, too", "at <IP_ADDRESS>, too"),
    ],
)
def test_a_public_ip_address_is_masked_but_in_an_url(text: str, masked: str) -> None:
    assert mask(text) == Masked(masked, ips=int(masked != text))


@pytest.mark.parametrize(
    "text",
    [
        "192.168.1.1, 10.0.0.7 and 127.0.0.1",
        "192.0.2.7 and 2001:db8::7 are of documentation",
        "version 12.45.200.17, v72.14.203.99, Firefox 72.14.203.99, release: 91.14.2.1",
        "Chrome/72.14.203.99 Safari/533.16",
        "64-Bit Server VM (build 17.40.4.1, mixed mode), a new update (1.1.243.0)",
        "224.0.1.255 is of many",
        "As section 1.2.3.4 says, and 4.3.2.1 too",
        "1.3.6.1.4.1.311.21.20 and 2.16.840.1",
        "999.1.1.1, 01.72.30.40, 1.2.3, 1.2.3.4.5",
        "at 10:20:30, 2010:11:12 13:14:15; de:ad:be:ef:00:01",
        "std::vector<a::b>, 2000::x, dead::beef",
    ],
)
def test_versions_sections_times_and_private_addresses_are_no_ip_addresses(text: str) -> None:
    assert mask(text) == Masked(text)


@pytest.mark.parametrize(
    ("text", "host", "masked"),
    [
        ("Call (212) 555-2368 now", "", "Call <PHONE_NUMBER> now"),
        ("212-555-2368 or 212.555.2369", "", "<PHONE_NUMBER> or <PHONE_NUMBER>"),
        ("1-800-273-8255", "", "<PHONE_NUMBER>"),
        ("+44 20 7946 0958", "", "<PHONE_NUMBER>"),
        ("Tel: 020 7946 0958", "a.co.uk", "Tel: <PHONE_NUMBER>"),
        ("Telephone 020 7946 0958", "", "Telephone 020 7946 0958"),  # of no country that is known
        ("T. 089 2180-0", "uni.de", "T. <PHONE_NUMBER>"),
        ("phone 2125552368", "", "phone <PHONE_NUMBER>"),
    ],
)
def test_a_telephone_number_is_masked(text: str, host: str, masked: str) -> None:
    assert mask(text, host) == Masked(masked, phones=len(re.findall("<PHONE", masked)))


@pytest.mark.parametrize(
    "text",
    [
        "ISBN 978-0-306-40615-7, 0-306-40615-2",
        "at 1409523456 seconds, id 2125552368",
        "2012-09-30 12:30:45, 30.09.2012, 1998-2004 2005-2009",
        "$212-555-2368 and 212-555-2368%",
        "3.14159265358979",
        "1 234 567 890 people; 1,234,567,890",
        "192.168.100.2000",
        "111-111-1111, 012-345-6789",
        "http://a.example/212-555-2368",
        "4111 1111 1111 1111",
        "call me at 10.30 on 2012-09-30",
    ],
)
def test_other_numbers_are_no_telephone_numbers(text: str) -> None:
    assert mask(text) == Masked(text)


pieces = st.sampled_from(
    [*"a1 .:@-+()/\n<>", "ann@mail.org", "72.14.203.99", "212-555-2368", "+44 20 7946 0958",
     "call ", "2a00:1450:4001:81b::200e", "<EMAIL>", "version "]
)  # fmt: skip


@given(st.lists(pieces, max_size=12).map("".join))
def test_masks_are_counted_and_what_is_between_them_stays(text: str) -> None:
    found = mask(text)
    words = ("<EMAIL>", "<IP_ADDRESS>", "<PHONE_NUMBER>")
    added = [found.text.count(word) - text.count(word) for word in words]
    assert tuple(added) == found[1:]
    assert found.text.count("\n") == text.count("\n")
    at = 0
    for piece in re.split("|".join(words), found.text):
        at = text.index(piece, at) + len(piece)
