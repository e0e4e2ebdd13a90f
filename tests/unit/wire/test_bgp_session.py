"""OPEN, KEEPALIVE and NOTIFICATION as RFC 4271 has them, and messages as TCP cuts them."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teagent.errors import BadLength, BadVersion, WireError
from teagent.wire import bgp_session as wire
from tests.fakes import bmp as b

ID = IPv4Address("192.0.2.251")


@pytest.mark.parametrize("asn", [64500, 4_200_000_000])
@pytest.mark.parametrize("families", [{4}, {6}, {4, 6}])
def test_an_open_is_read_as_it_was_written(asn: int, families: set[int]) -> None:
    message = wire.encode_open(asn=asn, hold_seconds=30, identifier=ID, families=sorted(families))
    assert wire.decode_open(message) == wire.Open(
        asn=asn, hold_seconds=30, identifier=ID, as_octets=4, families=frozenset(families)
    )


def test_an_open_without_capabilities_is_of_ipv4_and_short_as_numbers() -> None:
    found = wire.decode_open(b.open_(asn=64500))
    assert (found.asn, found.as_octets, found.families) == (64500, 2, {4})


def test_an_open_of_another_version_is_refused() -> None:
    message = bytearray(b.open_())
    message[19] = 3
    with pytest.raises(BadVersion, match="open of version 3"):
        wire.decode_open(bytes(message))


def test_an_open_asks_for_an_end_of_rib_and_restarts_nothing_itself() -> None:
    message = wire.encode_open(asn=64500, hold_seconds=30, identifier=ID, families=[4])
    assert bytes((64, 2, 0, 0)) in message


@pytest.mark.parametrize(
    ("octets", "error"),
    [
        (b"\0" * 19, BadVersion),
        (b.MARKER + b"\0\x12\x04", BadLength),
        (b.MARKER + b"\x10\x01\x04", BadLength),
    ],
)
def test_what_is_no_message_ends_the_stream(octets: bytes, error: type[WireError]) -> None:
    with pytest.raises(error):
        list(wire.MessageStream().feed(octets))


MESSAGES = (
    wire.encode_open(asn=64500, hold_seconds=30, identifier=ID, families=[4, 6]),
    wire.encode_keepalive(),
    b.update(["11.0.0.0/24"], large=[(65000, 1, 11)]),
    wire.encode_notification(wire.CEASE, wire.SHUTDOWN),
)


@given(st.lists(st.integers(1, 60), max_size=20))
def test_the_cuts_of_tcp_change_nothing(sizes: list[int]) -> None:
    octets, found, stream = b"".join(MESSAGES), [], wire.MessageStream()
    for size in [*sizes, len(octets)]:
        found += stream.feed(octets[:size])
        octets = octets[size:]
    assert tuple(found) == MESSAGES


@given(st.binary(max_size=200))
def test_any_octets_give_messages_or_a_wire_error(octets: bytes) -> None:
    with suppress(WireError):
        for message in wire.MessageStream().feed(octets):
            wire.decode_open(message)
    with suppress(WireError):
        wire.decode_open(b.bgp(1, octets))
