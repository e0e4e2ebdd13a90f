"""Bands made wider by what earlier predictions got wrong."""

from __future__ import annotations

from dataclasses import replace

from teagent.model.plan import Band, DryRun, LinkForecast


def widened(dry_run: DryRun, times: float) -> DryRun:
    """Both halves of every band, so many times as wide; what is expected stays. `times` 1 changes nothing."""
    if times == 1.0:
        return dry_run
    return replace(
        dry_run,
        links=tuple(_link(forecast, times) for forecast in dry_run.links),
        moved=wider(dry_run.moved, times),
    )


def _link(forecast: LinkForecast, times: float) -> LinkForecast:
    after = wider(forecast.after, times)
    if forecast.worst_bps <= forecast.before_bps:
        # Nothing can arrive here, and more than it carries is dropped before it reaches us.
        ceiling = max(forecast.capacity_bps, forecast.before_bps, forecast.after.high)
        after = replace(after, high=min(after.high, ceiling))
        return replace(forecast, after=after)
    return replace(forecast, after=after, worst_bps=max(forecast.worst_bps, after.high))


def wider(band: Band, times: float) -> Band:
    return Band(
        low=max(0.0, band.expected - times * (band.expected - band.low)),
        expected=band.expected,
        high=band.expected + times * (band.high - band.expected),
    )
