from __future__ import annotations

from ipaddress import ip_network

import pytest

from teagent.config import readers
from teagent.config.document import DecimalNumber
from teagent.config.effective import Listen


def refusal(reader: object, value: object, **limits: object) -> str:
    with pytest.raises(ValueError) as caught:
        reader(value, **limits)  # type: ignore[operator]
    message = str(caught.value)
    assert "\n" not in message
    assert not message.endswith(".")
    return message


@pytest.mark.parametrize(("value", "asn"), [(64500, 64500), ("AS64500", 64500), (DecimalNumber("1.10"), 65546)])
def test_as_numbers_are_read_in_every_spelling(value: object, asn: int) -> None:
    assert readers.read_asn(value) == asn


@pytest.mark.parametrize("value", [0, -1, 23456, 65535, 4294967295, 2**32, True, None, "x", [], "1.70000"])
def test_what_is_nobodys_as_number_is_refused(value: object) -> None:
    refusal(readers.read_asn, value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("10G", "'10G' is not a rate, for example 10Gbps"),
        (10_000_000, "10000000 has no unit, for example 10Gbps"),
        (DecimalNumber("1.50"), "1.50 has no unit, for example 10Gbps"),
        (True, "true is not a rate, for example 10Gbps; if it is meant as text, quote it"),
        (None, "an empty value is not a rate, for example 10Gbps"),
        ([], "a list is not a rate, for example 10Gbps"),
        ({}, "a map is not a rate, for example 10Gbps"),
        ("0bps", "'0bps' is less than 1kbps, the least that is possible here"),
        ("9" * 30 + "Tbps", "is more than 1000Tbps"),
        ("10Gbps\n", "is not a rate"),
        ("x" * 10_000, "is not a rate"),
        ("-10Gbps", "'-10Gbps' is not a rate, for example 10Gbps"),
    ],
)
def test_what_is_no_rate_is_refused_with_an_example(value: object, message: str) -> None:
    assert message in refusal(readers.read_rate, value)


def test_durations_are_bounded_on_both_sides() -> None:
    assert readers.read_duration("1h30m", low=1, high=86400) == 5400
    assert "less than 1s" in refusal(readers.read_duration, "100ms", low=1, high=60)
    assert "more than 1m" in refusal(readers.read_duration, "2m", low=1, high=60)
    assert refusal(readers.read_duration, 30, low=1, high=60) == "30 has no unit, for example 30s"


def test_a_share_is_divided_and_not_multiplied() -> None:
    assert readers.read_share("95%", low=0, high=1) == 0.95
    assert "more than 100%" in refusal(readers.read_share, "101%", low=0, high=1)
    assert refusal(readers.read_share, 80, low=0, high=1) == "80 has no unit, for example 80%"


@pytest.mark.parametrize("value", ["0.0.0.0/0", "::/0", "224.0.0.0/8", "127.0.0.0/8", "fe80::/64", "x", 10, None])
def test_what_nobody_announces_is_no_prefix_of_ours(value: object) -> None:
    refusal(readers.read_prefix, value)


def test_host_bits_in_a_prefix_are_a_mistake_with_a_suggestion() -> None:
    assert refusal(readers.read_prefix, "10.0.0.1/24") == "'10.0.0.1/24' is not a prefix, did you mean 10.0.0.0/24"
    assert readers.read_prefix("10.0.0.0/24") == ip_network("10.0.0.0/24")


@pytest.mark.parametrize("value", ["192.0.2.1/32", "0.0.0.0", "::", "224.0.0.1", "edge1", 192, None])
def test_what_is_not_one_machines_address_is_refused(value: object) -> None:
    refusal(readers.read_address, value)


def test_families_are_not_mixed_up() -> None:
    assert "not an IPv4 address" in refusal(readers.read_ipv4, "2001:db8::1")
    assert "not an IPv6 address" in refusal(readers.read_ipv6, "192.0.2.1")


@pytest.mark.parametrize("value", ["192.0.2", "192.0.2.256", "-edge", "ed_ge", "a..b", "x" * 300, "a b", 1])
def test_what_is_neither_address_nor_host_name_is_refused(value: object) -> None:
    refusal(readers.read_host, value)


def test_hosts_may_be_names() -> None:
    assert readers.read_host("edge1.example.net") == "edge1.example.net"
    assert readers.read_host("2001:DB8::1") == "2001:db8::1"


@pytest.mark.parametrize(
    "value", ["2055", "192.0.2.1", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:0255", "::1:2055", "a:1"]
)
def test_what_is_no_address_with_a_port_is_refused(value: str) -> None:
    refusal(readers.read_listen, value, example="127.0.0.1:9617")


def test_an_ipv6_address_with_a_port_has_brackets() -> None:
    listen = readers.read_listen("[::1]:9617", example="127.0.0.1:9617")
    assert listen == Listen(host="::1", port=9617)
    assert str(listen) == "[::1]:9617"


def test_an_as_number_in_the_place_of_prepends_is_recognised() -> None:
    message = "65000 is not a number of prepends from 0 to 5, it looks like an AS number"
    assert refusal(readers.read_prepend, 65000) == message
    assert refusal(readers.read_home, 65000) == message
    assert refusal(readers.read_prepend, 6) == "6 is not a number of prepends from 0 to 5"


@pytest.mark.parametrize("value", [-1, 6, True, "2", 1.0, None, "withold", []])
def test_what_is_neither_prepends_nor_withhold_is_refused(value: object) -> None:
    refusal(readers.read_home, value)


@pytest.mark.parametrize("value", ["public", "PUBLIC", "env:1X", "env:A B", "file:relative", "credential:../x"])
def test_a_literal_secret_is_refused_and_never_repeated(value: str) -> None:
    assert value not in refusal(readers.read_secret, value)


@pytest.mark.parametrize("value", [12345, None, [], True])
def test_a_secret_that_is_not_text_is_not_repeated_either(value: object) -> None:
    assert "12345" not in refusal(readers.read_secret, value)


def test_known_words_come_nearest_first() -> None:
    read = readers.choice(["transit", "peering", "ix", "customer"], what="kind of link")
    assert refusal(read, "transt") == "'transt' is not a known kind of link, known are transit, customer, ix, peering"


def test_what_is_planned_is_told_from_what_is_unknown() -> None:
    read = readers.choice(["prepend"], what="lever", later=["community"])
    assert refusal(read, "community") == "lever community is not available yet, known are prepend"
    assert refusal(read, "foo") == "'foo' is not a known lever, known are prepend"


@pytest.mark.parametrize("value", [[], ["ix", "foo"], "foo", None, [["ix"]]])
def test_one_or_more_words_have_to_be_known(value: object) -> None:
    refusal(readers.one_or_more(["ix", "transit"], what="kind of link"), value)


@pytest.mark.parametrize("value", ["", " eth0", "eth0 ", "a\nb", "\x1b[31m", "x" * 300, 3, None])
def test_text_is_one_printable_line(value: object) -> None:
    refusal(readers.read_line, value, what="an interface", example="eth0")


@pytest.mark.parametrize("value", ["~/x", " x", "x\0y", "", 3])
def test_paths_are_whole(value: object) -> None:
    refusal(readers.read_path, value)


@pytest.mark.parametrize("value", [-0.1, 1e9, True, "0.20", None])
def test_a_price_is_a_number_that_is_not_negative(value: object) -> None:
    refusal(readers.read_money, value)
