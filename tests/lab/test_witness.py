"""The witness on a real router: what the edge refuses is noticed, named and taken back within ten seconds.

One life of a lab is lived once; each test looks at one thing that was seen in it.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from labs.demo import expected_paths, proven
from labs.loop import ENVIRONMENT, NODE, ClosedLoop
from labs.scenario import Paths, received_paths, wait_for_paths
from tests.conftest import ROOT
from tests.faults.real_routers import Loop
from tests.lab.conftest import RunningLab
from tests.lab.refusing_edge import Edge
from tests.lab.signal_mode import TransitLogs
from tests.lab.test_closed_loop import quick_config

pytestmark = pytest.mark.lab

NOTICED_WITHIN_SECONDS = 10
PREFIX = "11.0.0.0/24"
OFTEN = """
import runpy
from teagent.service import prove
prove.RENEW_SECONDS = 25.0
runpy.run_module("tests.faults.proposer", run_name="__main__")
"""

FAMILY = ("router bgp 65000", "address-family ipv4 unicast")
SABOTAGES = {
    "weight": (
        ("route-map TEAGENT-IN permit 10", "set weight 100"),
        ("route-map TEAGENT-IN permit 10", "set weight 40000"),
    ),
    "count": (
        ("bgp large-community-list standard TEAGENT-1-2 seq 5 permit 65000:1:19",),
        ("bgp large-community-list standard TEAGENT-1-2 seq 5 permit 65000:1:12",),
    ),
    "strip": (
        ("route-map TO-B permit 12", "no set large-comm-list TEAGENT-ANY delete"),
        ("route-map TO-B permit 12", "set large-comm-list TEAGENT-ANY delete"),
    ),
    "upstream": (
        ("route-map TO-B permit 13", "match large-community TEAGENT-1-2"),
        ("route-map TO-B permit 13", "match large-community TEAGENT-2-2"),
    ),
    "fib": ((*FAMILY, "no table-map TEAGENT-NOFIB"), (*FAMILY, "table-map TEAGENT-NOFIB")),
    "prefix": (
        ("no ip prefix-list TEAGENT-OURS seq 10 permit 11.0.0.0/24",),
        ("ip prefix-list TEAGENT-OURS seq 10 permit 11.0.0.0/24",),
    ),
}
"""What an operator may get wrong, and how it is put right; at home, where none of it changes what is announced."""


@dataclass(kw_only=True)
class Refused:
    """How the edge's refusal went: after how long the transits were at home, and what was said of it."""

    seconds: float
    paths: Paths
    proposal: dict[str, Any]

    def tripped(self) -> tuple[str, str]:
        return next((row["actor"], row["reason"]) for row in self.proposal["history"] if row["event"] == "trip")


@dataclass(kw_only=True)
class Life:
    home: Paths = field(default_factory=dict)
    proof: dict[str, Any] = field(default_factory=dict)
    shown: str = ""
    status: str = ""
    prefix: dict[str, Any] = field(default_factory=dict)
    repeated: list[Any] = field(default_factory=list)
    lost: dict[str, Any] = field(default_factory=dict)
    check: dict[str, Any] = field(default_factory=dict)
    back: dict[str, Any] = field(default_factory=dict)
    restarted: dict[str, Any] = field(default_factory=dict)
    refused: dict[str, Refused] = field(default_factory=dict)
    log: str = ""
    doctor: dict[str, dict[tuple[str, str], dict[str, Any]]] = field(default_factory=dict)


