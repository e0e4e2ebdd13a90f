"""Writes the file that the relay checks against; docs/reference/relay-protocol.md says what is in it."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from teagent.model.bgp import Address, Asn, Prefix

FILE_MODE = 0o640


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedPrefix:
    """`link_ids` are the links that carry the prefix."""

    prefix: Prefix
    max_prepend: int
    link_ids: frozenset[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowedNeighbor:
    """`families` out of ipv4 and ipv6."""

    address: Address
    families: frozenset[str]


def write_allow_list(
    path: Path,
    *,
    local_asn: Asn,
    links: Mapping[int, str],
    prefixes: Sequence[AllowedPrefix],
    next_hop_ipv4: IPv4Address | None,
    next_hop_ipv6: IPv6Address | None,
    neighbors: Sequence[AllowedNeighbor],
    max_prepend: int,
    withhold: bool = False,
    signals: str = "large",
    max_overrides: int = 50,
    changes_per_minute: float = 60,
    burst: int = 50,
    max_window_seconds: float = 86_400,
) -> bool:
    """Writes the file if it is not there or says something else; true when it wrote.

    The file is replaced in one step, so that the relay never reads half of it. Raises OSError.
    """
    hops = {"ipv4": next_hop_ipv4, "ipv6": next_hop_ipv6}
    document = {
        "version": 1,
        "local_asn": local_asn,
        "signals": signals,
        "links": {str(link_id): links[link_id] for link_id in sorted(links)},
        "max_prepend": max_prepend,
        "withhold": withhold,
        "prefixes": [
            {"prefix": str(row.prefix), "max_prepend": row.max_prepend, "links": sorted(row.link_ids)}
            for row in prefixes
        ],
        "next_hop": {family: None if hop is None else str(hop) for family, hop in hops.items()},
        "neighbors": [{"address": str(row.address), "families": sorted(row.families)} for row in neighbors],
        "max_overrides": max_overrides,
        "changes_per_minute": changes_per_minute,
        "burst": burst,
        "max_window_seconds": max_window_seconds,
    }
    text = json.dumps(document, indent=1) + "\n"
    with contextlib.suppress(OSError, ValueError):
        if path.read_text(encoding="ascii") == text:
            return False
    _replace(path, text)
    return True


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(path.name + ".new")
    try:
        with temporary.open("w", encoding="ascii") as file:
            os.fchmod(file.fileno(), FILE_MODE)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
