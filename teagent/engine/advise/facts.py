"""What a model is told: sentences of ours, made of numbers and of names that the operator gave.

Text that comes from a device or a peer (ifAlias, system names, messages of sessions) never gets here, nor do the
free-text descriptions of the configuration.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from teagent.model.announcement import Announce, Change, Withdraw, changed_link, changed_prefix
from teagent.model.plan import DryRun, LinkForecast
from teagent.model.policy import Policy
from teagent.model.proposal import Proposal
from teagent.model.units import format_bps, format_share

SAME = 0.02
"""A load that changes by less than this share of capacity goes neither up nor down."""
MOST_LINKS, MOST_CHANGES = 10, 8


class Trend(StrEnum):
    UP = "up"
    DOWN = "down"
    SAME = "same"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """A sentence; `about` are the links and prefixes that its figures belong to, none where they belong to all."""

    text: str
    about: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """`names` may be said whatever they hold in digits; `trends` is where the load of each link goes, as predicted."""

    facts: tuple[Fact, ...]
    names: frozenset[str]
    trends: Mapping[str, Trend]

    def text(self) -> str:
        return "\n".join(f"- {fact.text}" for fact in self.facts)


def of_proposal(proposal: Proposal, policy: Policy | None) -> Facts:
    """Of what is asked for, what it is expected to do, and how it is undone."""
    changes, dry_run = proposal.plan.changes, proposal.dry_run
    rows = [*_links(dry_run), *(_change(change) for change in changes[:MOST_CHANGES])]
    if policy is not None:
        rows += [
            Fact(
                text=f"Policy {policy.name} fires above {format_share(policy.when.above)} and clears below "
                f"{format_share(policy.when.clear_below)} of capacity."
            ),
            Fact(
                text="If approved, the change reverts by itself after "
                f"{minutes(policy.confirm.window_seconds)} unless a person confirms it."
            ),
        ]
    rows.append(Fact(text=f"The plan has {len(changes)} changes; nothing has been announced yet."))
    prefixes = {str(changed_prefix(change)) for change in changes}
    links = {f.link for f in dry_run.links} | {changed_link(change) for change in changes}
    named = {proposal.id, proposal.policy}
    return Facts(facts=tuple(rows), names=frozenset(prefixes | links | named), trends=trends_of(dry_run))


def of_dry_run(dry_run: DryRun, changes: tuple[Change, ...]) -> Facts:
    """Of a what-if: no policy has asked for it."""
    rows = [*_links(dry_run), *(_change(change) for change in changes[:MOST_CHANGES])]
    rows.append(Fact(text="This is a simulation; nothing has been announced."))
    prefixes = {str(changed_prefix(change)) for change in changes}
    links = {f.link for f in dry_run.links}
    return Facts(facts=tuple(rows), names=frozenset(prefixes | links), trends=trends_of(dry_run))


def _links(dry_run: DryRun) -> list[Fact]:
    moving = [f for f in dry_run.links if trend(f) is not Trend.SAME]
    still = [f for f in dry_run.links if trend(f) is Trend.SAME]
    rows = [fact for forecast in (*moving, *still)[:MOST_LINKS] for fact in _forecast(forecast)]
    rows.append(
        Fact(text=f"About {format_bps(dry_run.moved.expected)} of traffic is expected to move to another link.")
    )
    return rows


def _forecast(forecast: LinkForecast) -> tuple[Fact, ...]:
    name, capacity, after = forecast.link, forecast.capacity_bps, forecast.after

    def load(bps: float) -> str:
        return f"{format_bps(bps)} ({format_share(bps / capacity)})"

    now = f"{name} carries {load(forecast.before_bps)} now; its capacity is {format_bps(capacity)}."
    if trend(forecast) is Trend.SAME:
        return (Fact(text=f"{now} It stays about as it is.", about=(name,)),)
    goes = "go up" if trend(forecast) is Trend.UP else "go down"
    then = (
        f"The load of {name} is expected to {goes} to {load(after.expected)}, "
        f"between {load(after.low)} and {load(after.high)}; it should stay below {load(forecast.target_bps)}."
    )
    return Fact(text=now, about=(name,)), Fact(text=then, about=(name,))


def _change(change: Change) -> Fact:
    prefix, link = str(changed_prefix(change)), changed_link(change)
    about = (prefix, link)
    if isinstance(change, Announce):
        return Fact(text=f"{prefix} would be announced on {link}, {change.after.prepend} prepends.", about=about)
    if isinstance(change, Withdraw):
        return Fact(text=f"{prefix} would no longer be announced on {link}.", about=about)
    return Fact(
        text=f"{prefix} on {link}: {change.before.prepend} prepends now, {change.after.prepend} prepends with it.",
        about=about,
    )


def trends_of(dry_run: DryRun) -> dict[str, Trend]:
    return {f.link: trend(f) for f in dry_run.links}


def trend(forecast: LinkForecast) -> Trend:
    moved = forecast.after.expected - forecast.before_bps
    if abs(moved) < SAME * forecast.capacity_bps:
        return Trend.SAME
    return Trend.UP if moved > 0 else Trend.DOWN


def minutes(seconds: float) -> str:
    return f"{seconds / 60:g} minutes" if seconds >= 60 else f"{seconds:g} seconds"