class Repeating(Loop):
    """A daemon that repeats what is on the wire every 25 s, so that nobody has to wait a minute to see it."""

    def start_daemon(self) -> None:
        log = self._log("teagent")
        self._daemon = self.lab.node(NODE).popen(
            [sys.executable, "-c", OFTEN, str(self.config)],
            env={**ENVIRONMENT, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )


@pytest.fixture(scope="module")
def life(two_transit: RunningLab, tmp_path_factory: pytest.TempPathFactory) -> Life:
    directory = tmp_path_factory.mktemp("witness")
    config = quick_config(directory)
    policy = directory / "policies" / "10-transit-a.yaml"
    policy.write_text(policy.read_text().replace("confirm:\n", "confirm:\n  unproven: refuse\n"))
    with Repeating(two_transit.lab, config, logs=directory) as loop:
        loop.start_daemon()
        loop.start_exabgp()
        loop.wait_for("daemon and session", loop.ready, seconds=40, every=0.5)
        return live(loop, two_transit)


def live(loop: Loop, running: RunningLab) -> Life:
    seen = Life(home=received_paths(running.lab, running.scenario))
    edge, logs = Edge(running.lab), TransitLogs(running)
    # what is bent and put right again is over before anybody listens to what the transits hear
    edge.configure("bgp route-map delay-timer 1")
    seen.doctor["right"] = doctor(loop, edge)
    for name, (bend, restore) in SABOTAGES.items():
        edge.configure(*bend)
        seen.doctor[name] = doctor(loop, edge)
        edge.configure(*restore)

    first = approved(loop)
    seen.proof = loop.wait_for("a proof", lambda: proven(loop, first), seconds=10, every=0.2)
    seen.shown = loop.teagent("proposal", first, "show").stdout
    loop.teagent("proposal", first, "confirm")
    seen.status = loop.teagent("status").stdout
    seen.prefix = loop.ask("prefix", PREFIX)
    seen.doctor["announced"] = doctor(loop, edge)
    wait_for_paths(running.lab, running.scenario, expected_paths(running.scenario, loop.ask("proposal", first, "show")))
    logs.mark()
    before = repeats(loop)
    loop.wait_for("a repetition", lambda: repeats(loop) > before, seconds=70)
    seen.repeated = [*logs.heard(), *logs.withdrawn()]
    with edge.without_bmp():
        seen.lost = loop.wait_for("no proof", lambda: in_state(loop, first, "unproven"), seconds=20)
        seen.check = json.loads(loop.teagent("check", "--json", check=False).stdout)
    seen.back = loop.wait_for("a proof again", lambda: proven(loop, first), seconds=20)
    with edge.prefix_list():
        seen.refused["prefix list"] = refused(loop, running, first)

    last = approved(loop)
    loop.wait_for("a proof", lambda: proven(loop, last), seconds=10, every=0.2)
    loop.teagent("proposal", last, "confirm")
    since = in_state(loop, last, "proven")["since"]
    edge.restart_bgpd()
    seen.restarted = loop.wait_for("a proof after bgpd's restart", lambda: reproven(loop, last, since), seconds=90)
    edge.run("ip", "link", "set", "eth3", "down")
    seen.refused["home"] = refused(loop, running, last, seconds=60)
    edge.run("ip", "link", "set", "eth3", "up")
    seen.log = loop.log("teagent")
    return seen


def doctor(loop: ClosedLoop, edge: Edge) -> dict[tuple[str, str], dict[str, Any]]:
    """By check and subject, the worst of each: with what the edge says that it runs."""
    loop.write("/run/teagent/edge.conf", edge.run("vtysh", "-c", "show running-config"))
    words = ("doctor", "--config", str(loop.config), "--router-config", "edge=/run/teagent/edge.conf", "--json")
    found = json.loads(loop.teagent(*words, check=False).stdout)["diagnoses"]
    return {(row["check"], row["subject"]): row for row in reversed(found)}


def approved(loop: Loop) -> str:
    proposal = loop.propose((1, 0), prefix=PREFIX)
    loop.teagent("proposal", proposal, "approve", "--yes")
    return proposal


def in_state(loop: ClosedLoop, proposal: str, state: str) -> dict[str, Any]:
    """Empty while it is in another."""
    proof: dict[str, Any] = loop.ask("proposal", proposal, "show")["proof"]
    return proof if proof["state"] == state else {}


def reproven(loop: ClosedLoop, proposal: str, since: str) -> dict[str, Any] | None:
    """Proven anew, after it was not."""
    proof = proven(loop, proposal)
    return proof if proof is not None and proof["since"] > since else None


def repeats(loop: ClosedLoop) -> int:
    return int(loop.ask("status")["speaker"]["counters"].get("repeats", 0))


def refused(
    loop: ClosedLoop, running: RunningLab, proposal: str, *, seconds: float = NOTICED_WITHIN_SECONDS
) -> Refused:
    """From now on the edge refuses it."""
    began = time.monotonic()
    loop.wait_for(
        f"{proposal} to be taken back", lambda: loop.state(proposal) == "reverted", seconds=seconds + 20, every=0.2
    )
    took = time.monotonic() - began
    with contextlib.suppress(Exception):
        wait_for_paths(running.lab, running.scenario, running.scenario.home, timeout_seconds=5)
    return Refused(
        seconds=took,
        paths=received_paths(running.lab, running.scenario),
        proposal=loop.ask("proposal", proposal, "show"),
    )


def test_a_change_that_the_edge_holds_is_proven_and_said_to_be(life: Life) -> None:
    assert life.proof["routers"] == [{"router": "edge", "state": "proven", "reason": "has accepted it"}]
    assert "proven since" in life.shown
    assert "bmp up" in life.status
    assert life.prefix["proofs"] == [{"router": "edge", "state": "proven", "reason": "has accepted it"}]


def test_what_is_told_again_goes_no_further_than_the_edge(life: Life) -> None:
    assert life.repeated == []


def test_a_lost_bmp_connection_leaves_the_change_alone_and_unproven(life: Life) -> None:
    assert "sends no BMP" in life.lost["routers"][0]["reason"]
    assert any("sends no BMP" in problem["message"] for problem in life.check["problems"])
    assert life.back["state"] == "proven"


def test_what_the_edge_refuses_later_on_is_home_within_ten_seconds(life: Life) -> None:
    """One that was proven and confirmed; what is refused from the first moment on is in tests/faults/rejects.py."""
    assert life.refused["prefix list"].seconds <= NOTICED_WITHIN_SECONDS
    assert life.refused["prefix list"].paths == life.home


def test_the_reason_is_named(life: Life) -> None:
    actor, reason = life.refused["prefix list"].tripped()
    assert actor == "guard:witness"
    assert reason.startswith("edge dropped it")
    assert "inbound policy" in reason


def test_a_restarted_bgpd_is_proven_again_and_nothing_is_taken_back(life: Life) -> None:
    assert life.restarted["state"] == "proven"


def test_an_override_whose_home_is_gone_is_taken_back(life: Life) -> None:
    assert "has lost its own route of the prefix" in life.refused["home"].tripped()[1]


def wrong(life: Life, name: str) -> dict[tuple[str, str], str]:
    return {key: row["message"] for key, row in life.doctor[name].items() if row["verdict"] == "wrong"}


def test_the_doctor_proves_the_edge_s_own_text_route_by_route(life: Life) -> None:
    by_text = {key: row for key, row in life.doctor["right"].items() if "by its text" in row["message"]}
    assert {row["verdict"] for row in by_text.values()} == {"proven"}
    assert {"wins", "signals", "home_path", "fib", "only_ours"} <= {check for check, _ in by_text}


def test_the_doctor_finds_nothing_wrong_with_what_is_right(life: Life) -> None:
    assert {key for key in wrong(life, "right") if key[0] not in {"flows", "snmp"}} == set()


@pytest.mark.parametrize(
    ("sabotage", "where", "words"),
    [
        ("weight", ("wins", "overrides"), "come in with weight 100"),
        ("count", ("signals", "transit-a"), "65000:1:12"),
        ("strip", ("signals", "transit-b"), "signals are not stripped"),
        ("upstream", ("signals", "transit-b"), "promised are"),
        ("fib", ("fib", "table-map"), "no table-map"),
        ("prefix", ("wins", "overrides"), "refuses overrides of 11.0.0.0/24"),
    ],
)
def test_the_doctor_names_what_was_sabotaged(life: Life, sabotage: str, where: tuple[str, str], words: str) -> None:
    assert words in wrong(life, sabotage).get(where, f"not found, but {wrong(life, sabotage)}")


def test_the_doctor_has_it_from_the_edge_that_an_announced_override_wins(life: Life) -> None:
    row = life.doctor["announced"]["wins", "overrides"]
    assert (row["verdict"], "the override of 11.0.0.0/24" in row["message"]) == ("proven", True)


def test_the_log_holds_no_traceback(life: Life) -> None:
    assert "Traceback" not in life.log
