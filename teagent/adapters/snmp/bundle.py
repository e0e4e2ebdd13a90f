"""Which ports carry an interface: the aggregates of IEEE 802.1AX in ifStackTable (RFC 2863), else by LACP's own table.

Agents differ. EOS and VRP list the ports under the aggregate, Junos the logical units of the ports under the unit of
the aggregate and nothing under the aggregate itself; IOS-XE gives its aggregates the type propVirtual. A port that is
down stays listed with some, with others it goes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from teagent.adapters.snmp.message import Absent, Oid
from teagent.adapters.snmp.session import SnmpSession
from teagent.adapters.snmp.table import Column, Table
from teagent.adapters.snmp.walk import Walker

STACK_STATUS: Oid = (1, 3, 6, 1, 2, 1, 31, 1, 2, 1, 3)
"""ifStackStatus, by the upper and the lower ifIndex; 0 is none."""
ACTIVE = 1
AGGREGATE, VIRTUAL, ETHERNET = 161, 53, 6  # IANAifType: ieee8023adLag, propVirtual, ethernetCsmacd
OF_A_MEMBER = (Column.IF_NAME, Column.IF_DESCR, Column.IF_OPER_STATUS, Column.IF_HIGH_SPEED)
DEEPEST = 4
REPETITIONS = 24
MAX_PDUS = 64

Below = Callable[[int], Awaitable[tuple[int, ...]]]
"""The interfaces under one, by ifIndex."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """`aggregate` may lie under the interface that is asked for, a subinterface of it. All by ifIndex."""

    aggregate: int
    members: tuple[int, ...]

    def cells(self, table: Table) -> list[tuple[Column, int]]:
        """What tells of the members' state, as far as the agent has it."""
        wanted = (Column.IF_OPER_STATUS, Column.IF_HIGH_SPEED, Column.LACP_ATTACHED)
        return [(c, member) for member in self.members for c in wanted if member in table.cells.get(c, {})]


async def find_bundles(indexes: Sequence[int], walker: Walker, table: Table, below: Below) -> dict[int, Bundle]:
    """By ifIndex, those that are carried by a bundle whose members the agent tells. Raises TelemetryError."""
    found: dict[int, Bundle] = {}
    unlisted: dict[int, int] = {}
    asked = set(table.cells.get(Column.IF_TYPE, {}))
    for column in (Column.LACP_SELECTED, Column.LACP_ATTACHED):
        table.cells.pop(column, None)  # of an earlier look
    for index in indexes:
        at, lower = index, await below(index)
        for _ in range(DEEPEST):
            untyped = {at, *lower} - asked
            await walker.cells([(Column.IF_TYPE, each) for each in sorted(untyped)])
            asked |= untyped
            if _is_bundle(table, at, lower):
                found[index] = Bundle(aggregate=at, members=lower)
            elif table.number(Column.IF_TYPE, at) == AGGREGATE:
                unlisted[index] = at
            elif len(lower) == 1:
                at, lower = lower[0], await below(lower[0])
                continue
            break
    if unlisted:
        await walker.columns((Column.LACP_SELECTED, Column.LACP_ATTACHED))
    for index, aggregate in unlisted.items():
        members = _by_lacp(table, aggregate)
        if members:
            found[index] = Bundle(aggregate=aggregate, members=members)
    ports = [member for bundle in found.values() for member in bundle.members]
    fresh = [member for member in ports if member not in table.cells.get(Column.IF_OPER_STATUS, {})]
    await walker.cells([(column, member) for member in fresh for column in OF_A_MEMBER])
    await walker.cells([(Column.LACP_ATTACHED, member) for member in ports])
    return found


def _is_bundle(table: Table, index: int, lower: Sequence[int]) -> bool:
    kind = table.number(Column.IF_TYPE, index)
    if kind == AGGREGATE:
        return bool(lower)
    kinds = {table.number(Column.IF_TYPE, each) for each in lower}
    return kind == VIRTUAL and len(lower) > 1 and kinds <= {ETHERNET, VIRTUAL}


def _by_lacp(table: Table, aggregate: int) -> tuple[int, ...]:
    """Ports that LACP has chosen for the aggregate, attached to it or not."""
    columns = (Column.LACP_SELECTED, Column.LACP_ATTACHED)
    chosen = (port for column in columns for port, of in table.cells.get(column, {}).items() if of == aggregate)
    return tuple(sorted(set(chosen)))


def below_by_asking(session: SnmpSession) -> Below:
    """Asks for the rows of one interface at a time: one or two PDUs, where a walk of the table may take hundreds."""

    async def below(index: int) -> tuple[int, ...]:
        base = (*STACK_STATUS, index)
        return tuple(row[0] for row in await _rows(session, base))

    return below


async def below_by_table(session: SnmpSession) -> Below:
    """Walks the whole table at once."""
    lower: dict[int, list[int]] = {}
    for upper, under in await _rows(session, STACK_STATUS):
        lower.setdefault(upper, []).append(under)

    async def below(index: int) -> tuple[int, ...]:
        return tuple(lower.get(index, ()))

    return below


async def _rows(session: SnmpSession, base: Oid) -> list[Oid]:
    """The indexes of the active rows under a name, as far as they go on from `base`; those of layer 0 left out. An
    agent that does not have the table, or makes no sense of the question, has none.
    """
    found: list[Oid] = []
    at, size = base, len(STACK_STATUS) + 2
    for _ in range(MAX_PDUS):
        answer = await session.bulk((), (at,), REPETITIONS)
        if answer.error_status or not answer.varbinds:
            return found
        for oid, value in answer.varbinds:
            if isinstance(value, Absent) or oid[: len(base)] != base or len(oid) != size or oid <= at:
                return found
            at = oid
            if value == ACTIVE and 0 not in oid[-2:]:
                found.append(oid[len(base) :])
    return found


def attached(table: Table, bundles: Mapping[int, Bundle]) -> frozenset[int]:
    """Members that LACP has attached, and all of a bundle of which it has attached none: an agent may have the table
    for bundles without LACP as well.
    """
    told = table.cells.get(Column.LACP_ATTACHED, {})
    return frozenset(
        member
        for bundle in bundles.values()
        for member in bundle.members
        if told.get(member, 1) != 0 or not any(told.get(each) for each in bundle.members)
    )
