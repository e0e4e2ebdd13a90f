"""NetFlow v9 export packets (RFC 3954 section 5) and IPFIX messages (RFC 7011 section 3)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from teagent.errors import BadLength, Truncated, WireError
from teagent.wire.flow.exporter_state import ExporterState, Held
from teagent.wire.flow.limits import Limits
from teagent.wire.flow.records import Domain, RecordSet, Undecoded, reason_of, record_set
from teagent.wire.flow.template import Template
from teagent.wire.flow.template_sets import (
    FIRST_DATA_SET,
    Found,
    ipfix_templates,
    netflow9_options_templates,
    netflow9_templates,
)

NETFLOW9_HEADER: Final = struct.Struct(">HHIIII")
IPFIX_HEADER: Final = struct.Struct(">HHIII")
SET_HEADER: Final = struct.Struct(">HH")
MOST_REMEMBERED_SETS: Final = 64  # of templates, of one exporter
MOST_REMEMBERED_OCTETS: Final = 4_096  # of such a set


class Message(NamedTuple):
    """One export packet or message, its header read. A tuple, because these are many.

    `boot` is NaN where only options can tell it.
    """

    domain: Domain
    version: int
    sequence: int
    exported_at: float
    boot: float
    begin: int  # of the first set
    end: int


def netflow9(state: ExporterState, datagram: bytes, start: int) -> Message:
    """Raises Truncated."""
    if len(datagram) - start < NETFLOW9_HEADER.size:
        raise Truncated(f"netflow v9 header takes 20 octets, {len(datagram) - start} are there", offset=start)
    _, _, uptime, seconds, sequence, source = NETFLOW9_HEADER.unpack_from(datagram, start)
    domain = state.domain(9, source)
    return Message(domain, 9, sequence, seconds, seconds - uptime / 1000, start + 20, len(datagram))


def ipfix(state: ExporterState, datagram: bytes, start: int) -> Message:
    """Raises Truncated and BadLength."""
    if len(datagram) - start < IPFIX_HEADER.size:
        raise Truncated(f"ipfix header takes 16 octets, {len(datagram) - start} are there", offset=start)
    _, length, seconds, sequence, number = IPFIX_HEADER.unpack_from(datagram, start)
    if length < IPFIX_HEADER.size:
        raise BadLength(f"ipfix message states a length of {length}, the header alone takes 16", offset=start)
    if start + length > len(datagram):
        raise Truncated(f"ipfix message states a length of {length}, {len(datagram) - start} are there", offset=start)
    domain = state.domain(10, number)
    return Message(domain, 10, sequence, seconds, domain.boot, start + 16, start + length)


def read_sets(state: ExporterState, message: Message, datagram: bytes, at: float, sets: list[RecordSet]) -> int | None:
    """Appends the data sets of a message, after taking its templates into `state`; what cannot be read is counted
    there by reason, and the rest goes on. Returns how many data records it carries, None where that is not known.
    """
    domain, offset, end = message.domain, message.begin, message.end
    layouts = domain.layouts
    records: int | None = 0
    new_templates = 0
    while end - offset >= 4:
        number, length = SET_HEADER.unpack_from(datagram, offset)
        if length < 4 or offset + length > end:
            if any(datagram[offset:end]):  # a tail of zeros is padding
                reason = Undecoded.BAD_LENGTH if length < 4 else Undecoded.TRUNCATED
                state.refuse(reason, f"set {number} states a length of {length}, {end - offset} octets are left")
                records = None
            break
        body = datagram[offset + 4 : offset + length]
        offset += length
        if number >= FIRST_DATA_SET:
            layout = layouts.get(number)
            if layout is None:
                state.hold(domain, number, Held(at, body, message.exported_at, message.boot))
                records = None
                continue
            found = record_set(domain, layout, body, exported_at=message.exported_at, boot=message.boot)
            _look_for_a_cut(state, found)
            if records is not None:
                records += found.records
            sets.append(found)
            domain.flows |= not layout.template.options
            continue
        for template in _templates(state, message.version, number, body):
            new_templates += 1
            if new_templates > state.limits.max_new_templates:
                text = f"more than {state.limits.max_new_templates} templates in a datagram"
                state.refuse(Undecoded.LIMIT_EXCEEDED, text)
                return None
            domain = _take(state, domain, template, at, sets)
        layouts = domain.layouts
    return records


def _templates(state: ExporterState, version: int, number: int, body: bytes) -> tuple[Found, ...]:
    """As _read_templates. Exporters tell the same again and again, so what a set says is remembered."""
    key = (version, number, body)
    known = state.template_sets.get(key)
    if known is not None:
        return known
    found = tuple(_read_templates(version, number, body, state.limits))
    if len(body) <= MOST_REMEMBERED_OCTETS and all(isinstance(template, Template) for template in found):
        if len(state.template_sets) >= MOST_REMEMBERED_SETS:
            state.template_sets.clear()
        state.template_sets[key] = found
    return found


def _read_templates(version: int, number: int, body: bytes, limits: Limits) -> Iterator[Found]:
    """Those of a set below 256; sets of other numbers are not of this protocol version."""
    if version == 9 and number == 0:
        return netflow9_templates(body, limits)
    if version == 9 and number == 1:
        return netflow9_options_templates(body, limits)
    if version == 10 and number in {2, 3}:
        return ipfix_templates(body, limits, options=number == 3)
    return iter((BadLength(f"set id {number} has no meaning in version {version}"),))


def _take(state: ExporterState, domain: Domain, found: Found, at: float, sets: list[RecordSet]) -> Domain:
    """Returns the domain that the rest of the message belongs to."""
    if isinstance(found, WireError):
        state.refuse(reason_of(found), found.message)
    elif isinstance(found, int):
        state.withdraw(domain, found)
    else:
        state.template_at = at
        domain, layout = state.define(domain, found)
        for released in state.release(domain, layout):
            _look_for_a_cut(state, released)
            sets.append(released)
    return domain


def _look_for_a_cut(state: ExporterState, found: RecordSet) -> None:
    if found.decoded is not None and found.decoded.cut:
        number = found.layout.template.id
        state.refuse(Undecoded.TRUNCATED, f"the last record of set {number} goes past the end of the set")
