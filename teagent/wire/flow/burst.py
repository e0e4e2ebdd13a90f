"""Bursts: datagrams of one shape, read all at once.

A router exports thousands of datagrams that differ in nothing but the header's counters and the records: the same
length, the same data sets by the same templates at the same places. What takes time in reading a datagram is not its
records but everything around them, so that is done once for all datagrams of a shape. Whatever has none (new
templates, fields of variable length, data whose template is not known, anything malformed) is read one by one, and the
two ways give the same records and counts.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import pairwise
from operator import itemgetter
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from teagent.model.traffic import Column
from teagent.wire.flow import header_times
from teagent.wire.flow.exporter_state import ExporterState
from teagent.wire.flow.records import DataSet, Domain, RecordSet, Run, record_set
from teagent.wire.flow.shape import Key, Shape, key_of, shape_of

MOST_SHAPES: Final = 256
MOST_APART: Final = 8  # datagrams that are picked out of many
NOT_ITS: Final = -1
Positions: TypeAlias = npt.NDArray[np.int64]
_NUMBER: Final = struct.Struct(">I")
_U4: Final = np.dtype(">u4")


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

    def options(self) -> Iterator[tuple[int, list[RecordSet]]]:
        """Position and options records of each datagram."""
        shape, begin = self.shape, self.begin
        exported_at, boot = header_times.header_times(shape.version, self.cut(0, header_times.AS_OCTETS[shape.version]))
        boot[np.isnan(boot)] = shape.domain.boot
        for number, position in enumerate(self.positions.tolist()):
            yield (
                position,
                [
                    record_set(
                        shape.domain,
                        layout,
                        self.octets[begin + at : begin + at + dtype.itemsize],
                        exported_at=float(exported_at[number]),
                        boot=float(boot[number]),
                    )
                    for layout, at, _, dtype in shape.options
                ],
            )
            begin += shape.octets


class BurstReader:
    """Remembers shapes, of one exporter."""

    def __init__(self) -> None:
        self._shapes: dict[Key, Shape] = {}
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
        groups: dict[Key | None, list[int]] = {}
        for position in positions:
            groups.setdefault(key_of(datagrams[position]), []).append(position)
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
        key = key_of(datagram)
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


def _lane(shape: Shape, datagrams: Sequence[bytes], positions: list[int]) -> Lane:
    return Lane(shape, b"".join([datagrams[position] for position in positions]), 0, np.array(positions))


def read_lanes(state: ExporterState, lanes: list[Lane], at: float, stream: int, sets: list[DataSet]) -> int:
    """Appends the data sets of a burst that came `at`; returns the units missing by its sequence numbers, as
    SequenceTracker does.
    """
    of_domain: dict[Domain, list[Lane]] = {}
    options: list[tuple[int, list[RecordSet]]] = []
    telling: list[tuple[int, Shape]] = []
    for lane in lanes:
        sets += lane.runs()
        if lane.shape.options:
            options += lane.options()
        if lane.shape.told:
            telling.append((int(lane.positions[-1]), lane.shape))
        of_domain.setdefault(lane.shape.domain, []).append(lane)
    for _, records in sorted(options, key=itemgetter(0)):  # what was told last counts
        sets += records
    for _, shape in sorted(telling, key=itemgetter(0)):
        state.refresh(shape.domain, shape.told, at)
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
