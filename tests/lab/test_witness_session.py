"""A router without BMP: a second iBGP session, on a real FRR, proves what it prefers and has the rest taken back. All
our sessions with it are signed with a TCP MD5 key.

One life of a lab is lived once; each test looks at one thing that was seen in it.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from labs.demo import expected_paths, proven
from labs.scenario import Paths, received_paths, wait_for_paths
from tests.fakes.kernel import needs_tcp_md5
from tests.faults.real_routers import Loop
from tests.lab.conftest import LABS, RunningLab
from tests.lab.refusing_edge import Edge
from tests.lab.test_witness import NOTICED_WITHIN_SECONDS, doctor, in_state, refused

pytestmark = [pytest.mark.lab, needs_tcp_md5]

WITNESS = "192.0.2.67"
NEIGHBOR = f"neighbor {WITNESS}"
KEY = "k3y-of-the-edge"
LAB = LABS / "two-transit"


@dataclass(kw_only=True)
class Life:
    home: Paths = field(default_factory=dict)
    sessions: dict[str, Any] = field(default_factory=dict)
    proof: dict[str, Any] = field(default_factory=dict)
    status: str = ""
    doctor: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    lost: dict[str, Any] = field(default_factory=dict)
    check: dict[str, Any] = field(default_factory=dict)
    restarted: str = ""
    tripped: tuple[str, str] = ("", "")
    taken_back_seconds: float = 0.0
    after: Paths = field(default_factory=dict)
    neighbor: dict[str, Any] = field(default_factory=dict)
    log: str = ""


def session_config(directory: Path) -> Path:
    """The lab's own files, with the session in the place of BMP, and a policy that wants proof."""
    text = (LAB / "teagent.yaml").read_text()
    (directory / "key").write_text(f"{KEY}\n")
    bgp = f'    bgp: {{md5_password: "file:{directory}/key"}}\n'
    for old, new in (
        ("vendor: frr\n", f"vendor: frr\n    witness_session: {{local_address: {WITNESS}}}\n{bgp}"),
        ('bmp: {listen: "192.0.2.66:1790", resync: 20s}\n', ""),
    ):
        assert old in text
        text = text.replace(old, new)
    (directory / "teagent.yaml").write_text(text)
    shutil.copytree(LAB / "policies", directory / "policies")
    policy = directory / "policies" / "10-transit-a.yaml"
    policy.write_text(policy.read_text().replace("confirm:\n", "confirm:\n  unproven: refuse\n"))
    return directory / "teagent.yaml"


def without_bmp(loop: Loop, edge: Edge) -> None:
    """The edge loads what `teagent router-config` prints, while its sessions with the transits are up, and is told the
    key as the text's comments say.
    """
    loop._node_run(["ip", "address", "add", f"{WITNESS}/29", "dev", "eth1"])
    edge.configure("router bgp 65000", "no bmp targets teagent")
    text = loop.teagent("router-config", "--config", str(loop.config)).stdout
    edge.load(text)
    by_hand = re.findall(r"^!  ( *(?:router bgp|neighbor) .*)$", text, re.MULTILINE)
    edge.configure(*(line.strip().replace("KEY", KEY) for line in by_hand))


@pytest.fixture(scope="module")
def life(two_transit: RunningLab, tmp_path_factory: pytest.TempPathFactory) -> Life:
    directory = tmp_path_factory.mktemp("session")
    with Loop(two_transit.lab, session_config(directory), logs=directory) as loop:
        without_bmp(loop, Edge(two_transit.lab))
        loop.start_daemon()
        loop.start_exabgp()
        loop.wait_for("daemon and session", loop.ready, seconds=60, every=0.5)
        loop.wait_for("the witness", lambda: told(loop), seconds=20, every=0.2)
        return live(loop, two_transit)


def told(loop: Loop) -> bool:
    (row,) = loop.ask("status")["witness"]
    return bool(row["told"])


