"""What the operator lets out: the file, and the check of every announcement against it.

The file is JSON, installed by the operator (`teagent allow-list write`, as root) and readable by the relay; see
docs/reference/relay-protocol.md. The relay reads it by itself: what the daemon believes does not count here.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from teagent.relay.custody import why_untrusted
from teagent.relay.protocol import (
    LINK_ID_MAX,
    PREPEND_HARD_MAX,
    Announce,
    Override,
    Prefix,
    Signal,
)
from teagent.relay.refusal import Json, Refusal

VERSION = 1
FILE_MAX_BYTES = 4_000_000
FAMILIES = ("ipv4", "ipv6")
ASN_MAX = 2**32 - 1
STANDARD_LINK_ID_MAX = 6552  # LINK_ID*10+9 must fit the 16 bits of RFC 1997

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address


class BadAllowListError(ValueError):
    """The file cannot be used; nothing of it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedPrefix:
    max_prepend: int
    links: frozenset[int]  # the links that carry it; an override says something about each


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbor:
    address: Address
    families: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowList:
    local_asn: int
    signals: str  # large or standard
    links: Mapping[int, str]
    max_prepend: int
    withhold: bool
    prefixes: Mapping[Prefix, AllowedPrefix]
    next_hop: Mapping[str, Address]  # by family; one without an address is not spoken
    neighbors: tuple[Neighbor, ...]
    max_overrides: int
    changes_per_minute: float
    burst: int
    max_window_seconds: float
    digest: str

    def neighbors_of(self, family: str) -> tuple[Neighbor, ...]:
        return tuple(n for n in self.neighbors if family in n.families)

    def check_override(self, override: Override) -> None:
        """Raises Refusal for the first rule that is broken. Rules that need time or state are checked elsewhere."""
        prefix = override.prefix
        allowed = self.prefixes.get(prefix)
        if allowed is None:
            refuse("prefix", f"{prefix} is not on the allow-list", value=str(prefix))
        if override.family not in self.next_hop:
            refuse("next_hop", f"no {override.family} next hop is on the allow-list", value=override.family)
        if not self.neighbors_of(override.family):
            refuse("neighbor", f"no neighbor on the allow-list takes {override.family}", value=override.family)
        for signal in override.signals:
            self._check_signal(signal, allowed)
        told = {signal.link_id for signal in override.signals}
        if len(told) != len(override.signals):
            refuse("one_signal_per_link", f"{prefix} has two signals for one link", limit=1)
        missing = sorted(allowed.links - told)
        if missing:
            refuse(
                "whole_vector",
                f"{prefix} has no signal for link {missing[0]}, which carries it",
                value=sorted(told),
                limit=sorted(allowed.links),
            )
        if all(signal.prepend is None for signal in override.signals):
            refuse("announced_links", f"{prefix} would be announced on no link", value=0, limit=1)

    def check_deadline(self, request: Announce, now: float) -> None:
        if request.deadline is None:
            return
        if request.deadline <= now:
            refuse("deadline", "the deadline has passed already", value=request.deadline, limit=now)
        if request.deadline > now + self.max_window_seconds:
            refuse(
                "deadline",
                "the deadline is too far away",
                value=round(request.deadline - now),
                limit=self.max_window_seconds,
            )

    def _check_signal(self, signal: Signal, allowed: AllowedPrefix) -> None:
        if signal.link_id not in self.links:
            refuse(
                "link",
                f"link {signal.link_id} is not on the allow-list",
                value=signal.link_id,
                limit=sorted(self.links),
            )
        if signal.link_id not in allowed.links:
            refuse(
                "link",
                f"link {signal.link_id} does not carry the prefix",
                value=signal.link_id,
                limit=sorted(allowed.links),
            )
        if signal.prepend is None:
            if not self.withhold:
                refuse("withhold", "the allow-list does not let a prefix be withheld from a link", value=signal.link_id)
            return
        cap = min(PREPEND_HARD_MAX, self.max_prepend, allowed.max_prepend)
        if signal.prepend > cap:
            refuse("max_prepend", f"too many prepends on link {signal.link_id}", value=signal.prepend, limit=cap)


