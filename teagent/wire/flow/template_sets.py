"""Template and options template sets as they stand in a datagram (RFC 3954 sections 5.2, 6.1; RFC 7011 section 3.4)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

from teagent.errors import BadLength, LimitExceeded, Truncated, WireError
from teagent.wire.flow.limits import Limits
from teagent.wire.flow.template import Field, Template, checked

ENTERPRISE_BIT: Final = 0x8000
FIRST_DATA_SET: Final = 256

Found = Template | int | WireError
"""A template, the id of one that is withdrawn (the set's own id withdraws all of its kind), or what is wrong."""

_PAIR = struct.Struct(">HH")
_TRIPLE = struct.Struct(">HHH")


def netflow9_templates(body: bytes, limits: Limits) -> Iterator[Found]:
    at = 0
    while len(body) - at >= 4:
        number, count = _PAIR.unpack_from(body, at)
        at += 4
        if number == 0 and count == 0:
            return  # padding
        yield from _one(number, body, at, count, limits, options=False)
        at += 4 * count


def netflow9_options_templates(body: bytes, limits: Limits) -> Iterator[Found]:
    """Lengths are in octets here, and a scope may have none (Juniper SRX)."""
    at = 0
    while len(body) - at >= 6:
        number, scope_octets, option_octets = _TRIPLE.unpack_from(body, at)
        at += 6
        if number == 0:
            return
        if scope_octets % 4 or option_octets % 4:
            yield BadLength(
                f"options template {number} has {scope_octets} and {option_octets} octets of fields, not in fours",
                offset=at,
            )
            return
        count = (scope_octets + option_octets) // 4
        yield from _one(number, body, at, count, limits, options=True, scopes=scope_octets // 4)
        at += 4 * count


def _one(
    number: int, body: bytes, at: int, count: int, limits: Limits, *, options: bool, scopes: int = 0
) -> Iterator[Found]:
    """A v9 template whose `count` field specifiers begin at `at`."""
    if number < FIRST_DATA_SET:
        yield BadLength(f"template id {number} is below {FIRST_DATA_SET}", offset=at)
    elif count > limits.max_fields:
        yield _too_many(number, count, limits)
    elif at + 4 * count > len(body):
        yield Truncated(f"template {number} promises {count} fields, the set ends before", offset=at)
    else:
        values = struct.unpack_from(f">{2 * count}H", body, at)
        fields = tuple(
            Field(element, length, scope=i < scopes, v9_scope=i < scopes)
            for i, (element, length) in enumerate(zip(values[::2], values[1::2], strict=True))
        )
        yield _checked(Template(number, fields, options), limits)


def ipfix_templates(body: bytes, limits: Limits, *, options: bool) -> Iterator[Found]:
    at = 0
    while len(body) - at >= 4:
        number, count = _PAIR.unpack_from(body, at)
        at += 4
        if number == 0 and count == 0:
            return
        if count == 0:
            yield number
            continue
        scopes = 0
        if options:
            if len(body) - at < 2:
                yield Truncated(f"options template {number} ends before its scope count", offset=at)
                return
            scopes = int.from_bytes(body[at : at + 2], "big")
            at += 2
        if number < FIRST_DATA_SET:
            yield BadLength(f"template id {number} is below {FIRST_DATA_SET}", offset=at)
            return
        if count > limits.max_fields:
            yield _too_many(number, count, limits)
            return
        fields: list[Field] = []
        for i in range(count):
            size = 8 if at < len(body) and body[at] & 0x80 else 4
            if at + size > len(body):
                yield Truncated(f"template {number} promises {count} fields, the set ends after {i}", offset=at)
                return
            element, length = _PAIR.unpack_from(body, at)
            enterprise = int.from_bytes(body[at + 4 : at + 8], "big") if size == 8 else 0
            fields.append(Field(element & ~ENTERPRISE_BIT, length, enterprise, scope=i < scopes))
            at += size
        yield _checked(Template(number, tuple(fields), options), limits)


def _checked(template: Template, limits: Limits) -> Found:
    try:
        return checked(template, limits)
    except LimitExceeded as error:
        return error


def _too_many(number: int, count: int, limits: Limits) -> LimitExceeded:
    return LimitExceeded(
        f"template {number} has {count} fields, the limit is {limits.max_fields}",
        template=number,
        fields=count,
        limit=limits.max_fields,
    )
