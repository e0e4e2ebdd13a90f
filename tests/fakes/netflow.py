"""Exporters in miniature: NetFlow v5, v9 and IPFIX datagrams out of fields and values."""

from __future__ import annotations

import struct
from collections.abc import Sequence

Fields = Sequence[tuple[int, int]]
"""(element, length); an element above 65535 is enterprise << 16 | element."""


def field_specifiers(fields: Fields) -> bytes:
    out = b""
    for element, length in fields:
        out += struct.pack(">HH", element & 0x7FFF | (0x8000 if element > 0xFFFF else 0), length)
        if element > 0xFFFF:
            out += struct.pack(">I", element >> 16)
    return out


def flow_set(number: int, body: bytes, *, pad: int = 0) -> bytes:
    return struct.pack(">HH", number, 4 + len(body) + pad) + body + bytes(pad)


def template(number: int, fields: Fields) -> bytes:
    """The record of a template, the same in v9 and IPFIX."""
    return struct.pack(">HH", number, len(fields)) + field_specifiers(fields)


def options_template9(number: int, scopes: Fields, options: Fields) -> bytes:
    head = struct.pack(">HHH", number, 4 * len(scopes), 4 * len(options))
    return head + field_specifiers([*scopes, *options])


def options_template10(number: int, scopes: Fields, options: Fields) -> bytes:
    head = struct.pack(">HHH", number, len(scopes) + len(options), len(scopes))
    return head + field_specifiers([*scopes, *options])


def record(fields: Fields, *values: int | bytes) -> bytes:
    """Numbers are written in the length of their field; octets as they are (with a length where it is variable)."""
    out = b""
    for (_, length), value in zip(fields, values, strict=True):
        if isinstance(value, int):
            out += value.to_bytes(length, "big")
        elif length == 0xFFFF:
            short = len(value) < 255
            out += (bytes([len(value)]) if short else b"\xff" + struct.pack(">H", len(value))) + value
        else:
            out += value
    return out


def netflow9(*sets: bytes, sequence: int = 0, source: int = 1, uptime: int = 600_000, seconds: int = 1_700_000_000):
    return struct.pack(">HHIIII", 9, len(sets), uptime, seconds, sequence, source) + b"".join(sets)


def ipfix(*sets: bytes, sequence: int = 0, domain: int = 1, seconds: int = 1_700_000_000):
    body = b"".join(sets)
    return struct.pack(">HHIII", 10, 16 + len(body), seconds, sequence, domain) + body


RECORD5: Fields = (
    (8, 4), (12, 4), (15, 4), (10, 2), (14, 2), (2, 4), (1, 4), (22, 4), (21, 4), (7, 2), (11, 2),
    (210, 1), (6, 1), (4, 1), (5, 1), (16, 2), (17, 2), (9, 1), (13, 1), (210, 2),
)  # fmt: skip


def record5(*, src: int, dst: int, octets: int = 1000, packets: int = 1, in_if: int = 1, out_if: int = 2, asn: int = 0):
    values = (
        src,
        dst,
        0,
        in_if,
        out_if,
        packets,
        octets,
        590_000,
        595_000,
        443,
        50_000,
        0,
        16,
        6,
        0,
        asn,
        0,
        24,
        24,
        0,
    )
    return record(RECORD5, *values)


def netflow5(*records: bytes, sequence: int = 0, sampling: int = 0, engine: int = 0, count: int | None = None):
    head = (5, len(records) if count is None else count, 600_000, 1_700_000_000, 0, sequence, 0, engine, sampling)
    return struct.pack(">HHIIIIBBH", *head) + b"".join(records)
