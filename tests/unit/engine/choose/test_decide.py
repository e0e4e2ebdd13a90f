from __future__ import annotations

from dataclasses import replace
from typing import Any

from teagent.engine.choose.decide import decide
from teagent.engine.choose.optimise import added_cost, targets
from teagent.engine.choose.scope import matched_links, matches_prefix
from teagent.engine.choose.search import SHOWN
from teagent.engine.choose.verdict import Case, judge
from teagent.model.announcement import Announce, Announcement, AnnouncementSet
from teagent.model.bgp import parse_prefix
from teagent.model.link import LinkKind
from teagent.model.plan import Band, Considered, Decision, LinkForecast, NeedsApproval, Reason, RefusedVerdict
from teagent.model.policy import LinkMatch, PrefixMatch
from tests.golden.case import CASES, NOW, load, merged, policies_of, snapshot_of

BASE = load(CASES / "two-transit.yaml")
SNAPSHOT = snapshot_of(BASE)
POLICY = policies_of(BASE)[0]


def decided(change: dict[str, Any] | None = None) -> Decision:
    case = merged(BASE, change or {})
    return decide(snapshot_of(case), policies_of(case), NOW)[0]


def chosen() -> Considered:
    best = decided().chosen
    assert best is not None
    return best


def rule(reasons: tuple[Reason, ...], name: str) -> list[Reason]:
    return [r for r in reasons if r.rule == name]


def test_what_is_considered_is_best_first_and_cut() -> None:
    found = decided({"policy": {"max_prepend": 5}})
    assert found.considered[0] == found.chosen
    assert len(found.considered) == SHOWN
    assert found.candidates > SHOWN


def test_what_takes_too_many_changes_is_not_weighed_where_there_is_anything_else() -> None:
    three = load(CASES / "three-links.yaml")
    three["prefixes"]["11.0.0.0/24"]["home"] = {"transit-a": 0, "transit-b": 0, "transit-c": 0}
    case = {most: merged(three, {"policy": {"limits": {"changes_per_plan": most}}}) for most in (1, 4)}
    few, many = (decide(snapshot_of(each), policies_of(each), NOW)[0].considered for each in case.values())
    assert {len(one.plan.changes) for one in few if len(one.plan.prefixes()) == 1} == {1}
    assert max(len(one.plan.changes) for one in many if len(one.plan.prefixes()) == 1) > 1


def test_what_takes_too_many_changes_is_weighed_where_there_is_nothing_else() -> None:
    none = decided({"policy": {"limits": {"changes_per_plan": 0}}})
    assert none.considered
    assert "changes_per_plan" in {reason.rule for reason in none.reasons}


def test_every_rule_gives_its_opinion() -> None:
    verdict = chosen().verdict
    assert isinstance(verdict, NeedsApproval)
    assert {r.rule for r in verdict.reasons} == {
        "frozen",
        "telemetry_trusted",
        "engineer",
        "home_known",
        "owner",
        "moves_per_day",
        "damping",
        "cooldown",
        "all_moves_per_day",
        "max_prepend",
        "changes_per_plan",
        "prefixes_per_plan",
        "min_links_per_prefix",
        "headroom",
        "worst_case",
        "shift_per_plan",
        "relief",
    }
    assert all(r.ok and r.message for r in verdict.reasons)


def test_all_rules_that_object_are_named_not_the_first() -> None:
    best = chosen()
    policy = replace(
        POLICY,
        levers=(),
        limits=replace(
            POLICY.limits,
            changes_per_plan=1,
            prefixes_per_plan=0,
            min_links_per_prefix=3,
            headroom=0.9,
            shift_per_plan_bps=1e6,
        ),
    )
    snapshot = replace(
        snapshot_of(merged(BASE, {"busy": {"11.0.0.0/24": {"owner": "p-1", "changed": "1m"}}})), frozen=True
    )
    verdict = judge(
        Case(snapshot=snapshot, policy=policy, plan=best.plan, dry_run=best.dry_run, now=NOW, triggered=("transit-a",))
    )
    assert isinstance(verdict, RefusedVerdict)
    assert {r.rule for r in verdict.failed()} == {
        "frozen",
        "owner",
        "cooldown",
        "max_prepend",
        "changes_per_plan",
        "prefixes_per_plan",
        "min_links_per_prefix",
        "headroom",
        "shift_per_plan",
    }


