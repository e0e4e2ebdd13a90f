"""Signal mode on real routers: relay, ExaBGP, the edge's FRR, and what the transits hear of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest

from labs.scenario import Paths, received_paths, wait_for_paths
from teagent.adapters.exabgp.speaker import RelaySpeaker
from teagent.errors import NotAcknowledged, SpeakerDown, SpeakerRejected
from teagent.model.announcement import Override, Signal
from tests.lab.conftest import RunningLab
from tests.lab.signal_mode import ExabgpInLab, TransitLogs, exabgp_in, until

pytestmark = pytest.mark.lab

PREFIX = "11.0.0.0/24"
A_ONCE_B_PLAIN = [{"link_id": 1, "prepend": 1}, {"link_id": 2, "prepend": 0}]
A_PLAIN_B_THRICE = [{"link_id": 1, "prepend": 0}, {"link_id": 2, "prepend": 3}]


@pytest.fixture(scope="module")
def shared(two_transit: RunningLab) -> Iterator[ExabgpInLab]:
    with exabgp_in(two_transit) as exabgp:
        exabgp.start()
        yield exabgp


@pytest.fixture
def exabgp(shared: ExabgpInLab, two_transit: RunningLab) -> Iterator[ExabgpInLab]:
    """Up, holding nothing, and home again afterwards."""
    shared.ready()
    yield shared
    shared.ready()
    shared.ask("thaw")
    for held in shared.state()["overrides"]:
        shared.ask("withdraw", prefix=held["prefix"], owner="test")
    wait_for_paths(two_transit.lab, two_transit.scenario, two_transit.scenario.home)


@pytest.fixture(scope="module")
def logs(two_transit: RunningLab) -> TransitLogs:
    return TransitLogs(two_transit)


def paths(running: RunningLab, *, a: int | None, b: int | None) -> Paths:
    """Home, with 11.0.0.0/24 prepended so often on each transit."""
    expected = {link: dict(by_prefix) for link, by_prefix in running.scenario.home.items()}
    for link, prepends in (("transit-a", a), ("transit-b", b)):
        expected[link][PREFIX] = None if prepends is None else (65000,) * (prepends + 1)
    return expected


def at(running: RunningLab, *, a: int | None, b: int | None, seconds: float = 10.0) -> None:
    wait_for_paths(running.lab, running.scenario, paths(running, a=a, b=b), timeout_seconds=seconds)


def at_home(running: RunningLab, *, seconds: float = 10.0) -> None:
    wait_for_paths(running.lab, running.scenario, running.scenario.home, timeout_seconds=seconds)


def in_seconds(seconds: float) -> float:
    return time.time() + seconds


def announce(exabgp: ExabgpInLab, signals: list[dict], *, owner: str = "p-1", deadline: float | None = None) -> None:
    answer = exabgp.ask("announce", prefix=PREFIX, signals=signals, owner=owner, deadline=deadline)
    assert answer == {"version": 1, "id": 1, "ok": True, "acked": True}


def test_an_override_becomes_prepends_on_each_transit_and_goes_home_when_withdrawn(exabgp, two_transit, logs):
    logs.mark()
    announce(exabgp, A_ONCE_B_PLAIN)
    at(two_transit, a=1, b=0)
    until(lambda: exabgp.state()["overrides"][0]["sent"], what="the `sent` event")
    assert exabgp.ask("withdraw", prefix=PREFIX, owner="p-1")["ok"]
    at_home(two_transit)
    assert logs.withdrawn() == []
    assert sorted(logs.heard()) == sorted([("ta", PREFIX), ("tb", PREFIX)] * 2)


def test_an_override_can_withhold_a_prefix_from_one_transit(exabgp, two_transit):
    announce(exabgp, [{"link_id": 1, "withhold": True}, {"link_id": 2, "prepend": 0}])
    at(two_transit, a=None, b=0)


def test_an_unconfirmed_override_goes_home_by_itself_with_no_daemon_connected(exabgp, two_transit):
    announce(exabgp, A_ONCE_B_PLAIN, deadline=in_seconds(4))
    at(two_transit, a=1, b=0, seconds=3)
    at_home(two_transit)
    assert exabgp.state()["overrides"] == []


def test_the_deadline_passes_while_a_daemon_is_connected_and_it_is_told(exabgp, two_transit):
    with exabgp.client() as client:
        client.ask("subscribe")
        announce(exabgp, A_ONCE_B_PLAIN, deadline=in_seconds(2))
        events = []
        while not events or events[-1]["event"] != "expired":
            events.append(client.line())
    assert events[-1] == {"version": 1, "event": "expired", "prefix": PREFIX, "owner": "p-1", "restored": None}
    assert {"neighbor": "192.0.2.65", "announced": [PREFIX]}.items() <= events[0].items()
    at_home(two_transit)


def test_a_confirmed_override_stays_after_its_deadline(exabgp, two_transit):
    announce(exabgp, A_ONCE_B_PLAIN, deadline=in_seconds(2))
    assert exabgp.ask("confirm", prefix=PREFIX, owner="p-1")["ok"]
    time.sleep(3)
    assert received_paths(two_transit.lab, two_transit.scenario) == paths(two_transit, a=1, b=0)


def test_an_unconfirmed_replacement_falls_back_to_the_confirmed_override_before_it(exabgp, two_transit):
    announce(exabgp, A_ONCE_B_PLAIN, owner="p-1")
    announce(exabgp, A_PLAIN_B_THRICE, owner="p-2", deadline=in_seconds(3))
    at(two_transit, a=0, b=3, seconds=3)
    at(two_transit, a=1, b=0)
    assert [row["owner"] for row in exabgp.state()["overrides"]] == ["p-1"]


@pytest.mark.parametrize(
    ("prefix", "signals", "rule"),
    [
        ("198.51.100.0/24", A_ONCE_B_PLAIN, "prefix"),
        ("11.0.0.0/25", A_ONCE_B_PLAIN, "prefix"),
        ("2001:db8::/48", A_ONCE_B_PLAIN, "prefix"),
        (PREFIX, [{"link_id": 1, "prepend": 4}, {"link_id": 2, "prepend": 0}], "max_prepend"),
        (PREFIX, [{"link_id": 1, "prepend": 65000}, {"link_id": 2, "prepend": 0}], "prepend"),
        (PREFIX, [{"link_id": 1, "prepend": 0}, {"link_id": 3, "prepend": 0}], "link"),
        (PREFIX, [{"link_id": 1, "prepend": 0}], "whole_vector"),
        (PREFIX, [{"link_id": 1, "withhold": True}, {"link_id": 2, "withhold": True}], "announced_links"),
        ("12.0.0.0/24", A_ONCE_B_PLAIN, "link"),
    ],
)
def test_what_is_not_allowed_is_refused_by_rule_and_nothing_leaves(exabgp, logs, prefix, signals, rule):
    logs.mark()
    answer = exabgp.ask("announce", prefix=prefix, signals=signals, owner="p-1", deadline=None)
    assert (answer["ok"], answer["error"]["rule"]) == (False, rule)
    assert exabgp.state()["overrides"] == []
    assert (logs.heard(), logs.withdrawn()) == ([], [])


def test_a_killed_relay_changes_nothing_and_its_successor_knows_what_is_there(exabgp, two_transit, logs):
    announced = time.monotonic()
    announce(exabgp, A_ONCE_B_PLAIN, deadline=in_seconds(300))
    at(two_transit, a=1, b=0)
    logs.mark()
    before = exabgp.kill_relay()
    state = exabgp.ready()  # after a minute's pause, where it has been killed often
    assert state["pid"] != before
    held = state["overrides"][0]
    assert (held["owner"], held["acked"]) == ("p-1", True)
    assert held["seconds_left"] == pytest.approx(300 - (time.monotonic() - announced), abs=5)
    assert state["counters"].get("replays", 0) == 0
    assert (logs.heard(), logs.withdrawn()) == ([], [])


def test_what_a_dead_relay_left_in_exabgp_without_a_record_is_withdrawn_by_the_next(exabgp, two_transit):
    announce(exabgp, A_ONCE_B_PLAIN)
    at(two_transit, a=1, b=0)
    os.kill(exabgp.relay_pid(), signal.SIGSTOP)  # so that no tidy end rewrites the file
    exabgp.journal.write_bytes(b"")
    exabgp.kill_relay()
    assert exabgp.ready()["counters"]["foreign_routes_withdrawn"] == 1
    at_home(two_transit)


def test_a_killed_exabgp_and_its_restart_withdraw_nothing_and_the_override_is_replayed(exabgp, two_transit, logs):
    announce(exabgp, A_ONCE_B_PLAIN)
    at(two_transit, a=1, b=0)
    logs.mark()
    exabgp.kill()
    time.sleep(2)
    assert received_paths(two_transit.lab, two_transit.scenario) == paths(two_transit, a=1, b=0)
    exabgp.start()
    state = exabgp.ready(seconds=60)
    assert state["counters"]["replays"] == 1
    assert state["counters"]["end_of_ribs"] == 1
    time.sleep(2)
    assert received_paths(two_transit.lab, two_transit.scenario) == paths(two_transit, a=1, b=0)
    assert logs.withdrawn() == []


def test_a_deadline_that_passed_while_everything_was_dead_brings_home_after_the_restart(exabgp, two_transit, logs):
    announce(exabgp, A_ONCE_B_PLAIN, deadline=in_seconds(3))
    at(two_transit, a=1, b=0, seconds=2)
    logs.mark()
    exabgp.kill()
    time.sleep(3)
    exabgp.start()
    assert exabgp.ready(seconds=60)["overrides"] == []
    at_home(two_transit)
    assert logs.withdrawn() == []


def test_nothing_is_announced_while_the_session_is_down_and_what_was_held_comes_back_with_it(exabgp, two_transit):
    announce(exabgp, A_ONCE_B_PLAIN)
    edge = two_transit.lab.node("edge")

    def configure(line: str) -> None:
        edge.run(["vtysh", "-c", "configure terminal", "-c", "router bgp 65000", "-c", line])

    configure("neighbor 192.0.2.66 shutdown")
    until(lambda: exabgp.state()["neighbors"][0]["state"] == "down", what="the session's end")
    answer = exabgp.ask("announce", prefix="10.0.0.0/24", signals=A_ONCE_B_PLAIN, owner="p-2", deadline=None)
    assert (answer["error"]["kind"], answer["error"]["rule"]) == ("down", "session")
    configure("no neighbor 192.0.2.66 shutdown")
    exabgp.ready(seconds=60)
    at(two_transit, a=1, b=0)
    assert [row["prefix"] for row in exabgp.state()["overrides"]] == [PREFIX]


def test_an_exabgp_that_hangs_gives_unknown_and_is_brought_in_step_when_it_wakes(exabgp, two_transit):
    announce(exabgp, A_ONCE_B_PLAIN)
    at(two_transit, a=1, b=0)
    exabgp.signal(signal.SIGSTOP)
    try:
        answer = exabgp.ask("withdraw", prefix=PREFIX, owner="p-1")
        assert (answer["ok"], answer["error"]["kind"]) == (False, "unknown")
        refused = exabgp.ask("announce", prefix="10.0.0.0/24", signals=A_ONCE_B_PLAIN, owner="p-2", deadline=None)
        assert refused["error"]["kind"] == "busy"
    finally:
        exabgp.signal(signal.SIGCONT)
    at_home(two_transit)
    assert exabgp.ready()["overrides"] == []


def test_frozen_the_relay_announces_nothing_new_and_still_goes_home(exabgp, two_transit):
    announce(exabgp, A_ONCE_B_PLAIN)
    assert exabgp.ask("freeze")["ok"]
    exabgp.kill_relay()
    exabgp.ready()
    answer = exabgp.ask("announce", prefix="10.0.0.0/24", signals=A_ONCE_B_PLAIN, owner="p-2", deadline=None)
    assert answer["error"]["rule"] == "frozen"
    assert exabgp.ask("withdraw", prefix=PREFIX, owner="p-1")["ok"]
    at_home(two_transit)


@pytest.mark.asyncio
async def test_the_adapter_speaks_the_port_to_a_real_relay(exabgp, two_transit):
    speaker = RelaySpeaker(exabgp.socket, link_ids={"transit-a": 1, "transit-b": 2})
    override = Override.of(ip_network(PREFIX), {"transit-a": 1, "transit-b": 0})
    deadline = datetime.now(UTC) + timedelta(minutes=5)
    await speaker.announce(override, owner="p-9", deadline=deadline)
    at(two_transit, a=1, b=0)
    state = await speaker.state()
    held = state.overrides[0]
    assert (held.override, held.owner, held.acknowledged) == (override, "p-9", True)
    assert held.deadline is not None
    assert abs(held.deadline - deadline) < timedelta(milliseconds=1)
    assert [(row.address, row.state) for row in state.neighbors] == [("192.0.2.65", "up")]
    await speaker.confirm(ip_network(PREFIX), owner="p-9")
    assert (await speaker.state()).overrides[0].deadline is None
    with pytest.raises(SpeakerRejected, match="rule owner"):
        await speaker.confirm(ip_network(PREFIX), owner="p-8")
    too_many = Override(prefix=ip_network(PREFIX), signals=(Signal(link="transit-a", prepend=4), override.signals[1]))
    with pytest.raises(SpeakerRejected, match=r"too many prepends on link 1 \(value 4, limit 3\), by rule max_prepend"):
        await speaker.announce(too_many, owner="p-9", deadline=None)
    await speaker.freeze(frozen=True)
    assert (await speaker.state()).frozen
    with pytest.raises(SpeakerRejected, match="rule frozen"):
        await speaker.announce(
            Override.of(ip_network("10.0.0.0/24"), {"transit-a": 1, "transit-b": 0}), owner="p-9", deadline=None
        )
    await speaker.freeze(frozen=False)
    await speaker.withdraw(ip_network(PREFIX), owner="p-9")
    at_home(two_transit)


@pytest.mark.asyncio
async def test_the_adapter_says_down_for_a_dead_relay_and_not_acknowledged_for_a_hanging_exabgp(exabgp, two_transit):
    speaker = RelaySpeaker(exabgp.socket, link_ids={"transit-a": 1, "transit-b": 2})
    nobody = RelaySpeaker(exabgp.directory / "nobody.sock", link_ids={})
    with pytest.raises(SpeakerDown, match="relay cannot be reached"):
        await nobody.state()
    override = Override.of(ip_network(PREFIX), {"transit-a": 1, "transit-b": 0})
    exabgp.signal(signal.SIGSTOP)
    try:
        with pytest.raises(NotAcknowledged, match="it may still go out"):
            await speaker.announce(override, owner="p-9", deadline=None)
    finally:
        exabgp.signal(signal.SIGCONT)
    at(two_transit, a=1, b=0)


def test_no_line_in_the_log_is_a_traceback(exabgp):
    assert "Traceback" not in exabgp.log()
