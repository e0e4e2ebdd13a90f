"""What a policy aims for, and how well a candidate gets there."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import floor

from teagent.engine.choose.scope import matched_links
from teagent.model.announcement import Change, Withdraw
from teagent.model.bgp import prefix_key
from teagent.model.link import Link
from teagent.model.network import Network
from teagent.model.plan import Considered, DryRun, LinkForecast, Score
from teagent.model.policy import Objective, Policy

IDLE = 0.10
"""A relieved link that may be left with less than this share of its capacity was relieved too much."""
UTILISATION_GRAIN = 0.02
"""Relief is compared in steps of this share of capacity: less is within the noise, and justifies no more moving."""


def targets(policy: Policy, network: Network, triggered: Collection[str]) -> dict[str, float]:
    """link -> bps to stay below: where the trigger clears, so that it does not flap; elsewhere the headroom is kept.

    A link of the policy that does not fire is not to be brought to where it would.
    """
    kept = 1 - policy.limits.headroom
    matched = {link.name for link in matched_links(policy, network)}
    result = {}
    for name, link in network.links.items():
        share = kept
        if name in triggered:
            share = policy.when.clear_below
        elif name in matched:
            share = min(kept, policy.when.above)
        result[name] = share * link.capacity_bps
    return result


def score(
    network: Network, triggered: Collection[str], dry_run: DryRun, before_excess_bps: float, changes: tuple[Change, ...]
) -> Score:
    """`before_excess_bps`: what relief takes."""
    involved = [f for f in dry_run.links if f.link in triggered or gains(f)]
    return Score(
        excess_bps=sum(max(0.0, f.after.expected - f.target_bps) for f in involved),
        shortfall_risk_bps=sum(max(0.0, f.after.high - f.target_bps) for f in involved),
        cost_per_month=sum(added_cost(network.links[f.link], f) for f in dry_run.links),
        moved_bps=max(0.0, dry_run.moved.expected - before_excess_bps),
        changes=len(changes),
        prepends=sum(0 if isinstance(change, Withdraw) else change.after.prepend for change in changes),
    )


def excess_before(dry_run: DryRun, triggered: Collection[str]) -> float:
    return sum(max(0.0, f.before_bps - f.target_bps) for f in dry_run.links if f.link in triggered)


def gains(forecast: LinkForecast) -> bool:
    """May it carry more than now, by what lands here?"""
    return forecast.worst_bps > forecast.before_bps


def added_cost(link: Link, forecast: LinkForecast) -> float:
    """What the month costs more where load is added, at the expected load; below the commit more costs nothing.

    What is saved where load is taken away does not count: a plan is to relieve a link, not to empty it because the
    other one happens to be cheaper.
    """
    if link.price_per_mbps is None or not gains(forecast):
        return 0.0
    commit = link.commit_bps or 0.0
    added = max(forecast.after.expected, commit) - max(forecast.before_bps, commit)
    return link.price_per_mbps * max(0.0, added) / 1e6


def idle(triggered: Collection[str], dry_run: DryRun) -> bool:
    """Is a relieved link expected to lie idle?"""
    return any(f.after.expected < IDLE * f.capacity_bps for f in dry_run.links if f.link in triggered)


def unsure(policy: Policy, triggered: Collection[str], dry_run: DryRun) -> bool:
    """Would the trigger still fire at the pessimistic end, or the relieved link lie idle at the optimistic one?"""
    hot = [f for f in dry_run.links if f.link in triggered]
    return any(f.after.high > policy.when.above * f.capacity_bps or f.after.low < IDLE * f.capacity_bps for f in hot)


Rank = tuple[bool, float, bool, float, float, int, int, tuple[tuple[tuple[int, int, int], str, int], ...]]


def rank(policy: Policy, network: Network, triggered: Collection[str], considered: Considered) -> Rank:
    """Least is best: no link left idle, relief, sureness, added cost, what is moved beyond relief, changes, prepends,
    then by name.

    Loads are rounded to 1 bit/s and money to 1e-6, so that the order of a sum decides nothing.
    """
    s = considered.score
    steps = _utilisation_steps(policy, network, considered.dry_run)
    if policy.objective is Objective.RELIEVE_AT_LEAST_COST:
        steps = floor(s.excess_bps / grain_bps(network, triggered) + 1e-9)
    return (
        idle(triggered, considered.dry_run),
        steps,
        unsure(policy, triggered, considered.dry_run),
        round(s.cost_per_month, 6),
        round(s.moved_bps),
        s.changes,
        s.prepends,
        tuple((prefix_key(a.prefix), a.link, a.prepend) for a in considered.plan.after),
    )


def grain_bps(network: Network, triggered: Collection[str]) -> float:
    return min(UTILISATION_GRAIN * network.links[name].capacity_bps for name in triggered)


def max_utilisation(policy: Policy, network: Network, loads: Mapping[str, float]) -> float:
    """The highest share of capacity over the policy's links, of those whose load is given."""
    matched = [link for link in matched_links(policy, network) if link.name in loads]
    return max((loads[link.name] / link.capacity_bps for link in matched), default=0.0)


def _utilisation_steps(policy: Policy, network: Network, dry_run: DryRun) -> int:
    expected = {f.link: f.after.expected for f in dry_run.links}
    return floor(max_utilisation(policy, network, expected) / UTILISATION_GRAIN + 1e-9)
