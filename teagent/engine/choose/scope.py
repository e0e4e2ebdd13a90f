"""What a policy speaks of: its links, its prefixes, and which of those may be touched now."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from teagent.engine.choose.flap import prefix_reasons
from teagent.engine.predict.scene import Scene
from teagent.model.bgp import prefix_key
from teagent.model.link import Link
from teagent.model.network import Network, OwnPrefix
from teagent.model.plan import Reason
from teagent.model.policy import Policy
from teagent.model.snapshot import Busy, Snapshot
from teagent.model.traffic import TrafficMatrix
from teagent.model.units import format_age, format_bps, format_duration

NOTICEABLE = 0.01
"""A prefix with less than this share of a link's capacity is not mentioned when it is left out."""
MENTIONED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """`eligible`: what may be changed, heaviest on the triggered links first. `left_out`: why others may not."""

    eligible: tuple[OwnPrefix, ...]
    left_out: tuple[Reason, ...]


def matched_links(policy: Policy, network: Network) -> tuple[Link, ...]:
    match = policy.links
    return tuple(
        link
        for link in network.links.values()
        if (not match.kinds or link.kind in match.kinds) and (not match.names or link.name in match.names)
    )


def matches_prefix(policy: Policy, own: OwnPrefix) -> bool:
    match = policy.prefixes
    return (not match.tags or bool(match.tags & own.tags)) and (not match.prefixes or str(own.prefix) in match.prefixes)


def scope(scene: Scene, policy: Policy, triggered: Collection[str], now: datetime) -> Scope:
    """The prefixes with traffic on the triggered links, divided into those that may be changed and those that not."""
    eligible: list[tuple[float, OwnPrefix]] = []
    left_out: list[tuple[float, Reason]] = []
    capacity = min(scene.snapshot.network.links[name].capacity_bps for name in triggered)
    for own in scene.snapshot.network.prefixes:
        bps = sum(scene.traffic_bps(own.prefix, name) for name in triggered)
        if bps <= 0:
            continue
        against = list(_against(scene, policy, own, now, bps))
        if not against:
            eligible.append((bps, own))
        elif bps >= NOTICEABLE * capacity:
            left_out += [(bps, reason) for reason in against]
    eligible.sort(key=lambda item: (-item[0], prefix_key(item[1].prefix)))
    left_out.sort(key=lambda item: (-item[0], item[1].message))
    return Scope(
        eligible=tuple(own for _, own in eligible),
        left_out=tuple(reason for _, reason in left_out[:MENTIONED]),
    )


def settling(snapshot: Snapshot, scene: Scene, policy: Policy, triggered: Collection[str], now: datetime) -> str:
    """What is on its way already on the triggered links, so that one waits for it to show; empty when nothing is."""
    settle = timedelta(seconds=policy.confirm.settle_seconds)
    for own in snapshot.network.prefixes:
        busy = snapshot.busy.get(own.prefix)
        carried = scene.vectors.get(own.prefix, {})
        if busy is None or not any(name in carried for name in triggered):
            continue
        if busy.owner is not None and busy.changed_at is None:
            return f"{own.prefix} is in proposal {busy.owner}, which is not applied yet"
        if busy.changed_at is not None and now - busy.changed_at < settle:
            age, needs = format_age(busy.changed_at, now), format_duration(policy.confirm.settle_seconds)
            return f"{own.prefix} was changed {age} ago, a change settles for {needs}"
        matrix = snapshot.matrix
        if busy.changed_at is not None and isinstance(matrix, TrafficMatrix):
            # Flows from before the change, mixed with those from after it, describe neither: the whole window of the
            # matrix has to lie behind the settling.
            begins = matrix.at - timedelta(seconds=matrix.seconds)
            if begins < busy.changed_at + settle:
                return f"the traffic matrix still holds traffic from before {own.prefix} had settled"
    return ""


def _against(scene: Scene, policy: Policy, own: OwnPrefix, now: datetime, bps: float) -> Iterator[Reason]:
    prefix, vector = own.prefix, scene.vectors.get(own.prefix, {})

    def told(why: str) -> str:
        """Written out only where it is told: of most there is nothing to tell."""
        return f"{prefix} ({format_bps(bps)}) {why}"

    if not matches_prefix(policy, own):
        yield Reason(rule="match", ok=False, message=told("is not a prefix of this policy"), value=str(prefix))
    if not own.engineer:
        yield Reason(rule="engineer", ok=False, message=told("is not to be engineered"), value=str(prefix))
    if len(vector) < 2:
        where = f"on {next(iter(vector))} only" if vector else "nowhere"
        yield Reason(rule="carried", ok=False, message=told(f"is announced {where}"), value=len(vector), limit=2)
    busy = scene.snapshot.busy.get(prefix)
    if busy is not None:  # nothing is against one that is not
        yield from (r for r in busy_reasons(own, busy, policy, now) if not r.ok)
    for name in vector:
        if name in scene.unknown:
            yield Reason(
                rule="telemetry_trusted",
                ok=False,
                message=told(f"is carried by {name}, which has no data: {scene.unknown[name].reason}"),
                value=name,
            )


def busy_reasons(
    own: OwnPrefix,
    busy: Busy | None,
    policy: Policy,
    now: datetime,
    *,
    proposal: str | None = None,
    going_home: bool = False,
) -> Iterator[Reason]:
    """The opinions of `owner`, `moves_per_day`, `damping` and `cooldown` on one prefix.

    `proposal` is the one that may own it. Going home it waits for the cooldown, which lets measurements settle, and for
    nothing else.
    """
    cooldown = policy.limits.cooldown_seconds
    owner = busy.owner if busy is not None else None
    if owner is not None and owner != proposal:
        yield Reason(rule="owner", ok=False, message=f"{own.prefix} belongs to proposal {owner}", value=owner)
    else:
        yield Reason(rule="owner", ok=True, message=f"{own.prefix} belongs to no other proposal")
    moves = busy.moves if busy is not None else ()
    yield from prefix_reasons(own.prefix, moves, policy.limits, now, going_home=going_home)
    if busy is None or busy.changed_at is None:
        yield Reason(rule="cooldown", ok=True, message=f"{own.prefix} was not changed lately", limit=cooldown)
        return
    age = (now - busy.changed_at).total_seconds()
    yield Reason(
        rule="cooldown",
        ok=age >= cooldown,
        message=f"{own.prefix} was changed {format_age(busy.changed_at, now)} ago, limit {format_duration(cooldown)}",
        value=age,
        limit=cooldown,
    )
