"""A small Internet as a scenario: its home, and traffic from every network that sends."""

from __future__ import annotations

import random
import time
from pathlib import Path

from labs.internet.world import Internet
from labs.runner import Lab, LabError
from labs.scenario import Scenario, ScenarioFlow, ScenarioLink

PREFIX_BPS = 3_000_000.0
EXPONENT = 1.0


def scenario_of(internet: Internet, directory: Path, *, seed: int) -> Scenario:
    """The rates are drawn anew for every prefix: which networks are large towards one says nothing of another."""
    return Scenario(
        topology=directory / f"{internet.name}.clab.yml",
        local_asn=internet.asn,
        links=tuple(
            ScenarioLink(
                name=link.name,
                link_id=link.link_id,
                interface=link.interface,
                capacity_bps=link.capacity_bps,
                node=link.transit,
                neighbor=str(link.ours),
            )
            for link in internet.links
        ),
        flows=flows(internet, seed=seed),
        receiver=internet.receiver,
        receiver_addresses=tuple(own.address for own in internet.prefixes),
        home={
            link.name: {own.prefix: internet.path(own.home[link.name]) for own in internet.prefixes}
            for link in internet.links
        },
    )


def flows(internet: Internet, *, seed: int) -> tuple[ScenarioFlow, ...]:
    """Zipf's rates, dealt out by chance: few networks send most of it. `PREFIX_BPS` go to each prefix."""
    chance = random.Random(seed)
    senders = internet.senders()
    weights = [rank**-EXPONENT for rank in range(1, len(senders) + 1)]
    found = []
    for own in internet.prefixes:
        dealt = chance.sample(weights, len(weights))
        found += [
            ScenarioFlow(host=network.name, destination=own.address, bps=PREFIX_BPS * weight / sum(weights))
            for network, weight in zip(senders, dealt, strict=True)
        ]
    return tuple(found)


def wait_for_routes(lab: Lab, scenario: Scenario, *, timeout_seconds: float = 60.0) -> None:
    """Until every sender has a route to where it sends: the far ones have theirs last. Raises LabError."""
    deadline = time.monotonic() + timeout_seconds
    waiting = list(dict.fromkeys(flow.host for flow in scenario.flows))
    look = "; ".join(f"ip route get {address} || exit 1" for address in scenario.receiver_addresses)
    while waiting := [host for host in waiting if lab.node(host).run(["sh", "-c", look], check=False).returncode]:
        if time.monotonic() > deadline:
            raise LabError(f"after {timeout_seconds:g}s these have no route to us: {', '.join(waiting)}")
        time.sleep(0.5)
