"""Origins: the table that names senders."""

from __future__ import annotations

import structlog

from teagent.engine.measure.origin import OriginTable
from teagent.errors import TeagentError
from teagent.model.origin import OriginRoutes
from teagent.ports import Clock, FileSource
from teagent.service.watched_file import WatchedFile

log = structlog.get_logger("origins")


class Origins(WatchedFile[OriginRoutes, OriginTable]):
    def __init__(self, *, source: FileSource[OriginRoutes], clock: Clock) -> None:
        super().__init__(source=source, make=OriginTable, clock=clock)

    @property
    def table(self) -> OriginTable | None:
        return self.value

    def _say_loaded(self, made: OriginTable) -> None:
        log.info("origins read", path=self.path, ipv4=made.prefixes[4], ipv6=made.prefixes[6])

    def _say_problem(self, error: TeagentError, kept_since: str | None) -> None:
        log.error("origins not read", path=self.path, error=error.message, hint=error.hint, kept_since=kept_since)
