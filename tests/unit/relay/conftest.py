from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.unit.relay.setting import Setting, StillClock

ALLOW: dict[str, Any] = {
    "version": 1,
    "local_asn": 64500,
    "links": {"1": "transit-a", "2": "transit-b"},
    "max_prepend": 3,
    "prefixes": [
        {"prefix": "198.51.100.0/24"},
        {"prefix": "203.0.113.0/24", "max_prepend": 1, "links": [2]},
        {"prefix": "2001:db8:100::/44"},
    ],
    "next_hop": {"ipv4": "192.0.2.254", "ipv6": "2001:db8:ffff::254"},
    "neighbors": [
        {"address": "192.0.2.65", "families": ["ipv4", "ipv6"]},
        {"address": "192.0.2.73", "families": ["ipv4"]},
    ],
}


@pytest.fixture
def allow_document() -> dict[str, Any]:
    return json.loads(json.dumps(ALLOW))


@pytest.fixture
def write_allow(tmp_path: Path) -> Callable[..., Path]:
    """Writes an allow-list with the given keys changed; the same path each time."""

    def write(**changes: Any) -> Path:
        path = tmp_path / "allow.json"
        path.write_text(json.dumps({**ALLOW, **changes}))
        return path

    return write


@pytest.fixture
def still() -> StillClock:
    return StillClock()


@pytest_asyncio.fixture
async def setting(tmp_path, still, write_allow):
    setting = Setting(tmp_path, still, write_allow)
    await setting.turn()
    setting.exabgp.commands.clear()
    yield setting
    setting.relay.journal.close()
