"""Walking agents that behave, and agents that do not."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from teagent.adapters.snmp.message import Absent, Answer
from teagent.adapters.snmp.table import Column, Table
from teagent.adapters.snmp.walk import UPTIME_INSTANCE, Limits, Walker
from teagent.errors import SnmpTimeout

NOW = datetime(2026, 1, 12, 19, 40, tzinfo=UTC)
SYS_CONTACT = (1, 3, 6, 1, 2, 1, 1, 4, 0)
COLUMNS = (Column.IF_NAME, Column.IF_HC_IN_OCTETS, Column.IF_HC_OUT_OCTETS, Column.IF_ALIAS)
TOO_BIG, NO_SUCH_NAME, GEN_ERR = 1, 2, 5


class Agent:
    """Answers like an agent on `mib`; subclasses misbehave. Stands where a session stands."""

    most = 100

    def __init__(self, mib: dict) -> None:
        self.mib = mib
        self.order = sorted(mib)
        self.asked: list[tuple[int, int]] = []  # columns, repetitions

    def after(self, oid):
        return next((other for other in self.order if other > oid), None)

    async def get(self, oids):
        self.asked.append((len(oids), 0))
        rows = tuple((oid, self.mib.get(oid, Absent.NO_SUCH_INSTANCE)) for oid in oids)
        return Answer(error_status=0, error_index=0, varbinds=rows)

    async def bulk(self, once, repeated, repetitions):
        self.asked.append((len(repeated), repetitions))
        rows = [self.next_of(oid) for oid in once]
        cursors = list(repeated)
        for _ in range(repetitions):
            for position, oid in enumerate(cursors):
                row = self.next_of(oid)
                cursors[position] = row[0]
                rows.append(row)
        return Answer(error_status=0, error_index=0, varbinds=tuple(rows[: self.most]))

    def next_of(self, oid):
        found = self.after(oid)
        return (oid, Absent.END_OF_MIB_VIEW) if found is None else (found, self.mib[found])


def router(count: int, columns=COLUMNS, *, indexes=None, uptime=True) -> dict:
    indexes = indexes or range(1, count + 1)
    mib = {(*column.oid, index): _cell(column, index) for column in columns for index in indexes}
    mib[SYS_CONTACT] = b"noc@example.net"
    if uptime:
        mib[UPTIME_INSTANCE] = 4711
    return mib


def _cell(column, index):
    if column in {Column.IF_NAME, Column.IF_ALIAS, Column.IF_DESCR}:
        return f"port{index}".encode()
    return index * 1000


def walker(agent, table, limits=None) -> Walker:
    return Walker(agent, table, limits or Limits(), lambda: NOW)


async def walk(agent, columns=COLUMNS, limits=None) -> Table:
    table = Table()
    await walker(agent, table, limits).columns(columns)
    return table


def kinds(table: Table) -> set[str]:
    return {note.kind for note in table.notes.values()}


def assert_whole(table: Table, mib: dict, columns=COLUMNS) -> None:
    for column in columns:
        expected = {oid[-1]: value for oid, value in mib.items() if oid[:-1] == column.oid}
        assert table.cells.get(column, {}) == expected, column


@pytest.mark.asyncio
async def test_all_columns_come_in_one_pdu_where_they_fit():
    agent = Agent(router(20))
    table = await walk(agent)
    assert_whole(table, agent.mib)
    assert len(agent.asked) == 1
    assert kinds(table) == set()


@pytest.mark.asyncio
async def test_every_counter_has_the_agents_own_time():
    table = await walk(Agent(router(200)))
    assert {moment.ticks for moment in table.moments.values()} == {4711}
    assert len(table.moments) == 200


@pytest.mark.asyncio
async def test_agent_without_sysuptime_is_read_all_the_same():
    agent = Agent(router(5, uptime=False))
    table = await walk(agent)
    assert_whole(table, agent.mib)
    assert table.last.ticks is None


@pytest.mark.asyncio
@pytest.mark.parametrize("most", [2, 3, 5, 7, 64])
async def test_walk_goes_on_from_the_last_name_of_a_truncated_answer(most):
    agent = Agent(router(60))
    agent.most = most
    table = await walk(agent)
    assert_whole(table, agent.mib)
    assert table.truncated_at == most - 1


@pytest.mark.asyncio
async def test_columns_with_holes_keep_their_own_places():
    mib = router(50)
    for index in range(1, 51):
        if index % 3:
            del mib[(*Column.IF_HC_IN_OCTETS.oid, index)]
        if index > 10:
            del mib[(*Column.IF_ALIAS.oid, index)]
    agent = Agent(mib)
    assert_whole(await walk(agent), mib)


@pytest.mark.asyncio
async def test_large_indexes_are_kept():
    agent = Agent(router(0, indexes=[1, 1_600_000_000, 2**31 - 1]))
    assert (await walk(agent)).indexes() == [1, 1_600_000_000, 2**31 - 1]


@pytest.mark.asyncio
async def test_absent_column_is_absent_and_the_rest_is_read():
    present = (Column.IF_NAME, Column.IF_HC_OUT_OCTETS)
    agent = Agent(router(30, columns=present))
    assert_whole(await walk(agent), agent.mib)


@pytest.mark.asyncio
async def test_empty_agent_gives_an_empty_table():
    table = await walk(Agent({}))
    assert table.indexes() == []


class SmallAgent(Agent):
    """tooBig for anything above its size, as agents with small buffers say."""

    size = 10

    async def bulk(self, once, repeated, repetitions):
        if len(once) + len(repeated) * repetitions > self.size:
            self.asked.append((len(repeated), repetitions))
            return Answer(error_status=TOO_BIG, error_index=0, varbinds=())
        return await super().bulk(once, repeated, repetitions)

    async def get(self, oids):
        if len(oids) > self.size:
            return Answer(error_status=TOO_BIG, error_index=0, varbinds=())
        return await super().get(oids)


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [2, 3, 6, 40])
async def test_too_big_is_answered_by_asking_for_less(size):
    agent = SmallAgent(router(30))
    agent.size = size
    limits = Limits()
    table = await walk(agent, limits=limits)
    assert_whole(table, agent.mib)
    await walker(agent, table, limits).columns(COLUMNS)
    assert limits.repeated <= 48


@pytest.mark.asyncio
async def test_cells_are_asked_in_smaller_groups_when_too_big():
    agent = SmallAgent(router(30))
    table = Table()
    wanted = [(column, index) for index in range(1, 31) for column in COLUMNS]
    await walker(agent, table).cells(wanted)
    assert_whole(table, agent.mib)


class CirclingAgent(Agent):
    """After the third row of ifAlias comes the first again."""

    def next_of(self, oid):
        if oid[:-1] == Column.IF_ALIAS.oid and oid[-1] >= 3:
            return (*Column.IF_ALIAS.oid, 1), b"port1"
        return super().next_of(oid)


@pytest.mark.asyncio
async def test_column_that_goes_in_circles_is_read_cell_by_cell():
    agent = CirclingAgent(router(30))
    table = await walk(agent)
    assert_whole(table, agent.mib)
    assert kinds(table) == {"not_increasing"}
    assert len(agent.asked) < 10


class SameAgainAgent(Agent):
    """Always gives the name that it was asked for."""

    def next_of(self, oid):
        return (oid, 1) if oid[:-1] in {column.oid for column in COLUMNS} else super().next_of(oid)


@pytest.mark.asyncio
async def test_agent_that_repeats_itself_is_left_alone():
    agent = SameAgainAgent(router(30))
    table = await walk(agent)
    assert "not_increasing" in kinds(table)
    assert len(agent.asked) < 20


class EndlessAgent(Agent):
    """Invents a row after every row."""

    def next_of(self, oid):
        for column in COLUMNS:
            if oid[: len(column.oid)] == column.oid:
                return (*column.oid, oid[-1] + 1 if len(oid) > len(column.oid) else 1), 1
        return super().next_of(oid)


@pytest.mark.asyncio
async def test_endless_agent_is_left_alone(monkeypatch):
    monkeypatch.setattr("teagent.adapters.snmp.walk.MAX_ROWS", 1000)
    table = await walk(EndlessAgent({}))
    assert kinds(table) == {"endless"}
    assert len(table.indexes()) == 1000


class BrokenRowAgent(Agent):
    """genErr whenever row 13 of ifHCInOctets is touched; the index names the variable asked for, or nothing."""

    names_it = True
    bad = (*Column.IF_HC_IN_OCTETS.oid, 13)

    async def bulk(self, once, repeated, repetitions):
        answer = await super().bulk(once, repeated, repetitions)
        touched = [place for place, (oid, _) in enumerate(answer.varbinds[len(once) :]) if oid == self.bad]
        if not touched:
            return answer
        index = len(once) + touched[0] % len(repeated) + 1
        return Answer(error_status=GEN_ERR, error_index=index if self.names_it else 0, varbinds=())

    async def get(self, oids):
        if self.bad in oids:
            index = oids.index(self.bad) + 1 if self.names_it else 0
            return Answer(error_status=GEN_ERR, error_index=index, varbinds=())
        return await super().get(oids)


@pytest.mark.asyncio
@pytest.mark.parametrize("names_it", [True, False])
async def test_one_broken_row_costs_that_row_only(names_it):
    agent = BrokenRowAgent(router(30))
    agent.names_it = names_it
    table = await walk(agent)
    expected = {oid: value for oid, value in agent.mib.items() if oid != agent.bad}
    assert_whole(table, expected)
    assert kinds(table) == {"agent_error"}


class OldAgent(Agent):
    """Says noSuchName where a v2c agent gives an exception value."""

    async def get(self, oids):
        missing = next((i for i, oid in enumerate(oids, start=1) if oid not in self.mib), 0)
        if missing:
            return Answer(error_status=NO_SUCH_NAME, error_index=missing, varbinds=())
        return await super().get(oids)


@pytest.mark.asyncio
async def test_no_such_name_of_a_cell_leaves_the_others():
    mib = router(5)
    del mib[(*Column.IF_NAME.oid, 2)], mib[(*Column.IF_ALIAS.oid, 4)]
    table = Table()
    await walker(OldAgent(mib), table).cells([(column, index) for index in range(1, 6) for column in COLUMNS])
    assert_whole(table, mib)
    assert kinds(table) == set()


@pytest.mark.asyncio
async def test_old_agent_without_sysuptime_is_asked_without_it():
    table = Table()
    agent = OldAgent(router(3, uptime=False))
    await walker(agent, table).cells([(column, index) for index in range(1, 4) for column in COLUMNS])
    assert_whole(table, agent.mib)


class EmptyHandedAgent(Agent):
    """Answers GETBULK without any variable."""

    async def bulk(self, once, repeated, repetitions):
        self.asked.append((len(repeated), repetitions))
        return Answer(error_status=0, error_index=0, varbinds=())


@pytest.mark.asyncio
async def test_empty_answers_end_the_walk():
    agent = EmptyHandedAgent(router(3))
    table = await walk(agent)
    assert kinds(table) == {"agent_error"}
    assert len(agent.asked) < 50


class LossyAgent(Agent):
    """Large answers get lost on the way."""

    async def bulk(self, once, repeated, repetitions):
        if repetitions > 6:
            self.asked.append((len(repeated), repetitions))
            raise SnmpTimeout("edge1 gave no SNMP answer")
        return await super().bulk(once, repeated, repetitions)


@pytest.mark.asyncio
async def test_lost_large_answers_lead_to_smaller_questions():
    agent = LossyAgent(router(30))
    table = Table()
    walking = walker(agent, table)
    await walking.cells([(Column.SYS_NAME, 0)])
    await walking.columns(COLUMNS)
    assert_whole(table, agent.mib)
    assert kinds(table) == {"large_answers_lost"}


@pytest.mark.asyncio
async def test_agent_that_never_answered_is_not_asked_again():
    with pytest.raises(SnmpTimeout):
        await walk(LossyAgent(router(30)))


@pytest.mark.asyncio
async def test_rows_not_indexed_by_ifindex_are_left_out():
    mib = router(3)
    mib[(*Column.IF_NAME.oid, 2, 5)] = b"two-part"
    table = await walk(Agent(mib))
    assert table.indexes() == [1, 2, 3]
    assert kinds(table) == {"odd_index"}


@pytest.mark.asyncio
async def test_cells_of_one_interface_share_a_pdu():
    agent = Agent(router(30))
    table = Table()
    await walker(agent, table, Limits(exact=10)).cells([(c, i) for i in range(1, 31) for c in COLUMNS])
    assert_whole(table, agent.mib)
    assert {count for count, _ in agent.asked} == {1 + 8}


class ForgetfulAgent(Agent):
    """Answers only the first three variables of a GET."""

    async def get(self, oids):
        answer = await super().get(oids)
        return Answer(error_status=0, error_index=0, varbinds=answer.varbinds[:3])


@pytest.mark.asyncio
async def test_cells_that_were_not_answered_are_asked_again():
    agent = ForgetfulAgent(router(5))
    table = Table()
    await walker(agent, table).cells([(c, i) for i in range(1, 6) for c in COLUMNS])
    assert_whole(table, agent.mib)


@pytest.mark.asyncio
async def test_row_that_appears_during_the_walk_does_no_harm():
    class GrowingAgent(Agent):
        async def bulk(self, once, repeated, repetitions):
            answer = await super().bulk(once, repeated, repetitions)
            for column in COLUMNS:
                self.mib[(*column.oid, 1000)] = _cell(column, 1000)
            self.order = sorted(self.mib)
            return answer

    agent = GrowingAgent(router(40))
    table = await walk(agent)
    assert_whole(table, agent.mib)
