"""Https to public addresses, however the address is spelt."""

from __future__ import annotations

import pytest

from experiments.core.errors import InvalidInput
from experiments.core.messages.destinations import LONGEST, Destination, destination, is_public


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("https://hooks.example.com", Destination("hooks.example.com", 443, "/")),
        (
            "https://Hooks.Example.com:8443/a/b?c=d",
            Destination("hooks.example.com", 8443, "/a/b?c=d"),
        ),
        ("https://xn--bcher-kva.example/x", Destination("xn--bcher-kva.example", 443, "/x")),
        ("https://8.8.8.8/x", Destination("8.8.8.8", 443, "/x")),
        ("https://[2606:4700::1111]/x", Destination("2606:4700::1111", 443, "/x")),
    ],
)
def test_destination__a_plain_address__is_taken_apart(url: str, wanted: Destination) -> None:
    assert destination(url) == wanted


def test_authority__is_what_the_host_header_says() -> None:
    assert destination("https://[2606:4700::1111]:8443/").authority == "[2606:4700::1111]:8443"
    assert destination("https://a.example/").authority == "a.example"


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "HTTP://hooks.example.com/",
        "ftp://hooks.example.com/",
        "//hooks.example.com/",
        "hooks.example.com",
        "",
        "https://",
        "https:///path",
        "https://user@hooks.example.com/",
        "https://user:password@hooks.example.com/",
        "https://hooks.example.com@127.0.0.1/",
        "https://hooks.example.com/#fragment",
        "https://hooks.example.com:0/",
        *(
            f"https://hooks.example.com:{port}/"
            for port in (1, 22, 25, 80, 3306, 5432, 6379, 8080, 9200, 65535)
        ),
        "https://hooks.example.com:99999/",
        "https://hooks.example.com:https/",
        "https://hooks.example.com\\@127.0.0.1/",
        "https://hooks.example.com/\r\nHost: inside",
        "https://hooks.example.com/a b",
        "https://hooks.example.com/\x00",
        "https://hooks.example.com./",
        "https://bücher.example/",
        "https://127。0。0。1/",
        "https://%31%32%37.0.0.1/",
        "https://[::1/",
        "https://[::1%25lo]/",
        "https://[fe80::1%eth0]/",
        "https://[v1.x]/",
        "https://a.example/" + "x" * LONGEST,
    ],
)
def test_destination__anything_else__is_refused_and_never_repeated(url: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        destination(url)
    assert "password" not in str(refusal.value).replace("passwords", "")


@pytest.mark.parametrize(
    "host",
    [
        "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "127.1", "127.0.1", "1.2.3.4.5", "08.8.8.8", "8.8.8.0x8",
        "0", "0x",
    ],
)  # fmt: skip
def test_destination__a_number_in_disguise__is_refused_rather_than_read(host: str) -> None:
    with pytest.raises(InvalidInput, match="unusual spelling"):
        destination(f"https://{host}/")


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "2a00:1450:4001::200e", "64:ff9b::808:808"],
)
def test_is_public__a_public_address__may_be_called(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.255.255.254", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.0.1",
        "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
        "192.88.99.1",
        "::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::7f00:1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254",
        "ff02::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::808:808", "100::1", "3fff::1", "5f00::1", "localhost", "", "8.8.8", "0x8.8.8.8",
    ],
)  # fmt: skip
def test_is_public__loopback_private_special_or_wrapped__may_not(address: str) -> None:
    assert not is_public(address)
