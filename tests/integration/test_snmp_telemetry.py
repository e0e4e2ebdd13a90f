"""Polling over real sockets: full looks, steady polls, and everything that moves in between."""

from __future__ import annotations

import asyncio
import gc
from datetime import timedelta

import pytest
from pysnmp.proto.api import v2c

from teagent.adapters.snmp.target import SnmpTarget
from teagent.adapters.snmp.telemetry import FULL_EVERY_SECONDS, SEARCH_EVERY_SECONDS, SnmpTelemetry
from teagent.engine.measure.counters import difference
from teagent.engine.measure.interfaces import find_interface
from teagent.errors import NotFound, SnmpNoSuchObject, SnmpTimeout, SnmpUnreachable
from teagent.model.link import NoData, Utilisation
from tests.fakes.clock import FakeClock
from tests.integration.snmp_agents import UPTIME, ScriptedAgent, free_port

IF_TABLE = (1, 3, 6, 1, 2, 1, 2, 2, 1)
IF_X_TABLE = (1, 3, 6, 1, 2, 1, 31, 1, 1, 1)
SYS_NAME = (1, 3, 6, 1, 2, 1, 1, 5, 0)


def port(index: int, name: str, *, in_octets: int = 0, bits: int = 64, mbps: int = 10_000, alias: str = "") -> dict:
    """The cells of one interface that is up."""
    cells = {
        (*IF_TABLE, 2, index): v2c.OctetString(name),
        (*IF_TABLE, 8, index): v2c.Integer32(1),
        (*IF_TABLE, 10, index): v2c.Counter32(in_octets % 2**32),
        (*IF_TABLE, 16, index): v2c.Counter32(1),
        (*IF_X_TABLE, 1, index): v2c.OctetString(name),
        (*IF_X_TABLE, 15, index): v2c.Gauge32(mbps),
        (*IF_X_TABLE, 18, index): v2c.OctetString(alias),
        (*IF_X_TABLE, 19, index): v2c.TimeTicks(0),
    }
    if bits == 64:
        cells[(*IF_X_TABLE, 6, index)] = v2c.Counter64(in_octets)
        cells[(*IF_X_TABLE, 10, index)] = v2c.Counter64(1)
    return cells


def router(*ports: dict, uptime: int = 100_000) -> dict:
    mib = {UPTIME: v2c.TimeTicks(uptime), SYS_NAME: v2c.OctetString("edge1")}
    for cells in ports:
        mib |= cells
    return mib


def telemetry(agent: ScriptedAgent, clock: FakeClock, *interests: str, **target) -> SnmpTelemetry:
    options = {"community": "public", "timeout_seconds": 0.2, "retries": 1, **target}
    return SnmpTelemetry(
        {"edge1": SnmpTarget(address="127.0.0.1", port=agent.port, **options)},
        clock=clock,
        interests={"edge1": interests} if interests else None,
    )


THREE = (port(1, "xe-0/0/0", in_octets=1000), port(2, "xe-0/0/1", alias="transit-a"), port(3, "lo0"))


@pytest.mark.asyncio
async def test_router_without_interests_is_read_whole(clock):
    async with ScriptedAgent(router(*THREE)).served() as agent:
        reader = telemetry(agent, clock)
        reading = await reader.read("edge1")
        await reader.stop()
    assert (reading.router, reading.sys_name, reading.sys_uptime_seconds) == ("edge1", "edge1", 1000.0)
    assert [row.if_name for row in reading.interfaces] == ["xe-0/0/0", "xe-0/0/1", "lo0"]
    assert sorted(reading.counters) == [1, 2, 3]
    assert reading.counters[1].in_octets == 1000
    assert reading.counters[1].at == clock.now()
    assert reading.pdus == agent.requests


@pytest.mark.asyncio
async def test_steady_poll_is_one_pdu_for_the_interfaces_of_interest(clock):
    async with ScriptedAgent(router(*THREE)).served() as agent:
        reader = telemetry(agent, clock, "xe-0/0/0", "transit-a")
        first = await reader.read("edge1")
        agent.mib |= port(1, "xe-0/0/0", in_octets=3_751_000) | {UPTIME: v2c.TimeTicks(103_000)}
        clock.advance(30)
        second = await reader.read("edge1")
        await reader.stop()
    assert second.pdus == 1
    assert sorted(second.counters) == [1, 2]
    assert second.interfaces == first.interfaces
    result = difference(first.counters[1], second.counters[1], capacity_bps=1e9, link="transit-a")
    assert isinstance(result, Utilisation)
    assert (result.in_bps, result.seconds) == (1e6, 30.0)


