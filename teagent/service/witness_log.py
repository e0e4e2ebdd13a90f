"""Says once when a router begins to tell what it holds, and when it ends."""

from __future__ import annotations

import structlog

from teagent.ports import Witness

log = structlog.get_logger("witness")


class WitnessLog:
    def __init__(self, witness: Witness | None) -> None:
        self._witness = witness
        self._telling: set[str] = set()
        self._strangers: frozenset[str] = frozenset()

    def look(self) -> None:
        if self._witness is None:
            return
        for health in self._witness.health():
            if health.connected and health.router not in self._telling:
                self._telling.add(health.router)
                log.info("router tells by bmp", router=health.router, system=health.system or None)
            elif not health.connected and health.router in self._telling:
                self._telling.discard(health.router)
                log.warning("router tells no more by bmp", router=health.router, reason=health.reason)
        found = self._witness.strangers()
        for address in sorted(found - self._strangers):
            log.warning("bmp from an address that is not configured", address=address)
        self._strangers = found
