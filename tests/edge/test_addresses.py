"""Where a customer asks from."""

import ipaddress

import pytest

from service.edge.addresses import UNKNOWN, customer_address, is_loopback

PROXIES = [ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["6.6.6.6"], "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.4"], "198.51.100.4"),
        ("10.0.0.1", ["6.6.6.6, 198.51.100.4"], "198.51.100.4"),
        ("10.0.0.1", ["6.6.6.6", "198.51.100.4, 10.2.0.1"], "198.51.100.4"),
        ("10.0.0.1", ["10.9.9.9, 10.2.0.1"], "10.9.9.9"),
        ("10.0.0.1", ["6.6.6.6, garbage"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.4:51234"], "198.51.100.4"),
        ("10.0.0.1", ["[2001:db8:1:2::9]:443"], "2001:db8:1:2::"),
        ("10.0.0.1", ["[2001:db8:1:2::9]"], "2001:db8:1:2::"),
        ("::ffff:10.0.0.1", ["198.51.100.4"], "198.51.100.4"),
        ("fd00::1", ["2001:db8:1:2:3:4:5:6"], "2001:db8:1:2::"),
        ("2001:db8:1:2::7", [], "2001:db8:1:2::"),
        ("::1", [], "::1"),
        (None, ["198.51.100.4"], UNKNOWN),
        ("not an address", [], UNKNOWN),
    ],
)
def test_the_customer_is_the_right_most_hop_outside_the_trusted_proxies(peer, forwarded, address):
    assert customer_address(peer, forwarded, PROXIES) == address


def test_without_trusted_proxies_no_header_is_believed():
    assert customer_address("127.0.0.1", ["6.6.6.6"], []) == "127.0.0.1"


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1"])
def test_loopback_is_known(address):
    assert is_loopback(address)


@pytest.mark.parametrize("address", ["10.0.0.1", UNKNOWN, "2001:db8::"])
def test_anything_else_is_not_loopback(address):
    assert not is_loopback(address)
