"""Labs for the tests: real routers in namespaces, each under a name of this process, always taken down."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from labs.runner import Lab
from labs.runner.images import PATH, missing, missing_tools
from labs.scenario import Scenario, load_scenario, wait_for_paths

LABS = Path(__file__).resolve().parents[2] / "labs"


@pytest.fixture(scope="session")
def root() -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root for network namespaces")
    if lacking := missing_tools():
        pytest.skip(f"not installed: {', '.join(program for program, _ in lacking)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningLab:
    lab: Lab
    scenario: Scenario


@pytest.fixture(scope="module")
def two_transit(root: None, request: pytest.FixtureRequest) -> Iterator[RunningLab]:
    """The scenario of product.md, converged at home; one for all tests of a module, which leave it at home."""
    scenario = load_scenario(LABS / "two-transit" / "scenario.yaml")
    module = request.module.__name__.rpartition(".")[2].removeprefix("test_").replace("_", "-")
    lab = Lab.from_file(scenario.topology, name=f"t{os.getpid()}-{module}"[:48])
    lacking = [program for node in lab.topology.nodes for program, _ in missing(node)]
    # these are run by scripts of the lab, and nfcapd by a test
    in_scripts = ("snmpd", "snmpset", "softflowd", "nfcapd")
    lacking += [program for program in in_scripts if shutil.which(program, path=PATH) is None]
    if lacking:
        pytest.skip(f"not installed: {', '.join(sorted(set(lacking)))}")
    with lab:
        wait_for_paths(lab, scenario, scenario.home)
        yield RunningLab(lab=lab, scenario=scenario)
