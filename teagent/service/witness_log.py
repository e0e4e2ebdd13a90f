"""Says once when a router begins to tell what it holds, and when it ends."""

from __future__ import annotations

import structlog

from teagent.model.witness import WitnessKind
from teagent.ports import Witness

log = structlog.get_logger("witness")


class WitnessLog:
    def __init__(self, witness: Witness | None) -> None:
        self._witness = witness
        self._telling: set[tuple[str, WitnessKind]] = set()
        self._strangers: frozenset[str] = frozenset()

    def look(self) -> None:
        if self._witness is None:
            return
        for health in self._witness.health():
            key, by = (health.router, health.kind), health.kind.value
            if health.connected and key not in self._telling:
                self._telling.add(key)
                log.info("router tells what it holds", router=health.router, by=by, system=health.system or None)
            elif not health.connected and key in self._telling:
                self._telling.discard(key)
                log.warning("router tells no more", router=health.router, by=by, reason=health.reason)
        found = self._witness.strangers()
        for address in sorted(found - self._strangers):
            log.warning("bmp from an address that is not configured", address=address)
        self._strangers = found
