"""X-Forwarded-For counts only as far as trusted proxies have written it."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import RequestFactory

from config import env
from experiments.http.addresses import UNKNOWN, client_address, sender_of


def asked(peer: str, forwarded: str = "") -> str:
    headers = {"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {}
    return client_address(RequestFactory().get("/", REMOTE_ADDR=peer, **headers))


@pytest.fixture
def proxies(settings):
    settings.TRUSTED_PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def test_without_trusted_proxies__the_header_counts_for_nothing(settings):
    settings.TRUSTED_PROXIES = ()
    assert asked("10.0.0.1", "203.0.113.9") == "10.0.0.1"


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("198.51.100.7", "203.0.113.9", "198.51.100.7"),  # no proxy of ours says so
        ("10.0.0.1", "1.1.1.1, 203.0.113.9", "203.0.113.9"),  # the sender wrote the first
        ("10.0.0.1", "1.1.1.1, 203.0.113.9, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.1", "203.0.113.9:51034", "203.0.113.9"),
        ("10.0.0.1", "[2001:db8::1]:443", "2001:db8::1"),
        ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("fd00::1", "2001:DB8:0::1", "2001:db8::1"),
        ("10.0.0.1", "203.0.113.9, unknown", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("", "203.0.113.9", UNKNOWN),
    ],
)
def test_client_address__is_the_first_that_no_trusted_proxy_has(proxies, peer, forwarded, found):
    assert asked(peer, forwarded) == found


def test_a_long_header__is_read_from_its_right_end_alone(proxies):
    assert asked("10.0.0.1", "1.1.1.1," * 100_000 + "203.0.113.9") == "203.0.113.9"


def test_sender__is_the_household_of_an_ipv6_address():
    assert sender_of("2001:db8::1") == sender_of("2001:db8::ffff") == "2001:db8::/64"
    assert sender_of("203.0.113.9") == "203.0.113.9"
    assert sender_of("nonsense") == UNKNOWN


def test_setting__names_what_is_no_network(monkeypatch):
    monkeypatch.setenv("ASSAY_TRUSTED_PROXIES", "10.0.0.0/8, everybody")
    with pytest.raises(ImproperlyConfigured, match="everybody"):
        env.networks("ASSAY_TRUSTED_PROXIES")
