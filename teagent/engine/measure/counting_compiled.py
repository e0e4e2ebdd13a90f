"""Records attributed and summed up by compiled code: what teagent.engine.measure.counting does with numpy, which is the
reference, with the same sums to the last bit. Nothing of the core imports this module: whoever wants it hands a
CompiledCount to a MatrixBuilder.

Attribution is the rule of teagent.engine.measure.attribution, a row is found as in DemandTable.add_at_home. What is
calculated with is int64, and uint64 where that is the type of keys and of halves of addresses; of both together numba
makes float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from teagent.compiling import NUMBER, WORD, compile_for, kept, read_only, room, within
from teagent.engine.measure.attribution import NOWHERE, Attribution
from teagent.engine.measure.counting import Counted, count
from teagent.engine.measure.demand_rows import ADDRESS_BITS, EVEN, MULTIPLIER, DemandTable
from teagent.engine.measure.record_buffer import BLOCK, Records
from teagent.model.bgp import NOBODYS_ASNS

PART = 1_024  # records, so that what is known of them stays in the first-level cache
DEMAND, OTHERS, REACHED, LATE = range(4)


@within
def _in_tree(top: Any, pages: Any, tails: Any, address: Any) -> Any:
    """The number of the longest prefix."""
    place = np.int64(top[np.uint64(address >> 16)]) + (address >> 8 & 255)
    found = np.int64(pages[np.uint64(place)])
    if found < NOWHERE:
        return np.int64(tails[np.uint64(-2 - found + (address & 255))])
    return found


@within
def _in_ranges(starts: Any, owners: Any, blocks: Any, block: Any, high: Any) -> Any:
    """The number of the longest prefix."""
    count = len(starts)
    if count == 0 or high < starts[0]:
        return np.int64(NOWHERE)
    if high >= starts[count - 1]:
        return np.int64(owners[count])
    if len(blocks) > 0:
        return np.int64(blocks[high - starts[0] >> block])
    low, end = 0, count  # the answer is the number of starts that are not above it
    while low < end:
        middle = low + end >> 1
        if starts[middle] <= high:
            low = middle + 1
        else:
            end = middle
    return np.int64(owners[low])


@within
def _is_demand(
    to_ours: Any, from_ours: Any, same_if: Any, link: Any, octets: Any, unattributed: Any, counts: Any
) -> Any:
    """Whether it is inbound to a prefix of ours; if to none, it is counted."""
    counts[REACHED] += 1
    if to_ours and not from_ours:
        return True
    if not from_ours or (to_ours and not same_if):
        unattributed[np.uint64(link)] += octets
        counts[OTHERS] += 1
    return False


@within
def _place(key: Any, shift: Any) -> Any:
    return key * MULTIPLIER >> shift & EVEN


@within
def _add(
    keys: Any,
    octets: Any,
    chosen: Any,
    slots: Any,
    sums: Any,
    shift: Any,
    late_keys: Any,
    late_octets: Any,
    counts: Any,
) -> None:
    """Apart from what chooses them: the places of most are in no cache, and each answer would be waited for."""
    late = counts[LATE]
    for i in range(chosen):
        key = keys[i]
        place = _place(key, shift)
        if slots[place] == key:
            sums[place + np.uint64(1)] += octets[i]
        else:
            late_keys[late], late_octets[late] = key, octets[i]
            late += 1
    counts[LATE] = late
    counts[DEMAND] += chosen


@within
def _key(link: Any, width: Any, to: Any, bits: Any, asn: Any, address: Any, other_bits: Any) -> Any:
    """Of the row, as SourceForm.keys makes it."""
    source = asn << np.uint64(1)
    for number in NOBODYS_ASNS:
        if asn == np.uint64(number):
            source = address >> other_bits << np.uint64(1) | np.uint64(1)
    return np.uint64(link * width + to) << bits | source


@kept
def _count4(
    link: Any,
    same_if: Any,
    src: Any,
    dst: Any,
    asn: Any,
    octets: Any,
    near: Any,
    top: Any,
    pages: Any,
    tails: Any,
    width: Any,
    bits: Any,
    other_bits: Any,
    shift: Any,
    slots: Any,
    sums: Any,
    keys: Any,
    values: Any,
    late_keys: Any,
    late_octets: Any,
    unattributed: Any,
    counts: Any,
) -> None:
    for begin in range(0, len(link), PART):
        chosen = 0
        for i in range(begin, min(begin + PART, len(link))):
            if link[i] == NOWHERE:
                continue
            to = _in_tree(top, pages, tails, np.int64(dst[i]))
            sender = np.int64(src[i])
            from_ours = near[np.uint64(sender >> 19)] >> (sender >> 16 & 7) & 1 != 0
            from_ours = from_ours and _in_tree(top, pages, tails, sender) != NOWHERE
            if _is_demand(to != NOWHERE, from_ours, same_if[i], link[i], octets[i], unattributed, counts):
                keys[chosen] = _key(
                    np.int64(link[i]), width, to, bits, np.uint64(asn[i]), np.uint64(src[i]), other_bits
                )
                values[chosen] = octets[i]
                chosen += 1
        _add(keys, values, chosen, slots, sums, shift, late_keys, late_octets, counts)


@kept
def _count6(
    link: Any,
    same_if: Any,
    src: Any,
    dst: Any,
    asn: Any,
    octets: Any,
    starts: Any,
    owners: Any,
    blocks: Any,
    block: Any,
    width: Any,
    bits: Any,
    other_bits: Any,
    shift: Any,
    slots: Any,
    sums: Any,
    keys: Any,
    values: Any,
    late_keys: Any,
    late_octets: Any,
    unattributed: Any,
    counts: Any,
) -> None:
    for begin in range(0, len(link), PART):
        chosen = 0
        for i in range(begin, min(begin + PART, len(link))):
            if link[i] == NOWHERE:
                continue
            to = _in_ranges(starts, owners, blocks, block, dst[i])
            from_ours = _in_ranges(starts, owners, blocks, block, src[i]) != NOWHERE
            if _is_demand(to != NOWHERE, from_ours, same_if[i], link[i], octets[i], unattributed, counts):
                keys[chosen] = _key(np.int64(link[i]), width, to, bits, np.uint64(asn[i]), src[i], other_bits)
                values[chosen] = octets[i]
                chosen += 1
        _add(keys, values, chosen, slots, sums, shift, late_keys, late_octets, counts)


class CompiledCount:
    """A Count. It keeps room for what it puts off, half a MiB, so it is for one thread at a time. To make the first one
    takes as long as compiling does, and raises whatever numba does.
    """

    def __init__(self) -> None:
        self._room(BLOCK)
        self._counts = np.zeros(4, np.int64)
        self._keys, self._values = np.empty(PART, np.uint64), np.empty(PART)
        table = (NUMBER, WORD, WORD, WORD, *map(room, (np.uint64, np.float64) * 3 + (np.float64, np.int64)))
        for function, address, prefixes in (
            (_count4, np.uint32, (read_only(np.uint8), *(read_only(np.int32),) * 3)),
            (_count6, np.uint64, (read_only(np.uint64), read_only(np.int32), read_only(np.int32), WORD)),
        ):
            kinds = (np.int32, np.bool_, address, address, np.uint32, np.float64)
            compile_for(function, *(read_only(kind, strided=True) for kind in kinds), *prefixes, *table)

    def _room(self, records: int) -> None:
        self._late_keys = np.empty(records, np.uint64)
        self._late_octets = np.empty(records)

    def __call__(self, records: Records, attribution: Attribution, table: DemandTable) -> Counted:
        form, prefixes = table.form, attribution.tables[table.form.family]
        link, same_if, src, dst, asn, octets, _ = records
        if len(link) > len(self._late_keys):
            self._room(len(link))
        unattributed, counts = np.zeros(len(attribution.links)), self._counts
        counts[:] = 0
        rest = (
            len(prefixes.prefixes),
            np.uint64(form.bits),
            np.uint64(ADDRESS_BITS[form.family] - form.length),
            table.shift,
            table.slots,
            table.slots.view(np.float64),
            self._keys,
            self._values,
            self._late_keys,
            self._late_octets,
            unattributed,
            counts,
        )
        if asn.itemsize > 4 and asn.max(initial=0) >= 1 << 32:  # as no AS number is
            return count(records, attribution, table)
        asn = asn.astype(np.uint32, copy=False)
        if form.family == 4:
            _count4(link, same_if, src, dst, asn, octets, *prefixes.tree, *rest)
        elif prefixes.ranges is None:
            return count(records, attribution, table)
        else:
            _count6(link, same_if, src[:, 0], dst[:, 0], asn, octets, *prefixes.ranges, *rest)
        demand, others, reached, late = counts.tolist()
        return Counted(
            demand, others, reached, unattributed, self._late_keys[:late].copy(), self._late_octets[:late].copy()
        )
