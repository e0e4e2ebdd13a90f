"""Watch: deadlines and guards; every change undoes itself unless it is confirmed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import assert_never

import structlog

from teagent.engine.lifecycle import is_confirm_overdue, is_expired
from teagent.errors import StoreError
from teagent.model.link import Link, NoData, Reading, Utilisation
from teagent.model.policy import AnnouncedLinksGuard, Guard, NoDataGuard, Policy, UtilisationGuard
from teagent.model.proposal import FINAL, Proposal, ProposalEvent, ProposalState
from teagent.model.units import format_bps, format_duration, format_share
from teagent.service.apply import Applier
from teagent.service.observe import Observer
from teagent.service.proposals import ProposalBook
from teagent.service.prove import Prover

log = structlog.get_logger("watch")

READINGS_ABOVE = 2
"""Agents look at their counters every few seconds, so that one reading may hold what belongs to the one before it."""

SECOND_LOOK_SECONDS = 3.0
"""After a first reading above a guard the next one is asked for, and not waited for. Sooner, an agent that keeps its
counters for 3 s (net-snmp does) would give the same ones again.
"""

MOVED_SHARE = 0.005
"""A link whose expected load changes by less than this share of its capacity is not affected by a plan."""


def affected_links(proposal: Proposal) -> tuple[str, ...]:
    return tuple(
        forecast.link
        for forecast in proposal.dry_run.links
        if abs(forecast.after.expected - forecast.before_bps) > MOVED_SHARE * forecast.capacity_bps
    )


def capacities(proposal: Proposal, links: Mapping[str, Link], left_bps: Mapping[str, float]) -> dict[str, float]:
    """What each link carries, in bits per second. Of a bundle that has lost a member what is left counts where the
    change brought traffic to it: a link that was relieved gains nothing by the way home.
    """
    gains = {each.link for each in proposal.dry_run.links if each.after.expected > each.before_bps}
    return {
        name: left_bps[name] if name in gains and name in left_bps else link.capacity_bps
        for name, link in links.items()
    }


def applied_at(proposal: Proposal) -> datetime | None:
    """When the change was acknowledged; None while it was not."""
    entries = [e.at for e in proposal.history if e.event is ProposalEvent.ACKED]
    return entries[-1] if entries else None


def tripped(
    proposal: Proposal,
    policy: Policy,
    *,
    readings: Mapping[str, Reading],
    history: Mapping[str, Sequence[Utilisation]],
    capacity_bps: Mapping[str, float],
    now: datetime,
) -> tuple[str, str] | None:
    """(guard, reason) of the first guard that forces a revert, or None. Pure.

    `capacity_bps` is what each link carries now. `history` are each link's readings, oldest first; only the last few
    are looked at.
    """
    since = applied_at(proposal)
    if since is None:
        return None
    settled_at = since + timedelta(seconds=policy.confirm.settle_seconds)
    for guard in policy.confirm.revert_if:
        reason = _breach(
            guard,
            proposal,
            readings=readings,
            history=history,
            capacity_bps=capacity_bps,
            settled_at=settled_at,
            now=now,
        )
        if reason:
            return guard_name(guard), reason
    return None


def guard_name(guard: Guard) -> str:
    match guard:
        case UtilisationGuard():
            return "in_utilisation"
        case AnnouncedLinksGuard():
            return "announced_links"
        case NoDataGuard():
            return "no_data"
        case _:
            assert_never(guard)


def _breach(
    guard: Guard,
    proposal: Proposal,
    *,
    readings: Mapping[str, Reading],
    history: Mapping[str, Sequence[Utilisation]],
    capacity_bps: Mapping[str, float],
    settled_at: datetime,
    now: datetime,
) -> str | None:
    affected = affected_links(proposal)
    match guard:
        case UtilisationGuard(above=above):
            for name in affected:
                if not isinstance(readings.get(name), Utilisation):
                    continue
                # Until the change has settled a queue may still be draining: only what was counted after that counts.
                last = history.get(name, ())[-READINGS_ABOVE:]
                settled = [row for row in last if _begins(row) >= settled_at]
                shares = [row.in_bps / capacity_bps[name] for row in settled]
                if len(shares) == READINGS_ABOVE and min(shares) > above:
                    carries = format_bps(capacity_bps[name])
                    share = format_share(shares[-1])
                    return f"{name} in_utilisation {share} of {carries} is above {format_share(above)}"
        case AnnouncedLinksGuard(below=below):
            for prefix in proposal.plan.prefixes():
                announced = [
                    name
                    for name in proposal.plan.after.vector(prefix)
                    if not (isinstance(reading := readings.get(name), NoData) and "is down" in reading.reason)
                ]
                if len(announced) < below:
                    return f"{prefix} is announced on {len(announced)} links, below {below}"
        case NoDataGuard(for_seconds=for_seconds):
            for name in affected:
                reading = readings.get(name)
                if isinstance(reading, NoData) and (now - reading.since).total_seconds() >= for_seconds:
                    silent = format_duration((now - reading.since).total_seconds())
                    return f"{name} has had no data for {silent}: {reading.reason}"
        case _:
            assert_never(guard)
    return None


def _begins(row: Utilisation) -> datetime:
    return row.at - timedelta(seconds=row.seconds)


class Watcher:
    def __init__(
        self,
        *,
        book: ProposalBook,
        applier: Applier | None,
        observer: Observer,
        prover: Prover,
        policies: Mapping[str, Policy],
        links: Mapping[str, Link],
    ) -> None:
        self._book = book
        self._applier = applier
        self._observer = observer
        self._prover = prover
        self._policies = policies
        self._links = links

    def unsure(self, now: datetime) -> frozenset[str]:
        """Links whose last reading is above a guard and whose last but one is not, once it is time for a second look.

        A second look that is not above ends it: there is at most one for each ordinary reading.
        """
        history, left = self._observer.history(), self._left()
        found: set[str] = set()
        for proposal in self._book.in_state(ProposalState.CONFIRMING, ProposalState.ACTIVE):
            policy, since = self._policies.get(proposal.policy), applied_at(proposal)
            guards = [] if policy is None else [g for g in policy.confirm.revert_if if isinstance(g, UtilisationGuard)]
            if policy is None or since is None or not guards:
                continue
            settled_at = since + timedelta(seconds=policy.confirm.settle_seconds)
            above, carries = min(guard.above for guard in guards), capacities(proposal, self._links, left)
            for name in affected_links(proposal):
                last = [row for row in history.get(name, ())[-READINGS_ABOVE:] if _begins(row) >= settled_at]
                shares = [row.in_bps / carries[name] > above for row in last]
                first = shares[-1:] == [True] and not all(shares[:-1] or [False])
                if first and (now - last[-1].at).total_seconds() >= SECOND_LOOK_SECONDS:
                    found.add(name)
        return frozenset(found)

    def _left(self) -> dict[str, float]:
        return {each.link: each.left_bps for each in self._observer.shrunk()}

    async def tick(self, now: datetime) -> None:
        """Called once a second. Expiry, confirm deadlines, what routers say, guards, further attempts to revert.

        Raises StoreError when a step could not be stored, after the others have had their turn.
        """
        failure: StoreError | None = None
        async with self._book.lock:
            readings = self._observer.readings(now)
            for proposal in self._book.all():
                if proposal.state in FINAL:
                    continue
                try:
                    await self._look(proposal, readings, now)
                except StoreError as error:
                    failure = error
            self._prover.look_home()
        if failure is not None:
            raise failure

    async def _look(self, proposal: Proposal, readings: Mapping[str, Reading], now: datetime) -> None:
        match proposal.state:
            case ProposalState.PENDING | ProposalState.APPROVED if is_expired(proposal, now):
                await self._book.move(
                    proposal, ProposalEvent.EXPIRE, actor="daemon", reason="nobody approved it in time"
                )
            case ProposalState.APPLYING if self._applier is not None:
                # Whoever applies holds the lock that is ours now: this one was left in the middle.
                failed = await self._book.move(
                    proposal, ProposalEvent.FAIL, actor="daemon", reason="applying it was broken off"
                )
                await self._applier.take_back(failed)
            case ProposalState.CONFIRMING | ProposalState.ACTIVE:
                await self._guard(proposal, readings, now)
            case ProposalState.REVERTING if self._applier is not None and self._applier.revert_due(proposal):
                await self._applier.take_back(proposal)
            case _:
                pass

    async def _guard(self, proposal: Proposal, readings: Mapping[str, Reading], now: datetime) -> None:
        if is_confirm_overdue(proposal, now):
            await self._revert(proposal, ProposalEvent.TIMEOUT, "daemon", "nobody confirmed it in its window")
            return
        denied = await self._prover.look(proposal, now)
        if denied is not None:
            await self._revert(proposal, ProposalEvent.TRIP, "guard:witness", denied)
            return
        policy = self._policies.get(proposal.policy)
        if policy is None:
            return
        breach = tripped(
            proposal,
            policy,
            readings=readings,
            history=self._observer.history(),
            capacity_bps=capacities(proposal, self._links, self._left()),
            now=now,
        )
        if breach is not None:
            guard, reason = breach
            await self._revert(proposal, ProposalEvent.TRIP, f"guard:{guard}", reason)

    async def _revert(self, proposal: Proposal, event: ProposalEvent, actor: str, reason: str) -> None:
        log.warning("taking a change back", proposal=proposal.id, actor=actor, reason=reason)
        reverting = await self._book.move(proposal, event, actor=actor, reason=reason)
        if self._applier is not None:
            await self._applier.take_back(reverting)
