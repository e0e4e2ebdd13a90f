"""From configuration to a daemon: built inert, started in order, and stopped again where a later start fails."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from dataclasses import replace

import pytest

from teagent.config.load import load
from teagent.daemon.app import App
from teagent.daemon.build import allow, snmp_target
from teagent.errors import Refused, StoreError, TeagentError
from tests.integration.running import ENVIRONMENT, Router, Site, free_port
from tests.unit.daemon.conftest import inert

pytestmark = pytest.mark.asyncio


def on_disk(place: Site) -> set[str]:
    return {path.name for path in place.directory.iterdir()}


async def test_building_opens_nothing(place: Site) -> None:
    before, threads = on_disk(place), threading.active_count()
    inert(place)
    assert on_disk(place) == before
    assert threading.active_count() == threads


async def test_in_dry_run_there_is_nothing_that_could_announce(place: Site) -> None:
    app = inert(place)
    assert (app.speaker, app.applier, app.reconciler) == (None, None, None)
    await app.start()
    await app.stop(reverting=True)
    assert "allow.json" not in on_disk(place)


async def test_a_stop_may_come_twice_and_leaves_no_socket(place: Site) -> None:
    app = inert(place)
    await app.start()
    assert place.socket.exists()
    await app.stop(reverting=True)
    await app.stop(reverting=True)
    assert not place.socket.exists()


async def test_what_was_never_started_can_be_stopped(place: Site) -> None:
    await inert(place).stop(reverting=True)


def taken(kind: int, port: int) -> socket.socket:
    holder = socket.socket(socket.AF_INET, kind)
    holder.bind(("127.0.0.1", port))
    if kind == socket.SOCK_STREAM:
        holder.listen()
    return holder


async def test_a_metrics_port_that_is_taken_stops_what_was_started(place: Site) -> None:
    place.metrics_port = free_port(socket.SOCK_STREAM)
    place.write()
    app = inert(place)
    with (
        taken(socket.SOCK_STREAM, place.metrics_port),
        pytest.raises(TeagentError, match=r"metrics cannot be served on .*: address already in use") as caught,
    ):
        await app.start()
    assert caught.value.hint == "metrics.listen in the configuration"
    # The store and the flows' port are free again.
    await app.store.start()
    await app.store.stop()
    taken(socket.SOCK_DGRAM, place.flows_port).close()


async def test_a_flow_port_that_is_taken_is_named(place: Site) -> None:
    with (
        taken(socket.SOCK_DGRAM, place.flows_port),
        pytest.raises(TeagentError, match=rf"cannot listen for flows on 127.0.0.1:{place.flows_port}"),
    ):
        await inert(place).start()


async def test_a_second_daemon_on_the_same_store_is_told_who_has_it(place: Site, app: App) -> None:
    assert app.store.path == place.directory / "teagent.db"
    with pytest.raises(StoreError, match=rf"another teagent holds it \(pid {os.getpid()}\)"):
        await inert(place).start()
    assert place.socket.exists()


async def test_a_second_daemon_on_the_same_socket_is_refused(place: Site, app: App) -> None:
    config = load(place.config, environment=ENVIRONMENT)
    config = replace(
        config,
        store=replace(config.store, path=place.directory / "other.db"),
        metrics=replace(config.metrics, listen=None),
        flows=replace(config.flows, listen=()),
    )
    with pytest.raises(TeagentError, match="another teagent is running on"):
        await App(config).start()
    assert app.control.counters["connections"] == 0
    assert place.socket.exists()


async def test_a_missing_store_directory_is_named(place: Site) -> None:
    place.store = "absent/teagent.db"
    place.write()
    with pytest.raises(StoreError, match=r"absent/teagent.db cannot be opened for writing: no such file") as caught:
        await inert(place).start()
    assert "its directory must exist" in str(caught.value.hint)


async def test_the_allow_list_is_what_the_operator_configured(place: Site) -> None:
    place.bgp = "dry_run: false"
    place.write()
    config = load(place.config, environment=ENVIRONMENT)
    assert allow(config)
    assert not allow(config)
    text = config.bgp.allow_list.read_text()
    assert "198.51.100.0/24" in text
    assert "203.0.113.0/24" not in text


async def test_an_allow_list_that_cannot_be_written_is_fatal_and_named(place: Site) -> None:
    place.bgp = "dry_run: false"
    place.write()
    (place.directory / "allow.json").mkdir()
    with pytest.raises(TeagentError, match="the allow-list cannot be written to") as caught:
        await inert(place).start()
    assert "bgp.allow_list" in str(caught.value.hint)


@pytest.mark.skipif(os.getuid() != 0, reason="root is somebody else only for root")
async def test_a_daemon_that_does_not_own_the_allow_list_never_writes_it_and_says_who_does(place: Site) -> None:
    place.bgp = "dry_run: false"
    place.allow_list_owner = "nobody"
    place.write()
    with pytest.raises(TeagentError, match=r"allow.json is not what config.yaml says, and only nobody") as caught:
        await inert(place).start()
    assert "as nobody: teagent allow-list write" in str(caught.value.hint)
    assert "allow.json" not in on_disk(place)


async def test_an_allow_list_that_was_installed_is_taken_as_it_is(place: Site) -> None:
    place.bgp = "dry_run: false"
    place.write()
    config = load(place.config, environment=ENVIRONMENT)
    allow(config)
    place.allow_list_owner = "nobody"
    place.write()
    app = inert(place)
    app.admit(load(place.config, environment=ENVIRONMENT))
    await app.start()
    await app.stop(reverting=False)


@pytest.mark.skipif(os.getuid() != 0, reason="root is somebody else only for root")
async def test_a_configuration_that_widens_the_list_is_not_admitted_on_a_running_daemon(place: Site) -> None:
    place.bgp = "dry_run: false"
    place.write()
    allow(load(place.config, environment=ENVIRONMENT))
    app = inert(place)
    place.allow_list_owner = "nobody"
    place.bgp = "dry_run: false\n  max_prepend: 5"
    place.write()
    with pytest.raises(TeagentError, match="only nobody may write it"):
        app.admit(load(place.config, environment=ENVIRONMENT))


async def test_without_its_relay_the_daemon_starts_and_says_so(place: Site) -> None:
    place.bgp = "dry_run: false"
    place.write()
    app = inert(place)
    await app.start()
    try:
        assert any("relay cannot be reached" in reason for reason in app.decider.distrust(app.clock.now()))
    finally:
        await app.stop(reverting=True)


async def test_dry_run_is_refused_while_something_is_on_the_wire(place: Site) -> None:
    from teagent.model.proposal import ProposalState
    from tests.fakes.proposals import example_proposal

    app = inert(place)
    await app.store.start()
    await app.store.add_proposal(example_proposal(state=ProposalState.ACTIVE))
    await app.store.stop()
    with pytest.raises(Refused, match=r"bgp.dry_run is true while p-7f3c is active"):
        await app.start()


async def test_polling_a_router_that_is_gone_does_not_hold_up_the_start_or_the_stop(place: Site) -> None:
    silent = taken(socket.SOCK_DGRAM, place.routers[0].port)
    place.poll = "{interval: 60s, timeout: 50s, retries: 0, stale_after: 90s}"
    place.write()
    with silent:
        app = inert(place)
        async with asyncio.timeout(10):
            await app.start()
            while app.observer.counters["polls"] == 0:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            await app.stop(reverting=True)


@pytest.mark.parametrize(
    ("snmp", "expected"),
    [
        ('version: 2c, community: "env:EDGE_COMMUNITY"', {"version": "2c", "community": ENVIRONMENT["EDGE_COMMUNITY"]}),
        ("version: 3, user: teagent", {"version": "3", "user": "teagent", "auth_protocol": None, "priv_key": None}),
        (
            "version: 3, user: teagent"
            + "".join(
                f', {part}, key: "env:EDGE_COMMUNITY"}}'
                for part in ("auth: {protocol: sha256", "priv: {protocol: aes128")
            ),
            {"auth_protocol": "sha256", "priv_protocol": "aes128", "auth_key": ENVIRONMENT["EDGE_COMMUNITY"]},
        ),
    ],
)
async def test_a_routers_credentials_reach_its_target(place: Site, snmp: str, expected: dict[str, object]) -> None:
    place.routers = [Router("edge1", "127.0.0.1", 1161, snmp)]
    place.write()
    config = load(place.config, environment=ENVIRONMENT)
    target = snmp_target(config.routers["edge1"], config.poll)
    assert (target.address, target.port, target.timeout_seconds, target.retries) == ("127.0.0.1", 1161, 0.2, 0)
    assert {name: getattr(target, name) for name in expected} == expected


async def test_a_configuration_without_its_secrets_is_not_built(place: Site) -> None:
    config = load(place.config, environment=None)
    with pytest.raises(ValueError, match="was not resolved"):
        App(config)
