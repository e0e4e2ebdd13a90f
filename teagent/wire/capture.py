"""Capture files as frames: libpcap's format and pcapng (draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng).

Bytes in pieces of any size go in, frames come out as they are complete: a capture of any length takes the memory of its
longest frame.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from teagent.errors import BadLength, BadVersion, LimitExceeded, Truncated

LARGEST_FRAME: Final = 1 << 18  # what tcpdump takes as the largest snapshot length
LARGEST_BLOCK: Final = 1 << 24  # of pcapng: a frame with its comments, or another block that is passed over
MOST_INTERFACES: Final = 1 << 16
COMPRESSED: Final = {b"\x1f\x8b": "zcat", b"BZh": "bzcat", b"\xfd7zXZ\x00": "xzcat", b"\x28\xb5\x2f\xfd": "zstdcat"}
"""What a compressed file begins with, and who unpacks it."""

PCAP_MAGIC: Final = {  # order of octets, fractions of a second
    b"\xa1\xb2\xc3\xd4": (">", 1e-6),
    b"\xd4\xc3\xb2\xa1": ("<", 1e-6),
    b"\xa1\xb2\x3c\x4d": (">", 1e-9),
    b"\x4d\x3c\xb2\xa1": ("<", 1e-9),
}
PCAPNG_MAGIC: Final = b"\x0a\x0d\x0d\x0a"
BYTE_ORDER: Final = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
SECTION_HEADER: Final = 0x0A0D0D0A
INTERFACE: Final = 1
OLD_PACKET: Final = 2
SIMPLE_PACKET: Final = 3
ENHANCED_PACKET: Final = 6
TIME_RESOLUTION: Final = 9  # if_tsresol
TIME_OFFSET: Final = 14  # if_tsoffset


class Frame(NamedTuple):
    """`at` is unix time, NaN where the file tells none; `length` what the frame had before the capture cut it."""

    at: float
    link_type: int
    octets: bytes
    length: int


def is_capture(begin: bytes) -> bool:
    """By the first four octets of a file."""
    return begin[:4] in PCAP_MAGIC or begin[:4] == PCAPNG_MAGIC


def frames(pieces: Iterable[bytes]) -> Iterator[Frame]:
    """The frames of a capture file. Raises WireError where it is none, or is broken or ends within a frame, after the
    frames before that.
    """
    source = _Source(pieces)
    magic = source.peek(4)
    if magic in PCAP_MAGIC:
        return _pcap(source, *PCAP_MAGIC[magic])
    if magic == PCAPNG_MAGIC:
        return _pcapng(source)
    raise BadVersion("neither a pcap nor a pcapng file: it begins with " + (magic.hex() or "nothing"))


class _Source:
    """Octets of an iterable in the portions that are asked for."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._held = b""
        self._at = 0
        self.offset = 0  # in the file

    def peek(self, count: int) -> bytes:
        """At most `count`; fewer at the end of the file."""
        while len(self._held) - self._at < count:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._held = self._held[self._at :] + piece
            self._at = 0
        return self._held[self._at : self._at + count]

    def take(self, count: int, what: str) -> bytes:
        """Raises Truncated."""
        octets = self.peek(count)
        if len(octets) < count:
            raise Truncated(f"the file ends within {what}", offset=self.offset + len(octets))
        self._at += count
        self.offset += count
        return octets


def _pcap(source: _Source, order: str, fraction: float) -> Generator[Frame]:
    _, _, _, _, _, _, link = struct.unpack(f"{order}IHHiIII", source.take(24, "the file's header"))
    header = struct.Struct(f"{order}IIII")
    while source.peek(1):
        begin = source.offset
        seconds, parts, kept, length = header.unpack(source.take(16, "a packet's header"))
        if kept > LARGEST_FRAME:
            raise LimitExceeded(f"a packet of {kept} octets, the limit is {LARGEST_FRAME}", offset=begin)
        # The high bits of the link type tell of checksums at the end of frames.
        yield Frame(seconds + parts * fraction, link & 0xFFFF, source.take(kept, "a packet"), length)


@dataclass(frozen=True, slots=True)
class _Interface:
    link_type: int
    snap_length: int
    tick: float
    offset: int


def _pcapng(source: _Source) -> Generator[Frame]:
    order = ">"
    interfaces: list[_Interface] = []
    while source.peek(1):
        begin = source.offset
        if source.peek(4) == PCAPNG_MAGIC:
            order = _order(source)
            interfaces = []
        kind, length = struct.unpack(f"{order}II", source.take(8, "a block's header"))
        if length < 12 or length % 4:
            raise BadLength(f"a block states a length of {length}", offset=begin)
        if length > LARGEST_BLOCK:
            raise LimitExceeded(f"a block of {length} octets, the limit is {LARGEST_BLOCK}", offset=begin)
        body = source.take(length - 8, "a block")[:-4]
        if kind == INTERFACE:
            if len(interfaces) >= MOST_INTERFACES:
                raise LimitExceeded(f"more than {MOST_INTERFACES} interfaces", offset=begin)
            interfaces.append(_interface(order, body, begin))
        elif kind in _PACKETS:
            yield _packet(kind, order, body, interfaces, begin)


def _order(source: _Source) -> str:
    begin = source.peek(12)
    order = BYTE_ORDER.get(begin[8:])
    if len(begin) < 12:
        raise Truncated("the file ends within a block's header", offset=source.offset + len(begin))
    if order is None:
        raise BadVersion("a section of unknown byte order", offset=source.offset)
    return order


def _interface(order: str, body: bytes, begin: int) -> _Interface:
    if len(body) < 8:
        raise Truncated(f"an interface description of {len(body)} octets", offset=begin)
    link, _, snap_length = struct.unpack_from(f"{order}HHI", body)
    tick, offset = 1e-6, 0
    at = 8
    while len(body) - at >= 4:
        code, length = struct.unpack_from(f"{order}HH", body, at)
        value = body[at + 4 : at + 4 + length]
        at += 4 + (length + 3 & ~3)
        if code == 0:
            break
        if code == TIME_RESOLUTION and len(value) == 1:
            tick = 2.0 ** -(value[0] & 0x7F) if value[0] & 0x80 else 10.0 ** -value[0]
        elif code == TIME_OFFSET and len(value) == 8:
            (offset,) = struct.unpack(f"{order}q", value)
    return _Interface(link, snap_length, tick, offset)


_PACKETS: Final = {ENHANCED_PACKET: "IIIII", OLD_PACKET: "HHIIII", SIMPLE_PACKET: "I"}


def _packet(kind: int, order: str, body: bytes, interfaces: list[_Interface], begin: int) -> Frame:
    layout = struct.Struct(order + _PACKETS[kind])
    if len(body) < layout.size:
        raise Truncated(f"a packet block of {len(body)} octets", offset=begin)
    values = layout.unpack_from(body)
    number = 0 if kind == SIMPLE_PACKET else values[0]
    if number >= len(interfaces):
        raise BadLength(f"a packet of interface {number}, of which the file tells nothing", offset=begin)
    interface = interfaces[number]
    room = len(body) - layout.size
    if kind == SIMPLE_PACKET:
        at, length = math.nan, values[0]
        kept = min(length, interface.snap_length or length, room)
    else:
        high, low, kept, length = values[-4:]
        at = (high << 32 | low) * interface.tick + interface.offset
        if kept > room:
            raise Truncated(f"a packet of {kept} octets in a block that has room for {room}", offset=begin)
    return Frame(at, interface.link_type, body[layout.size : layout.size + kept], length)
