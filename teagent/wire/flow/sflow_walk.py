"""Where flow samples and their records stand in many sFlow datagrams, found for all of them together.

The datagrams are walked in step: the first sample of each, then the second of each, and so on; then likewise the
records of all samples. What has to be read with more care (cut short, or of very many samples) is only told apart:
`odd` says which datagrams, and teagent.wire.flow.sflow reads them one by one, with the same outcome.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from teagent.model.traffic import Column

Numbers = npt.NDArray[np.int64]

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


class _Words:
    def __init__(self, octets: bytes) -> None:
        self._words = np.frombuffer(octets, dtype=">u4")

    def at(self, place: Numbers) -> Numbers:
        """Places behind the end give the last word: whoever reads there finds out by himself."""
        return self._words.take(place, mode="clip").astype(np.int64)


def walk(datagrams: Sequence[bytes]) -> Walked:
    """Datagrams of sFlow version 5, by their first four octets; at least one."""
    octets = b"".join(datagrams)
    lengths = np.fromiter(map(len, datagrams), np.int64, len(datagrams))
    odd = np.flatnonzero((lengths % 4 != 0) | (lengths < LEAST_HEAD))
    if len(odd):
        return _only_odd(odd)
    words = _Words(octets)
    end = np.cumsum(lengths) >> 2
    begin = end - (lengths >> 2)
    kind = words.at(begin + 1)
    head = begin + 2 + (kind == 1) + 4 * (kind == 2)
    odd = np.flatnonzero((kind > 2) | (head + 4 > end))
    if len(odd):
        return _only_odd(odd)
    found, odd = _samples(words, head + 4, end, words.at(head + 3))
    if len(odd):
        return _only_odd(odd)
    datagram, place, stop, expanded = found
    size = np.where(expanded, SAMPLE_WORDS[FLOW_SAMPLE_EXPANDED], SAMPLE_WORDS[FLOW_SAMPLE])
    cut = np.flatnonzero(place + size > stop)
    if len(cut):
        return _only_odd(datagram[cut])
    records, cut = _records(words, place + size, stop, words.at(place + size - 1))
    if len(cut):
        return _only_odd(datagram[cut])
    agent = _agents(words, begin, kind, head)
    return Walked(octets, odd, words.at(head + 1), agent, datagram, place, expanded, *records)


def _agents(words: _Words, begin: Numbers, kind: Numbers, head: Numbers) -> Numbers:
    """A number for each datagram that tells apart who sent it, by address_type, address and sub-agent."""
    sub_agent = words.at(head)
    if (kind == 1).all():
        return words.at(begin + 2) << 32 | sub_agent
    address = [np.where(begin + 2 + i < head, words.at(begin + 2 + i), 0) for i in range(4)]
    _, number = np.unique(np.column_stack([kind, *address, sub_agent]), axis=0, return_inverse=True)
    return number.reshape(-1)


def _only_odd(odd: Numbers) -> Walked:
    none = np.zeros(0, dtype=np.int64)
    return Walked(b"", np.unique(odd), none, none, none, none, none.astype(bool), none, none, none, none)


def _samples(
    words: _Words, place: Numbers, end: Numbers, count: Numbers
) -> tuple[tuple[Numbers, Numbers, Numbers, Column], Numbers]:
    """((datagram, place, stop, expanded) of each flow sample, odd datagrams); a sample begins behind its length."""
    found: list[tuple[Numbers, Numbers, Numbers, Numbers]] = []
    lanes = np.flatnonzero(count)
    place, end, count = place.take(lanes), end.take(lanes), count.take(lanes)
    for step in range(1, MOST_STEPS + 1):
        kind = words.at(place)
        stop = place + 2 + (words.at(place + 1) + 3 >> 2)
        wrong = (place + 2 > end) | (stop > end)
        if wrong.any():
            return _NO_SAMPLES, lanes[wrong]
        found.append((lanes, kind, place + 2, stop))
        more = np.flatnonzero(count > step)
        if not len(more):
            break
        if len(more) < len(lanes):
            lanes, end, count, stop = (column.take(more) for column in (lanes, end, count, stop))
        place = stop
    else:
        return _NO_SAMPLES, lanes
    datagram, kind, place, stop = (np.concatenate(column) for column in zip(*found, strict=True))
    flows = np.flatnonzero((kind == FLOW_SAMPLE) | (kind == FLOW_SAMPLE_EXPANDED))
    flows = flows.take(np.argsort(datagram.take(flows), kind="stable"))
    return (
        (datagram.take(flows), place.take(flows), stop.take(flows), kind.take(flows) == FLOW_SAMPLE_EXPANDED),
        _NONE,
    )


def _records(
    words: _Words, place: Numbers, stop: Numbers, count: Numbers
) -> tuple[tuple[Numbers, Numbers, Numbers, Numbers], Numbers]:
    """((record, format, gateway, gateway_octets) of each sample, samples that are cut)."""
    record, formats, gateway, gateway_octets = np.full((4, len(place)), -1, dtype=np.int64)
    out = (record, formats, gateway, gateway_octets)
    lanes = np.flatnonzero(count)
    place, stop, count = place.take(lanes), stop.take(lanes), count.take(lanes)
    for step in range(1, MOST_STEPS + 1):
        if not len(lanes):
            return out, _NONE
        kind, octets = words.at(place), words.at(place + 1)
        place = place + 2
        wrong = (place > stop) | (place * 4 + octets > stop * 4)
        if wrong.any():
            return out, lanes[wrong]
        fit = np.flatnonzero(kind == EXTENDED_GATEWAY)
        if len(fit):
            at = lanes.take(fit)
            gateway[at], gateway_octets[at] = place.take(fit), octets.take(fit)
        for wanted, least in LEAST_OCTETS.items():
            fit = np.flatnonzero(kind == wanted)
            if not len(fit):
                continue
            fit = fit.compress(octets.take(fit) >= least)
            if wanted != SAMPLED_HEADER:
                fit = fit.compress(record.take(lanes.take(fit)) < 0)
            at = lanes.take(fit)
            record[at], formats[at] = place.take(fit), wanted
        place += octets + 3 >> 2
        more = np.flatnonzero(count > step)
        if len(more) < len(lanes):
            lanes, place, stop, count = (column.take(more) for column in (lanes, place, stop, count))
    return out, lanes


def autonomous_systems(walked: Walked) -> tuple[Column, Column, Numbers]:
    """(src_as, last of dst_as_path) of each sample, 0 where its extended_gateway does not tell them; and the samples
    whose path has several segments, which are not read here.
    """
    src, dst = np.zeros((2, len(walked.sample)), dtype=np.uint32)
    lanes = np.flatnonzero(walked.gateway_octets >= 4)
    if not len(lanes):
        return src, dst, _NONE
    words = _Words(walked.octets)
    at = walked.gateway.take(lanes)
    stop = at * 4 + walked.gateway_octets.take(lanes)
    kind = words.at(at)
    at = at + 1 + (kind == 1) + 4 * (kind == 2)
    whole = np.flatnonzero((kind <= 2) & (at * 4 + 16 <= stop))
    lanes, at, stop = lanes.take(whole), at.take(whole), stop.take(whole)
    src[lanes] = words.at(at + 1)
    own, segments = words.at(at), words.at(at + 3)
    count = words.at(at + 5)
    there = (segments == 1) & (at * 4 + 24 <= stop) & (count > 0) & ((at + 6 + count) * 4 <= stop)
    dst[lanes] = np.where(there, words.at(at + 5 + count), own)
    return src, dst, lanes[segments > 1]


_NONE: Final = np.zeros(0, dtype=np.int64)
_NO_SAMPLES: Final = (_NONE, _NONE, _NONE, _NONE.astype(bool))
