"""What a question may be about: our own read-only look-ups, each with the arguments that the question names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network

from teagent.engine.advise.failure import Failure, failure_of
from teagent.model.announcement import PREPEND_HARD_MAX, AnnouncementSet
from teagent.model.bgp import Prefix
from teagent.model.network import Network

MOST = 16
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]*[.:][0-9A-Fa-f:.]*(?:/\d{1,3})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """`command` and `arguments` are those of the control socket, `typed` the same as a person types it. A draft has no
    command: `keeps` is the prefix that it is about. `failure` is of the link whose failure is asked about.
    """

    text: str
    typed: str
    command: str = ""
    arguments: Mapping[str, object]
    keeps: Prefix | None = None
    failure: Failure | None = None


def lookups(question: str, network: Network, live: AnnouncementSet, policies: Sequence[str]) -> tuple[Lookup, ...]:
    """Those that fit the names in the question, nearest first; MOST at the most, and always some."""
    prefixes, links = prefixes_in(question, network), links_in(question, network)
    found: list[Lookup] = []
    for prefix in prefixes[:2]:
        found += _of_prefix(prefix, network, live, links)
    for link in links[:2]:
        found += _of_link(link, network, live)
    for name in policies:
        if _says(question, name):
            found.append(
                _show(
                    "policy.explain",
                    {"policy": name},
                    f"teagent policy {name} explain",
                    f"why policy {name} did or did not fire",
                )
            )
    found += [
        _show(
            "proposal.list", {"all": False}, "teagent proposal", "which proposals wait for a decision, or are in force"
        ),
        _show("plan.compute", {"policy": None, "propose": False}, "teagent plan", "what the policies would change now"),
        _show("link.list", {}, "teagent link", "how loaded every link is"),
        _show("matrix.show", {"top": 10}, "teagent matrix", "who sends most traffic, over which link"),
    ]
    return tuple(found[:MOST])


def _of_prefix(prefix: Prefix, network: Network, live: AnnouncementSet, links: Sequence[str]) -> Iterable[Lookup]:
    yield _show(
        "explain.show",
        {"prefix": str(prefix)},
        f"teagent explain {prefix}",
        f"what is wrong with {prefix}: why it is slow",
    )
    yield _show(
        "matrix.show",
        {"prefix": str(prefix), "top": 10},
        f"teagent matrix --prefix {prefix}",
        f"who sends traffic to {prefix}",
    )
    own, vector = network.own(prefix), live.vector(prefix)
    if own is None or not own.engineer:
        return
    for link in [name for name in vector if name in links] or list(vector)[:2]:
        more = min(vector[link] + 2, PREPEND_HARD_MAX)
        yield _simulate([f"prepend {prefix} {link} {more}"], f"what if {prefix} were prepended {more} times on {link}")
    if vector != dict(own.home):
        yield _simulate([f"home {prefix}"], f"what if {prefix} went back home")
    yield Lookup(
        text=f"draft a policy under which {prefix} stays as it is announced now",
        typed="teagent policy check",
        arguments={},
        keeps=prefix,
    )


def _of_link(link: str, network: Network, live: AnnouncementSet) -> Iterable[Lookup]:
    yield _show("link.show", {"name": link}, f"teagent link {link}", f"how loaded {link} is now, and was lately")
    yield _show(
        "matrix.show",
        {"link": link, "top": 10},
        f"teagent matrix --link {link}",
        f"who sends traffic over {link}: what would have to go elsewhere if {link} failed",
    )
    yield Lookup(
        text=f"what if {link} failed: what it carries, and what is left on the links that could take it",
        typed="teagent link",
        command="link.list",
        arguments={},
        failure=failure_of(link, live),
    )
    drained = [
        f"prepend {own.prefix} {link} {PREPEND_HARD_MAX}"
        for own in network.prefixes
        if own.engineer
        and len(vector := live.vector(own.prefix)) > 1
        and vector.get(link, PREPEND_HARD_MAX) < PREPEND_HARD_MAX
    ]
    if drained:
        yield _simulate(drained[:20], f"what if {link} were drained: as far as prepends can empty it")


def _show(command: str, arguments: Mapping[str, object], typed: str, text: str) -> Lookup:
    return Lookup(text=text, typed=typed, command=command, arguments=arguments)


def _simulate(wishes: list[str], text: str) -> Lookup:
    typed = " ".join(["teagent simulate", *(f"'{wish}'" for wish in wishes)])
    return Lookup(text=text, typed=typed, command="simulate.compute", arguments={"changes": wishes})


def prefixes_in(question: str, network: Network) -> tuple[Prefix, ...]:
    """Those of ours that cover an address or a prefix in the question, the longest for each."""
    found: list[Prefix] = []
    for match in _ADDRESS.finditer(question):
        try:
            named = ip_network(match.group().rstrip(".:"), strict=False)
        except ValueError:
            continue
        covering = [
            own.prefix
            for own in network.prefixes
            if own.prefix.version == named.version and named.subnet_of(own.prefix)  # type: ignore[arg-type]  # same family
        ]
        if covering:
            found.append(max(covering, key=lambda prefix: prefix.prefixlen))
    return tuple(dict.fromkeys(found))


def links_in(question: str, network: Network) -> tuple[str, ...]:
    """By their names, or by the last part of one (`A` for transit-a) where that is no other link's."""
    names = list(network.links)
    whole = [name for name in names if _says(question, name)]
    if whole:
        return tuple(whole)
    last = {name: name.rpartition("-")[2] for name in names}
    parts = list(last.values())
    return tuple(
        name
        for name, part in last.items()
        if parts.count(part) == 1 and part and re.search(rf"(?<![\w./-]){re.escape(part.upper())}(?![\w./-])", question)
    )


def _says(question: str, name: str) -> bool:
    return re.search(rf"(?<![\w./-]){re.escape(name)}(?![\w/-]|\.\w)", question, re.IGNORECASE) is not None
