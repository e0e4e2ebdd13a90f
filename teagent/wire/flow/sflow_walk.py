"""Where flow samples and their records stand in many sFlow datagrams, found for all of them together.

The datagrams are walked in step: the first sample of each, then the second of each, and so on; then likewise the
records of all samples. Mostly all are at the same kind of record at the same step, and then there is little to do.
What has to be read with more care (cut short, or of very many samples) is only told apart: `odd` says which datagrams,
and teagent.wire.flow.sflow reads them one by one, with the same outcome.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from teagent.model.traffic import Column

Numbers = npt.NDArray[np.int64]
Lanes: TypeAlias = Numbers | slice

VERSION: Final = 5
FLOW_SAMPLE: Final = 1
FLOW_SAMPLE_EXPANDED: Final = 3
SAMPLED_HEADER: Final = 1
SAMPLED_IPV4: Final = 3
SAMPLED_IPV6: Final = 4
EXTENDED_GATEWAY: Final = 1003
SAMPLE_WORDS: Final = {FLOW_SAMPLE: 8, FLOW_SAMPLE_EXPANDED: 11}
LEAST_OCTETS: Final = {SAMPLED_HEADER: 16, SAMPLED_IPV4: 32, SAMPLED_IPV6: 56}

ADDRESS_WORDS: Final = {0: 0, 1: 1, 2: 4}  # address_type UNKNOWN, IP_V4, IP_V6
LEAST_HEAD: Final = 24  # octets of the shortest header
_HEAD_OCTETS: Final = 8  # of a record, before what it holds: format and length
MOST_STEPS: Final = 64  # samples of a datagram, records of a sample


class Walked(NamedTuple):
    """Flow samples in the order in which they came. Places are word numbers in `octets`, -1 where there is none;
    lengths are in octets. `agent` (of each datagram) is the same where agent and sub-agent are; `datagram` says which
    one a sample is of; `odd` which ones have to be read by themselves: where there are some, the rest is without
    meaning.
    """

    octets: bytes
    odd: Numbers
    sequences: Numbers  # of the datagrams
    agent: Numbers
    datagram: Numbers
    sample: Numbers
    expanded: Column
    record: Numbers
    format: Numbers
    gateway: Numbers
    gateway_octets: Numbers


class Words:
    """Numbers of 32 bits in `octets`; each so many words `ahead` of a place. Places behind the end give the last word:
    whoever reads there finds out by himself.
    """

    def __init__(self, octets: bytes) -> None:
        self._words = np.frombuffer(octets, ">u4")
        self._stored = np.frombuffer(octets, "=u4")

    def at(self, place: Numbers, ahead: int = 0) -> Numbers:
        return self._words[ahead:].take(place, mode="clip").astype(np.int64)

    def u32(self, place: Numbers, ahead: int = 0) -> npt.NDArray[np.uint32]:
        """The same, in half the room."""
        return self._words[ahead:].take(place, mode="clip").astype(np.uint32)

    def several(self, place: Numbers, ahead: Numbers) -> npt.NDArray[np.uint32]:
        """A row for each number of words `ahead`: one call takes less than many."""
        return self._words.take(place + ahead[:, None], mode="clip").astype(np.uint32)

    def stored(self, place: Numbers) -> npt.NDArray[np.uint32]:
        """The same in network byte order, to be compared with what `stored` gives."""
        return self._stored.take(place, mode="clip")


def stored(number: int) -> int:
    """How Words.stored shows it."""
    return int.from_bytes(number.to_bytes(4, "big"), sys.byteorder)


def walk(datagrams: Sequence[bytes]) -> Walked:
    """At least one datagram; those that are not of sFlow version 5 are odd."""
    octets = b"".join(datagrams)
    lengths = np.fromiter(map(len, datagrams), np.int64, len(datagrams))
    odd = ((lengths & 3 != 0) | (lengths < LEAST_HEAD)).nonzero()[0]
    if len(odd):
        return _only_odd(odd)
    words = Words(octets)
    end = np.cumsum(lengths) >> 2
    begin = end - (lengths >> 2)
    kind = words.at(begin, 1)
    head = begin + 2 + (kind == 1) + 4 * (kind == 2)
    odd = ((kind > 2) | (head + 4 > end) | (words.at(begin) != VERSION)).nonzero()[0]
    if len(odd):
        return _only_odd(odd)
    found, odd = _samples(words, head + 4, end, words.at(head, 3))
    if len(odd):
        return _only_odd(odd)
    datagram, place, stop, expanded = found
    size = SAMPLE_WORDS[FLOW_SAMPLE] + (SAMPLE_WORDS[FLOW_SAMPLE_EXPANDED] - SAMPLE_WORDS[FLOW_SAMPLE]) * expanded
    first = place + size
    cut = (first > stop).nonzero()[0]
    if len(cut):
        return _only_odd(datagram[cut])
    records, cut = _records(words, first, stop, words.at(first - 1))
    if len(cut):
        return _only_odd(datagram[cut])
    agent = _agents(words, begin, kind, head)
    return Walked(octets, odd, words.at(head, 1), agent, datagram, place, expanded, *records)


def _agents(words: Words, begin: Numbers, kind: Numbers, head: Numbers) -> Numbers:
    """A number for each datagram that tells apart who sent it, by address_type, address and sub-agent."""
    sub_agent = words.at(head)
    if (kind == 1).all():
        return words.at(begin, 2) << 32 | sub_agent
    address = [np.where(begin + 2 + i < head, words.at(begin, 2 + i), 0) for i in range(4)]
    _, number = np.unique(np.column_stack([kind, *address, sub_agent]), axis=0, return_inverse=True)
    return number.reshape(-1)


def _only_odd(odd: Numbers) -> Walked:
    none = np.zeros(0, dtype=np.int64)
    return Walked(b"", np.unique(odd), none, none, none, none, none.astype(bool), none, none, none, none)


def _samples(
    words: Words, place: Numbers, end: Numbers, count: Numbers
) -> tuple[tuple[Numbers, Numbers, Numbers, Column], Numbers]:
    """((datagram, place, stop, expanded) of each flow sample, odd datagrams); a sample begins behind its length."""
    found: list[tuple[Numbers, Column, Numbers, Numbers]] = []
    lanes = count.nonzero()[0]
    if len(lanes) < len(count):
        place, end, count = place.take(lanes), end.take(lanes), count.take(lanes)
    for step in range(1, MOST_STEPS + 1):
        if not len(lanes):
            break
        begin = place + 2
        stop = begin + (words.at(place, 1) + 3 >> 2)
        wrong = stop > end
        if np.count_nonzero(wrong):
            return _NO_SAMPLES, lanes[wrong]
        found.append((lanes, words.stored(place), begin, stop))
        more = count > step
        if np.count_nonzero(more) < len(lanes):
            lanes, end, count, stop = (column.compress(more) for column in (lanes, end, count, stop))
        place = stop
    else:
        if len(lanes):
            return _NO_SAMPLES, lanes
    if not found:
        return _NO_SAMPLES, _NONE
    return _in_order(*(np.concatenate(column) for column in zip(*found, strict=True))), _NONE


def _in_order(
    datagram: Numbers, kind: Column, place: Numbers, stop: Numbers
) -> tuple[Numbers, Numbers, Numbers, Column]:
    """Of samples that stand step by step the flow samples, as they came."""
    order = _by_radix(datagram)
    expanded = kind == stored(FLOW_SAMPLE_EXPANDED)
    flow = kind == stored(FLOW_SAMPLE)
    flow |= expanded
    if np.count_nonzero(flow) < len(flow):
        order = order.compress(flow.take(order))
    return datagram.take(order), place.take(order), stop.take(order), expanded.take(order)


def _by_radix(numbers: Numbers) -> Numbers:
    """A stable order; of numbers of 16 bits, as those of datagrams mostly are, it takes the least."""
    narrow: Any = np.uint16 if int(numbers.max()) < 1 << 16 else np.int64
    return np.argsort(numbers.astype(narrow), kind="stable")


class _Records:
    """What is wanted of the records of each sample: the one that tells the packet, and the last extended_gateway."""

    def __init__(self, samples: int) -> None:
        columns = np.full((4, samples), -1, dtype=np.int64)
        self.record, self.format, self.gateway, self.gateway_octets = self.columns = tuple(columns)

    def note(self, kind: int, lanes: Lanes, place: Numbers, octets: Numbers) -> None:
        """The records of a kind at one step, of the samples `lanes`."""
        if kind == EXTENDED_GATEWAY:
            self.gateway[lanes], self.gateway_octets[lanes] = place, octets
            return
        fit = octets >= LEAST_OCTETS[kind]
        if kind != SAMPLED_HEADER:  # which counts above the others
            fit &= self.record[lanes] < 0
        if np.count_nonzero(fit) < len(fit):
            lanes = fit.nonzero()[0] if isinstance(lanes, slice) else lanes.compress(fit)
            place = place.compress(fit)
        self.record[lanes], self.format[lanes] = place, kind


def _records(words: Words, place: Numbers, stop: Numbers, count: Numbers) -> tuple[tuple[Numbers, ...], Numbers]:
    """((record, format, gateway, gateway_octets) of each sample, samples that are cut)."""
    found = _Records(len(place))
    lanes: Lanes = _ALL
    least = 0  # records that all of these samples have
    for step in range(MOST_STEPS + 1):
        if step >= least:
            if np.count_nonzero(count > step) < len(place):
                which = (count > step).nonzero()[0]
                lanes = which if isinstance(lanes, slice) else lanes.take(which)
                place, stop, count = place.take(which), stop.take(which), count.take(which)
            if not len(place):
                return found.columns, _NONE
            least = int(count.min())
        if step == MOST_STEPS:
            break
        kind, octets = words.stored(place), words.at(place, 1)
        following = place + (octets + (_HEAD_OCTETS + 3) >> 2)
        wrong = following > stop
        if np.count_nonzero(wrong):
            return found.columns, np.arange(len(found.record))[lanes][wrong]
        _note(found, kind, lanes, place, octets)
        place = following
    return found.columns, np.arange(len(found.record))[lanes]


def _note(found: _Records, kind: Column, lanes: Lanes, place: Numbers, octets: Numbers) -> None:
    """What all samples have at one step: kinds as they are stored, and where the records begin."""
    if np.count_nonzero(kind == kind[0]) == len(kind):
        wanted = _KINDS.get(int(kind[0]))
        if wanted is not None:
            found.note(wanted, lanes, place + 2, octets)
        return
    for sought, wanted in _KINDS.items():
        fit = (kind == sought).nonzero()[0]
        if len(fit):
            its = fit if isinstance(lanes, slice) else lanes.take(fit)
            found.note(wanted, its, place.take(fit) + 2, octets.take(fit))


_ALL: Final = slice(None)
_NONE: Final = np.zeros(0, dtype=np.int64)
_NO_SAMPLES: Final = (_NONE, _NONE, _NONE, _NONE.astype(bool))
_KINDS: Final = {stored(kind): kind for kind in (EXTENDED_GATEWAY, *LEAST_OCTETS)}
"""Formats of records that are looked at, by how they are stored."""
