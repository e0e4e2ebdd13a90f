"""The capabilities of a BGP OPEN (RFC 4271 section 4.2, RFC 5492), and of them what says how UPDATEs are to be read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from teagent.errors import BadVersion, Truncated
from teagent.wire.bgp_update import FAMILY_OF_AFI, HEADER_OCTETS, MARKER, UNICAST

OPEN: Final = 1
CAPABILITIES: Final = 2  # RFC 5492
EXTENDED: Final = 255  # RFC 9072
ADD_PATH: Final = 69
RECEIVES: Final = 1
SENDS: Final = 2


def add_path_families(*, sent: bytes, received: bytes) -> frozenset[int]:
    """Families in which the peer sends additional paths (RFC 7911 section 4), out of both OPENs with their headers.

    Raises WireError.
    """
    ours, theirs = dict(_modes(sent)), dict(_modes(received))
    return frozenset(family for family, mode in theirs.items() if mode & SENDS and ours.get(family, 0) & RECEIVES)


def _modes(message: bytes) -> Iterator[tuple[int, int]]:
    """(family, send/receive) of each unicast family in the capability."""
    for code, value in capabilities(message):
        if code == ADD_PATH:
            for at in range(0, len(value) - 3, 4):
                family = FAMILY_OF_AFI.get(value[at] << 8 | value[at + 1])
                if family is not None and value[at + 2] == UNICAST:
                    yield family, value[at + 3]


def capabilities(message: bytes) -> Iterator[tuple[int, bytes]]:
    """(code, value) of each. Raises BadVersion for what is no OPEN, and Truncated."""
    if len(message) < HEADER_OCTETS + 10:
        raise Truncated(f"bgp open takes {HEADER_OCTETS + 10} octets, {len(message)} are there", offset=0)
    if message[:16] != MARKER or message[18] != OPEN:
        raise BadVersion(f"bgp message is of type {message[18]}, an open is {OPEN}", offset=18)
    options = message[HEADER_OCTETS + 9 :]
    extended = len(options) >= 4 and options[0] == EXTENDED and options[1] == EXTENDED
    for kind, value in _tlvs(options[4:] if extended else options[1:], length_octets=2 if extended else 1):
        if kind == CAPABILITIES:
            yield from _tlvs(value, length_octets=1)


def _tlvs(octets: bytes, *, length_octets: int) -> Iterator[tuple[int, bytes]]:
    at, head = 0, 1 + length_octets
    while at < len(octets):
        size = int.from_bytes(octets[at + 1 : at + head], "big")
        if at + head + size > len(octets):
            raise Truncated(f"bgp open states {size} octets of option {octets[at]}", offset=at)
        yield octets[at], octets[at + head : at + head + size]
        at += head + size
