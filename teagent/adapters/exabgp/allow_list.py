"""The file that the relay checks against: its text, and how it is put in its place.

docs/reference/relay-protocol.md says what is in it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from teagent.adapters.exabgp.place import replace_file
from teagent.model.allow_list import AllowList

FILE_MODE = 0o644
"""Nothing in it is secret, and the relay reads it as another user than the one who wrote it."""


def render(allow: AllowList) -> str:
    hops = {"ipv4": allow.next_hop_ipv4, "ipv6": allow.next_hop_ipv6}
    document = {
        "version": 1,
        "local_asn": allow.local_asn,
        "signals": allow.signals,
        "links": {str(link_id): allow.links[link_id] for link_id in sorted(allow.links)},
        "max_prepend": allow.max_prepend,
        "withhold": allow.withhold,
        "prefixes": [
            {"prefix": str(row.prefix), "max_prepend": row.max_prepend, "links": sorted(row.link_ids)}
            for row in allow.prefixes
        ],
        "next_hop": {family: None if hop is None else str(hop) for family, hop in hops.items()},
        "neighbors": [{"address": str(row.address), "families": sorted(row.families)} for row in allow.neighbors],
        "max_overrides": allow.max_overrides,
        "changes_per_minute": allow.changes_per_minute,
        "burst": allow.burst,
        "max_window_seconds": allow.max_window_seconds,
    }
    return json.dumps(document, indent=1) + "\n"


def digest(allow: AllowList) -> str:
    """Hex SHA-256 of the file, as the relay tells of the one that it uses."""
    return hashlib.sha256(render(allow).encode("ascii")).hexdigest()


def says(path: Path, allow: AllowList) -> bool:
    """Whether the file is there and is just this list."""
    try:
        return path.read_text(encoding="ascii") == render(allow)
    except (OSError, ValueError):
        return False


def write_allow_list(path: Path, allow: AllowList) -> bool:
    """Writes the file if it is not there or says something else; true when it wrote.

    The file is replaced in one step, so that the relay never reads half of it. Raises OSError.
    """
    if says(path, allow):
        return False
    replace_file(path, render(allow), mode=FILE_MODE)
    return True
