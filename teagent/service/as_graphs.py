"""The AS graph of the configured file."""

from __future__ import annotations

import structlog

from teagent.engine.predict.as_graph import AsGraph
from teagent.errors import TeagentError
from teagent.ports import Clock, FileSource
from teagent.service.watched_file import WatchedFile

log = structlog.get_logger("as_graph")


class AsGraphs(WatchedFile[AsGraph, AsGraph]):
    """The graph as the file has it: of us it holds what the file says, not what is configured."""

    def __init__(self, *, source: FileSource[AsGraph], clock: Clock) -> None:
        super().__init__(source=source, make=lambda graph: graph, clock=clock)

    def _say_loaded(self, made: AsGraph) -> None:
        log.info("AS graph read", path=self.path, ases=len(made), transit_relations=len(made.customers.target))

    def _say_problem(self, error: TeagentError, kept_since: str | None) -> None:
        log.error("AS graph not read", path=self.path, error=error.message, hint=error.hint, kept_since=kept_since)