@pytest.mark.asyncio
async def test_renumbered_interfaces_are_found_again_in_the_same_poll(clock):
    async with ScriptedAgent(router(*THREE)).served() as agent:
        reader = telemetry(agent, clock, "xe-0/0/0", "transit-a")
        await reader.read("edge1")
        agent.mib = router(port(7, "lo0"), port(1, "xe-0/0/1", alias="transit-a"), port(2, "xe-0/0/0", in_octets=5))
        clock.advance(30)
        reading = await reader.read("edge1")
        await reader.stop()
    assert find_interface("xe-0/0/0", reading.interfaces).if_index == 2
    assert find_interface("transit-a", reading.interfaces).if_index == 1
    assert reading.counters[2].in_octets == 5


@pytest.mark.asyncio
async def test_alias_that_moves_is_followed(clock):
    async with ScriptedAgent(router(*THREE)).served() as agent:
        reader = telemetry(agent, clock, "transit-a")
        assert sorted((await reader.read("edge1")).counters) == [2]
        agent.mib |= port(2, "xe-0/0/1") | port(3, "lo0", alias="transit-a")
        clock.advance(30)
        assert sorted((await reader.read("edge1")).counters) == [3]
        await reader.stop()


@pytest.mark.asyncio
async def test_restart_of_the_agent_leads_to_a_full_look_and_to_no_rate(clock):
    async with ScriptedAgent(router(*THREE)).served() as agent:
        reader = telemetry(agent, clock, "xe-0/0/0")
        before = await reader.read("edge1")
        agent.mib |= port(1, "xe-0/0/0", in_octets=2000) | {UPTIME: v2c.TimeTicks(500)}
        clock.advance(30)
        after = await reader.read("edge1")
        await reader.stop()
    assert after.pdus > 1
    result = difference(before.counters[1], after.counters[1], capacity_bps=1e9, link="a")
    assert isinstance(result, NoData)
    assert "restarted" in result.reason


@pytest.mark.asyncio
async def test_interface_that_is_missing_is_searched_for_now_and_then(clock):
    async with ScriptedAgent(router(*THREE)).served() as agent:
        reader = telemetry(agent, clock, "xe-9/9/9", "xe-0/0/0")
        first = await reader.read("edge1")
        with pytest.raises(SnmpNoSuchObject):
            find_interface("xe-9/9/9", first.interfaces)
        agent.mib |= port(9, "xe-9/9/9")
        clock.advance(SEARCH_EVERY_SECONDS - 1)
        assert sorted((await reader.read("edge1")).counters) == [1]
        clock.advance(1)
        assert sorted((await reader.read("edge1")).counters) == [1, 9]
        await reader.stop()


@pytest.mark.asyncio
async def test_router_none_of_whose_interfaces_is_found_is_polled_cheaply(clock):
    async with ScriptedAgent(router(*THREE)).served() as agent:
        reader = telemetry(agent, clock, "nope")
        await reader.read("edge1")
        clock.advance(30)
        reading = await reader.read("edge1")
        await reader.stop()
    assert (reading.pdus, dict(reading.counters)) == (1, {})
    assert len(reading.interfaces) == 3


@pytest.mark.asyncio
async def test_names_are_read_again_now_and_then(clock):
    async with ScriptedAgent(router(*THREE)).served() as agent:
        reader = telemetry(agent, clock, "transit-a")
        await reader.read("edge1")
        agent.mib |= port(4, "transit-a")
        clock.advance(FULL_EVERY_SECONDS)
        assert sorted((await reader.read("edge1")).counters) == [4]
        await reader.stop()


@pytest.mark.asyncio
async def test_interface_that_goes_away_is_missed(clock):
    async with ScriptedAgent(router(*THREE)).served() as agent:
        reader = telemetry(agent, clock, "xe-0/0/0")
        await reader.read("edge1")
        agent.mib = router(*THREE[1:])
        clock.advance(30)
        reading = await reader.read("edge1")
        await reader.stop()
    assert dict(reading.counters) == {}
    assert [row.if_index for row in reading.interfaces] == [2, 3]


