"""From a table of cells to interfaces and counter samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from teagent.adapters.snmp.bundle import Bundle, attached
from teagent.adapters.snmp.table import COUNTERS_32, COUNTERS_64, Column, Table
from teagent.adapters.snmp.text import line
from teagent.model.link import BundleMember, CounterSample, Interface

# ifOperStatus (RFC 2863)
OPER_STATUS = {1: "up", 2: "down", 3: "testing", 4: "unknown", 5: "dormant", 6: "notPresent", 7: "lowerLayerDown"}
SPEED_TOO_LARGE = 2**32 - 1  # ifSpeed says this when the real one does not fit
MAX_HIGH_SPEED = 100_000_000  # in Mbit/s; an agent that says more means bit/s
TICKS_PER_SECOND = 100


def interfaces(table: Table) -> tuple[Interface, ...]:
    """In the order of ifIndex."""
    return tuple(interface(table, index) for index in table.indexes())


def with_bundles(rows: Iterable[Interface], table: Table, bundles: Mapping[int, Bundle]) -> dict[int, Interface]:
    """By ifIndex."""
    used = attached(table, bundles)
    return {
        row.if_index: replace(row, members=tuple(_member(table, each, used) for each in bundles[row.if_index].members))
        if row.if_index in bundles
        else row
        for row in rows
    }


def _member(table: Table, index: int, used: frozenset[int]) -> BundleMember:
    row = interface(table, index)
    return BundleMember(
        if_index=index,
        if_name=row.if_name or row.if_descr,
        if_high_speed_bps=row.if_high_speed_bps,
        state="detached" if row.if_oper_status == "up" and index not in used else row.if_oper_status,
    )


def interface(table: Table, index: int) -> Interface:
    return Interface(
        if_index=index,
        if_name=line(table.octets(Column.IF_NAME, index)),
        if_descr=line(table.octets(Column.IF_DESCR, index)),
        if_alias=line(table.octets(Column.IF_ALIAS, index)),
        if_high_speed_bps=speed_bps(table, index),
        if_oper_status=OPER_STATUS.get(table.number(Column.IF_OPER_STATUS, index) or 4, "unknown"),
    )


def speed_bps(table: Table, index: int) -> float | None:
    """ifHighSpeed, or ifSpeed where that is absent, 0 or absurd; None when neither says anything."""
    high = table.number(Column.IF_HIGH_SPEED, index)
    if high is not None and 0 < high <= MAX_HIGH_SPEED:
        return high * 1e6
    low = table.number(Column.IF_SPEED, index)
    if low is not None and 0 < low < SPEED_TOO_LARGE:
        return float(low)
    return None


def sample(table: Table, index: int) -> CounterSample | None:
    """The 64-bit pair, or the 32-bit pair where that is not whole; None where neither is."""
    moment = table.moments.get(index)
    if moment is None:
        return None
    for bits, columns in ((64, COUNTERS_64), (32, COUNTERS_32)):
        in_octets, out_octets = (table.number(column, index) for column in columns)
        if in_octets is None or out_octets is None:
            continue
        seen = interface(table, index)
        return CounterSample(
            at=moment.at,
            sys_uptime_seconds=None if moment.ticks is None else moment.ticks / TICKS_PER_SECOND,
            if_index=index,
            in_octets=in_octets,
            out_octets=out_octets,
            bits=bits,
            discontinuity=table.number(Column.IF_DISCONTINUITY, index),
            if_oper_status=seen.if_oper_status,
            if_high_speed_bps=seen.if_high_speed_bps,
        )
    return None


def fallbacks(table: Table, index: int) -> list[tuple[Column, int]]:
    """What ifTable may still tell where ifXTable said nothing: 32-bit counters, and the speed."""
    cells: list[tuple[Column, int]] = []
    if any(table.number(column, index) is None for column in COUNTERS_64):
        cells += [(column, index) for column in COUNTERS_32]
    if speed_bps(table, index) is None:
        cells.append((Column.IF_SPEED, index))
    return cells
