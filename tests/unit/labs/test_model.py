"""The demo's configuration with the advisor on is the lab's in everything else."""

from __future__ import annotations

from pathlib import Path

from labs.demo import CONFIG
from labs.model import ADDRESS, advised
from teagent.config.load import load


def test_the_copy_differs_in_its_place_and_the_advisor_alone(tmp_path: Path) -> None:
    made = load(advised(CONFIG, "llama3.2:3b", directory=tmp_path), environment=None)
    shipped = load(CONFIG, environment=None)
    assert (made.advisor.enabled, made.advisor.model) == (True, "llama3.2:3b")
    assert made.advisor.url == f"http://{ADDRESS}"
    assert made.policies == shipped.policies
    assert (made.network, made.bgp, made.digest) == (shipped.network, shipped.bgp, shipped.digest)
