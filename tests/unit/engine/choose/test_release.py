from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from teagent.engine.choose.release import Release, release
from teagent.model.plan import Allowed, Band, DryRun, NeedsApproval, Plan
from teagent.model.proposal import Proposal, ProposalState
from tests.golden.case import CASES, NOW, load, merged, policies_of, snapshot_of

EVENING = load(CASES / "two-transit.yaml")
QUIET: dict[str, Any] = merged(
    EVENING,
    {
        "overrides": {"11.0.0.0/24": {"transit-a": 1, "transit-b": 0}},
        "links": {"transit-a": {"load": "2Mbps"}, "transit-b": {"load": "20Mbps"}},
        "busy": {"11.0.0.0/24": {"owner": "p-7f3c", "changed": "5h"}},
        "traffic": {
            "transit-a": {"11.0.0.0/24": None, "10.0.0.0/24": {"198.18.1.0/24": "1.8Mbps"}},
            "transit-b": {
                "11.0.0.0/24": {"198.18.2.0/24": None, "198.18.3.0/24": "2Mbps"},
                "12.0.0.0/24": {"198.18.2.0/24": "15Mbps"},
            },
        },
    },
)
POLICY = policies_of(QUIET)[0]


@pytest.fixture
def active() -> Proposal:
    snapshot = snapshot_of(QUIET)
    none = DryRun(links=(), shifts=(), moved=Band(low=0, expected=0, high=0), assumption="")
    prefix = snapshot.network.prefixes[1].prefix
    after = [a for a in snapshot.live if a.prefix == prefix]
    plan = Plan(policy=POLICY.name, changes=(), before=snapshot.network.home(), after=snapshot.live, digest="d")
    plan = replace(plan, changes=tuple(_announce(a) for a in after))
    return Proposal(
        id="p-7f3c",
        plan=plan,
        dry_run=none,
        verdict=Allowed(reasons=()),
        snapshot_digest="s",
        inputs_digest="i",
        state=ProposalState.ACTIVE,
        created_at=NOW - timedelta(hours=5),
        expires_at=NOW,
    )


def _announce(announcement: Any) -> Any:
    from teagent.model.announcement import Announce

    return Announce(after=announcement)


def released(active: Proposal, change: dict[str, Any] | None = None, **of: Any) -> tuple[Release, ...]:
    return release(snapshot_of(merged(QUIET, change or {})), of.get("policy", POLICY), [active], NOW)


def test_an_override_that_is_not_needed_any_more_is_proposed_to_go_home(active: Proposal) -> None:
    (found,) = released(active)
    plan = found.considered.plan
    assert found.proposal == "p-7f3c"
    assert plan.after.vector(plan.prefixes()[0]) == {"transit-a": 0, "transit-b": 2}
    assert isinstance(found.considered.verdict, NeedsApproval)
    assert "11.0.0.0/24 can go home" in found.message
    assert "transit-a would carry 4.00M" in found.message


def test_while_the_load_at_home_would_still_be_too_much_it_stays(active: Proposal) -> None:
    assert released(active, {"traffic": {"transit-b": {"11.0.0.0/24": {"198.18.3.0/24": "5Mbps"}}}}) == ()


def test_senders_nobody_knows_may_come_back_as_well(active: Proposal) -> None:
    assert released(active, {"traffic": {"transit-b": {"11.0.0.0/24": {"rest": "3Mbps"}}}}) == ()


def test_a_peak_in_the_hold_time_keeps_it(active: Proposal) -> None:
    loads = ["6Mbps", *["2Mbps"] * 10]
    assert released(active, {"links": {"transit-a": {"load": None, "loads": loads}}}) == ()


def test_readings_that_do_not_cover_the_hold_time_keep_it(active: Proposal) -> None:
    assert released(active, {"links": {"transit-a": {"history": "5m"}}}) == ()


def test_without_data_or_trust_nothing_is_released(active: Proposal) -> None:
    assert released(active, {"links": {"transit-a": {"no_data": "timed out"}}}) == ()
    assert released(active, {"no_matrix": "no flows"}) == ()
    assert released(active, {"distrust": ["the clock stepped back by 1h"]}) == ()


def test_only_active_proposals_of_the_policy_are_looked_at(active: Proposal) -> None:
    assert released(replace(active, state=ProposalState.CONFIRMING)) == ()
    assert released(active, policy=replace(POLICY, name="other")) == ()


def test_what_is_home_already_has_nothing_to_release(active: Proposal) -> None:
    assert released(active, {"overrides": {"11.0.0.0/24": {"transit-a": 0, "transit-b": 2}}}) == ()


def test_a_prefix_that_has_moved_too_often_today_may_still_go_home(active: Proposal) -> None:
    snapshot = snapshot_of(QUIET)
    ((prefix, busy),) = snapshot.busy.items()
    often = replace(busy, moves=tuple(NOW - timedelta(hours=5, minutes=minute) for minute in range(50)))
    (found,) = release(replace(snapshot, busy={prefix: often}), POLICY, [active], NOW)
    assert isinstance(found.considered.verdict, NeedsApproval)
