"""Lever settings that a model may pick from, and what comes of its pick: simulated and scored like any candidate."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from teagent.engine.choose.candidates import prepend_limit
from teagent.engine.choose.decide import describe
from teagent.engine.choose.scope import matches_prefix
from teagent.engine.choose.search import Task, consider, order
from teagent.model.advice import Scored, Suggestion
from teagent.model.announcement import AnnouncementSet
from teagent.model.bgp import Prefix, prefix_key
from teagent.model.network import Network
from teagent.model.plan import Candidate, Considered, RefusedVerdict
from teagent.model.policy import Policy

MOST = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One prefix with so many prepends on one link, everything else as it is live."""

    prefix: Prefix
    link: str
    before: int
    prepend: int

    def __str__(self) -> str:
        return f"{self.prefix} on {self.link}: {self.before} -> {self.prepend} prepends"


def settings(
    network: Network, live: AnnouncementSet, policy: Policy, prefixes: Collection[Prefix]
) -> tuple[Setting, ...]:
    """Those of the prefixes that the policy may change, in a fixed order; MOST at the most."""
    found = []
    for own in network.prefixes:
        if own.prefix not in prefixes or not own.engineer or not matches_prefix(policy, own):
            continue
        for link, now in sorted(live.vector(own.prefix).items()):
            found += [
                Setting(prefix=own.prefix, link=link, before=now, prepend=count)
                for count in range(prepend_limit(policy, own) + 1)
                if count != now
            ]
    found.sort(key=lambda s: (abs(s.prepend - s.before), prefix_key(s.prefix), s.link, s.prepend))
    return tuple(found[:MOST])


def candidate_for(setting: Setting, live: AnnouncementSet) -> Candidate:
    vector = live.vector(setting.prefix) | {setting.link: setting.prepend}
    return Candidate(vectors=((setting.prefix, tuple(vector.items())),))


def suggestion(task: Task, setting: Setting, solver: Candidate) -> Suggestion:
    """Both are weighed anew, on the task's scene: figures that are shown side by side belong side by side."""
    tried = consider(task, candidate_for(setting, task.scene.snapshot.live))
    chosen = consider(task, solver)
    rank = order(task)
    return Suggestion(
        suggested=_scored(tried), solver=_scored(chosen), better=_may(tried) and rank(tried) < rank(chosen)
    )


def _may(one: Considered) -> bool:
    return not isinstance(one.verdict, RefusedVerdict)


def _scored(one: Considered) -> Scored:
    verdict = "allowed by the policy's limits"
    if isinstance(one.verdict, RefusedVerdict):
        verdict = f"refused: {', '.join(reason.rule for reason in one.verdict.failed())}"
    return Scored(
        setting=describe(one.plan) or "nothing would change",
        excess_bps=one.score.excess_bps,
        shortfall_risk_bps=one.score.shortfall_risk_bps,
        cost_per_month=one.score.cost_per_month,
        moved_bps=one.score.moved_bps,
        verdict=verdict,
    )


def equals(considered: Sequence[Considered]) -> tuple[Considered, ...]:
    """The first, and those that the solver cannot tell from it: not refused, the same relief, and every link expected
    within the other's band.
    """
    if not considered or isinstance(considered[0].verdict, RefusedVerdict):
        return ()
    best = considered[0]
    return tuple(
        one
        for one in considered
        if one is best
        or (
            not isinstance(one.verdict, RefusedVerdict)
            and round(one.score.cost_per_month, 6) == round(best.score.cost_per_month, 6)
            and one.score.changes == best.score.changes
            and _within(one, best)
            and _within(best, one)
        )
    )


def _within(one: Considered, other: Considered) -> bool:
    bands = {f.link: f.after for f in other.dry_run.links}
    return all(
        f.link in bands and bands[f.link].low <= f.after.expected <= bands[f.link].high for f in one.dry_run.links
    )
