"""Bursts: datagrams of one shape, read all at once.

A router exports thousands of datagrams that differ in nothing but the header's counters and the records: the same
length, the same data sets by the same templates at the same places. What takes time in reading a datagram is not its
records but everything around them, so that is done once for all datagrams of a shape. Whatever has another shape
(templates, options, fields of variable length, data whose template is not known, anything malformed) is read one by
one, and the two ways give the same records and counts.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from teagent.model.traffic import Column
from teagent.wire.flow import header_times, netflow5
from teagent.wire.flow.exporter_state import ExporterState
from teagent.wire.flow.layout import Layout
from teagent.wire.flow.message import SET_HEADER
from teagent.wire.flow.records import DataSet, Domain, Run
from teagent.wire.flow.sampling import SamplingRates
from teagent.wire.flow.template_sets import FIRST_DATA_SET

MOST_SHAPES: Final = 256
MOST_APART: Final = 8  # datagrams that are picked out of many
NOT_ITS: Final = -1
KEYS: Final = {5: slice(20, 24), 9: slice(16, 24), 10: slice(12, 20)}  # of a datagram of this version: domain and set
Positions: TypeAlias = npt.NDArray[np.int64]
_Key: TypeAlias = tuple[int, bytes, bytes]
_NUMBER: Final = struct.Struct(">I")
_U4: Final = np.dtype(">u4")


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
    """`step` is what one datagram adds to the sequence number."""

    version: int
    octets: int
    domain: Domain
    rates: SamplingRates
    sequence_at: int
    step: int
    marks: tuple[Mark, ...]
    bodies: tuple[Body, ...]
    needs_header_times: bool

    def fits(self, octets: bytes, begin: int, count: int) -> bool:
        """Whether all of `count` datagrams of its length, one after the other from `begin` on, are of this shape."""
        if count == 1:
            return all(octets.startswith(mark, begin + at) for at, mark, _ in self.marks)
        for at, mark, dtype in self.marks:
            if np.ndarray((count,), dtype, octets, begin + at, (self.octets,)).tobytes() != mark * count:
                return False
        return True


class Lane(NamedTuple):
    """Datagrams of one shape: so many, one after the other in `octets` from `begin` on, and which ones of the burst
    they are, ascending.
    """

    shape: Shape
    octets: bytes
    begin: int
    positions: Positions

    @property
    def last_header(self) -> bytes:
        begin = self.begin + (len(self.positions) - 1) * self.shape.octets
        return self.octets[begin : begin + header_times.OCTETS[self.shape.version]]

    def cut(self, at: int, dtype: np.dtype[Any]) -> bytes:
        """The octets at one place of each datagram."""
        count = len(self.positions)
        if count == 1:
            return self.octets[self.begin + at : self.begin + at + dtype.itemsize]
        return np.ndarray((count,), dtype, self.octets, self.begin + at, (self.shape.octets,)).tobytes()

    def sequences(self) -> Column:
        shape = self.shape
        return np.ndarray(len(self.positions), _U4, self.octets, self.begin + shape.sequence_at, shape.octets)

    def runs(self) -> list[Run]:
        shape, count = self.shape, len(self.positions)
        headers = self.cut(0, header_times.AS_OCTETS[shape.version]) if shape.needs_header_times else b""
        return [
            Run(
                shape.domain,
                shape.rates,
                layout,
                self.octets,
                self.begin + at,
                shape.octets,
                dtype,
                records * count,
                count,
                headers,
            )
            for layout, at, records, dtype in shape.bodies
        ]


class BurstReader:
    """Remembers shapes, of one exporter."""

    def __init__(self) -> None:
        self._shapes: dict[_Key, Shape] = {}
        self._changes = 0  # of the state that they hold for

    def parted(self, state: ExporterState, datagrams: Sequence[bytes]) -> Iterator[list[Lane] | bytes]:
        """Lanes, which may be read together, and datagrams that have to be read by themselves, in order. What such a
        one changes in `state` counts for what comes after it: take the next only when it has been read.
        """
        apart = 0
        while datagrams:
            lanes, alone = self._by_length(state, datagrams)
            if alone is None:
                yield lanes
                return
            if apart == MOST_APART:
                break
            # A few, as templates are: what stands between them is read together.
            apart += 1
            if alone:
                yield from self.parted(state, datagrams[:alone])
            yield datagrams[alone]
            datagrams = datagrams[alone + 1 :]
        burst: dict[Shape, list[int]] = {}
        for position, datagram in enumerate(datagrams):
            shape = self._shape(state, datagram)
            if shape is not None and shape.fits(datagram, 0, 1):
                burst.setdefault(shape, []).append(position)
                continue
            if burst:
                yield [_lane(shape, datagrams, positions) for shape, positions in burst.items()]
                burst.clear()
            yield datagram
        if burst:
            yield [_lane(shape, datagrams, positions) for shape, positions in burst.items()]

    def _by_length(self, state: ExporterState, datagrams: Sequence[bytes]) -> tuple[list[Lane], int | None]:
        """(lanes, position of one that has to be read by itself, None where there is none). Mostly datagrams of one
        length are of one shape, which costs least to find out; else they are parted by what they begin with.
        """
        count = len(datagrams)
        lengths = list(map(len, datagrams))
        # Numbers of 16 bits are sorted by radix; what is longer is none of UDP.
        sizes = np.array(lengths, np.uint16 if max(lengths) < 1 << 16 else np.int64)
        order = sizes.argsort(kind="stable")
        sizes = sizes.take(order)
        edges = [0, *((sizes[1:] != sizes[:-1]).nonzero()[0] + 1).tolist(), count]
        shapes: list[Shape] = []
        for first in edges[:-1]:
            shape = self._shape(state, datagrams[order[first]])
            if shape is None:
                return [], int(order[first])
            shapes.append(shape)
        octets = b"".join(itemgetter(*order.tolist())(datagrams) if len(edges) > 2 else datagrams)
        lanes: list[Lane] = []
        begin = 0
        for shape, (first, last) in zip(shapes, pairwise(edges), strict=True):
            positions = order[first:last]
            if shape.fits(octets, begin, last - first):
                lanes.append(Lane(shape, octets, begin, positions))
            else:
                alone = self._by_key(state, datagrams, positions.tolist(), lanes)
                if alone is not None:
                    return lanes, alone
            begin += shape.octets * (last - first)
        return lanes, None

    def _by_key(
        self, state: ExporterState, datagrams: Sequence[bytes], positions: list[int], lanes: list[Lane]
    ) -> int | None:
        """Appends the lanes of these datagrams; returns one that has to be read by itself, if there is one."""
        groups: dict[_Key | None, list[int]] = {}
        for position in positions:
            groups.setdefault(_key(datagrams[position]), []).append(position)
        for group in groups.values():
            shape = self._shape(state, datagrams[group[0]])
            if shape is None:
                return group[0]
            lane = _lane(shape, datagrams, group)
            if not shape.fits(lane.octets, 0, len(group)):
                return next((p for p in group if not shape.fits(datagrams[p], 0, 1)), group[0])
            lanes.append(lane)
        return None

    def _shape(self, state: ExporterState, datagram: bytes) -> Shape | None:
        if state.changes != self._changes:
            self._shapes.clear()
            self._changes = state.changes
        key = _key(datagram)
        if key is None:
            return None
        shape = self._shapes.get(key)
        if shape is None:
            shape = shape_of(state, datagram)
            if shape is None:
                return None
            if len(self._shapes) >= MOST_SHAPES:
                self._shapes.clear()
            self._shapes[key] = shape
        return shape


def _key(datagram: bytes) -> _Key | None:
    """What tells most shapes apart."""
    place = KEYS.get(datagram[1]) if len(datagram) > 1 else None
    return None if place is None else (len(datagram), datagram[:2], datagram[place])


def _lane(shape: Shape, datagrams: Sequence[bytes], positions: list[int]) -> Lane:
    return Lane(shape, b"".join([datagrams[position] for position in positions]), 0, np.array(positions))


def read_lanes(state: ExporterState, lanes: list[Lane], stream: int, sets: list[DataSet]) -> int:
    """Appends the data sets of a burst; returns the units missing by its sequence numbers, as SequenceTracker does."""
    of_domain: dict[Domain, list[Lane]] = {}
    for lane in lanes:
        sets += lane.runs()
        of_domain.setdefault(lane.shape.domain, []).append(lane)
    lost = 0
    last: list[tuple[int, Domain]] = []
    for domain, its in of_domain.items():
        newest = max([int(lane.positions[-1]) for lane in its])
        numbers, steps = _in_order(its, newest + 1)
        lost += domain.sequences.lost_in_a_row(stream, numbers, steps)
        last.append((newest, domain))
    for _, domain in sorted(last, key=itemgetter(0)):
        state.domain(domain.version, domain.number)  # is used now
    return lost


def _in_order(lanes: list[Lane], most: int) -> tuple[Column, Column]:
    """Sequence numbers and steps of all datagrams of these lanes, by their positions, which are below `most`."""
    numbers: Column = np.zeros(most, np.int64)
    steps: Column = np.full(most, NOT_ITS, np.int64)
    single: list[tuple[int, int, int]] = []  # many lanes have one datagram only
    for lane in lanes:
        if len(lane.positions) == 1:
            number = _NUMBER.unpack_from(lane.octets, lane.begin + lane.shape.sequence_at)[0]
            single.append((int(lane.positions[0]), number, lane.shape.step))
        else:
            numbers[lane.positions] = lane.sequences()
            steps[lane.positions] = lane.shape.step
    if single:
        positions, its_numbers, its_steps = map(list, zip(*single, strict=True))
        numbers[positions], steps[positions] = its_numbers, its_steps
    its_own = steps != NOT_ITS
    return (numbers, steps) if its_own.all() else (numbers[its_own], steps[its_own])


def shape_of(state: ExporterState, datagram: bytes) -> Shape | None:
    """None where the datagram has to be read by itself."""
    version = datagram[0] << 8 | datagram[1] if len(datagram) >= 20 else 0
    if version == 5:
        return _netflow5(state, datagram)
    if version == 9:
        domain = state.known(9, _NUMBER.unpack_from(datagram, 16)[0])
        return None if domain is None else _sets(domain, datagram, 20, ((0, 2), (16, 4)), sequence_at=12)
    if version == 10 and int.from_bytes(datagram[2:4], "big") == len(datagram):
        domain = state.known(10, _NUMBER.unpack_from(datagram, 12)[0])
        return None if domain is None else _sets(domain, datagram, 16, ((0, 4), (12, 4)), sequence_at=8)
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
    domain: Domain, datagram: bytes, at: int, marks: tuple[tuple[int, int], ...], *, sequence_at: int
) -> Shape | None:
    """NetFlow v9 and IPFIX, whose sets begin at `at`; `marks` are (offset, octets) in the header."""
    bodies: list[Body] = []
    found = [*marks]
    while len(datagram) - at >= SET_HEADER.size:
        number, length = SET_HEADER.unpack_from(datagram, at)
        layout = domain.layouts.get(number)
        if number < FIRST_DATA_SET or layout is None or not layout.plain or at + length > len(datagram):
            return None
        records = (length - SET_HEADER.size) // layout.template.least
        if records < 1:
            return None
        found.append((at, SET_HEADER.size))
        bodies.append(_body(layout, at + SET_HEADER.size, records))
        at += length
    if not bodies:
        return None
    domain.flows = True
    if found[1][0] + found[1][1] == found[2][0]:  # domain and first set stand together
        found[1:3] = [(found[1][0], found[1][1] + found[2][1])]
    return Shape(
        version=domain.version,
        octets=len(datagram),
        domain=domain,
        rates=domain.rates,
        sequence_at=sequence_at,
        step=1 if domain.version == 9 else sum(body.records for body in bodies),
        marks=tuple(_mark(datagram, *mark) for mark in found),
        bodies=tuple(bodies),
        needs_header_times=any(body.layout.needs_header_times for body in bodies),
    )


def _mark(datagram: bytes, at: int, octets: int) -> Mark:
    return Mark(at, datagram[at : at + octets], np.dtype(f"V{octets}"))


def _body(layout: Layout, at: int, records: int) -> Body:
    return Body(layout, at, records, np.dtype(f"V{records * layout.template.least}"))
