"""What the rules say of a plan: every rule gives its opinion, not the first that objects.

Rule ids are stable: `frozen telemetry_trusted engineer home_known owner moves_per_day damping cooldown
all_moves_per_day max_prepend changes_per_plan prefixes_per_plan min_links_per_prefix headroom worst_case shift_per_plan
relief`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from teagent.engine.choose.candidates import prepend_limit
from teagent.engine.choose.flap import budget_reason
from teagent.engine.choose.optimise import gains, max_utilisation
from teagent.engine.choose.scope import busy_reasons
from teagent.engine.measure.trust import distrust
from teagent.model.announcement import Withdraw
from teagent.model.network import OwnPrefix
from teagent.model.plan import Allowed, DryRun, NeedsApproval, Plan, Reason, RefusedVerdict, Verdict
from teagent.model.policy import Objective, Policy
from teagent.model.snapshot import Snapshot
from teagent.model.units import format_bps, format_share

RELIEF_AT_LEAST = 0.25
"""A plan must take at least this share of the excess away, or it is not worth a change."""
BALANCE_AT_LEAST = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What is judged. `triggered`: the links to be relieved (empty: relief is not asked for). `proposal`: the id that
    may own the prefixes already. `taken_bps`: what plans chosen a moment ago add to links, at their high end.
    """

    snapshot: Snapshot
    policy: Policy
    plan: Plan
    dry_run: DryRun
    now: datetime
    triggered: Collection[str] = ()
    proposal: str | None = None
    taken_bps: Mapping[str, float] = field(default_factory=dict)

    def own(self) -> Iterator[OwnPrefix]:
        for prefix in self.plan.prefixes():
            own = self.snapshot.network.own(prefix)
            if own is not None:
                yield own

    def goes_home(self, own: OwnPrefix) -> bool:
        return self.plan.after.vector(own.prefix) == own.home


def judge(case: Case) -> Verdict:
    reasons = tuple(reason for rule in RULES for reason in rule(case))
    if not all(reason.ok for reason in reasons):
        return RefusedVerdict(reasons=reasons)
    return NeedsApproval(reasons=reasons) if case.policy.approval.required else Allowed(reasons=reasons)


def _frozen(case: Case) -> Iterator[Reason]:
    frozen = case.snapshot.frozen
    yield Reason(rule="frozen", ok=not frozen, message="changes are frozen" if frozen else "not frozen")


def telemetry_doubts(case: Case) -> tuple[str, ...]:
    """Why the telemetry that the plan rests on is not to be trusted now; empty when it is."""
    snapshot = case.snapshot
    found = distrust(
        now=case.now,
        links=_rests_on(case),
        latest=snapshot.latest,
        matrix=snapshot.matrix,
        covered=sorted({shift.from_link for shift in case.dry_run.shifts}),
        counter_doubts=snapshot.counter_doubts,
        flow_doubts=snapshot.flow_doubts,
        coverage_limits=snapshot.coverage_limits,
    )
    return tuple(dict.fromkeys((*snapshot.distrust, *found)))


def _rests_on(case: Case) -> list[str]:
    return sorted({a.link for a in case.plan.after} | {a.link for a in case.plan.before} | set(case.triggered))


def _telemetry_trusted(case: Case) -> Iterator[Reason]:
    against = telemetry_doubts(case)
    yield from (Reason(rule="telemetry_trusted", ok=False, message=message) for message in against)
    if not against:
        links = ", ".join(_rests_on(case))
        yield Reason(rule="telemetry_trusted", ok=True, message=f"{links} measured, flows and counters agree")


def _engineer(case: Case) -> Iterator[Reason]:
    listed = {own.prefix for own in case.own() if own.engineer}
    for prefix in case.plan.prefixes():
        ok = prefix in listed
        message = (
            f"{prefix} may be engineered" if ok else f"{prefix} is not on the list of prefixes with engineer: true"
        )
        yield Reason(rule="engineer", ok=ok, message=message, value=str(prefix))


def _home_known(case: Case) -> Iterator[Reason]:
    homes = {own.prefix: own.home for own in case.own()}
    for prefix in case.plan.prefixes():
        home = homes.get(prefix, {})
        strange = [name for name in case.plan.after.vector(prefix) if name not in home]
        if not home:
            yield Reason(rule="home_known", ok=False, message=f"what routers announce of {prefix} is not known")
        elif strange:
            message = f"{prefix} would be announced on {', '.join(strange)}, where it has no home"
            yield Reason(rule="home_known", ok=False, message=message)
        else:
            yield Reason(
                rule="home_known", ok=True, message=f"{prefix} falls back to its home on {', '.join(sorted(home))}"
            )


def _busy(case: Case) -> Iterator[Reason]:
    for own in case.own():
        busy = case.snapshot.busy.get(own.prefix)
        home = case.goes_home(own)
        yield from busy_reasons(own, busy, case.policy, case.now, proposal=case.proposal, going_home=home)


def _budget(case: Case) -> Iterator[Reason]:
    home = all(case.goes_home(own) for own in case.own())
    yield budget_reason(case.snapshot.busy.values(), case.policy.limits, case.now, going_home=home)