def refuse(rule: str, message: str, *, value: Json = None, limit: Json = None) -> NoReturn:
    raise Refusal("refused", rule, message, value=value, limit=limit)


def load(path: Path, *, owners: frozenset[int] | None = None) -> AllowList:
    """Raises BadAllowListError, which says what is wrong with the file.

    `owners` are the uids that alone may be able to change it; None where it is only looked at.
    """
    try:
        with path.open("rb") as file:
            untrusted = None if owners is None else why_untrusted(file.fileno(), path, owners)
            raw = file.read(FILE_MAX_BYTES + 1)
    except OSError as error:
        raise BadAllowListError(f"{path.name}: {error.strerror}") from error
    if untrusted is not None:
        raise BadAllowListError(f"{path.name} is not used: {untrusted}")
    if len(raw) > FILE_MAX_BYTES:
        raise BadAllowListError(f"{path.name}: more than {FILE_MAX_BYTES} bytes")
    try:
        return parse(raw)
    except BadAllowListError as error:
        raise BadAllowListError(f"{path.name}: {error}") from error


def parse(raw: bytes) -> AllowList:
    """The file's text to a list in which every value has been checked. Raises BadAllowListError."""
    try:
        document = json.loads(raw.decode("ascii"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise BadAllowListError(f"not JSON in ASCII: {str(error)[:120]}") from error
    if not isinstance(document, dict):
        raise BadAllowListError("not a JSON object")
    _keys(
        document,
        "the file",
        required=("version", "local_asn", "links", "prefixes", "next_hop", "neighbors"),
        optional=OPTIONAL,
    )
    if document["version"] != VERSION:
        raise BadAllowListError(f"version is {document['version']!r}, this relay reads {VERSION}")
    signals = document.get("signals", "large")
    if signals not in {"large", "standard"}:
        raise BadAllowListError("signals is neither large nor standard")
    asn = _whole(document["local_asn"], "local_asn", 1, ASN_MAX if signals == "large" else 65_535)
    links = _links(document["links"], LINK_ID_MAX if signals == "large" else STANDARD_LINK_ID_MAX)
    cap = _whole(document.get("max_prepend", 3), "max_prepend", 0, PREPEND_HARD_MAX)
    withhold = document.get("withhold", False)
    if not isinstance(withhold, bool):
        raise BadAllowListError("withhold is neither true nor false")
    return AllowList(
        local_asn=asn,
        signals=signals,
        links=links,
        max_prepend=cap,
        withhold=withhold,
        prefixes=_prefixes(document["prefixes"], links, cap),
        next_hop=_next_hops(document["next_hop"]),
        neighbors=_neighbors(document["neighbors"]),
        max_overrides=_whole(document.get("max_overrides", 50), "max_overrides", 0, 100_000),
        changes_per_minute=_number(document.get("changes_per_minute", 60), "changes_per_minute", 1e9),
        burst=_whole(document.get("burst", 50), "burst", 1, 1_000_000_000),
        max_window_seconds=_number(document.get("max_window_seconds", 86_400), "max_window_seconds", 31 * 86_400),
        digest=hashlib.sha256(raw).hexdigest(),
    )


OPTIONAL = ("signals", "max_prepend", "withhold", "max_overrides", "changes_per_minute", "burst", "max_window_seconds")


def _links(found: Any, highest: int) -> dict[int, str]:
    if not isinstance(found, dict) or not found:
        raise BadAllowListError("links is not an object of link id to name")
    links: dict[int, str] = {}
    for key, name in found.items():
        if not key.isascii() or not key.isdecimal() or str(int(key)) != key or not 0 < int(key) <= highest:
            raise BadAllowListError(f"links: '{key[:20]}' is not a link id from 1 to {highest}")
        if not isinstance(name, str) or not name.isprintable():
            raise BadAllowListError(f"links.{key} is not a name")
        links[int(key)] = name
    return links


def _prefixes(found: Any, links: Mapping[int, str], cap: int) -> dict[Prefix, AllowedPrefix]:
    if not isinstance(found, list):
        raise BadAllowListError("prefixes is not a list")
    prefixes: dict[Prefix, AllowedPrefix] = {}
    for index, row in enumerate(found):
        place = f"prefixes[{index}]"
        _keys(row, place, required=("prefix",), optional=("max_prepend", "links"))
        try:
            prefix = ipaddress.ip_network(row["prefix"], strict=True) if isinstance(row["prefix"], str) else None
        except ValueError:
            prefix = None
        if prefix is None or prefix.prefixlen == 0:
            raise BadAllowListError(f"{place}: {row['prefix']!r} is not a prefix")
        if prefix in prefixes:
            raise BadAllowListError(f"{place}: {prefix} is listed twice")
        carried = row.get("links", sorted(links))
        if not isinstance(carried, list) or not carried or not all(type(i) is int and i in links for i in carried):
            raise BadAllowListError(f"{place}.links is not a list of ids out of links")
        prefixes[prefix] = AllowedPrefix(
            max_prepend=_whole(row.get("max_prepend", cap), f"{place}.max_prepend", 0, PREPEND_HARD_MAX),
            links=frozenset(carried),
        )
    return prefixes


def _next_hops(found: Any) -> dict[str, Address]:
    _keys(found, "next_hop", required=(), optional=FAMILIES)
    hops: dict[str, Address] = {}
    for family, text in found.items():
        if text is None:
            continue
        hops[family] = _address(text, f"next_hop.{family}")
        if f"ipv{hops[family].version}" != family:
            raise BadAllowListError(f"next_hop.{family}: {text} is of the other family")
    return hops


def _neighbors(found: Any) -> tuple[Neighbor, ...]:
    if not isinstance(found, list) or not found:
        raise BadAllowListError("neighbors is not a list with at least one neighbor")
    neighbors: list[Neighbor] = []
    for index, row in enumerate(found):
        place = f"neighbors[{index}]"
        _keys(row, place, required=("address", "families"), optional=())
        families = row["families"]
        if not isinstance(families, list) or not families or not all(f in FAMILIES for f in families):
            raise BadAllowListError(f"{place}.families is not a list of ipv4 and ipv6")
        neighbors.append(Neighbor(address=_address(row["address"], place), families=frozenset(families)))
    if len({n.address for n in neighbors}) != len(neighbors):
        raise BadAllowListError("neighbors has one address twice")
    return tuple(neighbors)


def _address(text: Any, place: str) -> Address:
    try:
        address = ipaddress.ip_address(text) if isinstance(text, str) and "%" not in text else None
    except ValueError:
        address = None
    if address is None or address.is_multicast or address.is_unspecified:
        raise BadAllowListError(f"{place}: {text!r} is not an address of a host")
    return address


def _keys(row: Any, place: str, *, required: tuple[str, ...], optional: tuple[str, ...]) -> None:
    if not isinstance(row, dict):
        raise BadAllowListError(f"{place} is not an object")
    missing = [key for key in required if key not in row]
    unknown = sorted(set(row) - {*required, *optional})
    if missing or unknown:
        what = f"has no {missing[0]}" if missing else f"has the unknown key '{unknown[0][:40]}'"
        raise BadAllowListError(f"{place} {what}")


def _whole(value: Any, place: str, lowest: int, highest: int) -> int:
    if type(value) is not int or not lowest <= value <= highest:
        raise BadAllowListError(f"{place} is not a whole number from {lowest} to {highest}")
    return value


def _number(value: Any, place: str, highest: float) -> float:
    if type(value) not in {int, float} or not 0 < value <= highest:
        raise BadAllowListError(f"{place} is not a number above 0 and up to {highest:g}")
    return float(value)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key appears twice")
    return document
