"""Exporters: how each of them does over the last few minutes, and what is to be doubted on whose links."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

from teagent.engine.measure.exporter_trust import ExporterBounds, ExporterFigures, doubts, unknown_sampling
from teagent.ports import Clock, ExporterHealth, FlowSource

HARMLESS = frozenset({"no_addresses", "not_ip"})
"""Reasons for not decoding what would not have counted anyway: traffic that is not IP."""


@dataclass(frozen=True, slots=True)
class _Sample:
    expected: int
    lost: int
    datagrams: int
    undecoded: int
    samples: int
    samples_missing: int

    @classmethod
    def of(cls, health: ExporterHealth) -> _Sample:
        undecoded = sum(count for reason, count in health.undecoded.items() if reason not in HARMLESS)
        missing = health.samples_lost + health.samples_dropped
        return cls(health.expected, health.lost, health.datagrams, undecoded, health.samples, missing)


class ExporterWatch:
    """`links` maps a link to its router; `active_timeouts` an exporter to what the configuration says of it."""

    def __init__(
        self,
        *,
        source: FlowSource,
        links: Mapping[str, str],
        clock: Clock,
        bounds: ExporterBounds | None = None,
        active_timeouts: Mapping[str, float] | None = None,
        samples: int = 5,
    ) -> None:
        self._source = source
        self._links = dict(links)
        self._clock = clock
        self._bounds = bounds or ExporterBounds()
        self._active_timeouts = dict(active_timeouts or {})
        self._started_at = clock.now()
        self._samples: deque[dict[str, _Sample]] = deque(maxlen=samples)

    def sample(self) -> None:
        """Called window by window: shares are taken since the oldest of the samples."""
        self._samples.append({health.exporter: _Sample.of(health) for health in self._source.exporters()})

    def figures(self) -> dict[str, ExporterFigures]:
        """By exporter."""
        return {health.exporter: self._figures(health) for health in self._source.exporters()}

    def _figures(self, health: ExporterHealth) -> ExporterFigures:
        before = self._samples[0].get(health.exporter) if self._samples else None
        now, then = _Sample.of(health), before or _Sample(0, 0, 0, 0, 0, 0)
        undecoded = max(0, now.undecoded - then.undecoded)
        missing = max(0, now.samples_missing - then.samples_missing)
        return ExporterFigures(
            exporter=health.exporter,
            heard=health.last_at is not None,
            heard_at=health.last_at or self._started_at,
            template_at=health.last_template_at,
            # A late datagram makes good for what was counted as lost before.
            lost_share=_share(max(0, now.lost - then.lost), now.expected - then.expected),
            undecoded_share=_share(undecoded, now.datagrams - then.datagrams + undecoded),
            clock_skew_seconds=health.clock_skew_seconds,
            active_timeout_seconds=self._active_timeouts.get(health.exporter, health.active_timeout_seconds),
            future_share=health.future_share,
            samples_missing_share=_share(missing, now.samples - then.samples + missing),
            sampling_known=health.sampling_rate is not None,
        )

    def doubts(self, now: datetime) -> dict[str, tuple[str, ...]]:
        """By exporter, those that there are doubts about. One that is silent while another address of its router is
        not, is merely not in use.
        """
        listed = self._source.exporters()
        figures = {health.exporter: self._figures(health) for health in listed}
        silent_after = self._bounds.silent_seconds
        talking = {
            name for name, f in figures.items() if f.heard and (now - f.heard_at).total_seconds() <= silent_after
        }
        heard_routers = {health.router for health in listed if health.exporter in talking}
        found = {}
        for health in listed:
            if health.exporter in talking or health.router not in heard_routers:
                found[health.exporter] = doubts(figures[health.exporter], now, self._bounds)
        return {name: reasons for name, reasons in found.items() if reasons}

    def all_doubts(self, now: datetime, disagreements: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
        """By exporter, `doubts` and those that its router's links bring it: `disagreements` says of a link how far its
        flows are from what its interface counts.
        """
        found, figures = self.doubts(now), self.figures()
        for health in self._source.exporters():
            said = [text for link, text in disagreements.items() if self._links.get(link) == health.router]
            if said and health.last_at is not None:
                unknown = unknown_sampling([figures[health.exporter]])
                reasons = (*said, unknown) if unknown else tuple(said)
                found[health.exporter] = (*found.get(health.exporter, ()), *reasons)
        return found

    def link_doubts(self, now: datetime, disagreeing: Collection[str]) -> dict[str, tuple[str, ...]]:
        """By link, for those that there are doubts about. Of the links in `disagreeing`, whose flows are not what their
        interface counts, it is also said where the sampling rate is not known.
        """
        by_exporter = self.doubts(now)
        routers = {health.exporter: health.router for health in self._source.exporters()}
        figures = self.figures()
        found: dict[str, tuple[str, ...]] = {}
        for link, router in self._links.items():
            ours = [exporter for exporter, of in routers.items() if of == router]
            reasons = tuple(reason for exporter in ours for reason in by_exporter.get(exporter, ()))
            sampling = unknown_sampling([figures[exporter] for exporter in ours]) if link in disagreeing else ""
            if reasons or sampling:
                found[link] = (*reasons, sampling) if sampling else reasons
        return found


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole > 0 else None
