"""Addresses of servers: read in one way, compared in one way, and told apart by whether they lie
inside this network.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.engine.core.addresses import host, is_inside, read, read_hosts


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("https://Api.Example.org", ("https", "api.example.org", 443)),
        ("https://api.example.org.", ("https", "api.example.org", 443)),
        ("HTTPS://API.EXAMPLE.ORG:8443/v1", ("https", "api.example.org", 8443)),
        ("http://bücher.example", ("http", "xn--bcher-kva.example", 80)),
        ("http://ＡＰＩ.example", ("http", "api.example", 80)),
        ("http://127.0.0.1:8080/v1", ("http", "127.0.0.1", 8080)),
        ("http://127.1", ("http", "127.0.0.1", 80)),
        ("http://2130706433", ("http", "127.0.0.1", 80)),
        ("http://0x7f000001", ("http", "127.0.0.1", 80)),
        ("http://0177.0.0.1", ("http", "127.0.0.1", 80)),
        ("http://①②⑦.0.0.1", ("http", "127.0.0.1", 80)),
        ("http://127。0。0。1", ("http", "127.0.0.1", 80)),
        ("http://[::1]:80", ("http", "::1", 80)),
        ("http://[0:0::1]", ("http", "::1", 80)),
        ("http://name@api.example.org", ("http", "api.example.org", 80)),
        ("http://api.example.org@evil.example", ("http", "evil.example", 80)),
    ],
)
def test_every_spelling_of_a_host_is_one_host(text: str, found: tuple[str, str, int]) -> None:
    address = read(text)
    assert (address.scheme, address.host, address.port) == found


@pytest.mark.parametrize(
    "text",
    [
        "", "api.example.org", "ftp://api.example.org", "http://", "http://:80", "http://a:0",
        "http://a:99999", "http://[::1", "http://[x]",
        "http://api.example.org\\@evil.example", "http://evil.example\\.api.example.org",
        "http://api%2eexample.org", "http://[fe80::1%25eth0]",
        "http://a..b", "http://-a", "http://a b", "http://1.2.3.4.5", "http://256.256.256.256",
        "http://08.0.0.1", "http://" + "a" * 300,
        "http://*.example.org",
    ],
)  # fmt: skip
def test_what_could_be_read_in_two_ways_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(is|has|must)\b"):
        read(text)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "224.0.0.1", "255.255.255.255",
        "240.0.0.1", "192.0.2.1", "198.18.0.1", "::1", "::", "::127.0.0.1", "::8.8.8.8",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:0:8.8.8.8",
        "::ffff:0:10.0.0.1", "64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::8.8.8.8",
        "64:ff9b:1::10.0.0.1", "2002:7f00:1::",
        "2002:a00:1::", "2001::1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd12:3456::1",
        "ff02::1", "100::1", "2001:db8::1",
    ],
)  # fmt: skip
def test_addresses_inside_a_network_are_known_however_they_are_wrapped(address: str) -> None:
    assert is_inside(address)


@pytest.mark.parametrize(
    "address",
    [
        "8.8.8.8",
        "93.184.216.34",
        "2001:4860:4860::8888",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2002:808:808::",
    ],
)
def test_addresses_of_the_internet_are_outside(address: str) -> None:
    assert not is_inside(address)


@given(st.integers(0, (1 << 32) - 1))
def test_a_wrapped_address_is_inside_wherever_the_plain_one_is(number: int) -> None:
    plain = IPv4Address(number)
    wrapped = [
        f"::ffff:{plain}",
        f"64:ff9b::{plain}",
        str(IPv6Address((0x2002 << 112) | (number << 80))),
    ]
    assert {is_inside(each) for each in wrapped} == {is_inside(str(plain))}
    assert is_inside(f"::{plain}")
    assert is_inside(f"64:ff9b:1::{plain}")
    assert is_inside(f"::ffff:0:{plain}")


@pytest.mark.slow
@given(st.text(max_size=40))
def test_any_text_is_read_or_refused_and_a_host_stays_what_it_is(text: str) -> None:
    try:
        found = host(text)
    except ValueError:
        return
    assert host(found) == found


def test_a_list_of_hosts_is_exact_names_with_or_without_ports() -> None:
    found, faults = read_hosts(" Api.Example.org., 127.0.0.1:8080 ,[::1]:443,::1,, bücher.example")
    assert found == [
        ("api.example.org", None),
        ("127.0.0.1", 8080),
        ("::1", 443),
        ("::1", None),
        ("xn--bcher-kva.example", None),
    ]
    assert faults == []


@pytest.mark.parametrize(
    "entry",
    [
        "*", "*.example.org", "api.*", "a?.example", "https://api.example.org",
        "api.example.org/v1", "x@api.example.org", "a:", "a:x", "a:0",
        "a:70000", "[::1", "a\\b",
    ],
)  # fmt: skip
def test_what_is_no_exact_host_is_named_and_the_others_hold(entry: str) -> None:
    found, faults = read_hosts(f"api.example.org,{entry}")
    assert found == [("api.example.org", None)]
    [fault] = faults
    assert entry in fault
    assert ("wildcard" in fault) is ("*" in entry or "?" in entry)
