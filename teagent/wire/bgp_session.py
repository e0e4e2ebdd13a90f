"""What keeps a BGP session up (RFC 4271 section 4): framing, OPEN, KEEPALIVE, NOTIFICATION.

Nothing here makes an UPDATE: who speaks with this can listen, and cannot announce.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

from teagent.errors import BadLength, BadVersion
from teagent.model.bgp import AS_TRANS
from teagent.wire.bgp_open import CAPABILITIES, OPEN, capabilities
from teagent.wire.bgp_update import FAMILY_OF_AFI, HEADER_OCTETS, MARKER, UNICAST

NOTIFICATION: Final = 3
KEEPALIVE: Final = 4
LONGEST_MESSAGE: Final = 4096
"""RFC 8654's longer ones have to be negotiated, and are not."""
VERSION: Final = 4
MULTIPROTOCOL: Final = 1  # RFC 4760
GRACEFUL_RESTART: Final = 64  # RFC 4724
FOUR_OCTET_AS: Final = 65  # RFC 6793
AFI_OF_FAMILY: Final = {family: afi for afi, family in FAMILY_OF_AFI.items()}
OPEN_FIELDS: Final = struct.Struct(">BHH4sB")

HEADER_ERROR: Final = 1
OPEN_ERROR: Final = 2
UPDATE_ERROR: Final = 3
HOLD_TIMER: Final = 4
CEASE: Final = 6
BAD_PEER_AS: Final = 2
UNACCEPTABLE_HOLD_TIME: Final = 6
SHUTDOWN: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """`as_octets`: of AS numbers in the UPDATEs that follow. `families` are those of unicast (RFC 4760)."""

    asn: int
    hold_seconds: int
    identifier: IPv4Address
    as_octets: int
    families: frozenset[int]


class MessageStream:
    """One connection. Keeps less than one message between two calls."""

    def __init__(self) -> None:
        self._held = b""
        self._before = 0

    def feed(self, octets: bytes) -> Iterator[bytes]:
        """The messages that are whole now, with their headers. Raises BadVersion or BadLength where the next one cannot
        be found; nothing can be fed after that.
        """
        held, at = self._held + octets, 0
        try:
            while len(held) - at >= HEADER_OCTETS:
                length = self._length(held, at)
                if at + length > len(held):
                    break
                message = held[at : at + length]
                at += length
                yield message
        finally:
            self._held = held[at:]
            self._before += at

    def _length(self, held: bytes, at: int) -> int:
        if held[at : at + 16] != MARKER:
            raise BadVersion("bgp message does not begin with its marker", offset=self._before + at)
        length = held[at + 16] << 8 | held[at + 17]
        if not HEADER_OCTETS <= length <= LONGEST_MESSAGE:
            raise BadLength(
                f"bgp message states a length of {length}, limits {HEADER_OCTETS} to {LONGEST_MESSAGE}",
                offset=self._before + at + 16,
            )
        return length


def kind(message: bytes) -> int:
    """Of a message that MessageStream gave out."""
    return message[HEADER_OCTETS - 1]


def encode_open(*, asn: int, hold_seconds: int, identifier: IPv4Address, families: Collection[int]) -> bytes:
    """`families` out of 4 and 6. It also asks for an End-of-RIB behind the table: by graceful restart without a family,
    as of one that restarts nothing itself (RFC 4724 section 4).
    """
    offered = b"".join(_capability(MULTIPROTOCOL, struct.pack(">HBB", AFI_OF_FAMILY[f], 0, UNICAST)) for f in families)
    offered += _capability(GRACEFUL_RESTART, bytes(2)) + _capability(FOUR_OCTET_AS, struct.pack(">I", asn))
    options = bytes((CAPABILITIES, len(offered))) + offered
    short = asn if asn <= 0xFFFF else AS_TRANS
    return _message(OPEN, OPEN_FIELDS.pack(VERSION, short, hold_seconds, identifier.packed, len(options)) + options)


def encode_keepalive() -> bytes:
    return _message(KEEPALIVE, b"")


def encode_notification(code: int, subcode: int = 0) -> bytes:
    return _message(NOTIFICATION, bytes((code, subcode)))


def decode_open(message: bytes) -> Open:
    """Raises WireError: BadVersion for what is no OPEN of version 4, Truncated."""
    found = dict(capabilities(message))
    families = {4} if MULTIPROTOCOL not in found else set[int]()
    families |= {
        family
        for code, value in capabilities(message)
        if code == MULTIPROTOCOL and len(value) == 4 and value[3] == UNICAST
        if (family := FAMILY_OF_AFI.get(value[0] << 8 | value[1])) is not None
    }
    version, short, hold_seconds, identifier, _ = OPEN_FIELDS.unpack_from(message, HEADER_OCTETS)
    if version != VERSION:
        raise BadVersion(f"bgp open of version {version}, only {VERSION} is known", offset=HEADER_OCTETS)
    long = found.get(FOUR_OCTET_AS)
    if long is not None and len(long) != 4:
        raise BadLength(f"bgp capability {FOUR_OCTET_AS} takes 4 octets, {len(long)} are there", offset=HEADER_OCTETS)
    return Open(
        asn=short if long is None else int.from_bytes(long, "big"),
        hold_seconds=hold_seconds,
        identifier=IPv4Address(identifier),
        as_octets=2 if long is None else 4,
        families=frozenset(families),
    )


def _capability(code: int, value: bytes) -> bytes:
    return bytes((code, len(value))) + value


def _message(kind_: int, body: bytes) -> bytes:
    return MARKER + struct.pack(">HB", HEADER_OCTETS + len(body), kind_) + body
