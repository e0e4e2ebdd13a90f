"""A lab's scenario.yaml as values, and what it takes to hold a running lab against it."""

from __future__ import annotations

import ipaddress
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml

from labs.runner import Lab, LabError, NodeProcess
from labs.traffic import rate_bps

TRAFFIC = "/opt/lab/traffic.py"

AsPath = tuple[int, ...]
# by link, by prefix; None where the transit has nothing of us
Paths = Mapping[str, Mapping[str, AsPath | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioLink:
    """`node` is the transit's router, `neighbor` our address on its session: where to see what we announce."""

    name: str
    link_id: int
    interface: str
    capacity_bps: float
    node: str
    neighbor: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioFlow:
    host: str
    destination: str
    bps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LossBound:
    """What share of a host's packets to a prefix may be lost, in both directions."""

    host: str
    prefix: str
    at_least: float
    at_most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """`plan_load` bounds each link's load after the plan, in bps. `raw` is the file, for what has no value here."""

    topology: Path
    local_asn: int
    links: tuple[ScenarioLink, ...]
    flows: tuple[ScenarioFlow, ...]
    receiver: str
    receiver_addresses: tuple[str, ...]
    home: Paths
    home_loss: tuple[LossBound, ...] = ()
    plan_load: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    plan_loss: tuple[LossBound, ...] = ()
    raw: Mapping[str, Any] = field(default_factory=dict)


def load_scenario(path: Path) -> Scenario:
    raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    return Scenario(
        topology=path.parent / raw["topology"],
        local_asn=raw["local_asn"],
        links=tuple(
            ScenarioLink(
                name=name,
                link_id=link["link_id"],
                interface=link["interface"],
                capacity_bps=rate_bps(link["capacity"]),
                node=link["seen_at"]["node"],
                neighbor=link["seen_at"]["neighbor"],
            )
            for name, link in raw["links"].items()
        ),
        flows=tuple(
            ScenarioFlow(host=flow["from"], destination=flow["to"], bps=rate_bps(flow["rate"]))
            for flow in raw["traffic"]["flows"]
        ),
        receiver=raw["traffic"]["receiver"]["node"],
        receiver_addresses=tuple(raw["traffic"]["receiver"]["addresses"]),
        home={link: as_paths(by_prefix) for link, by_prefix in raw["home"]["as_paths"].items()},
        home_loss=_bounds(raw["home"]["loss"]),
        plan_load={
            link: (rate_bps(row["at_least"]), rate_bps(row["at_most"])) for link, row in raw["plan"]["after"].items()
        },
        plan_loss=_bounds(raw["plan"]["loss"]),
        raw=raw,
    )


def as_paths(by_key: Mapping[str, Sequence[int] | None]) -> dict[str, AsPath | None]:
    return {key: None if path is None else tuple(path) for key, path in by_key.items()}


def _bounds(rows: Sequence[Mapping[str, Any]]) -> tuple[LossBound, ...]:
    return tuple(
        LossBound(host=r["from"], prefix=r["prefix"], at_least=r["at_least"], at_most=r["at_most"]) for r in rows
    )


def announced_routes(lab: Lab, link: ScenarioLink) -> dict[str, Any]:
    """What the transit has accepted from us on the link, by prefix: FRR's JSON of each route."""
    routes = lab.node(link.node).run(
        ["vtysh", "-c", f"show bgp ipv4 unicast neighbors {link.neighbor} routes json"], timeout=20
    )
    found = json.loads(routes.stdout or "{}").get("routes", {})
    return {prefix: paths[0] for prefix, paths in found.items()}


def received_paths(lab: Lab, scenario: Scenario) -> dict[str, dict[str, AsPath | None]]:
    """The AS path of each of our prefixes as each transit has it from us.

    A prefix that the scenario does not know, and that has come out all the same, is in the answer too.
    """
    answer: dict[str, dict[str, AsPath | None]] = {}
    for link in scenario.links:
        found = announced_routes(lab, link)
        seen = {prefix: tuple(int(asn) for asn in route["path"].split()) for prefix, route in found.items()}
        answer[link.name] = {**dict.fromkeys(scenario.home[link.name]), **seen}
    return answer


def wait_for_paths(lab: Lab, scenario: Scenario, expected: Paths, *, timeout_seconds: float = 60.0) -> None:
    """Returns as soon as the transits have exactly these paths; raises LabError with the difference otherwise."""
    deadline = time.monotonic() + timeout_seconds
    while (seen := received_paths(lab, scenario)) != expected:
        if time.monotonic() > deadline:
            wrong = [
                f"{link} {prefix} has {seen[link].get(prefix)}, expected {expected[link].get(prefix)}"
                for link in seen
                for prefix in sorted({*seen[link], *expected[link]})
                if seen[link].get(prefix) != expected[link].get(prefix)
            ]
            raise LabError(f"after {timeout_seconds:g}s the transits differ: {'; '.join(wrong)}")
        time.sleep(0.2)


class Traffic:
    """The scenario's senders and its receiver, running in the lab. A context manager: nothing runs after it.

    Senders write to files in `directory`, so that what they tell can be read while they send.
    """

    def __init__(self, lab: Lab, scenario: Scenario, *, seconds: float, directory: Path) -> None:
        self._lab = lab
        self._scenario = scenario
        self._seconds = seconds
        self._directory = directory
        self._receiver: NodeProcess | None = None
        self._senders: dict[str, NodeProcess] = {}

    def __enter__(self) -> Self:
        listen = [word for address in self._scenario.receiver_addresses for word in ("--listen", address)]
        seconds = str(self._seconds + 10)
        self._receiver = self._lab.node(self._scenario.receiver).popen(
            [sys.executable, TRAFFIC, "receive", "--seconds", seconds, *listen], stdout=subprocess.DEVNULL
        )
        for host in dict.fromkeys(flow.host for flow in self._scenario.flows):
            flows = [f"{f.destination}={f.bps:.0f}bps" for f in self._scenario.flows if f.host == host]
            words = [word for flow in flows for word in ("--flow", flow)]
            with self._file(host).open("w", encoding="utf-8") as output:
                self._senders[host] = self._lab.node(host).popen(
                    [sys.executable, TRAFFIC, "send", "--seconds", str(self._seconds), *words], stdout=output
                )
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        for process in [*self._senders.values(), *([self._receiver] if self._receiver else [])]:
            process.kill()
            process.wait()

    def _file(self, host: str) -> Path:
        return self._directory / f"sent-by-{host}.jsonl"

    def told(self) -> dict[str, list[dict[str, Any]]]:
        """The whole lines of each host so far, as traffic.py describes them."""
        return {
            host: [
                json.loads(line)
                for line in self._file(host).read_text(encoding="utf-8").splitlines(keepends=True)
                if line.endswith("\n")
            ]
            for host in self._senders
        }

    def finish(self) -> dict[str, list[dict[str, Any]]]:
        """Waits for the senders' end, and then what they told."""
        for host, process in self._senders.items():
            if process.wait(timeout=self._seconds + 30) != 0:
                raise LabError(f"the sender in {host} exited with {process.returncode}")
        return self.told()


def loss_towards(lines: Sequence[Mapping[str, Any]], prefix: str, *, skip_seconds: int = 0) -> float | None:
    """The share of one host's packets to the prefix that were lost from second `skip_seconds` on; None without data."""
    network = ipaddress.ip_network(prefix)
    told = [
        line
        for line in lines
        if not line.get("summary")
        and line["second"] >= skip_seconds
        and line["lost"] is not None
        and ipaddress.ip_address(line["destination"]) in network
    ]
    sent = sum(line["sent"] for line in told)
    return sum(line["lost"] for line in told) / sent if sent else None
