"""The command grammar of ExaBGP 5.0: the only place that writes or reads it.

Every command names one neighbor, because ExaBGP answers `done` to a list of neighbors of which it knew only some.
Answers arrive in the order of the commands: all commands composed here go through ExaBGP's one queue.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from teagent.relay.protocol import Override, Prefix, Signal

COMMAND_MAX_BYTES = 4096  # a write of PIPE_BUF bytes or less is never torn
PREPEND = 1  # RFC 8195 functions
WITHHOLD = 2
STANDARD_WITHHOLD = 9  # the last digit of a standard community that says "do not announce"
SYNCHRONISE = ("reset", "enable-ack", "version")
SHOW_NEIGHBORS = "show neighbor json"
SHOW_ROUTES = "show adj-rib out json"
VERSION_LINE = re.compile(r"exabgp (\d[\w.+-]*)", re.ASCII)

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


def communities(asn: int, signals: Iterable[Signal], form: str) -> tuple[str, ...]:
    """`large`: ASN:1:LINK_ID*10+count or ASN:2:LINK_ID (RFC 8195). `standard`: ASN:LINK_ID*10+count, 9 withholds."""
    return tuple(_large(asn, s) if form == "large" else _standard(asn, s) for s in signals)


def _large(asn: int, signal: Signal) -> str:
    if signal.prepend is None:
        return f"{asn}:{WITHHOLD}:{signal.link_id}"
    return f"{asn}:{PREPEND}:{signal.link_id * 10 + signal.prepend}"


def _standard(asn: int, signal: Signal) -> str:
    return f"{asn}:{signal.link_id * 10 + (STANDARD_WITHHOLD if signal.prepend is None else signal.prepend)}"


def announce(neighbor: Address, override: Override, *, next_hop: Address, asn: int, form: str) -> str:
    """No AS path is given: over iBGP it is empty, and a router would drop one that holds our own ASN."""
    keyword = "large-community" if form == "large" else "community"
    tags = " ".join(communities(asn, override.signals, form))
    return f"neighbor {neighbor} announce route {override.prefix} next-hop {next_hop} {keyword} [ {tags} ]"


def withdraw(neighbor: Address, prefix: Prefix) -> str:
    return f"neighbor {neighbor} withdraw route {prefix}"


def repeat(neighbor: Address) -> str:
    """ExaBGP sends its outgoing table again; a router that has the same routes already tells nobody."""
    return f"neighbor {neighbor} flush adj-rib out"


def end_of_rib(neighbor: Address, family: str) -> str:
    """`family` is ipv4 or ipv6. RFC 4724: what the router kept from before and did not hear again goes now."""
    return f"neighbor {neighbor} announce eor {family} unicast"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    ok: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class NeighborEvent:
    neighbor: str
    state: Literal["up", "down", "connected"]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NegotiatedEvent:
    neighbor: str
    families: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SentEvent:
    """ExaBGP wrote this UPDATE to the neighbor's socket."""

    neighbor: str
    announced: tuple[str, ...]
    withdrawn: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shutdown:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherEvent:
    type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A line of the answer to a `show` or `version` command."""

    line: str


Line: TypeAlias = Answer | NeighborEvent | NegotiatedEvent | SentEvent | Shutdown | OtherEvent | Text


def parse_line(line: str) -> Line:
    """What one line on our stdin means. Never raises: what is not understood is Text or OtherEvent."""
    word = line.strip()
    if word in {"done", "error"}:
        return Answer(ok=word == "done")
    if word == "shutdown":
        return Shutdown()
    if not word.startswith("{"):
        return Text(line=word)
    try:
        document = json.loads(word)
    except (ValueError, RecursionError):
        return Text(line=word)
    if document.get("answer") in {"done", "error"}:
        return Answer(ok=document["answer"] == "done")
    if document.get("answer") == "shutdown":
        return Shutdown()
    if "exabgp" not in document:
        return Text(line=word)
    try:
        return _event(document)
    except (KeyError, TypeError, AttributeError, ValueError):
        return OtherEvent(type="unreadable")


def _event(document: Mapping[str, Any]) -> Line:
    kind = str(document["type"])
    if kind == "notification":
        return Shutdown() if document["notification"] == "shutdown" else OtherEvent(type=kind)
    neighbor = str(ipaddress.ip_address(document["neighbor"]["address"]["peer"]))
    body = document["neighbor"]
    if kind == "state" and body["state"] in {"up", "down", "connected"}:
        return NeighborEvent(neighbor=neighbor, state=body["state"], reason=str(body.get("reason", ""))[:200])
    if kind == "negotiated":
        return NegotiatedEvent(neighbor=neighbor, families=_families(body["negotiated"]["families"]))
    if kind == "update" and body["direction"] == "send" and "update" in body["message"]:
        update = body["message"]["update"]
        announced = [nlri for hops in update.get("announce", {}).values() for nlris in hops.values() for nlri in nlris]
        withdrawn = [nlri for nlris in update.get("withdraw", {}).values() for nlri in nlris]
        return SentEvent(neighbor=neighbor, announced=_nlris(announced), withdrawn=_nlris(withdrawn))
    return OtherEvent(type=kind)


def _nlris(found: Iterable[Any]) -> tuple[str, ...]:
    return tuple(str(ipaddress.ip_network(n["nlri"] if isinstance(n, dict) else n)) for n in found)


def _families(found: Iterable[str]) -> tuple[str, ...]:
    return tuple(f.removesuffix(" unicast") for f in found if f in {"ipv4 unicast", "ipv6 unicast"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    neighbor: str
    up: bool
    families: tuple[str, ...]


def parse_neighbors(lines: Iterable[str]) -> tuple[Session, ...]:
    """The answer to SHOW_NEIGHBORS. Raises ValueError when it is not what ExaBGP 5.0 prints."""
    try:
        rows = json.loads("".join(lines) or "[]")
        return tuple(
            Session(
                neighbor=str(ipaddress.ip_address(row["peer"]["address"])),
                # `state` says down for the first second of a session
                up=str(row["fsm"]).lower() == "established",
                families=_families(row["families"]),
            )
            for row in rows
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"unexpected answer to '{SHOW_NEIGHBORS}': {error!r}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRoute:
    """A route in ExaBGP's outgoing table: `tags` are its communities, standard and large, as text."""

    neighbor: str
    prefix: Prefix
    next_hop: str
    tags: frozenset[str]
    path_is_empty: bool


def parse_routes(lines: Iterable[str]) -> tuple[HeldRoute, ...]:
    """The answer to SHOW_ROUTES with show-routes-format v2. Raises ValueError as parse_neighbors does."""
    return tuple(_route(line) for line in lines if line)


def _route(line: str) -> HeldRoute:
    try:
        row = json.loads(line)
        nlri, attributes = row["route"]["nlri"], row["route"]["attributes"]
        found = [*_listed(attributes.get("community")), *_listed(attributes.get("large-community"))]
        return HeldRoute(
            neighbor=str(ipaddress.ip_address(row["peer"]["address"])),
            prefix=ipaddress.ip_network(nlri["prefix"]),
            next_hop=str(nlri.get("nexthop") or nlri.get("next-hop")),
            tags=frozenset(found),
            path_is_empty=not attributes.get("as-path"),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"unexpected answer to '{SHOW_ROUTES}': {error!r}") from error


def _listed(found: Any) -> list[str]:
    """Communities come as a list of texts or of lists of numbers, depending on their kind."""
    if isinstance(found, str):
        return found.strip("[] ").split()
    return [":".join(str(part) for part in item) if isinstance(item, list) else str(item) for item in found or ()]
