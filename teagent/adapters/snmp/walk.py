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


class _Walk:
    """How far a walk is: the last name got of each column, rows got, columns asked side by side, rows at most."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.cursors: dict[Column, Oid] = {column: column.oid for column in columns}
        self.rows = dict.fromkeys(columns, 0)
        self.width = len(columns)
        self.most = MAX_ROWS


class Walker:
    """Fills `table` from `session`. `now` gives our time of an answer."""

    def __init__(self, session: SnmpSession, table: Table, limits: Limits, now: Callable[[], datetime]) -> None:
        self._session = session
        self._table = table
        self._limits = limits
        self._now = now
        self._broken: set[Column] = set()

    async def columns(self, columns: Sequence[Column]) -> None:
        """Walks the columns side by side with GETBULK, each going on from the last name that it really got.

        A column that breaks off is read cell by cell where the others have rows. Raises TelemetryError when the agent
        cannot be reached or lets nobody in; everything else is noted.
        """
        await self._walk(columns)
        broken = [column for column in columns if column in self._broken]
        self._broken.clear()
        known = self._table.indexes() if broken else []
        await self.cells([(c, i) for i in known for c in broken if i not in self._table.cells.get(c, {})])

    async def _walk(self, columns: Sequence[Column]) -> None:
        walk = _Walk(columns)
        for _ in range(MAX_PDUS):
            if not walk.cursors:
                return
            group = list(walk.cursors)[: walk.width]
            repetitions = min(max(1, self._limits.repeated // len(group)), walk.most)
            once = (Column.SYS_UPTIME.oid,) if self._limits.uptime else ()
            try:
                answer = await self._session.bulk(once, tuple(walk.cursors[c] for c in group), repetitions)
            except SnmpTimeout:
                # A small question was answered before, so perhaps it is the fragments of large answers that get lost.
                if self._table.last is None or repetitions == 1:
                    raise
                self._limits.repeated = max(1, repetitions // 4) * len(group)
                self._table.note("large_answers_lost", "large answers get lost on the way: asking for less at once")
                continue
            if answer.error_status:
                self._bulk_error(answer, group, repetitions, walk)
                continue
            moment = self._moment(answer)
            repeated = answer.varbinds[len(once) :]
            if not repeated:
                self._narrow(group, repetitions, walk, "answers GETBULK with nothing")
                continue
            walk.most = MAX_ROWS
            self._take(group, repeated, walk, moment)
            if len(repeated) < repetitions * len(group) and walk.cursors:
                self._truncated(len(repeated))
        self._table.note("endless", f"the agent's tables do not end: stopped after {MAX_PDUS} PDUs")

    def _truncated(self, varbinds: int) -> None:
        if self._table.truncated_at is None or varbinds > self._table.truncated_at:
            self._table.truncated_at = varbinds

    def _take(
        self, group: Sequence[Column], varbinds: Sequence[tuple[Oid, object]], walk: _Walk, moment: Moment
    ) -> None:
        """Sorts repeated variables into their columns; a column that has ended leaves the walk."""
        for position, (oid, value) in enumerate(varbinds):
            column = group[position % len(group)]
            if column not in walk.cursors:
                continue
            base = column.oid
            if isinstance(value, Absent) or oid[: len(base)] != base:
                del walk.cursors[column]
            elif oid <= walk.cursors[column]:
                self._table.note("not_increasing", f"{_name(column)} goes in circles: not walked beyond that")
                self._break(column, walk)
            elif walk.rows[column] >= MAX_ROWS:
                self._table.note("endless", f"{_name(column)} has more than {MAX_ROWS} rows: the rest is not read")
                del walk.cursors[column]
            else:
                walk.cursors[column] = oid
                walk.rows[column] += 1
                self._put(column, oid[len(base) :], value, moment)

    def _put(self, column: Column, suffix: Oid, value: object, moment: Moment) -> None:
        if len(suffix) != 1:
            self._table.note("odd_index", f"{_name(column)} has rows that are not indexed by ifIndex: left out")
        elif isinstance(value, int | bytes):
            self._table.put(column, suffix[0], value, moment)

    def _bulk_error(self, answer: Answer, group: Sequence[Column], repetitions: int, walk: _Walk) -> None:
        """Makes the next question one that the agent may like better."""
        if answer.error_status == ErrorStatus.TOO_BIG and repetitions > 1:
            self._limits.repeated = repetitions // 2 * len(group)
            self._table.note("too_big", "the agent finds answers too big that others send: asking for less at once")
            return
        position = answer.error_index - 1
        if self._limits.uptime:
            if position == 0 and answer.error_status != ErrorStatus.TOO_BIG:
                self._limits.uptime = False
                return
            position -= 1
        if answer.error_status == ErrorStatus.NO_SUCH_NAME and 0 <= position < len(group):
            del walk.cursors[group[position]]
        else:
            self._narrow(group, repetitions, walk, f"answers GETBULK with error {answer.error_status}")

    def _narrow(self, group: Sequence[Column], repetitions: int, walk: _Walk, what: str) -> None:
        """Asks for fewer columns at once, then for fewer rows of one; a column that fails even so breaks off.

        Fewer rows, because a column is asked beyond its end, into what follows it in the agent's tree.
        """
        if len(group) > 1:
            walk.width = max(1, min(walk.width, len(group)) // 2)
        elif repetitions > 1:
            walk.most = repetitions // 2
        else:
            self._break(group[0], walk)
            walk.most = MAX_ROWS
            self._table.note("agent_error", f"the agent {what} for {_name(group[0])}")

    def _break(self, column: Column, walk: _Walk) -> None:
        del walk.cursors[column]
        self._broken.add(column)

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
    Column.IF_TYPE: "ifType",
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
    Column.LACP_SELECTED: "dot3adAggPortSelectedAggID",
    Column.LACP_ATTACHED: "dot3adAggPortAttachedAggID",
}


def _name(column: Column) -> str:
    return _NAMES[column]
