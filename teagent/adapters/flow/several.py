"""Flows that come in several ways, each exporter by one of them, as one FlowSource."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime

from teagent.model.traffic import FlowBatch
from teagent.ports import ExporterHealth, FlowSource


class SeveralSources:
    """A window covers what all have told: it ends where the one ends that is furthest behind. The others' flows since
    then are in it as well; as links are scaled to their counters, coverage alone shows the difference.
    """

    def __init__(self, *sources: FlowSource) -> None:
        self.sources = sources

    def start(self) -> None:
        """When a later one cannot start, those before it are stopped again."""
        with ExitStack() as started:
            for source in self.sources:
                source.start()
                started.callback(source.stop)
            started.pop_all()

    def stop(self) -> None:
        for source in reversed(self.sources):
            source.stop()

    def take(self) -> Sequence[FlowBatch]:
        return [batch for source in self.sources for batch in source.take()]

    def resume(self, since: datetime | None, now: datetime) -> datetime:
        return min((source.resume(since, now) for source in self.sources), default=now)

    def told_until(self, now: datetime) -> datetime:
        return min((source.told_until(now) for source in self.sources), default=now)

    def trouble(self) -> str:
        return "; ".join(filter(None, (source.trouble() for source in self.sources)))

    def dropped(self) -> Mapping[str, int]:
        return {reason: count for source in self.sources for reason, count in source.dropped().items()}

    def exporters(self) -> Sequence[ExporterHealth]:
        return [health for source in self.sources for health in source.exporters()]