@pytest.mark.asyncio
async def test_state_and_speed_are_kept_current(clock):
    async with ScriptedAgent(router(*THREE)).served() as agent:
        reader = telemetry(agent, clock, "xe-0/0/0")
        await reader.read("edge1")
        agent.mib |= {(*IF_TABLE, 8, 1): v2c.Integer32(2), (*IF_X_TABLE, 15, 1): v2c.Gauge32(1000)}
        clock.advance(30)
        reading = await reader.read("edge1")
        await reader.stop()
    row = find_interface("xe-0/0/0", reading.interfaces)
    assert (row.if_oper_status, row.if_high_speed_bps) == ("down", 1e9)
    assert reading.counters[1].if_oper_status == "down"


@pytest.mark.asyncio
async def test_32_bit_counters_serve_where_there_are_no_others(clock):
    async with ScriptedAgent(router(port(1, "fe-0/0/0", in_octets=77, bits=32, mbps=100))).served() as agent:
        reader = telemetry(agent, clock, "fe-0/0/0")
        for _ in range(2):
            reading = await reader.read("edge1")
            assert (reading.counters[1].bits, reading.counters[1].in_octets) == (32, 77)
            clock.advance(30)
        await reader.stop()
    assert reading.oddities == ("1 interface has only 32-bit octet counters: fe-0/0/0",)
    assert reading.pdus == 1


@pytest.mark.asyncio
async def test_many_interfaces_are_polled_in_few_pdus(clock):
    async with ScriptedAgent(router(*(port(i, f"xe-0/0/{i}") for i in range(1, 41)))).served() as agent:
        reader = telemetry(agent, clock, *(f"xe-0/0/{i}" for i in range(1, 41)))
        await reader.read("edge1")
        clock.advance(30)
        reading = await reader.read("edge1")
        await reader.stop()
    assert len(reading.counters) == 40
    assert reading.pdus == 4


@pytest.mark.asyncio
async def test_first_answer_lost_is_asked_again(clock):
    async with ScriptedAgent(router(*THREE)).served() as agent:
        agent.script = lambda number, answer: [] if number == 1 else [answer]
        reader = telemetry(agent, clock, timeout_seconds=0.1)
        assert len((await reader.read("edge1")).interfaces) == 3
        await reader.stop()


@pytest.mark.asyncio
async def test_noise_duplicates_and_late_answers_do_no_harm(clock):
    answers: list[bytes] = []

    def script(_, answer):
        answers.append(answer)
        return [b"", b"\x30\x82\xff\xff", answers[0], answer, answer]

    async with ScriptedAgent(router(*THREE)).served() as agent:
        agent.script = script
        reader = telemetry(agent, clock, "xe-0/0/0")
        for _ in range(3):
            assert (await reader.read("edge1")).counters[1].in_octets == 1000
            clock.advance(30)
        await reader.stop()


@pytest.mark.asyncio
async def test_router_that_is_silent_times_out_and_comes_back(clock):
    async with ScriptedAgent(router(*THREE)).served() as agent:
        reader = telemetry(agent, clock, "xe-0/0/0", timeout_seconds=0.05)
        await reader.read("edge1")
        agent.script = lambda *_: []
        with pytest.raises(SnmpTimeout) as caught:
            await reader.read("edge1")
        assert caught.value.message == (f"edge1 (127.0.0.1:{agent.port}) gave no SNMP answer within 0.05s, 2 attempts")
        assert "community" in caught.value.hint
        agent.script = lambda _, answer: [answer]
        assert (await reader.read("edge1")).counters[1].in_octets == 1000
        await reader.stop()


@pytest.mark.asyncio
async def test_what_answers_in_another_language_is_told_from_silence(clock):
    async with ScriptedAgent(router(*THREE)).served() as agent:
        agent.script = lambda *_: [b"SSH-2.0-what\r\n"]
        reader = telemetry(agent, clock, timeout_seconds=0.05)
        with pytest.raises(SnmpTimeout) as caught:
            await reader.read("edge1")
        assert "not SNMP" in caught.value.hint
        await reader.stop()