def live(loop: Loop, running: RunningLab) -> Life:
    seen, edge = Life(home=received_paths(running.lab, running.scenario)), Edge(running.lab)
    seen.sessions = json.loads(edge.run("vtysh", "-c", "show bgp neighbors json"))
    first = loop.propose((1, 0))
    loop.teagent("proposal", first, "approve", "--yes")
    seen.proof = loop.wait_for("a proof", lambda: proven(loop, first), seconds=10, every=0.2)
    wait_for_paths(running.lab, running.scenario, expected_paths(running.scenario, loop.ask("proposal", first, "show")))
    loop.teagent("proposal", first, "confirm")
    seen.status = loop.teagent("status").stdout
    seen.doctor = doctor(loop, edge)

    edge.configure("router bgp 65000", f"{NEIGHBOR} shutdown")
    seen.lost = loop.wait_for("no proof", lambda: in_state(loop, first, "unproven"), seconds=20, every=0.2)
    seen.check = json.loads(loop.teagent("check", "--json", check=False).stdout)
    edge.configure("router bgp 65000", f"no {NEIGHBOR} shutdown")
    loop.wait_for("a proof again", lambda: proven(loop, first), seconds=30, every=0.2)

    loop.kill_exabgp()
    loop.start_exabgp()
    loop.wait_for("the session's return", loop.ready, seconds=60, every=0.2)
    loop.wait_for("a proof after ExaBGP's restart", lambda: proven(loop, first), seconds=20, every=0.2)
    seen.restarted = loop.state(first)

    with edge.prefix_list():
        found = refused(loop, running, first)
    seen.tripped, seen.taken_back_seconds, seen.after = found.tripped(), found.seconds, found.paths
    seen.neighbor = json.loads(edge.run("vtysh", "-c", f"show bgp neighbors {WITNESS} json"))[WITNESS]
    seen.log = loop.log("teagent")
    return seen


def test_the_edge_loads_the_session_without_losing_another(life: Life) -> None:
    established = {name: row.get("connectionsEstablished") for name, row in life.sessions.items()}
    assert established == {"192.0.2.2": 1, "192.0.2.6": 1, "192.0.2.66": 1, WITNESS: 1}


def test_its_sessions_with_us_alone_are_signed(life: Life) -> None:
    signed = {name for name, row in life.sessions.items() if row.get("authenticationEnabled")}
    assert signed == {"192.0.2.66", WITNESS}


def test_the_key_is_in_no_log(life: Life) -> None:
    assert KEY not in life.log


def test_what_the_edge_prefers_is_proven_by_its_best_route(life: Life) -> None:
    assert life.proof["routers"] == [{"router": "edge", "state": "proven", "reason": "has selected it"}]
    assert "witness session up" in life.status


def test_the_doctor_has_it_from_the_session_and_from_the_edge_s_text(life: Life) -> None:
    for key in (("witness_session", "witness_session"), ("witness_session", WITNESS), ("wins", "overrides")):
        assert life.doctor[key]["verdict"] == "proven", life.doctor[key]
    assert ("bmp", "bmp") not in life.doctor


def test_a_lost_session_proves_nothing_and_takes_nothing_back(life: Life) -> None:
    assert "has no witness session: " in life.lost["routers"][0]["reason"]
    assert any("has no witness session since" in problem["message"] for problem in life.check["problems"])


def test_an_exabgp_that_dies_and_comes_back_is_not_taken_for_a_refusal(life: Life) -> None:
    assert life.restarted == "active"


def test_what_the_edge_refuses_is_home_within_ten_seconds(life: Life) -> None:
    assert life.taken_back_seconds <= NOTICED_WITHIN_SECONDS
    assert life.after == life.home


def test_the_refusal_is_the_witness_s_and_says_what_the_edge_does_instead(life: Life) -> None:
    actor, reason = life.tripped
    assert actor == "guard:witness"
    assert reason.startswith("edge prefers another route of the prefix: ")


def test_the_edge_has_heard_no_route_from_the_witness(life: Life) -> None:
    heard = life.neighbor["messageStats"]
    assert (heard["updatesRecv"], heard["routeRefreshRecv"]) == (0, 0)
    assert heard["opensRecv"] > 0


def test_the_log_holds_no_traceback(life: Life) -> None:
    assert "Traceback" not in life.log
