"""What the shape alone cannot say of a policy: whether it fits the network, and the other policies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from teagent.config.document import Keys
from teagent.config.finding import Finding
from teagent.config.readers import listed
from teagent.engine.choose.scope import matched_links, matches_prefix
from teagent.model.bgp import Prefix
from teagent.model.link import Link
from teagent.model.network import Network, OwnPrefix
from teagent.model.policy import AnnouncedLinksGuard, NoDataGuard, Objective, Policy, UtilisationGuard
from teagent.model.units import format_bps, format_duration, format_share


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a policy is checked against."""

    network: Network
    max_prepend: int
    poll_interval_seconds: float
    flow_window_seconds: float
    keep_raw_seconds: float


def check_policy(policy: Policy, around: Surroundings) -> Iterator[Finding]:
    """Everything in one policy that does not fit."""
    links = matched_links(policy, around.network)
    prefixes = [own for own in around.network.prefixes if matches_prefix(policy, own)]
    engineered = tuple(own for own in prefixes if own.engineer)
    yield from _names(policy, around.network)
    if not links and not (policy.links.names - set(around.network.links)):
        kinds = ", ".join(sorted(policy.links.kinds))
        yield Finding(("match", "links"), f"no link is of kind {kinds}" + _also(policy.links.names, "named so"))
    if prefixes and not engineered:
        message = "none of the matched prefixes has engineer: true, so nothing could ever be changed"
        yield Finding(("match", "prefixes"), message)
    elif links and engineered and not any(link.name in own.home for link in links for own in engineered):
        message = "no matched link announces any of the matched prefixes, so nothing could ever be relieved"
        yield Finding(("match",), message)
    yield from _trigger(policy, around)
    yield from _levers(policy, around.max_prepend)
    yield from _limits(policy, links, engineered, around.network)
    yield from _confirm(policy, engineered, around)
    yield from _objective(policy, around.network)
    if policy.approval.approvers > 1 and not policy.approval.required:
        message = f"{policy.approval.approvers} people, where required: false lets the policy approve its own plans"
        yield Finding(("approval", "approvers"), message)


def check_overlaps(policies: Sequence[Policy], network: Network) -> Iterator[tuple[str, Finding]]:
    """(policy, finding) for each enabled policy that would pull a prefix on a link that an earlier one has."""
    owners: dict[tuple[Prefix, str], str] = {}
    for policy in policies:
        if not policy.enabled:
            continue
        shared: dict[str, list[str]] = {}
        prefixes = [own for own in network.prefixes if own.engineer and matches_prefix(policy, own)]
        for link in matched_links(policy, network):
            for own in prefixes:
                if link.name in own.home:
                    owner = owners.setdefault((own.prefix, link.name), policy.name)
                    if owner != policy.name:
                        shared.setdefault(owner, []).append(f"{own.prefix} on {link.name}")
        for owner, pairs in shared.items():
            more = f" and {len(pairs) - 1} more" if len(pairs) > 1 else ""
            message = f"policy {owner} has {pairs[0]}{more} already, one policy decides on a prefix and link"
            yield policy.name, Finding(("match",), message)


def _also(names: frozenset[str], what: str) -> str:
    return f" and {what}" if names else ""


def _names(policy: Policy, network: Network) -> Iterator[Finding]:
    known_tags = {tag for own in network.prefixes for tag in own.tags}
    known_prefixes = {str(own.prefix) for own in network.prefixes}
    yield from _unknown(policy.links.names, set(network.links), "link", ("match", "links", "names"))
    yield from _unknown(policy.prefixes.tags, known_tags, "prefix with the tag", ("match", "prefixes", "tags"))
    yield from _unknown(policy.prefixes.prefixes, known_prefixes, "prefix", ("match", "prefixes", "prefixes"))


def _unknown(names: frozenset[str], known: set[str], what: str, path: Keys) -> Iterator[Finding]:
    for name in sorted(names - known):
        suffix = f", known are {listed(name, known)}" if known else ""
        yield Finding(path, f"there is no {what} {name}{suffix}")


