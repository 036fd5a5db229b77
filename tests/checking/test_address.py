"""The table of addresses and ports that no link may lead to."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from archiver.checking.address import AddressGuard, is_bad_port, is_odd_literal, is_public

NOT_PUBLIC = [
    *("0.0.0.0", "10.1.2.3", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254"),
    *("168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1"),
    *("192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255"),
    *("198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.255", "240.0.0.1"),
    *("255.255.255.255", "::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:10.0.0.1"),
    *("::ffff:127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::8.8.8.8"),
    *("100::1", "2001::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1"),
    *("2002:a00:1::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "3fff::1", "3fff:fff::1"),
    *("5f00::1", "fc00::1", "fd12::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1"),
    # Teredo: server 192.168.0.1; client 10.0.0.1 (each inverted bit by bit)
    *("2001:0:c0a8:1::f7f7:f7f7", "2001:0:808:808::f5ff:fffe"),
    *("", "example.org", "8.8.8", "8.8.8.8.8", "127.0.0.1 ", "08.8.8.8"),
]
PUBLIC = [
    *("1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.1", "100.63.255.255", "100.128.0.1"),
    *("126.255.255.255", "128.0.0.1", "168.63.129.15", "172.15.255.255", "172.32.0.1"),
    *("192.0.1.1", "198.17.255.255", "198.20.0.1", "203.0.114.1", "223.255.255.255"),
    *("2000::1", "2001:200::1", "2001:4860:4860::8888", "2606:4700:4700::1111", "2a00::1"),
    *("3ffe::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"),
    *("2001:0:808:808::f7f7:f7f7",),
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_off_the_public_internet_is_refused(address: str) -> None:
    assert not is_public(address)
    assert AddressGuard().refusal(address, 80) == "private-address"


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_public_internet_is_allowed(address: str) -> None:
    assert is_public(address)
    assert AddressGuard().refusal(address, 443) is None


@given(st.integers(0, 2**32 - 1))
def test_an_ipv4_address_is_judged_the_same_however_it_is_wrapped(number: int) -> None:
    plain = ipaddress.IPv4Address(number)
    public = is_public(plain)
    assert is_public(ipaddress.IPv6Address((0xFFFF << 32) | number)) is public
    assert is_public(ipaddress.IPv6Address((0x64FF9B << 96) | number)) is public
    assert is_public(ipaddress.IPv6Address((0x2002 << 112) | (number << 80))) is public
    assert not is_public(ipaddress.IPv6Address(number))


@given(st.integers(0, 2**32 - 1))
def test_nothing_is_public_here_that_python_calls_private(number: int) -> None:
    plain = ipaddress.IPv4Address(number)
    if plain.is_private or plain.is_multicast or plain.is_reserved:
        assert not is_public(plain)


@given(st.integers(0, 2**128 - 1))
def test_no_ipv6_address_outside_global_unicast_is_public_by_itself(number: int) -> None:
    address = ipaddress.IPv6Address(number)
    inside = address in ipaddress.IPv6Network("2000::/3")
    wrapped = address.ipv4_mapped or address in ipaddress.IPv6Network("64:ff9b::/96")
    if not inside and not wrapped:
        assert not is_public(address)


@pytest.mark.parametrize("port", [0, 1, 22, 25, 53, 110, 143, 465, 587, 2049, 6000, 6667, 10080])
def test_a_port_of_another_service_is_bad(port: int) -> None:
    assert is_bad_port(port)
    assert AddressGuard().refusal("8.8.8.8", port) == "bad-port"


@pytest.mark.parametrize("port", [80, 443, 8080, 8000, 8443, 3000, 5000, 65535])
def test_a_port_of_a_web_server_is_fine(port: int) -> None:
    assert not is_bad_port(port)


@pytest.mark.parametrize(
    "host",
    ["127.1", "2130706433", "0x7f.1", "0x7f000001", "017700000001", "127.0.0.1.", "1.2.3.4.5"],
)
def test_an_address_in_disguise_is_refused_before_the_wire(host: str) -> None:
    assert is_odd_literal(host)
    guard = AddressGuard(["127.0.0.0/8", "0.0.0.0/0"])
    assert guard.refusal_of_host(host, 80) == "private-address"


@pytest.mark.parametrize(
    "host", ["example.org", "a1.b2.c3", "1.example", "x.0xyz", "93.184.216.34"]
)
def test_names_and_plain_public_addresses_pass_before_the_wire(host: str) -> None:
    assert AddressGuard().refusal_of_host(host, 80) is None


def test_a_literal_is_judged_before_anything_is_resolved() -> None:
    guard = AddressGuard()
    assert guard.refusal_of_host("10.0.0.1", 80) == "private-address"
    assert guard.refusal_of_host("::1", 80) == "private-address"
    assert guard.refusal_of_host("[::1]", 80) == "private-address"
    assert guard.refusal_of_host("example.org", 25) == "bad-port"


def test_the_operators_exceptions_open_exactly_what_they_name() -> None:
    guard = AddressGuard(["127.0.0.0/8", "fd00::/8"])
    assert guard.refusal("127.0.0.9", 8080) is None
    assert guard.refusal("::ffff:127.0.0.9", 8080) is None
    assert guard.refusal("fd00::5", 80) is None
    assert guard.refusal("10.0.0.1", 80) == "private-address"
    assert guard.refusal("::1", 80) == "private-address"
    assert guard.refusal("127.0.0.9", 25) == "bad-port"
    assert guard.refusal("8.8.8.8", 80) is None
