"""A person's change under a policy's rules."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from teagent.engine.choose.by_hand import by_hand
from teagent.errors import Refused
from teagent.model.plan import Considered, NeedsApproval, RefusedVerdict
from teagent.model.policy import Policy, PrefixMatch
from teagent.model.what_if import parse_wish
from tests.golden.case import CASES, NOW, load, merged, policies_of, snapshot_of

BASE = load(CASES / "two-transit.yaml")
POLICY = policies_of(BASE)[0]
OVERRIDDEN = {
    "overrides": {"11.0.0.0/24": {"transit-a": 1, "transit-b": 0}},
    "busy": {"11.0.0.0/24": {"owner": "p-7f3c", "changed": "5h"}},
}


def ask(*texts: str, policy: Policy = POLICY, **change: Any) -> Considered:
    return by_hand(snapshot_of(merged(BASE, change)), [parse_wish(text) for text in texts], policy, NOW)[1]


def refused(considered: Considered) -> set[str]:
    assert isinstance(considered.verdict, RefusedVerdict)
    return {reason.rule for reason in considered.verdict.failed()}


def test_the_plan_is_what_was_asked_for_and_nothing_else() -> None:
    found = ask("prepend 11.0.0.0/24 transit-a 2")
    assert [str(prefix) for prefix in found.plan.prefixes()] == ["11.0.0.0/24"]
    assert found.plan.after.vector(found.plan.prefixes()[0]) == {"transit-a": 2, "transit-b": 2}
    assert found.plan.policy == POLICY.name
    assert isinstance(found.verdict, NeedsApproval)


def test_nothing_has_to_be_congested() -> None:
    idle = {"links": {"transit-a": {"load": "1Mbps"}, "transit-b": {"load": "1Mbps"}}, "traffic": {"transit-b": None}}
    idle["traffic"]["transit-a"] = {"11.0.0.0/24": {"198.18.3.0/24": "0.5Mbps"}, "10.0.0.0/24": None}
    assert isinstance(ask("prepend 11.0.0.0/24 transit-a 1", **idle).verdict, NeedsApproval)


def test_a_policy_that_is_not_enabled_lends_its_rules_too() -> None:
    assert isinstance(
        ask("prepend 11.0.0.0/24 transit-a 1", policy=replace(POLICY, enabled=False)).verdict, NeedsApproval
    )


def test_its_limits_hold() -> None:
    assert refused(ask("prepend 11.0.0.0/24 transit-a 5")) == {"max_prepend"}
    assert "headroom" in refused(ask("prepend 10.0.0.0/24 transit-a 3", links={"transit-b": {"load": "90Mbps"}}))


def test_a_prefix_that_has_an_override_may_go_home_and_nowhere_else() -> None:
    assert isinstance(
        ask("home 11.0.0.0/24", links={"transit-a": {"load": "4Mbps"}}, **OVERRIDDEN).verdict, NeedsApproval
    )
    assert refused(ask("prepend 11.0.0.0/24 transit-a 3", **OVERRIDDEN)) == {"owner"}


def test_a_prefix_of_others_policies_is_refused() -> None:
    narrow = replace(POLICY, prefixes=PrefixMatch(prefixes=frozenset({"10.0.0.0/24"})))
    with pytest.raises(Refused, match=r"11\.0\.0\.0/24 is none of the prefixes of policy relieve-transit"):
        ask("prepend 11.0.0.0/24 transit-a 1", policy=narrow)


def test_what_changes_nothing_is_no_proposal() -> None:
    with pytest.raises(Refused, match="nothing would change"):
        ask("home 11.0.0.0/24")