@pytest.mark.asyncio
async def test_host_that_refuses_is_unreachable_at_once(clock):
    reader = SnmpTelemetry(
        {"edge1": SnmpTarget(address="127.0.0.1", port=free_port(), community="hush-hush", timeout_seconds=60)},
        clock=clock,
    )
    with pytest.raises(SnmpUnreachable, match="refuses SNMP: nothing listens there") as caught:
        await reader.read("edge1")
    assert "hush-hush" not in repr(caught.value.fields)
    await reader.stop()


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["no-such-host.invalid", "edge1..example", "x" * 300, "edge\0one"])
async def test_name_that_does_not_resolve_is_unreachable(clock, name):
    reader = SnmpTelemetry({"edge1": SnmpTarget(address=name, community="c")}, clock=clock)
    with pytest.raises(SnmpUnreachable, match="does not resolve"):
        await reader.read("edge1")
    await reader.stop()


@pytest.mark.asyncio
async def test_agent_without_interfaces_is_an_error(clock):
    async with ScriptedAgent(router()).served() as agent:
        reader = telemetry(agent, clock)
        with pytest.raises(SnmpNoSuchObject, match="edge1: the agent shows no interfaces"):
            await reader.read("edge1")
        await reader.stop()


@pytest.mark.asyncio
async def test_unknown_router_is_not_found(clock):
    with pytest.raises(NotFound, match="there is no router edge9"):
        await SnmpTelemetry({}, clock=clock).read("edge9")


@pytest.mark.asyncio
async def test_cancelled_read_leaves_nothing_behind(clock):
    async with ScriptedAgent(router(*THREE)).served() as agent:
        agent.script = lambda *_: []
        reader = telemetry(agent, clock, "xe-0/0/0", timeout_seconds=60)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await reader.read("edge1")
        agent.script = lambda _, answer: [answer]
        assert (await reader.read("edge1")).counters[1].in_octets == 1000
        await reader.stop()


@pytest.mark.asyncio
async def test_one_silent_router_does_not_hold_up_the_others(clock):
    async with ScriptedAgent(router(*THREE)).served() as silent, ScriptedAgent(router(*THREE)).served() as agent:
        silent.script = lambda *_: []
        reader = SnmpTelemetry(
            {
                name: SnmpTarget(address="127.0.0.1", port=port_, community="c", timeout_seconds=0.3, retries=0)
                for name, port_ in (("edge1", silent.port), ("edge2", agent.port))
            },
            clock=clock,
        )
        order = []

        async def read(name):
            try:
                await reader.read(name)
            except SnmpTimeout:
                order.append(f"{name} timed out")
            else:
                order.append(f"{name} read")

        async with asyncio.TaskGroup() as group:
            group.create_task(read("edge1"))
            group.create_task(read("edge2"))
        await reader.stop()
    assert order == ["edge2 read", "edge1 timed out"]


@pytest.mark.asyncio
async def test_reads_of_one_router_take_turns(clock):
    async with ScriptedAgent(router(*THREE)).served() as agent:
        reader = telemetry(agent, clock, "xe-0/0/0")
        async with asyncio.TaskGroup() as group:
            reads = [group.create_task(reader.read("edge1")) for _ in range(3)]
        await reader.stop()
    assert [task.result().pdus for task in reads][1:] == [1, 1]


@pytest.mark.asyncio
async def test_stop_closes_everything_and_may_be_called_twice(clock):
    async with ScriptedAgent(router(*THREE)).served() as agent:
        reader = telemetry(agent, clock)
        await reader.read("edge1")
        await reader.stop()
        await reader.stop()
        assert (await reader.read("edge1")).sys_name == "edge1"
        await reader.stop()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
    gc.collect()
    assert not tasks


@pytest.mark.asyncio
async def test_readings_carry_our_time_of_the_answer(clock):
    async with ScriptedAgent(router(*THREE)).served() as agent:
        started = clock.now()
        agent.script = lambda _, answer: (clock.advance(1), [answer])[1]
        reader = telemetry(agent, clock)
        reading = await reader.read("edge1")
        await reader.stop()
    assert reading.at == started + timedelta(seconds=reading.pdus)
    assert reading.counters[1].at <= reading.at
    assert reading.seconds == reading.pdus
