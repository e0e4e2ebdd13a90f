"""The shape of a datagram: where its records are, and what it has in common with others like it.

A datagram has one where all it says is known: its templates are those that its domain has already, and its records are
of a fixed length. Exporters tell their templates and sampling rates again and again, so these are part of a shape too.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

from teagent.wire.flow import netflow5
from teagent.wire.flow.exporter_state import ExporterState
from teagent.wire.flow.layout import Layout
from teagent.wire.flow.message import SET_HEADER
from teagent.wire.flow.records import Domain
from teagent.wire.flow.sampling import SamplingRates
from teagent.wire.flow.template import Template
from teagent.wire.flow.template_sets import FIRST_DATA_SET

KEYS: Final = {5: slice(20, 24), 9: slice(16, 24), 10: slice(12, 20)}  # of a datagram of this version: domain and set
TEMPLATE_HEADER: Final = 4  # octets
Key: TypeAlias = tuple[int, bytes, bytes]
_NUMBER: Final = struct.Struct(">I")


class Mark(NamedTuple):
    """Octets that all datagrams of a shape have at one place."""

    at: int
    octets: bytes
    dtype: np.dtype[Any]


class Body(NamedTuple):
    """Where the records of one data set are."""

    layout: Layout
    at: int
    records: int
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shape:
    """`step` is what one datagram adds to the sequence number. `options` are bodies too, those of options records;
    `told` the ids of the templates that it tells once more.
    """

    version: int
    octets: int
    domain: Domain
    rates: SamplingRates
    sequence_at: int
    step: int
    marks: tuple[Mark, ...]
    bodies: tuple[Body, ...]
    needs_header_times: bool
    options: tuple[Body, ...] = ()
    told: tuple[int, ...] = ()

    def fits(self, octets: bytes, begin: int, count: int) -> bool:
        """Whether all of `count` datagrams of its length, one after the other from `begin` on, are of this shape."""
        if count == 1:
            return all(octets.startswith(mark, begin + at) for at, mark, _ in self.marks)
        for at, mark, dtype in self.marks:
            if np.ndarray((count,), dtype, octets, begin + at, (self.octets,)).tobytes() != mark * count:
                return False
        return True


def key_of(datagram: bytes) -> Key | None:
    """What tells most shapes apart."""
    version = datagram[1] if len(datagram) > 1 else 0
    place = KEYS.get(version)
    if place is None:
        return None
    found = datagram[place]
    if version != 5 and found[4:5] == b"\0":  # a set of templates: its first one counts too
        found += datagram[place.stop : place.stop + TEMPLATE_HEADER]
    return len(datagram), datagram[:2], found


def shape_of(state: ExporterState, datagram: bytes) -> Shape | None:
    """None where the datagram has to be read by itself."""
    version = datagram[0] << 8 | datagram[1] if len(datagram) >= 20 else 0
    if version == 5:
        return _netflow5(state, datagram)
    if version == 9:
        domain = state.known(9, _NUMBER.unpack_from(datagram, 16)[0])
        return None if domain is None else _sets(state, domain, datagram, 20, ((0, 2), (16, 4)), sequence_at=12)
    if version == 10 and int.from_bytes(datagram[2:4], "big") == len(datagram):
        domain = state.known(10, _NUMBER.unpack_from(datagram, 12)[0])
        return None if domain is None else _sets(state, domain, datagram, 16, ((0, 4), (12, 4)), sequence_at=8)
    return None


def _netflow5(state: ExporterState, datagram: bytes) -> Shape | None:
    if len(datagram) <= netflow5.HEADER.size:
        return None
    _, count, _, _, _, _, kind, engine, sampling = netflow5.HEADER.unpack_from(datagram)
    domain = state.known(5, kind << 8 | engine)
    if (
        domain is None
        or domain.rates.common != netflow5.rate(sampling)
        or len(datagram) != netflow5.HEADER.size + count * netflow5.RECORD_OCTETS
    ):
        return None
    return Shape(
        version=5,
        octets=len(datagram),
        domain=domain,
        rates=domain.rates,
        sequence_at=16,
        step=count,
        marks=(_mark(datagram, 0, 4), _mark(datagram, 20, 4)),
        bodies=(_body(netflow5.LAYOUT, netflow5.HEADER.size, count),),
        needs_header_times=netflow5.LAYOUT.needs_header_times,
    )


def _sets(
    state: ExporterState,
    domain: Domain,
    datagram: bytes,
    at: int,
    marks: tuple[tuple[int, int], ...],
    *,
    sequence_at: int,
) -> Shape | None:
    """NetFlow v9 and IPFIX, whose sets begin at `at`; `marks` are (offset, octets) in the header."""
    bodies: list[Body] = []
    options: list[Body] = []
    told: list[int] = []
    found = [*marks]
    while len(datagram) - at >= SET_HEADER.size:
        number, length = SET_HEADER.unpack_from(datagram, at)
        if length <= SET_HEADER.size or at + length > len(datagram):
            return None
        if number < FIRST_DATA_SET:
            again = _told_again(state, domain, number, datagram[at + SET_HEADER.size : at + length])
            if again is None:
                return None
            told += again
            found.append((at, length))
        else:
            layout = domain.layouts.get(number)
            if layout is None or not layout.fixed:
                return None
            records = (length - SET_HEADER.size) // layout.template.least
            if records < 1:
                return None
            found.append((at, SET_HEADER.size))
            body = _body(layout, at + SET_HEADER.size, records)
            (options if layout.template.options else bodies).append(body)
        at += length
    if len(found) == len(marks) or len(told) > state.limits.max_new_templates:
        return None
    domain.flows |= bool(bodies)
    if found[1][0] + found[1][1] == found[2][0]:  # domain and first set stand together
        found[1:3] = [(found[1][0], found[1][1] + found[2][1])]
    return Shape(
        version=domain.version,
        octets=len(datagram),
        domain=domain,
        rates=domain.rates,
        sequence_at=sequence_at,
        step=1 if domain.version == 9 else sum(body.records for body in (*bodies, *options)),
        marks=tuple(_mark(datagram, *mark) for mark in found),
        bodies=tuple(bodies),
        needs_header_times=any(body.layout.needs_header_times for body in bodies),
        options=tuple(options),
        told=tuple(told),
    )


def _told_again(state: ExporterState, domain: Domain, number: int, body: bytes) -> list[int] | None:
    """Ids of the templates in a set, where the domain has all of them as they are told here."""
    ids: list[int] = []
    for template in state.template_sets.get((domain.version, number, body), ()):
        known = domain.layouts.get(template.id) if isinstance(template, Template) else None
        if known is None or not isinstance(template, Template) or not known.template.describes_as(template):
            return None
        ids.append(template.id)
    return ids or None


def _mark(datagram: bytes, at: int, octets: int) -> Mark:
    return Mark(at, datagram[at : at + octets], np.dtype(f"V{octets}"))


def _body(layout: Layout, at: int, records: int) -> Body:
    return Body(layout, at, records, np.dtype(f"V{records * layout.template.least}"))
