"""BMP version 3 (RFC 7854): what a router tells of its BGP sessions and of the routes that it got on them.

Peers of the Adj-RIB-Out (RFC 8671) and of the Loc-RIB (RFC 9069) are told apart by `View`. Octets come in as TCP cuts
them; messages go out whole. A message whose header makes no sense ends the stream, since nobody knows where the next
one begins; one whose body makes none is given out as `Undecoded`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Final, TypeAlias

from teagent.errors import BadLength, BadVersion, LimitExceeded, Truncated, WireError
from teagent.model.bgp import Address
from teagent.wire import bgp_notification
from teagent.wire.bgp_update import HEADER_OCTETS as BGP_HEADER_OCTETS

VERSION: Final = 3
HEADER: Final = struct.Struct(">BIB")
PEER_OCTETS: Final = 42
LONGEST_MESSAGE: Final = 1 << 18
"""Four of the longest BGP messages (RFC 8654): what is longer is not what it is taken for."""
LONGEST_TEXT: Final = 4096

LOC_RIB_PEER: Final = 3
FLAG_IPV6: Final = 0x80
FLAG_POST_POLICY: Final = 0x40
FLAG_TWO_OCTET_AS: Final = 0x20
FLAG_OUT: Final = 0x10


class View(StrEnum):
    """Which of a router's tables a message is about."""

    PRE_POLICY = "pre_policy"  # Adj-RIB-In as it was received
    POST_POLICY = "post_policy"  # and what the inbound policy left of it
    OUT_PRE_POLICY = "out_pre_policy"
    OUT_POST_POLICY = "out_post_policy"
    LOC_RIB = "loc_rib"  # what was selected


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """The per-peer header (RFC 7854 section 4.2). `address` is None for the Loc-RIB. `at` is the router's clock, in
    seconds since 1970, 0 where it does not say. `distinguisher` tells instances apart, 0 for the global one.
    """

    kind: int
    view: View
    distinguisher: int
    address: Address | None
    asn: int
    bgp_id: IPv4Address
    at: float
    as_octets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteMonitoring:
    """`update` is a BGP UPDATE for wire.bgp_update, with its header."""

    peer: Peer
    update: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerUp:
    """`sent` and `received` are the OPENs, with their headers. `local_address` is the router's end."""

    peer: Peer
    local_address: Address
    local_port: int
    remote_port: int
    sent: bytes
    received: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerDown:
    peer: Peer
    code: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """RFC 7854 section 4.8, RFC 8671 section 6.2: counters and gauges by type; those of other lengths are left out."""

    peer: Peer
    values: dict[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Initiation:
    system_name: str
    system_description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Termination:
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mirroring:
    """RFC 7854 section 4.7: known, and not looked into."""

    peer: Peer


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecoded:
    """A message in the right frame, of a type that is not known or with a body that makes no sense."""

    kind: int
    error: WireError


Message: TypeAlias = RouteMonitoring | PeerUp | PeerDown | Statistics | Initiation | Termination | Mirroring | Undecoded


class BmpStream:
    """One connection. Keeps less than one message between two calls."""

    def __init__(self) -> None:
        self._held = b""
        self._before = 0
        self._broken: WireError | None = None

    def feed(self, octets: bytes) -> Iterator[Message]:
        """The messages that are whole now. Raises BadVersion, BadLength or LimitExceeded where the next message cannot
        be found, and from then on.
        """
        if self._broken is not None:
            raise self._broken
        held, at = self._held + octets, 0
        try:
            while len(held) - at >= HEADER.size:
                version, length, kind = HEADER.unpack_from(held, at)
                self._check(version, length, self._before + at)
                if at + length > len(held):
                    break
                body = held[at + HEADER.size : at + length]
                at += length
                yield _message(kind, body)
        except WireError as error:
            self._broken = error
            raise
        finally:
            self._held = held[at:]
            self._before += at

    @staticmethod
    def _check(version: int, length: int, at: int) -> None:
        if version != VERSION:
            raise BadVersion(f"bmp message of version {version}, only {VERSION} is known", offset=at)
        if length < HEADER.size:
            raise BadLength(f"bmp message states a length of {length}, its header takes {HEADER.size}", offset=at)
        if length > LONGEST_MESSAGE:
            raise LimitExceeded(f"bmp message states a length of {length}, limit {LONGEST_MESSAGE}", offset=at)


def _message(kind: int, body: bytes) -> Message:
    try:
        match kind:
            case 0:
                return RouteMonitoring(peer=_peer(body), update=body[PEER_OCTETS:])
            case 1:
                return Statistics(peer=_peer(body), values=_statistics(body))
            case 2:
                return _peer_down(body)
            case 3:
                return _peer_up(body)
            case 4:
                texts = dict(_texts(body))
                return Initiation(system_name=texts.get(2, ""), system_description=texts.get(1, ""))
            case 5:
                return Termination(reason=_termination(body))
            case 6:
                return Mirroring(peer=_peer(body))
            case _:
                return Undecoded(kind=kind, error=WireError(f"bmp message of type {kind} is not known", kind=kind))
    except WireError as error:
        return Undecoded(kind=kind, error=error)


def _peer(body: bytes) -> Peer:
    if len(body) < PEER_OCTETS:
        raise Truncated(f"bmp peer header takes {PEER_OCTETS} octets, {len(body)} are there", offset=HEADER.size)
    kind, flags, distinguisher, address, asn, bgp_id, seconds, micros = struct.unpack_from(">BBQ16sI4sII", body)
    local = kind == LOC_RIB_PEER
    six = bool(flags & FLAG_IPV6)
    return Peer(
        kind=kind,
        view=View.LOC_RIB if local else _VIEWS[bool(flags & FLAG_OUT), bool(flags & FLAG_POST_POLICY)],
        distinguisher=distinguisher,
        address=None if local else IPv6Address(address) if six else IPv4Address(address[12:]),
        asn=asn,
        bgp_id=IPv4Address(bgp_id),
        at=seconds + micros / 1e6,
        as_octets=2 if flags & FLAG_TWO_OCTET_AS and not local else 4,
    )


_VIEWS: Final = {
    (False, False): View.PRE_POLICY,
    (False, True): View.POST_POLICY,
    (True, False): View.OUT_PRE_POLICY,
    (True, True): View.OUT_POST_POLICY,
}


def _peer_up(body: bytes) -> PeerUp:
    """RFC 7854 section 4.10."""
    peer = _peer(body)
    at = PEER_OCTETS
    if len(body) < at + 20:
        raise Truncated(f"bmp peer up takes {at + 20} octets, {len(body)} are there", offset=at)
    six = isinstance(peer.address, IPv6Address)
    local = body[at : at + 16]
    local_port, remote_port = struct.unpack_from(">HH", body, at + 16)
    sent = _bgp_message(body, at + 20)
    received = _bgp_message(body, at + 20 + len(sent))
    return PeerUp(
        peer=peer,
        local_address=IPv6Address(local) if six else IPv4Address(local[12:]),
        local_port=local_port,
        remote_port=remote_port,
        sent=sent,
        received=received,
    )


def _bgp_message(body: bytes, at: int) -> bytes:
    if len(body) < at + BGP_HEADER_OCTETS:
        raise Truncated("bmp peer up ends within a bgp open", offset=at)
    length = body[at + 16] << 8 | body[at + 17]
    if length < BGP_HEADER_OCTETS or at + length > len(body):
        raise BadLength(f"bgp open states a length of {length}, {len(body) - at} octets are there", offset=at)
    return body[at : at + length]


PEER_DOWN: Final = {
    1: "the router closed it",
    2: "the router closed it",
    3: "the peer closed it",
    4: "the connection was lost",
    5: "the router does not report it any more",
    6: "the router closed it",
}
"""RFC 7854 section 4.9, RFC 9069 section 5.3."""


def _peer_down(body: bytes) -> PeerDown:
    peer = _peer(body)
    if len(body) <= PEER_OCTETS:
        raise Truncated("bmp peer down ends before its reason", offset=PEER_OCTETS)
    code, data = body[PEER_OCTETS], body[PEER_OCTETS + 1 :]
    said = PEER_DOWN.get(code, f"reason {code}")
    why = bgp_notification.reason(data) if code in {1, 3} else ""
    return PeerDown(peer=peer, code=code, reason=f"{said}: {why}" if why else said)


def _statistics(body: bytes) -> dict[int, int]:
    if len(body) < PEER_OCTETS + 4:
        raise Truncated("bmp statistics end before their count", offset=PEER_OCTETS)
    return {kind: int.from_bytes(value, "big") for kind, value in _tlvs(body, PEER_OCTETS + 4) if len(value) in {4, 8}}


def _texts(body: bytes) -> Iterator[tuple[int, str]]:
    for kind, value in _tlvs(body, 0):
        yield kind, "".join(c for c in value[:LONGEST_TEXT].decode("utf-8", "replace") if c.isprintable())


def _termination(body: bytes) -> str:
    """RFC 7854 section 4.5: type 1 is a reason by number."""
    said = []
    for kind, value in _tlvs(body, 0):
        if kind == 1:
            number = int.from_bytes(value, "big")
            said.append(_TERMINATIONS.get(number, f"reason {number}"))
    return ", ".join([*said, *(text for kind, text in _texts(body) if kind == 0 and text)])


_TERMINATIONS: Final = {
    0: "administratively closed",
    1: "unspecified",
    2: "out of resources",
    3: "redundant connection",
    4: "permanently closed",
}


def _tlvs(body: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    while at < len(body):
        if at + 4 > len(body):
            raise Truncated("bmp message ends within the header of a tlv", offset=at)
        kind, size = struct.unpack_from(">HH", body, at)
        at += 4
        if at + size > len(body):
            raise Truncated(f"bmp tlv {kind} states {size} octets, {len(body) - at} are there", offset=at)
        yield kind, body[at : at + size]
        at += size
