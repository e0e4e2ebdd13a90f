"""What an FRR route-map does to a route: its clauses followed as bgpd does (lib/routemap.c of FRR 8.4).

A clause that is not known here makes the outcome unknown as soon as it could matter; nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from teagent.model.bgp import Prefix
from teagent.wire.router_config.frr_text import CommunityRule, Entry, FrrText

UNDERSCORE = r"(?:^|[,{}() ]|$)"
"""What `_` means in an expanded list: bgp_regex.c."""
HARMLESS_SETS = (
    "local-preference",
    "metric",
    "community",
    "comm-list",
    "extcommunity",
    "origin",
    "tag",
    "ip next-hop",
    "ipv6 next-hop",
    "src",
    "distance",
)
"""They change neither the AS path nor large communities nor who wins by weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """`large` are large communities as text. `path` is what was prepended, the first last; `weight` None: not set."""

    prefix: Prefix
    large: frozenset[str] = frozenset()
    path: tuple[str, ...] = ()
    weight: int | None = None


class UnknownClauseError(ValueError):
    """A clause that is not known here; the text says where and which."""


def apply(text: FrrText, name: str, route: Route) -> Route | None:
    """The route as it leaves the route-map, None where it is denied. Raises UnknownClauseError.

    A route-map that is not there denies everything, as in bgpd.
    """
    outcome: Route | None = None
    go_to = -1
    for entry in text.route_maps.get(name, ()):
        if entry.seq < go_to or not _matches(text, name, entry, route):
            continue
        if not entry.permit:
            return None
        route = _set(text, name, entry, route)
        outcome = route
        following = _following(name, entry)
        if following is None:
            return outcome
        go_to = following
    return outcome


def _following(name: str, entry: Entry) -> int | None:
    """From which sequence on it goes on, None where it ends here."""
    for clause in entry.clauses:
        match clause.split():
            case ["on-match", "next"]:
                return entry.seq + 1
            case ["on-match", "goto", seq] if seq.isdecimal():
                return int(seq)
            case ["continue"]:
                return entry.seq + 1
            case ["continue", seq] if seq.isdecimal():
                return int(seq)
            case ["on-match" | "call" | "continue", *_]:
                raise UnknownClauseError(f"route-map {name} {entry.seq}: {clause}")
            case _:
                pass
    return None


def _matches(text: FrrText, name: str, entry: Entry, route: Route) -> bool:
    """Known clauses first: where one of them fails, what an unknown one would say does not matter."""
    unknown = ""
    for clause in entry.clauses:
        if clause.startswith("match "):
            found = _match(text, clause.split()[1:], route)
            if found is False:
                return False
            if found is None:
                unknown = clause
    if unknown:
        raise UnknownClauseError(f"route-map {name} {entry.seq}: {unknown}")
    return True


def _match(text: FrrText, words: list[str], route: Route) -> bool | None:
    match words:
        case [("ip" | "ipv6") as family, "address", "prefix-list", listed]:
            version = 6 if family == "ipv6" else 4
            rules = text.prefix_lists.get((version, listed), [])
            first = next((rule for rule in rules if rule.matches(route.prefix)), None)
            return route.prefix.version == version and first is not None and first.permit
        case ["large-community", listed]:
            return _listed(text.community_lists.get(listed, []), route.large)
        case _:
            return None


def _listed(rules: Iterable[CommunityRule], large: frozenset[str]) -> bool:
    return next((rule.permit for rule in rules if _rule_matches(rule, large)), False)


def _rule_matches(rule: CommunityRule, large: frozenset[str]) -> bool:
    if not rule.expanded:
        return bool(large) and set(rule.text.split()) <= large
    pattern = rule.text.replace("_", UNDERSCORE)
    try:
        return re.search(pattern, " ".join(sorted(large, key=_by_number))) is not None
    except re.error as error:
        raise UnknownClauseError(f"large-community-list: {rule.text}") from error


def _by_number(community: str) -> tuple[int, ...]:
    return tuple(int(part) for part in community.split(":"))


def _set(text: FrrText, name: str, entry: Entry, route: Route) -> Route:
    for clause in entry.clauses:
        if clause.startswith("set "):
            done = _set_one(text, clause.split()[1:], route)
            if done is None:
                raise UnknownClauseError(f"route-map {name} {entry.seq}: {clause}")
            route = done
    return route


def _set_one(text: FrrText, words: list[str], route: Route) -> Route | None:
    match words:
        case ["as-path", "prepend", *asns] if asns and all(asn.isdecimal() for asn in asns):
            return replace(route, path=(*asns, *route.path))
        case ["large-comm-list", listed, "delete"]:
            rules = text.community_lists.get(listed, [])
            return replace(route, large=frozenset(c for c in route.large if not _listed(rules, frozenset({c}))))
        case ["large-community", "none"]:
            return replace(route, large=frozenset())
        case ["weight", number] if number.isdecimal():
            return replace(route, weight=int(number))
        case _ if " ".join(words).startswith(HARMLESS_SETS):
            return route
        case _:
            return None
