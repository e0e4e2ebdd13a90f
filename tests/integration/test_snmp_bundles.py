"""Members of bundles over real sockets: whichever table tells of them, and what becomes of them between two looks."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path
from shutil import which

import pytest
from pysnmp.proto.api import v2c

from teagent.adapters.clock import SystemClock
from teagent.adapters.snmp.target import SnmpTarget
from teagent.adapters.snmp.telemetry import BUNDLES_EVERY_SECONDS, FULL_EVERY_SECONDS, SnmpTelemetry
from teagent.ports import RouterReading
from tests.fakes.clock import FakeClock
from tests.integration.snmp_agents import ScriptedAgent, free_port, running, snmpd_command
from tests.integration.test_snmp_telemetry import IF_TABLE, port, router, telemetry

pytestmark = pytest.mark.asyncio

STACK = (1, 3, 6, 1, 2, 1, 31, 1, 2, 1, 3)
LACP = (1, 2, 840, 10006, 300, 43, 1, 2, 1, 1)
LAG, VIRTUAL, VLAN, ETHERNET = 161, 53, 135, 6


def typed(index: int, kind: int, name: str, *, mbps: int = 10_000, up: bool = True) -> dict:
    state = {} if up else {(*IF_TABLE, 8, index): v2c.Integer32(2)}
    return port(index, name, mbps=mbps) | {(*IF_TABLE, 3, index): v2c.Integer32(kind)} | state


def stacked(upper: int, *lower: int, status: int = 1) -> dict:
    return {(*STACK, upper, each): v2c.Integer32(status) for each in lower}


def lacp(index: int, *, selected: int, attached: int) -> dict:
    return {(*LACP, 12, index): v2c.Integer32(selected), (*LACP, 13, index): v2c.Integer32(attached)}


PORTS = (typed(1, ETHERNET, "xe-1"), typed(2, ETHERNET, "xe-2"))
TRUNK = (*PORTS, typed(10, LAG, "lag-1", mbps=20_000), stacked(0, 10), stacked(10, 1, 2), stacked(1, 0), stacked(2, 0))


def carried_by(reading: RouterReading, name: str = "lag-1") -> list[str]:
    (found,) = (row for row in reading.interfaces if row.if_name == name)
    return [f"{member.if_name} {member.state}" for member in found.members]


async def looked_at(clock: FakeClock, *cells: dict, interest: str = "lag-1") -> list[str]:
    async with ScriptedAgent(router(*cells)).served() as agent:
        reader = telemetry(agent, clock, interest)
        reading = await reader.read("edge1")
        await reader.stop()
    return carried_by(reading, interest)


async def test_the_ports_stacked_under_an_aggregate_are_its_members(clock: FakeClock) -> None:
    assert await looked_at(clock, *TRUNK) == ["xe-1 up", "xe-2 up"]


async def test_rows_that_are_not_active_are_no_members(clock: FakeClock) -> None:
    assert await looked_at(clock, *TRUNK, stacked(10, 2, status=2)) == ["xe-1 up"]


async def test_a_subinterface_is_carried_by_the_bundle_under_it(clock: FakeClock) -> None:
    sub = (typed(20, VLAN, "lag-1.100"), stacked(20, 10))
    assert await looked_at(clock, *TRUNK, *sub, interest="lag-1.100") == ["xe-1 up", "xe-2 up"]


async def test_a_virtual_interface_over_several_ports_is_a_bundle_and_one_over_a_single_port_is_none(
    clock: FakeClock,
) -> None:
    assert await looked_at(clock, *PORTS, typed(10, VIRTUAL, "lag-1"), stacked(10, 1, 2)) == ["xe-1 up", "xe-2 up"]
    assert await looked_at(clock, *PORTS, typed(10, VIRTUAL, "lag-1"), stacked(10, 1)) == []


async def test_a_bridge_over_several_ports_is_no_bundle(clock: FakeClock) -> None:
    assert await looked_at(clock, *PORTS, typed(10, VLAN, "lag-1"), stacked(10, 1, 2)) == []


async def test_where_the_stack_says_nothing_lacp_tells_and_who_is_not_attached(clock: FakeClock) -> None:
    chosen = (lacp(1, selected=10, attached=10), lacp(2, selected=10, attached=0), lacp(3, selected=11, attached=11))
    assert await looked_at(clock, *PORTS, typed(10, LAG, "lag-1"), *chosen) == ["xe-1 up", "xe-2 detached"]


async def test_a_stacked_port_that_lacp_does_not_use_is_detached(clock: FakeClock) -> None:
    chosen = (lacp(1, selected=10, attached=10), lacp(2, selected=10, attached=0))
    assert await looked_at(clock, *TRUNK, *chosen) == ["xe-1 up", "xe-2 detached"]


async def test_a_bundle_without_lacp_has_all_its_ports_whatever_lacp_s_table_says(clock: FakeClock) -> None:
    chosen = (lacp(1, selected=0, attached=0), lacp(2, selected=0, attached=0))
    assert await looked_at(clock, *TRUNK, *chosen) == ["xe-1 up", "xe-2 up"]


async def test_a_port_that_goes_down_is_seen_in_the_next_poll_which_is_one_pdu(clock: FakeClock) -> None:
    async with ScriptedAgent(router(*TRUNK)).served() as agent:
        reader = telemetry(agent, clock, "lag-1")
        await reader.read("edge1")
        agent.mib[(*IF_TABLE, 8, 2)] = v2c.Integer32(2)
        clock.advance(30)
        reading = await reader.read("edge1")
        await reader.stop()
    assert (reading.pdus, carried_by(reading)) == (1, ["xe-1 up", "xe-2 down"])


async def test_a_port_whose_rows_vanish_leads_to_a_look_that_misses_it(clock: FakeClock) -> None:
    async with ScriptedAgent(router(*TRUNK)).served() as agent:
        reader = telemetry(agent, clock, "lag-1")
        await reader.read("edge1")
        agent.mib = router(typed(1, ETHERNET, "xe-1"), typed(10, LAG, "lag-1"), stacked(10, 1))
        clock.advance(30)
        reading = await reader.read("edge1")
        await reader.stop()
    assert carried_by(reading) == ["xe-1 up"]


async def test_a_port_that_joins_is_found_within_minutes(clock: FakeClock) -> None:
    async with ScriptedAgent(router(*TRUNK)).served() as agent:
        reader = telemetry(agent, clock, "lag-1")
        await reader.read("edge1")
        agent.mib |= typed(3, ETHERNET, "xe-3") | stacked(10, 3)
        clock.advance(BUNDLES_EVERY_SECONDS)
        reading = await reader.read("edge1")
        await reader.stop()
    assert carried_by(reading) == ["xe-1 up", "xe-2 up", "xe-3 up"]


class Reserved(ScriptedAgent):
    """Says nothing to who asks about stacks."""

    speaks = False

    def datagram_received(self, data: bytes, addr: object) -> None:
        if self.speaks or bytes(STACK[-5:]) not in data:
            super().datagram_received(data, addr)


async def test_an_agent_that_is_silent_about_stacks_is_read_all_the_same_and_left_in_peace(clock: FakeClock) -> None:
    async with Reserved(router(*TRUNK)).served() as agent:
        reader = telemetry(agent, clock, "lag-1", timeout_seconds=0.05, retries=0)
        first = await reader.read("edge1")
        clock.advance(BUNDLES_EVERY_SECONDS)
        second = await reader.read("edge1")
        agent.speaks = True
        clock.advance(FULL_EVERY_SECONDS)
        third = await reader.read("edge1")
        await reader.stop()
    assert (carried_by(first), carried_by(second), second.pdus) == ([], [], 1)
    assert carried_by(third) == ["xe-1 up", "xe-2 up"]


NETSNMP = """
rocommunity public
rwcommunity private
override .1.3.6.1.2.1.2.2.1.2.1000 octet_str "bond0"
override .1.3.6.1.2.1.2.2.1.3.1000 integer 161
override .1.3.6.1.2.1.2.2.1.8.1000 integer 1
override .1.3.6.1.2.1.2.2.1.10.1000 counter 1
override .1.3.6.1.2.1.2.2.1.16.1000 counter 1
override .1.3.6.1.2.1.31.1.1.1.1.1000 octet_str "bond0"
override .1.3.6.1.2.1.31.1.1.1.15.1000 uinteger 20000
override .1.3.6.1.2.1.31.1.2.1.3.0.1000 integer 1
override .1.3.6.1.2.1.31.1.2.1.3.1000.1001 integer 1
override .1.3.6.1.2.1.31.1.2.1.3.1000.1002 integer 1
override .1.3.6.1.2.1.2.2.1.3.1001 integer 6
override .1.3.6.1.2.1.2.2.1.8.1001 integer 1
override .1.3.6.1.2.1.31.1.1.1.1.1001 octet_str "eth8"
override .1.3.6.1.2.1.31.1.1.1.15.1001 uinteger 10000
override .1.3.6.1.2.1.2.2.1.3.1002 integer 6
override -rw .1.3.6.1.2.1.2.2.1.8.1002 integer 1
override .1.3.6.1.2.1.31.1.1.1.1.1002 octet_str "eth9"
override .1.3.6.1.2.1.31.1.1.1.15.1002 uinteger 10000
"""


@pytest.mark.skipif(which("snmpset") is None, reason="net-snmp's tools are not installed")
async def test_net_snmp_tells_of_a_bundle_and_of_its_lost_member(tmp_path: Path) -> None:
    """The real agent, with a table that it does not have by itself."""
    at = free_port()
    command = snmpd_command(tmp_path / "snmpd.conf", tmp_path / "state", at, text=NETSNMP)
    if command is None:
        pytest.skip("net-snmp's snmpd is not installed")
    with running(command, port=at, community="public", log=tmp_path / "log"):
        target = SnmpTarget(address="127.0.0.1", port=at, community="public", timeout_seconds=2)
        reader = SnmpTelemetry({"edge1": target}, clock=SystemClock(), interests={"edge1": ["bond0"]})
        before = carried_by(await reader.read("edge1"), "bond0")
        lose = ("snmpset", "-v2c", "-cprivate", "-m", "", f"127.0.0.1:{at}", ".1.3.6.1.2.1.2.2.1.8.1002", "i", "2")
        await asyncio.to_thread(subprocess.run, lose, check=True, capture_output=True)
        after = carried_by(await reader.read("edge1"), "bond0")
        await reader.stop()
    assert (before, after) == (["eth8 up", "eth9 up"], ["eth8 up", "eth9 down"])
