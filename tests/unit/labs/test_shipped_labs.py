"""Every topology that is shipped is containerlab's, and says the same as its scenario and its routers' configs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from labs.runner import load_topology
from labs.scenario import load_scenario
from labs.traffic import rate_bps

LABS = Path(__file__).resolve().parents[3] / "labs"
TOPOLOGIES = sorted(LABS.glob("*/*.clab.yml"))
TWO_TRANSIT = LABS / "two-transit"


@pytest.fixture(scope="module")
def schema(data_dir: Path) -> Any:
    path = data_dir / "schema" / "clab.schema.json"
    if not path.is_file():
        pytest.skip(f"no containerlab schema at {path}")
    return json.loads(path.read_text())


def test_there_are_topologies() -> None:
    assert TOPOLOGIES


@pytest.mark.parametrize("path", TOPOLOGIES, ids=lambda path: path.name)
def test_a_topology_is_valid_for_containerlab(path: Path, schema: Any) -> None:
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert [error.message for error in validator.iter_errors(yaml.safe_load(path.read_text()))] == []


@pytest.mark.parametrize("path", TOPOLOGIES, ids=lambda path: path.name)
def test_a_topology_is_valid_for_the_runner_and_named_as_its_directory(path: Path) -> None:
    topology = load_topology(path)
    assert topology.name == path.parent.name == path.name.removesuffix(".clab.yml")
    unused = [node.name for node in topology.nodes if not topology.interfaces(node.name)]
    assert unused == []


@pytest.mark.parametrize("path", TOPOLOGIES, ids=lambda path: path.name)
def test_no_address_is_on_two_interfaces(path: Path) -> None:
    text = "\n".join(p.read_text() for p in sorted(path.parent.glob("*/frr.conf")))
    text += path.read_text()
    found = re.findall(r"(?:ip address|ip addr add) (\S+)/", text)
    assert len(found) == len(set(found)) > 0


def test_the_scenario_is_about_nodes_and_interfaces_of_its_topology() -> None:
    scenario = load_scenario(TWO_TRANSIT / "scenario.yaml")
    topology = load_topology(scenario.topology)
    nodes = {node.name for node in topology.nodes}
    assert {flow.host for flow in scenario.flows} | {scenario.receiver} <= nodes
    ends = {str(end) for link in topology.links for end in link.endpoints}
    assert {f"edge:{link.interface}" for link in scenario.links} <= ends
    assert {flow.destination for flow in scenario.flows} == set(scenario.receiver_addresses)


def test_the_scenarios_offered_load_is_the_sum_of_its_flows_at_home() -> None:
    """hc goes by the shorter path; ha and hb have one transit each."""
    scenario = load_scenario(TWO_TRANSIT / "scenario.yaml")
    offered = dict.fromkeys(scenario.home, 0.0)
    for flow in scenario.flows:
        prefix = flow.destination.rpartition(".")[0] + ".0/24"
        lengths = {link: len(path) for link, paths in scenario.home.items() if (path := paths[prefix])}
        link = {"ha": "transit-a", "hb": "transit-b"}.get(flow.host) or min(lengths, key=lengths.__getitem__)
        offered[link] += flow.bps
    assert offered == {link: rate_bps(rate) for link, rate in scenario.raw["home"]["offered"].items()}


def test_the_edges_generated_block_is_marked_and_whole() -> None:
    """The operator's part knows nothing of teagent, so that it works without; the block holds every signal."""
    before, begin, rest = (TWO_TRANSIT / "edge" / "frr.conf").read_text().partition("! teagent begin\n")
    block, end, after = rest.partition("! teagent end\n")
    assert begin
    assert end
    assert after.strip() == ""
    assert "TEAGENT" not in before
    scenario = load_scenario(TWO_TRANSIT / "scenario.yaml")
    for link in scenario.links:
        for count in range(6):
            assert f" TEAGENT-{link.link_id}-{count} seq 5 permit 65000:1:{link.link_id * 10 + count}\n" in block
        assert f" TEAGENT-{link.link_id}-NO seq 5 permit 65000:2:{link.link_id}\n" in block
    entries = re.findall(r"^route-map (TO-[AB]) \w+ (\d+)$", block, re.MULTILINE)
    home = re.findall(r"^route-map (TO-[AB]) \w+ (\d+)$", before, re.MULTILINE)
    assert max(int(n) for _, n in entries) < 1000 <= min(int(n) for _, n in home)
