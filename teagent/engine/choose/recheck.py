"""Does what was shown still hold? Asked when an operator approves, who saw the dry run of some minutes ago."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from teagent.engine.choose.verdict import Case, judge
from teagent.engine.predict.shares import TIES_STICK, Forecaster
from teagent.engine.predict.simulate import simulate
from teagent.errors import Refused
from teagent.model.link import NoData
from teagent.model.plan import Candidate, DryRun, Plan, RefusedVerdict
from teagent.model.policy import Policy
from teagent.model.proposal import Proposal
from teagent.model.snapshot import Snapshot
from teagent.model.units import format_share


def recheck(
    proposal: Proposal,
    snapshot: Snapshot,
    policy: Policy,
    now: datetime,
    *,
    inputs_digest: str,
    over: str | None = None,
    forecaster: Forecaster = TIES_STICK,
) -> tuple[str, ...]:
    """What is not as it was when the plan was shown, in words; empty when it may be approved.

    `inputs_digest` is the digest of the inputs as they are now (digest.inputs_digest), `over` as in `by_hand`. Looked
    at are the announcements that the plan starts from, those inputs, the predicted utilisation of every link against
    `policy.approval.tolerance`, and the verdict. A freeze is not: whoever asks has looked at that first.
    """
    plan = proposal.plan
    moved = tuple(_announcements(plan, snapshot))
    if moved:
        return moved
    if inputs_digest != proposal.inputs_digest:
        return ("configuration or policy changed since the plan was shown",)
    try:
        predicted = simulate(
            snapshot,
            candidate_of(plan),
            targets={f.link: f.target_bps for f in proposal.dry_run.links},
            forecaster=forecaster,
        )
    except Refused as error:
        return (error.message,)
    differences = (*_loads(proposal.dry_run, predicted, snapshot, policy.approval.tolerance),)
    owner = released(plan, snapshot) or over or proposal.id
    verdict = judge(Case(snapshot=snapshot, policy=policy, plan=plan, dry_run=predicted, now=now, proposal=owner))
    failed = verdict.failed() if isinstance(verdict, RefusedVerdict) else ()
    refused = tuple(f"{reason.rule}: {reason.message}" for reason in failed if reason.rule != "frozen")
    return tuple(dict.fromkeys((*differences, *refused)))


def candidate_of(plan: Plan) -> Candidate:
    return Candidate(
        vectors=tuple((prefix, tuple(plan.after.vector(prefix).items())) for prefix in plan.after.prefixes())
    )


def released(plan: Plan, snapshot: Snapshot) -> str | None:
    """The proposal whose prefixes the plan takes home: to own them is no reason against its own release."""
    home = snapshot.network.home()
    if any(plan.after.vector(prefix) != home.vector(prefix) for prefix in plan.prefixes()):
        return None
    owners = {busy.owner for prefix in plan.prefixes() if (busy := snapshot.busy.get(prefix)) is not None}
    return owners.pop() if len(owners) == 1 else None


def _announcements(plan: Plan, snapshot: Snapshot) -> Iterator[str]:
    for prefix in plan.prefixes():
        before, live = plan.before.vector(prefix), snapshot.live.vector(prefix)
        for link in sorted({*before, *live}):
            if before.get(link) != live.get(link):
                yield f"{prefix} on {link} {_prepend(before.get(link))} -> {_prepend(live.get(link))}"


def _prepend(prepend: int | None) -> str:
    return "not announced" if prepend is None else f"prepend {prepend}"


def _loads(shown: DryRun, now: DryRun, snapshot: Snapshot, tolerance: float) -> Iterator[str]:
    forecasts = {f.link: f for f in now.links}
    for old in shown.links:
        new = forecasts.get(old.link)
        if new is None:
            reading = snapshot.latest.get(old.link)
            reason = reading.reason if isinstance(reading, NoData) else "no such link any more"
            yield f"{old.link} has no data: {reason}"
            continue
        was, is_now = old.after.expected / old.capacity_bps, new.after.expected / new.capacity_bps
        if abs(is_now - was) <= tolerance:
            continue
        load_was, load_is = old.before_bps / old.capacity_bps, new.before_bps / new.capacity_bps
        if abs(load_is - load_was) > tolerance:
            yield f"{old.link} in_utilisation {format_share(load_was)} -> {format_share(load_is)}"
        else:
            yield f"{old.link} predicted in_utilisation {format_share(was)} -> {format_share(is_now)}"
