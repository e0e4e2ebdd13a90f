"""A change that a person has in mind, as a plan under the rules of a policy that need not have asked for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from teagent.engine.choose.optimise import excess_before, score, targets
from teagent.engine.choose.recheck import released
from teagent.engine.choose.scope import matches_prefix
from teagent.engine.choose.search import plan_for
from teagent.engine.choose.verdict import Case, judge
from teagent.engine.choose.what_if import WhatIf, what_if
from teagent.engine.predict.scene import prepare
from teagent.engine.predict.shares import TIES_STICK, Forecaster
from teagent.errors import Refused
from teagent.model.plan import Considered
from teagent.model.policy import Policy
from teagent.model.snapshot import Snapshot
from teagent.model.what_if import Wish

if TYPE_CHECKING:
    from teagent.engine.predict.topology import Topology


def by_hand(
    snapshot: Snapshot,
    wishes: Sequence[Wish],
    policy: Policy,
    now: datetime,
    *,
    over: str | None = None,
    forecaster: Forecaster = TIES_STICK,
    topology: Topology | None = None,
) -> tuple[WhatIf, Considered]:
    """The dry run, and the plan with its verdict: all of the policy's limits hold, but nothing has to be congested.
    `over` is the proposal that may own the prefixes already.

    Raises as `what_if`, and Refused where nothing would change or a prefix is none of the policy's.
    """
    aims = targets(policy, snapshot.network, ())
    found = what_if(snapshot, wishes, targets=aims, forecaster=forecaster, topology=topology)
    if not found.changes:
        raise Refused("nothing would change: all of that is announced so already")
    for prefix, _ in found.candidate.vectors:
        own = snapshot.network.own(prefix)
        if own is None or not matches_prefix(policy, own):
            raise Refused(
                f"{prefix} is none of the prefixes of policy {policy.name}", hint=f"teagent policy {policy.name}"
            )
    plan = plan_for(prepare(snapshot), policy.name, found.candidate)
    owner = released(plan, snapshot) or over
    verdict = judge(Case(snapshot=snapshot, policy=policy, plan=plan, dry_run=found.dry_run, now=now, proposal=owner))
    merit = score(snapshot.network, (), found.dry_run, excess_before(found.dry_run, ()), plan.changes)
    return found, Considered(plan=plan, dry_run=found.dry_run, score=merit, verdict=verdict)
