"""What was read of one agent: columns of MIB-II and IF-MIB, the time of each counter, and what was odd."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from teagent.adapters.snmp.message import Absent, Oid, Value


class Column(Enum):
    """Columns by their object identifier: SNMPv2-MIB (RFC 3418), ifTable and ifXTable (RFC 2863), and of
    IEEE8023-LAG-MIB (IEEE 802.1AX) dot3adAggPortSelectedAggID and dot3adAggPortAttachedAggID, indexed by the port's
    ifIndex.
    """

    SYS_DESCR = (1, 3, 6, 1, 2, 1, 1, 1)
    SYS_UPTIME = (1, 3, 6, 1, 2, 1, 1, 3)
    SYS_NAME = (1, 3, 6, 1, 2, 1, 1, 5)
    IF_DESCR = (1, 3, 6, 1, 2, 1, 2, 2, 1, 2)
    IF_TYPE = (1, 3, 6, 1, 2, 1, 2, 2, 1, 3)
    IF_SPEED = (1, 3, 6, 1, 2, 1, 2, 2, 1, 5)
    IF_OPER_STATUS = (1, 3, 6, 1, 2, 1, 2, 2, 1, 8)
    IF_IN_OCTETS = (1, 3, 6, 1, 2, 1, 2, 2, 1, 10)
    IF_OUT_OCTETS = (1, 3, 6, 1, 2, 1, 2, 2, 1, 16)
    IF_NAME = (1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 1)
    IF_HC_IN_OCTETS = (1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 6)
    IF_HC_OUT_OCTETS = (1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 10)
    IF_HIGH_SPEED = (1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 15)
    IF_ALIAS = (1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 18)
    IF_DISCONTINUITY = (1, 3, 6, 1, 2, 1, 31, 1, 1, 1, 19)
    LACP_SELECTED = (1, 2, 840, 10006, 300, 43, 1, 2, 1, 1, 12)
    LACP_ATTACHED = (1, 2, 840, 10006, 300, 43, 1, 2, 1, 1, 13)

    @property
    def oid(self) -> Oid:
        oid: Oid = self.value
        return oid


NAMES = (Column.IF_NAME, Column.IF_DESCR, Column.IF_ALIAS)
IDENTITY = (*NAMES, Column.IF_OPER_STATUS, Column.IF_HIGH_SPEED)
COUNTERS_64 = (Column.IF_HC_IN_OCTETS, Column.IF_HC_OUT_OCTETS)
COUNTERS_32 = (Column.IF_IN_OCTETS, Column.IF_OUT_OCTETS)
INBOUND = (Column.IF_HC_IN_OCTETS, Column.IF_IN_OCTETS)
INTERFACE_COLUMNS = tuple(column for column in Column if column.name.startswith("IF_"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Oddity:
    """Something that an operator should know of this agent. `if_index` is None where it is about the whole agent."""

    kind: str
    if_index: int | None
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """When a PDU was answered: our time, and the agent's own sysUpTime in hundredths of a second out of that PDU."""

    at: datetime
    ticks: int | None


@dataclass(slots=True)
class Table:
    """Cells by column and ifIndex, as the agent sent them.

    `moments` tells when the inbound counter was read, `truncated_at` how many repeated variables the agent gave where
    it was asked for more.
    """

    cells: dict[Column, dict[int, int | bytes]] = field(default_factory=dict)
    moments: dict[int, Moment] = field(default_factory=dict)
    last: Moment | None = None
    truncated_at: int | None = None
    notes: dict[str, Oddity] = field(default_factory=dict)

    def put(self, column: Column, index: int, value: Value, moment: Moment) -> None:
        """Keeps a cell; values of another kind than the column has are not kept."""
        if isinstance(value, Absent | tuple) or value is None:
            return
        self.cells.setdefault(column, {})[index] = value
        if column in INBOUND:
            self.moments[index] = moment

    def number(self, column: Column, index: int) -> int | None:
        value = self.cells.get(column, {}).get(index)
        return value if isinstance(value, int) else None

    def octets(self, column: Column, index: int) -> bytes | None:
        value = self.cells.get(column, {}).get(index)
        return value if isinstance(value, bytes) else None

    def indexes(self) -> list[int]:
        """Every ifIndex that any interface column has, in ascending order."""
        return sorted({index for column in INTERFACE_COLUMNS for index in self.cells.get(column, ())})

    def note(self, kind: str, message: str) -> None:
        """Remembers something odd about the agent as a whole, once for each message."""
        self.notes.setdefault(message, Oddity(kind=kind, if_index=None, message=message))
