from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from teagent.engine.choose.decide import decide
from teagent.engine.choose.digest import inputs_digest
from teagent.engine.choose.recheck import recheck
from teagent.model.proposal import Proposal, ProposalState
from tests.golden.case import CASES, NOW, load, merged, policies_of, snapshot_of

BASE = load(CASES / "two-transit.yaml")
POLICY = policies_of(BASE)[0]


@pytest.fixture
def proposal() -> Proposal:
    snapshot = snapshot_of(BASE)
    chosen = decide(snapshot, [POLICY], NOW)[0].chosen
    assert chosen is not None
    return Proposal(
        id="p-7f3c",
        plan=chosen.plan,
        dry_run=chosen.dry_run,
        verdict=chosen.verdict,
        snapshot_digest=snapshot.digest,
        inputs_digest=inputs_digest(snapshot.network, POLICY, snapshot.live, chosen.plan.prefixes(), "c"),
        state=ProposalState.PENDING,
        created_at=NOW,
        expires_at=NOW + timedelta(minutes=30),
    )


def differences(proposal: Proposal, change: dict[str, Any] | None = None, digest: str = "c") -> tuple[str, ...]:
    snapshot = snapshot_of(merged(BASE, change or {}))
    digest = inputs_digest(snapshot.network, POLICY, snapshot.live, proposal.plan.prefixes(), digest)
    return recheck(proposal, snapshot, POLICY, NOW, inputs_digest=digest)


def test_nothing_changed(proposal: Proposal) -> None:
    assert differences(proposal) == ()


def test_a_small_move_is_tolerated(proposal: Proposal) -> None:
    assert differences(proposal, {"links": {"transit-b": {"load": "28Mbps"}}}) == ()


def test_a_link_that_filled_up_is_said_in_words(proposal: Proposal) -> None:
    found = differences(proposal, {"links": {"transit-b": {"load": "70Mbps"}}})
    assert "transit-b in_utilisation 22% -> 70%" in found


def test_a_prediction_that_moved_alone_is_said_as_a_prediction(proposal: Proposal) -> None:
    traffic = {"transit-a": {"11.0.0.0/24": {"198.18.3.0/24": "3Mbps", "AS64500": "1Mbps"}, "13.0.0.0/24": None}}
    found = differences(proposal, {"traffic": traffic})
    assert found[0].startswith("transit-a predicted in_utilisation 39% -> ")


def test_other_live_announcements_come_first(proposal: Proposal) -> None:
    found = differences(proposal, {"overrides": {"11.0.0.0/24": {"transit-a": 0, "transit-b": 1}}})
    assert found == ("11.0.0.0/24 on transit-b prepend 2 -> prepend 1",)


def test_changed_configuration_is_a_difference(proposal: Proposal) -> None:
    assert differences(proposal, digest="d") == ("configuration or policy changed since the plan was shown",)


def test_a_link_without_data_is_a_difference(proposal: Proposal) -> None:
    found = differences(proposal, {"links": {"transit-b": {"no_data": "router timed out"}}})
    assert "transit-b has no data: router timed out" in found
    assert any(line.startswith("telemetry_trusted: ") for line in found)


def test_no_matrix_is_a_difference(proposal: Proposal) -> None:
    assert differences(proposal, {"no_matrix": "no flows"}) == ("there is no traffic matrix: no flows",)


def test_a_guard_that_would_refuse_now_is_a_difference(proposal: Proposal) -> None:
    found = differences(proposal, {"busy": {"11.0.0.0/24": {"owner": "p-1a2b"}}})
    assert found == ("owner: 11.0.0.0/24 belongs to proposal p-1a2b",)


def test_a_proposal_is_not_in_its_own_way(proposal: Proposal) -> None:
    assert differences(proposal, {"busy": {"11.0.0.0/24": {"owner": "p-7f3c"}}}) == ()


def test_a_freeze_is_not_a_difference(proposal: Proposal) -> None:
    assert differences(proposal, {"frozen": True}) == ()


def test_the_tolerance_is_the_policys(proposal: Proposal) -> None:
    strict = replace(POLICY, approval=replace(POLICY.approval, tolerance=0.01))
    snapshot = snapshot_of(merged(BASE, {"links": {"transit-b": {"load": "28Mbps"}}}))
    found = recheck(proposal, snapshot, strict, NOW, inputs_digest=proposal.inputs_digest)
    assert found == ("transit-b in_utilisation 22% -> 28%",)