def _max_prepend(case: Case) -> Iterator[Reason]:
    for own in case.own():
        limit = prepend_limit(case.policy, own)
        for change in case.plan.changes:
            if isinstance(change, Withdraw) or change.after.prefix != own.prefix:
                continue
            after = change.after
            at_home = own.home.get(after.link) == after.prepend
            yield Reason(
                rule="max_prepend",
                ok=after.prepend <= limit or at_home,
                message=f"{own.prefix} on {after.link} gets {after.prepend} prepends, limit {limit}",
                value=after.prepend,
                limit=limit,
            )


def _sizes(case: Case) -> Iterator[Reason]:
    limits = case.policy.limits
    changes, prefixes = len(case.plan.changes), len(case.plan.prefixes())
    yield Reason(
        rule="changes_per_plan",
        ok=0 < changes <= limits.changes_per_plan,
        message=f"{changes} changes, limit {limits.changes_per_plan}",
        value=changes,
        limit=limits.changes_per_plan,
    )
    yield Reason(
        rule="prefixes_per_plan",
        ok=prefixes <= limits.prefixes_per_plan,
        message=f"{prefixes} prefixes, limit {limits.prefixes_per_plan}",
        value=prefixes,
        limit=limits.prefixes_per_plan,
    )


def _min_links(case: Case) -> Iterator[Reason]:
    limit = case.policy.limits.min_links_per_prefix
    for prefix in case.plan.prefixes():
        links = len(case.plan.after.vector(prefix))
        message = f"{prefix} would be on {links} link{'s' if links != 1 else ''}, limit {limit}"
        yield Reason(rule="min_links_per_prefix", ok=links >= limit, message=message, value=links, limit=limit)


def _headroom(case: Case) -> Iterator[Reason]:
    """On every link that gains, at the high end; and were all that moves to land there, the link must still hold."""
    limit = case.policy.limits.headroom
    for forecast in case.dry_run.links:
        if not gains(forecast):
            continue
        taken = case.taken_bps.get(forecast.link, 0.0)
        high = forecast.after.high + taken
        free = 1 - high / forecast.capacity_bps
        also = f", with {format_bps(taken)} of another plan" if taken else ""
        yield Reason(
            rule="headroom",
            ok=free >= limit,
            message=f"{forecast.link} would keep {format_share(max(0.0, free))} at {format_bps(high)}{also}, "
            f"limit {format_share(limit)}",
            value=round(free, 4),
            limit=limit,
        )
        worst = forecast.worst_bps + taken
        yield Reason(
            rule="worst_case",
            ok=worst <= forecast.capacity_bps,
            message=f"{forecast.link} would carry {format_bps(worst)} of {format_bps(forecast.capacity_bps)} if all "
            f"that moves landed there",
            value=round(worst),
            limit=round(forecast.capacity_bps),
        )


def _shift(case: Case) -> Iterator[Reason]:
    limit, high = case.policy.limits.shift_per_plan_bps, case.dry_run.moved.high
    message = f"up to {format_bps(high)} moves" + (f", limit {format_bps(limit)}" if limit is not None else "")
    yield Reason(
        rule="shift_per_plan", ok=limit is None or high <= limit, message=message, value=round(high), limit=limit
    )


def _relief(case: Case) -> Iterator[Reason]:
    if not case.triggered:
        return
    if case.policy.objective is Objective.MINIMISE_MAX_UTILISATION:
        yield _balance(case)
        return
    for forecast in case.dry_run.links:
        if forecast.link not in case.triggered:
            continue
        before = max(0.0, forecast.before_bps - forecast.target_bps)
        after = max(0.0, forecast.after.expected - forecast.target_bps)
        rest = f", {format_bps(after)} above" if after >= 1 else ""
        yield Reason(
            rule="relief",
            ok=after <= (1 - RELIEF_AT_LEAST) * before,
            message=f"{forecast.link} {format_bps(forecast.before_bps)} -> {format_bps(forecast.after.expected)} "
            f"expected{rest}, target {format_bps(forecast.target_bps)}",
            value=round(forecast.after.expected),
            limit=round(forecast.target_bps),
        )


def _balance(case: Case) -> Reason:
    network = case.snapshot.network
    before = max_utilisation(case.policy, network, {f.link: f.before_bps for f in case.dry_run.links})
    after = max_utilisation(case.policy, network, {f.link: f.after.expected for f in case.dry_run.links})
    return Reason(
        rule="relief",
        ok=after <= before - BALANCE_AT_LEAST,
        message=f"the fullest link {format_share(before)} -> {format_share(after)} expected",
        value=round(after, 4),
        limit=round(before - BALANCE_AT_LEAST, 4),
    )


RULES: tuple[Callable[[Case], Iterator[Reason]], ...] = (
    _frozen,
    _telemetry_trusted,
    _engineer,
    _home_known,
    _busy,
    _budget,
    _max_prepend,
    _sizes,
    _min_links,
    _headroom,
    _shift,
    _relief,
)
