"""Origins: the table that names senders, read again when its file changes, without a gap."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime

import structlog

from teagent.engine.measure.origin import OriginTable
from teagent.errors import TeagentError
from teagent.ports import Clock, OriginSource

log = structlog.get_logger("origins")


class Origins:
    """`table` is the last one that could be read, None before the first. `problem` says why the file that is there now
    could not, and is empty while it could.
    """

    def __init__(self, *, source: OriginSource, clock: Clock) -> None:
        self._source = source
        self._clock = clock
        self._version: object = None
        self.table: OriginTable | None = None
        self.loaded_at: datetime | None = None
        self.problem = ""
        self.counters: Counter[str] = Counter()

    @property
    def path(self) -> str:
        return str(self._source.path)

    async def reload(self) -> None:
        """Reads the file in a thread of its own, if it is not the one that was read last."""
        try:
            version = await asyncio.to_thread(self._source.version)
            if version == self._version:
                return
            self._version = version
            table = await asyncio.to_thread(lambda: OriginTable(self._source.read()))
        except TeagentError as error:
            self._failed(error)
            return
        self.table, self.loaded_at, self.problem = table, self._clock.now(), ""
        self.counters["loads"] += 1
        log.info("origins read", path=self.path, ipv4=table.prefixes[4], ipv6=table.prefixes[6])

    def _failed(self, error: TeagentError) -> None:
        self.counters["failures"] += 1
        if error.message != self.problem:
            kept = None if self.loaded_at is None else self.loaded_at.isoformat(timespec="seconds")
            log.error("origins not read", path=self.path, error=error.message, hint=error.hint, kept_since=kept)
        self.problem = error.message
