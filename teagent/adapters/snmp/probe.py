"""One look at an agent of which nothing is known yet."""

from __future__ import annotations

from dataclasses import dataclass

from teagent.adapters.snmp import oddities
from teagent.adapters.snmp.bundle import below_by_table, find_bundles
from teagent.adapters.snmp.reading import TICKS_PER_SECOND, fallbacks, interfaces, sample, with_bundles
from teagent.adapters.snmp.session import SnmpSession
from teagent.adapters.snmp.table import COUNTERS_64, IDENTITY, Column, Oddity, Table
from teagent.adapters.snmp.target import SnmpTarget
from teagent.adapters.snmp.text import line
from teagent.adapters.snmp.walk import Limits, Walker
from teagent.model.link import CounterSample, Interface
from teagent.ports import Clock

MAX_DESCR_LENGTH = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbedInterface:
    """An interface, its counters as they stand (None where it has none), and whether it tells of discontinuities."""

    interface: Interface
    counters: CounterSample | None
    discontinuity: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a router offers. `sentences` are the oddities, one sentence a kind."""

    address: str
    sys_name: str
    sys_descr: str
    sys_uptime_seconds: float | None
    interfaces: tuple[ProbedInterface, ...]
    oddities: tuple[Oddity, ...]
    sentences: tuple[str, ...]
    pdus: int


async def probe(target: SnmpTarget, *, clock: Clock) -> Probe:
    """Reads all that teagent could use. Raises SnmpTimeout, SnmpAuthFailed or SnmpUnreachable."""
    session = SnmpSession(target.endpoint, target)
    table = Table()
    walker = Walker(session, table, Limits(), clock.now)
    try:
        await walker.cells([(Column.SYS_DESCR, 0), (Column.SYS_NAME, 0)])
        await walker.columns((*IDENTITY, *COUNTERS_64, Column.IF_DISCONTINUITY, Column.IF_TYPE))
        await walker.cells([cell for index in table.indexes() for cell in fallbacks(table, index)])
        bundles = await find_bundles(table.indexes(), walker, table, await below_by_table(session))
    finally:
        await session.close()
    rows = tuple(with_bundles(interfaces(table), table, bundles).values())
    found = oddities.find(table, only=table.indexes())
    ticks = None if table.last is None else table.last.ticks
    return Probe(
        address=target.endpoint,
        sys_name=line(table.octets(Column.SYS_NAME, 0)),
        sys_descr=line(table.octets(Column.SYS_DESCR, 0), limit=MAX_DESCR_LENGTH),
        sys_uptime_seconds=None if ticks is None else ticks / TICKS_PER_SECOND,
        interfaces=tuple(
            ProbedInterface(
                interface=row,
                counters=sample(table, row.if_index),
                discontinuity=table.number(Column.IF_DISCONTINUITY, row.if_index) is not None,
            )
            for row in rows
        ),
        oddities=found,
        sentences=oddities.sentences(found, rows),
        pdus=session.pdus,
    )
