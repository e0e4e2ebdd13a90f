"""Reading columns and cells in few PDUs from agents that truncate, loop, refuse or answer beside the point."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from teagent.adapters.snmp.message import Absent, Answer, ErrorStatus, Oid
from teagent.adapters.snmp.session import SnmpSession
from teagent.adapters.snmp.table import Column, Moment, Table
from teagent.errors import SnmpTimeout

UPTIME_INSTANCE = (*Column.SYS_UPTIME.oid, 0)
# An agent that invents rows for ever is left alone at some point; the largest routers have some 10,000 interfaces.
MAX_ROWS = 50_000
MAX_PDUS = 20_000


@dataclass(slots=True)
class Limits:
    """How much to ask for at once, learned downwards. net-snmp answers at most 100 variables, others 64.

    `uptime` is whether sysUpTime rides along in every PDU, so that each counter has the agent's own time.
    """

    repeated: int = 96
    exact: int = 60
    uptime: bool = True


class Walker:
    """Fills `table` from `session`. `now` gives our time of an answer."""

    def __init__(self, session: SnmpSession, table: Table, limits: Limits, now: Callable[[], datetime]) -> None:
        self._session = session
        self._table = table
        self._limits = limits
        self._now = now

    async def columns(self, columns: Sequence[Column]) -> None:
        """Walks the columns side by side with GETBULK, each going on from the last name that it really got.

        Raises TelemetryError when the agent cannot be reached or lets nobody in; everything else is noted.
        """
        cursors = {column: column.oid for column in columns}
        rows = dict.fromkeys(columns, 0)
        width = len(columns)
        for _ in range(MAX_PDUS):
            if not cursors:
                return
            group = list(cursors)[:width]
            repetitions = max(1, self._limits.repeated // len(group))
            once = (Column.SYS_UPTIME.oid,) if self._limits.uptime else ()
            try:
                answer = await self._session.bulk(once, tuple(cursors[c] for c in group), repetitions)
            except SnmpTimeout:
                # A small question was answered before, so perhaps it is the fragments of large answers that get lost.
                if self._table.last is None or repetitions == 1:
                    raise
                self._limits.repeated = max(1, repetitions // 4) * len(group)
                self._table.note("large_answers_lost", "large answers get lost on the way: asking for less at once")
                continue
            if answer.error_status:
                width = self._bulk_error(answer, group, repetitions, cursors, width)
                continue
            moment = self._moment(answer)
            repeated = answer.varbinds[len(once) :]
            if not repeated:
                width = self._narrow(group, cursors, width, "answers GETBULK with nothing")
                continue
            self._take(group, repeated, cursors, rows, moment)
            if len(repeated) < repetitions * len(group) and cursors:
                self._truncated(len(repeated))
        self._table.note("endless", f"the agent's tables do not end: stopped after {MAX_PDUS} PDUs")

    def _truncated(self, varbinds: int) -> None:
        if self._table.truncated_at is None or varbinds > self._table.truncated_at:
            self._table.truncated_at = varbinds

    def _take(
        self,
        group: Sequence[Column],
        varbinds: Sequence[tuple[Oid, object]],
        cursors: dict[Column, Oid],
        rows: dict[Column, int],
        moment: Moment,
    ) -> None:
        """Sorts repeated variables into their columns; a column that has ended leaves `cursors`."""
        for position, (oid, value) in enumerate(varbinds):
            column = group[position % len(group)]
            if column not in cursors:
                continue
            base = column.oid
            if isinstance(value, Absent) or oid[: len(base)] != base:
                del cursors[column]
            elif oid <= cursors[column]:
                self._table.note("not_increasing", f"{_name(column)} goes in circles: not walked beyond that")
                del cursors[column]
            elif rows[column] >= MAX_ROWS:
                self._table.note("endless", f"{_name(column)} has more than {MAX_ROWS} rows: the rest is not read")
                del cursors[column]
            else:
                cursors[column] = oid
                rows[column] += 1
                self._put(column, oid[len(base) :], value, moment)

    def _put(self, column: Column, suffix: Oid, value: object, moment: Moment) -> None:
        if len(suffix) != 1:
            self._table.note("odd_index", f"{_name(column)} has rows that are not indexed by ifIndex: left out")
        elif isinstance(value, int | bytes):
            self._table.put(column, suffix[0], value, moment)

    def _bulk_error(
        self,
        answer: Answer,
        group: Sequence[Column],
        repetitions: int,
        cursors: dict[Column, Oid],
        width: int,
    ) -> int:
        """What to do about an error-status; returns how many columns to ask for side by side from now on."""
        if answer.error_status == ErrorStatus.TOO_BIG and repetitions > 1:
            self._limits.repeated = repetitions // 2 * len(group)
            self._table.note("too_big", "the agent finds answers too big that others send: asking for less at once")
            return width
        position = answer.error_index - 1
        if self._limits.uptime:
            if position == 0:
                self._limits.uptime = False
                self._table.note("no_uptime", "the agent refuses sysUpTime: intervals are measured by our clock")
                return width
            position -= 1
        if 0 <= position < len(group) and answer.error_status != ErrorStatus.TOO_BIG:
            column = group[position]
            del cursors[column]
            if answer.error_status != ErrorStatus.NO_SUCH_NAME:
                self._table.note("agent_error", f"{_name(column)} ends with error {answer.error_status} of the agent")
            return width
        return self._narrow(group, cursors, width, f"answers GETBULK with error {answer.error_status}")

    def _narrow(self, group: Sequence[Column], cursors: dict[Column, Oid], width: int, what: str) -> int:
        """Asks for fewer columns at once; a column that fails alone is given up."""
        if len(group) > 1:
            return max(1, min(width, len(group)) // 2)
        del cursors[group[0]]
        self._table.note("agent_error", f"the agent {what} for {_name(group[0])}")
        return width

    async def cells(self, wanted: Sequence[tuple[Column, int]]) -> None:
        """Reads exact cells with GET, those of one interface in one PDU where it fits. Absent cells stay absent."""
        pending = list(wanted)
        while pending:
            chunk = self._chunk(pending)
            names = {(*column.oid, index): (column, index) for column, index in chunk}
            once = (UPTIME_INSTANCE,) if self._limits.uptime else ()
            answer = await self._session.get((*once, *names))
            if answer.error_status:
                self._cells_error(answer, chunk, pending)
                continue
            moment = self._moment(answer)
            answered = {names[oid]: value for oid, value in answer.varbinds if oid in names}
            for (column, index), value in answered.items():
                self._table.put(column, index, value, moment)
            # What a conforming agent was asked it answers in full; of another one the rest is asked again.
            left = [cell for cell in chunk if cell not in answered] if answered else []
            pending[: len(chunk)] = left

    async def uptime(self) -> None:
        """Reads nothing but the agent's time."""
        self._moment(await self._session.get((UPTIME_INSTANCE,)))

    def _chunk(self, pending: Sequence[tuple[Column, int]]) -> list[tuple[Column, int]]:
        """The next cells to ask for, without splitting an interface over two PDUs if that can be helped."""
        size = self._limits.exact
        chunk = list(pending[:size])
        if len(pending) > size and pending[size][1] == chunk[-1][1]:
            whole = [cell for cell in chunk if cell[1] != chunk[-1][1]]
            return whole or chunk
        return chunk

    def _cells_error(
        self, answer: Answer, chunk: Sequence[tuple[Column, int]], pending: list[tuple[Column, int]]
    ) -> None:
        position = answer.error_index - 1
        if self._limits.uptime:
            if position == 0 and answer.error_status != ErrorStatus.TOO_BIG:
                self._limits.uptime = False
                return
            position -= 1
        if answer.error_status != ErrorStatus.TOO_BIG and 0 <= position < len(chunk):
            column, _ = pending.pop(position)
            if answer.error_status != ErrorStatus.NO_SUCH_NAME:
                self._table.note(
                    "agent_error", f"{_name(column)} is refused with error {answer.error_status} of the agent"
                )
        elif len(chunk) > 1:
            self._limits.exact = max(1, len(chunk) // 2)
        else:
            column, _ = pending.pop(0)
            self._table.note("agent_error", f"{_name(column)} is refused with error {answer.error_status} of the agent")

    def _moment(self, answer: Answer) -> Moment:
        ticks: int | None = None
        for oid, value in answer.varbinds[:1]:
            if oid == UPTIME_INSTANCE and isinstance(value, int):
                ticks = value
        self._table.last = Moment(at=self._now(), ticks=ticks)
        return self._table.last


_NAMES = {
    Column.SYS_DESCR: "sysDescr",
    Column.SYS_UPTIME: "sysUpTime",
    Column.SYS_NAME: "sysName",
    Column.IF_DESCR: "ifDescr",
    Column.IF_SPEED: "ifSpeed",
    Column.IF_OPER_STATUS: "ifOperStatus",
    Column.IF_IN_OCTETS: "ifInOctets",
    Column.IF_OUT_OCTETS: "ifOutOctets",
    Column.IF_NAME: "ifName",
    Column.IF_HC_IN_OCTETS: "ifHCInOctets",
    Column.IF_HC_OUT_OCTETS: "ifHCOutOctets",
    Column.IF_HIGH_SPEED: "ifHighSpeed",
    Column.IF_ALIAS: "ifAlias",
    Column.IF_DISCONTINUITY: "ifCounterDiscontinuityTime",
}


def _name(column: Column) -> str:
    return _NAMES[column]
