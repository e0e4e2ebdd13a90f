"""The process's life in this process: signals, reloads that are good, bad and impossible, and the end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from teagent.adapters.store import SqliteStore
from teagent.daemon import run as daemon_run
from teagent.daemon.app import App
from teagent.daemon.run import Process
from teagent.errors import ConfigError, DiskFull, Refused, StalePlan, TeagentError
from teagent.model.announcement import HeldOverride, Override
from teagent.model.proposal import Proposal, ProposalState
from tests.fakes.proposals import PREFIX, example_proposal
from tests.fakes.speaker import FakeSpeaker
from tests.integration.running import ENVIRONMENT, Site, free_port

pytestmark = pytest.mark.asyncio


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    # The tests' own logging stays as it is.
    monkeypatch.setattr(daemon_run, "configure", lambda **_: None)


class Life:
    """A process, the apps that it has started, in their order, and its exit code."""

    def __init__(self, place: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        self.place = place
        self.process = Process(place.config)
        self.apps: list[App] = []
        self.code: int | None = None
        started = Process._start

        async def note(app: App) -> None:
            await started(app)
            self.apps.append(app)

        monkeypatch.setattr(Process, "_start", staticmethod(note))

    async def run(self) -> None:
        self.code = await self.process.run()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    async def reload(self, text: str | None = None) -> None:
        """As an operator does: the file changes, then SIGHUP."""
        if text is not None:
            self.place.config.write_text(text)
        os.kill(os.getpid(), signal.SIGHUP)


@asynccontextmanager
async def living(place: Site, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Life]:
    life = Life(place, monkeypatch)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(life.run())
        try:
            await life.until(lambda: bool(life.apps) or task.done())
            yield life
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
    # A handler that stays would make the next signal somebody else's.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler)


async def test_sigterm_ends_it_with_zero(place: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async with living(place, monkeypatch) as life:
        pass
    assert life.code == 0
    assert not place.socket.exists()


async def test_a_good_file_is_taken_over(place: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async with living(place, monkeypatch) as life:
        place.capacity = "2Gbps"
        await life.reload(place.text())
        await life.until(lambda: len(life.apps) == 2)
        assert life.apps[1].config.network.links["transit-a"].capacity_bps == 2e9
    assert life.code == 0


async def test_a_bad_file_changes_nothing(place: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async with living(place, monkeypatch) as life:
        with capture_logs() as logs:
            await life.reload("version: 1\nlocal: {asn: nonsense}\n")
            await life.until(lambda: any("bad" in line["event"] for line in logs))
        said = next(line for line in logs if "bad" in line["event"])
        assert said["event"] == "new configuration is bad, the old one stays"
        assert "local.asn" in said["error"]
        assert len(life.apps) == 1
        assert place.socket.exists()


async def test_whoever_asks_for_a_reload_hears_all_problems(place: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async with living(place, monkeypatch) as life:
        place.config.write_text(place.text() + "\nnonsense: 1\nmore: 2\n")
        with pytest.raises(ConfigError) as caught:
            life.apps[0].request_reload("kim")
        assert len(caught.value.problems) == 2
        assert len(life.apps) == 1


async def test_what_does_not_start_gives_way_to_what_ran_before(place: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async with living(place, monkeypatch) as life:
        port = free_port(socket.SOCK_STREAM)
        with socket.create_server(("127.0.0.1", port)), capture_logs() as logs:
            place.metrics_port = port
            await life.reload(place.text())
            await life.until(lambda: len(life.apps) == 2)
        assert life.apps[1].config == life.apps[0].config
        failed = next(line for line in logs if "does not start" in line["event"])
        assert "metrics cannot be served" in failed["error"]
        assert place.socket.exists()


async def test_a_bug_while_building_takes_nothing_down(place: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async with living(place, monkeypatch) as life:

        def broken(*_: object, **__: object) -> App:
            raise KeyError("a bug")

        monkeypatch.setattr(daemon_run, "build", broken)
        with capture_logs() as logs:
            await life.reload()
            await life.until(lambda: any("bad" in line["event"] for line in logs))
        assert len(life.apps) == 1
    assert life.code == 0


async def test_flows_go_on_over_a_reload_that_does_not_concern_them(
    place: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with living(place, monkeypatch) as life:
        place.capacity = "2Gbps"
        await life.reload(place.text())
        await life.until(lambda: len(life.apps) == 2)
        assert life.apps[1].intake.listener is life.apps[0].intake.listener
        place.flows_port = free_port()
        await life.reload(place.text())
        await life.until(lambda: len(life.apps) == 3)
        assert life.apps[2].intake.listener is not life.apps[1].intake.listener
        assert life.apps[2].intake.listener.ports() == (place.flows_port,)


async def test_a_reload_into_dry_run_is_refused_while_something_is_on_the_wire(
    place: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.bgp = "dry_run: false"
    place.write()
    async with living(place, monkeypatch) as life:
        app = life.apps[0]
        held = example_proposal(state=ProposalState.ACTIVE)
        await app.store.add_proposal(held)
        app.book._keep(held)
        place.bgp = "dry_run: true"
        with capture_logs() as logs:
            await life.reload(place.text())
            await life.until(lambda: any("bad" in line["event"] for line in logs))
        assert "p-7f3c is active" in next(line for line in logs if "bad" in line["event"])["error"]
        with pytest.raises(TeagentError, match="p-7f3c is active"):
            app.request_reload("kim")
        assert life.apps == [app]


async def test_a_full_disk_at_the_end_is_no_reason_to_stay(place: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async with living(place, monkeypatch) as life:

        async def full(*, reason: str) -> None:
            raise DiskFull(f"teagent.db cannot grow: {reason}")

        monkeypatch.setattr(life.apps[0].approver, "revert_unconfirmed", full)
    assert life.code == 0


# --- with something on the wire ---------------------------------------------------------------------------------------


@pytest.fixture
def relay(monkeypatch: pytest.MonkeyPatch) -> FakeSpeaker:
    """The relay outlives every daemon."""
    speaker = FakeSpeaker()
    monkeypatch.setattr("teagent.daemon.app.RelaySpeaker", lambda *_, **__: speaker)
    return speaker


async def on_wire(place: Site, relay: FakeSpeaker, state: ProposalState) -> Proposal:
    """As an earlier life has left it: in the store, and at the relay."""
    place.bgp = "dry_run: false"
    place.write()
    now = datetime.now(UTC)
    proposal = example_proposal(state=state, now=now)
    if state is ProposalState.CONFIRMING:
        proposal = replace(proposal, confirm_deadline=now + timedelta(minutes=5))
    store = SqliteStore(place.directory / "teagent.db")
    await store.start()
    await store.add_proposal(proposal)
    await store.stop()
    override = Override.of(PREFIX, proposal.plan.after.vector(PREFIX))
    relay.held[PREFIX] = HeldOverride(override=override, owner=proposal.id, deadline=None, acknowledged=True)
    return proposal


async def stored(place: Site) -> str:
    store = SqliteStore(place.directory / "teagent.db")
    await store.start()
    try:
        [proposal] = await store.proposals()
        return proposal.state.value
    finally:
        await store.stop()


async def test_sigterm_inside_the_confirm_window_takes_the_change_back_first(
    place: Site, relay: FakeSpeaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await on_wire(place, relay, ProposalState.CONFIRMING)
    async with living(place, monkeypatch) as life:
        assert PREFIX in relay.held
    assert life.code == 0
    assert relay.held == {}
    assert await stored(place) == "reverted"


async def test_sigterm_leaves_an_active_change_alone(
    place: Site, relay: FakeSpeaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await on_wire(place, relay, ProposalState.ACTIVE)
    async with living(place, monkeypatch) as life:
        pass
    assert life.code == 0
    assert PREFIX in relay.held
    assert await stored(place) == "active"
    assert [name for name, _ in relay.log if name in {"announce", "withdraw"}] == []


async def test_sigterm_while_the_relay_is_away_ends_it_all_the_same(
    place: Site, relay: FakeSpeaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await on_wire(place, relay, ProposalState.CONFIRMING)
    async with living(place, monkeypatch) as life:
        relay.down = True
    assert life.code == 0
    assert await stored(place) == "reverting"  # the relay's deadline brings it home, the next start settles it
    relay.down = False
    async with living(place, monkeypatch):
        pass
    assert relay.held == {}
    assert await stored(place) == "reverted"


@pytest.mark.parametrize("state", [ProposalState.CONFIRMING, ProposalState.ACTIVE])
async def test_a_reload_says_nothing_to_the_routers(
    place: Site, relay: FakeSpeaker, monkeypatch: pytest.MonkeyPatch, state: ProposalState
) -> None:
    await on_wire(place, relay, state)
    async with living(place, monkeypatch) as life:
        place.capacity = "2Gbps"
        await life.reload(place.text())
        await life.until(lambda: len(life.apps) == 2)
        assert [name for name, _ in relay.log if name in {"announce", "withdraw"}] == []
        assert [p.state for p in life.apps[1].book.live()] == [state]


def without_transit_a(place: Site) -> str:
    """A good configuration, but for what is announced over the link."""
    place.links = [("transit-b", "edge1", "eth2"), ("transit-c", "edge1", "eth3")]
    policy = place.policy.replace("transit-a", "transit-b")
    (place.directory / "policies" / "10-relief.yaml").write_text(policy)
    return place.text()


@pytest.mark.parametrize("state", [ProposalState.CONFIRMING, ProposalState.ACTIVE])
async def test_a_link_that_a_change_on_the_wire_speaks_of_cannot_be_taken_out(
    place: Site, relay: FakeSpeaker, monkeypatch: pytest.MonkeyPatch, state: ProposalState
) -> None:
    await on_wire(place, relay, state)
    async with living(place, monkeypatch) as life:
        with capture_logs() as logs:
            await life.reload(without_transit_a(place))
            await life.until(lambda: any("bad" in line["event"] for line in logs))
        error = next(line for line in logs if "bad" in line["event"])["error"]
        assert error.startswith(f"no link transit-a while p-7f3c is {state.value}")
        assert len(life.apps) == 1
        assert PREFIX in relay.held


async def test_nor_does_a_daemon_start_without_that_link(
    place: Site, relay: FakeSpeaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await on_wire(place, relay, ProposalState.ACTIVE)
    place.config.write_text(without_transit_a(place))
    with pytest.raises(Refused, match="no link transit-a while p-7f3c is active") as caught:
        await Process(place.config).run()
    assert caught.value.hint == "put back what is missing, teagent proposal p-7f3c revert, and then take it out"
    assert PREFIX in relay.held


@pytest.mark.parametrize("left", ["", "  - {prefix: 198.51.100.0/24, tags: [customer]}\n"])
async def test_nor_can_its_prefix_be_taken_out_or_no_longer_be_engineered(
    place: Site, relay: FakeSpeaker, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    await on_wire(place, relay, ProposalState.ACTIVE)
    whole = place.text().replace(
        "{prefix: 203.0.113.0/24}", "{prefix: 203.0.113.0/24, tags: [customer], engineer: true}"
    )
    place.config.write_text(whole)
    async with living(place, monkeypatch) as life:
        with capture_logs() as logs:
            await life.reload(whole.replace("  - {prefix: 198.51.100.0/24, tags: [customer], engineer: true}\n", left))
            await life.until(lambda: any("bad" in line["event"] for line in logs))
        error = next(line for line in logs if "bad" in line["event"])["error"]
        assert error.startswith("no engineered prefix 198.51.100.0/24 while p-7f3c is active")


async def test_a_proposal_that_waits_does_not_keep_a_link_and_is_stale_without_it(
    place: Site, relay: FakeSpeaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.policy = place.policy.replace("policy: relief", "policy: transit-balance")
    await on_wire(place, relay, ProposalState.PENDING)
    relay.held.clear()
    async with living(place, monkeypatch) as life:
        await life.reload(without_transit_a(place))
        await life.until(lambda: len(life.apps) == 2)
        app = life.apps[1]
        [waiting] = app.book.live()
        with pytest.raises(StalePlan):
            await app.approver.approve(waiting.id, actor="kim", digest=waiting.plan.digest)
        assert relay.held == {}


async def test_nobody_can_approve_while_it_stops(
    place: Site, relay: FakeSpeaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    await on_wire(place, relay, ProposalState.CONFIRMING)
    async with living(place, monkeypatch) as life:
        app = life.apps[0]
        reachable: list[bool] = []
        take_back = app.approver.revert_unconfirmed

        async def look(*, reason: str) -> None:
            reachable.append(place.socket.exists())
            await take_back(reason=reason)

        monkeypatch.setattr(app.approver, "revert_unconfirmed", look)
    assert reachable == [False]
    assert relay.held == {}
