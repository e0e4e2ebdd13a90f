"""Text files of origins, line by line."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teagent.wire.ip_to_asn import BadLine, Range, ranges


def of_prefix(prefix: str, asn: int) -> Range:
    network = ip_network(prefix)
    return Range(network.version, int(network[0]), int(network[-1]), asn)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("192.0.2.0/24 64500", of_prefix("192.0.2.0/24", 64500)),
        ("192.0.2.0/24,AS64500,Example Net", of_prefix("192.0.2.0/24", 64500)),
        ('"2001:db8::/32","64500","Example, Inc."', of_prefix("2001:db8::/32", 64500)),
        ("192.0.2.77/24\t1.10", of_prefix("192.0.2.0/24", 65546)),
        ("192.0.2.0\t24\t64500_64501", of_prefix("192.0.2.0/24", 64500)),
        ("2001:db8::\t32\t{64500,64501}", of_prefix("2001:db8::/32", 64500)),
        ("192.0.2.0\t192.0.2.127\t64500\tZZ\tEXAMPLE", of_prefix("192.0.2.0/25", 64500)),
        ("192.0.2.0,192.0.2.2,0,None,Not routed", Range(4, int(ip_address("192.0.2.0")), 0xC0000202, 0)),
    ],
)
def test_the_known_forms_are_read(line, expected):
    assert list(ranges(["# made by hand\n", "\n", f"{line}\r\n"])) == [expected]


def test_a_header_is_passed_over_and_a_bad_line_is_named_with_its_number():
    found = list(ranges(["network,autonomous_system_number", "192.0.2.0/24,64500", "nonsense", "192.0.2.0/24,x"]))
    assert found == [
        of_prefix("192.0.2.0/24", 64500),
        BadLine(3, "'nonsense' has no AS number"),
        BadLine(4, "'X' is not an AS number from 1 to 4294967295"),
    ]


@pytest.mark.parametrize(
    "line",
    ["192.0.2.0/33 64500", "192.0.2.0/x 64500", "192.0.2.9 192.0.2.1 64500", "192.0.2.0 2001:db8::1 64500",
     "192.0.2.0 64500", "300.0.0.0/8 64500", "192.0.2.0/24 4294967296"],
)  # fmt: skip
def test_a_line_that_makes_no_sense_is_bad(line):
    assert isinstance(list(ranges(["192.0.2.0/24 1", line]))[1], BadLine)


@given(st.lists(st.text(max_size=60), max_size=5))
def test_any_text_is_ranges_or_bad_lines(lines):
    for found in ranges(lines):
        assert isinstance(found, BadLine) or found.first <= found.last