def test_a_prefix_that_is_not_ours_or_has_no_home_there_is_refused() -> None:
    best = chosen()
    foreign = Announcement(prefix=parse_prefix("192.0.2.0/24"), link="transit-a", prepend=0)
    plan = replace(best.plan, changes=(Announce(after=foreign),), after=AnnouncementSet([foreign]))
    verdict = judge(Case(snapshot=SNAPSHOT, policy=POLICY, plan=plan, dry_run=best.dry_run, now=NOW))
    assert isinstance(verdict, RefusedVerdict)
    assert {"engineer", "home_known"} <= {r.rule for r in verdict.failed()}
    elsewhere = Announcement(prefix=parse_prefix("12.0.0.0/24"), link="transit-a", prepend=0)
    plan = replace(best.plan, changes=(Announce(after=elsewhere),), after=AnnouncementSet([elsewhere]))
    verdict = judge(Case(snapshot=SNAPSHOT, policy=POLICY, plan=plan, dry_run=best.dry_run, now=NOW))
    assert [r.message for r in rule(verdict.reasons, "home_known")] == [
        "12.0.0.0/24 would be announced on transit-a, where it has no home"
    ]


def test_what_another_plan_of_the_round_adds_counts_against_headroom() -> None:
    best = chosen()
    case = Case(
        snapshot=SNAPSHOT, policy=POLICY, plan=best.plan, dry_run=best.dry_run, now=NOW, taken_bps={"transit-b": 60e6}
    )
    (headroom,) = rule(judge(case).reasons, "headroom")
    assert not headroom.ok
    assert headroom.message == "transit-b would keep 6% at 94.0M, with 60.0M of another plan, limit 15%"


def test_what_a_dead_router_does_not_touch_goes_on() -> None:
    assert decided({"links": {"ix-1": {"kind": "ix", "capacity": "1Gbps", "no_data": "timed out"}}}).chosen is not None


def test_a_policy_without_matching_links_says_so() -> None:
    assert decided({"policy": {"match": {"kinds": ["ix"]}}}).message == "no link matches the policy"


def test_the_links_of_a_policy_are_of_its_kinds_and_names() -> None:
    both = replace(POLICY, links=LinkMatch(kinds=frozenset({LinkKind.TRANSIT}), names=frozenset({"transit-b"})))
    assert [link.name for link in matched_links(both, SNAPSHOT.network)] == ["transit-b"]
    assert len(matched_links(replace(POLICY, links=LinkMatch()), SNAPSHOT.network)) == 2


def test_the_prefixes_of_a_policy_have_one_of_its_tags_and_are_on_its_list() -> None:
    own = replace(SNAPSHOT.network.prefixes[0], tags=frozenset({"eyeball", "dns"}))
    for match, wanted in (
        (PrefixMatch(), True),
        (PrefixMatch(tags=frozenset({"dns", "web"})), True),
        (PrefixMatch(tags=frozenset({"web"})), False),
        (PrefixMatch(prefixes=frozenset({"10.0.0.0/24"})), True),
        (PrefixMatch(tags=frozenset({"dns"}), prefixes=frozenset({"11.0.0.0/24"})), False),
    ):
        assert matches_prefix(replace(POLICY, prefixes=match), own) is wanted


def test_targets_clear_the_trigger_and_keep_the_headroom() -> None:
    found = targets(POLICY, SNAPSHOT.network, ["transit-a"])
    assert found == {"transit-a": 7e6, "transit-b": 80e6}
    other = replace(POLICY, links=LinkMatch(names=frozenset({"transit-a"})))
    assert targets(other, SNAPSHOT.network, ["transit-a"])["transit-b"] == 85e6


def test_more_below_the_commit_costs_nothing() -> None:
    link = replace(SNAPSHOT.network.links["transit-b"], commit_bps=50e6, price_per_mbps=2.0)

    def cost(before: float, after: float) -> float:
        band = Band(low=after, expected=after, high=after)
        forecast = LinkForecast(
            link="transit-b", capacity_bps=1e8, before_bps=before, after=band, worst_bps=after, target_bps=8e7
        )
        return added_cost(link, forecast)

    assert cost(20e6, 40e6) == 0
    assert cost(20e6, 60e6) == 20
    assert cost(60e6, 65e6) == 10
    assert cost(60e6, 40e6) == 0


def test_decisions_come_in_the_order_of_the_policies() -> None:
    policies = [replace(POLICY, name="b", enabled=False), replace(POLICY, name="a")]
    assert [d.policy for d in decide(SNAPSHOT, policies, NOW)] == ["b", "a"]
    assert decide(SNAPSHOT, [], NOW) == ()
