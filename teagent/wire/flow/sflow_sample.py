"""What stands at fixed places of flow samples, and in their extended_gateway, as columns."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from teagent.model.traffic import Column
from teagent.wire.flow.sflow_walk import Numbers, Words

INTERNAL: Final = 0x3FFFFFFF  # interface: there is none, the packet begins or ends in the device itself
INTERNAL_EXPANDED: Final = 0xFFFFFFFF  # the same, as some write it in 32 bits
SINGLE_INTERFACE: Final = 0  # the other formats are 1, discarded, and 2, several
INDEX_BITS: Final = 24  # of a data source in 32 bits; its class is above


class SampleHeaders(NamedTuple):
    """Of each sample: its data source (class and index, 32 bits each), its sequence number there, and what the source
    has dropped so far; what the sample says of its rate; ifIndex values, 0 for what is not one interface (unknown, the
    device itself, discarded, several); and whether it was taken where the packet left.
    """

    source: Column
    sequence: Column
    drops: Column
    rate: Column
    in_if: Column
    out_if: Column
    egress: Column

    def only(self, which: Numbers) -> SampleHeaders:
        return SampleHeaders(*(column.take(which) for column in self))


def headers_of(octets: bytes, sample: Numbers, expanded: Column) -> SampleHeaders:
    """Of the samples that begin (behind their length) at these words."""
    words = Words(octets)
    wide = np.flatnonzero(expanded)
    if not len(sample):
        return _NO_HEADERS
    if not len(wide):
        return _plain(words, sample)
    if len(wide) == len(sample):
        return _expanded(words, sample)
    narrow = np.flatnonzero(~expanded)
    # Both kinds one after the other, and then each sample from where it is there.
    place = np.empty(len(sample), dtype=np.int64)
    place[narrow], place[wide] = np.arange(len(narrow)), np.arange(len(narrow), len(sample))
    parts = (_plain(words, sample.take(narrow)), _expanded(words, sample.take(wide)))
    return SampleHeaders(*(np.concatenate(columns).take(place) for columns in zip(*parts, strict=True)))


def _plain(words: Words, at: Numbers) -> SampleHeaders:
    """flow_sample: two bits of an interface are its format, of the data source eight are its class."""
    sequence, stated, rate, drops, in_if, out_if = words.several(at, _PLAIN)
    source = stated.astype(np.uint64)
    if stated.max() >> INDEX_BITS:
        source = source >> np.uint64(INDEX_BITS) << np.uint64(32) | source & np.uint64((1 << INDEX_BITS) - 1)
    for column in (in_if, out_if):
        if column.max() >= INTERNAL:
            column[column >= INTERNAL] = 0
    egress = stated == out_if
    if np.count_nonzero(egress):
        egress &= (stated != 0) & (stated < 1 << INDEX_BITS) & (out_if != in_if)
    return SampleHeaders(source, sequence, drops, rate, in_if, out_if, egress)


def _expanded(words: Words, at: Numbers) -> SampleHeaders:
    """flow_sample_expanded: formats and classes have a word of their own."""
    sequence, source_class, index, rate, drops, in_form, in_if, out_form, out_if = words.several(at, _EXPANDED)
    source = source_class.astype(np.uint64)
    source <<= np.uint64(32)
    source |= index
    for form, value in ((in_form, in_if), (out_form, out_if)):
        if form.max() != SINGLE_INTERFACE or value.max() >= INTERNAL:
            value[(form != SINGLE_INTERFACE) | (value == INTERNAL) | (value == INTERNAL_EXPANDED)] = 0
    egress = index == out_if
    if np.count_nonzero(egress):
        egress &= (source_class == 0) & (index != 0) & (out_if != in_if)
    return SampleHeaders(source, sequence, drops, rate, in_if, out_if, egress)


class Gateways:
    """src_as and dst_as_path out of the extended_gateway records that begin at these words, of so many octets; -1 where
    a sample has none.
    """

    def __init__(self, octets: bytes, place: Numbers, length: Numbers) -> None:
        self._octets, self._words = octets, Words(octets)
        self._samples = len(place)
        kind = self._words.at(place)
        address = 4 * (kind == 1) + 16 * (kind == 2)  # octets
        whole = (length >= 20 + address) & (kind <= 2)
        self._lanes = np.flatnonzero(whole)
        if len(self._lanes) < len(place):
            place, length, address = (column.take(self._lanes) for column in (place, length, address))
        self._stop = place * 4 + length
        self._at = place + 1 + (address >> 2)

    def _of_samples(self, values: Column) -> Column:
        if len(self._lanes) == self._samples:
            return values
        column = np.zeros(self._samples, dtype=np.uint32)
        column[self._lanes] = values
        return column

    def sources(self) -> Column:
        """src_as, 0 where it is not told."""
        return self._of_samples(self._words.u32(self._at, 1))

    def destinations(self) -> Column:
        """The last AS of dst_as_path, or the router's own where that is empty; 0 where it is not told. Of a path that
        is cut what stands before counts.
        """
        words, at = self._words, self._at
        last, segments, count = words.u32(at), words.at(at, 3), words.at(at, 5)
        there = (segments == 1) & (at * 4 + 24 <= self._stop) & (count > 0) & ((at + 6 + count) * 4 <= self._stop)
        its = np.flatnonzero(there)
        last[its] = words.u32(at.take(its) + 5 + count.take(its))
        for lane in np.flatnonzero(segments > 1).tolist():
            own = int(last[lane])
            last[lane] = self._last_of_several(int(at[lane]), int(self._stop[lane]), own, int(segments[lane]))
        return self._of_samples(last)

    def _last_of_several(self, at: int, stop: int, own: int, segments: int) -> int:
        """Of a path of several segments; `at` is the word of the router's own AS."""
        last, place = own, at * 4 + 16
        for _ in range(segments):
            if stop - place < 8:
                break
            count = int.from_bytes(self._octets[place + 4 : place + 8], "big")
            place += 8 + 4 * count
            if place > stop:
                break
            if count:
                last = int.from_bytes(self._octets[place - 4 : place], "big")
        return last


_PLAIN: Final = np.array([0, 1, 2, 4, 5, 6])
_EXPANDED: Final = np.array([0, 1, 2, 3, 5, 6, 7, 8, 9])
_NO_HEADERS: Final = SampleHeaders(*(np.zeros(0, kind) for kind in "QIIIII?"))