def _trigger(policy: Policy, around: Surroundings) -> Iterator[Finding]:
    when = policy.when
    if when.clear_below >= when.above:
        message = f"{format_share(when.clear_below)} is not below above, which is {format_share(when.above)}"
        yield Finding(("when", "clear_below"), message)
    held = format_duration(when.for_seconds)
    for limit, name in ((around.poll_interval_seconds, "poll.interval"), (around.flow_window_seconds, "flows.window")):
        if when.for_seconds < limit:
            yield Finding(("when", "for"), f"{held} is shorter than {name}, which is {format_duration(limit)}")
            break
    if when.for_seconds > around.keep_raw_seconds:
        kept = format_duration(around.keep_raw_seconds)
        yield Finding(("when", "for"), f"{held} is longer than store.keep.raw, which is {kept}")


def _levers(policy: Policy, max_prepend: int) -> Iterator[Finding]:
    for index, lever in enumerate(policy.levers):
        if index:
            yield Finding(("allow", index, "lever"), "prepend is allowed already, in allow[0]")
        if lever.max > max_prepend:
            message = f"{lever.max} is more than bgp.max_prepend, which is {max_prepend}"
            yield Finding(("allow", index, "max"), message)
        if lever.max == 0:
            yield Finding(("allow", index, "max"), "0 prepends allow nothing, leave the lever out or allow more")


def _limits(
    policy: Policy, links: Sequence[Link], engineered: Sequence[OwnPrefix], network: Network
) -> Iterator[Finding]:
    least = policy.limits.min_links_per_prefix
    for own in engineered:
        if len(own.home) < least:
            message = f"{least} is more than the {len(own.home)} links that carry {own.prefix}"
            yield Finding(("limits", "min_links_per_prefix"), message)
            break
    damping = policy.limits.damping
    if damping.reuse_below >= damping.suppress_above:
        message = f"{damping.reuse_below:g} is not below suppress_above, which is {damping.suppress_above:g}"
        yield Finding(("limits", "damping", "reuse_below"), message)
    free = 1 - policy.limits.headroom
    for link in links:
        movable = [own for own in engineered if link.name in own.home]
        room = sum(
            free * other.capacity_bps
            for other in network.links.values()
            if other.name != link.name and any(other.name in own.home for own in movable)
        )
        need = (policy.when.above - policy.when.clear_below) * link.capacity_bps
        if movable and room < need:
            message = (
                f"{format_share(policy.limits.headroom)} leaves {format_bps(room)}bps on the links that could take "
                f"over, {link.name} has to shed {format_bps(need)}bps to fall from {format_share(policy.when.above)} "
                f"to {format_share(policy.when.clear_below)}"
            )
            yield Finding(("limits", "headroom"), message)
            break


def _confirm(policy: Policy, engineered: Sequence[OwnPrefix], around: Surroundings) -> Iterator[Finding]:
    confirm = policy.confirm
    if confirm.settle_seconds >= confirm.window_seconds:
        window, settle = format_duration(confirm.window_seconds), format_duration(confirm.settle_seconds)
        message = f"{settle} is not below window, which is {window}: no guard would ever be read"
        yield Finding(("confirm", "settle"), message)
    fewest = min((len(own.home) for own in engineered), default=None)
    for index, guard in enumerate(confirm.revert_if):
        at: Keys = ("confirm", "revert_if", index)
        match guard:
            case UtilisationGuard(above=above) if above <= policy.when.above:
                trigger = format_share(policy.when.above)
                message = f"{format_share(above)} is not above when.above, which is {trigger}: it would trip at once"
                yield Finding((*at, "above"), message)
            case AnnouncedLinksGuard(below=below) if fewest is not None and below > fewest:
                message = f"{below} is more than the {fewest} links that carry a matched prefix: it would trip at once"
                yield Finding((*at, "below"), message)
            case NoDataGuard(for_seconds=seconds) if seconds < around.poll_interval_seconds:
                limit = format_duration(around.poll_interval_seconds)
                message = f"{format_duration(seconds)} is shorter than poll.interval, which is {limit}"
                yield Finding((*at, "for"), message)
            case _:
                pass


def _objective(policy: Policy, network: Network) -> Iterator[Finding]:
    priced = any(link.price_per_mbps is not None for link in network.links.values())
    if policy.objective is Objective.RELIEVE_AT_LEAST_COST and not priced:
        message = "relieve_at_least_cost needs a price_per_mbps on at least one link"
        yield Finding(("objective",), message)
