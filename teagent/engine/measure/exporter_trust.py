"""Reasons to doubt what one exporter says. They hold up decisions that rest on its links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from teagent.model.units import format_age, format_duration, format_share


@dataclass(frozen=True, slots=True, kw_only=True)
class ExporterBounds:
    """What is still believed; docs/reference/flows.md says why these.

    `active_timeout_seconds`: of the records, or of the configuration. `lost` and `undecoded` are shares.
    """

    silent_seconds: float = 180
    active_timeout_seconds: float = 90
    clock_skew_seconds: float = 120
    template_seconds: float = 3 * 3600
    lost: float = 0.05
    undecoded: float = 0.05
    future: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class ExporterFigures:
    """How one exporter does. Shares are of the last few minutes, None where there was nothing to take a share of.

    `heard_at` is the last datagram, or when we began to listen, and `heard` tells which. `template_at` is None for
    protocols without templates. `clock_skew_seconds` is its clock less ours when the last datagram arrived, None where
    datagrams carry no time. `active_timeout_seconds` None: its records have no times.
    """

    exporter: str
    heard: bool
    heard_at: datetime
    template_at: datetime | None = None
    lost_share: float | None = None
    undecoded_share: float | None = None
    clock_skew_seconds: float | None = None
    active_timeout_seconds: float | None = None
    future_share: float = 0.0
    sampling_known: bool = True
    samples_missing_share: float | None = None  # of sFlow's: dropped by the agent itself, or lost


def doubts(figures: ExporterFigures, now: datetime, bounds: ExporterBounds) -> tuple[str, ...]:
    """In words, with value and limit; empty where there are none. That the sampling rate is not known is no doubt by
    itself: the interface counters show whether it matters, see `unknown_sampling`.
    """
    name = figures.exporter
    silent = (now - figures.heard_at).total_seconds()
    if silent > bounds.silent_seconds:
        since = f"for {format_age(figures.heard_at, now)}" if figures.heard else "ever"
        return (f"{name} has sent no flows {since}, limit {format_duration(bounds.silent_seconds)}",)
    if not figures.heard:
        return ()
    reasons = []
    if figures.template_at is not None:
        age = (now - figures.template_at).total_seconds()
        if age > bounds.template_seconds:
            limit = format_duration(bounds.template_seconds)
            reasons.append(f"the last template of {name} is {format_age(figures.template_at, now)} old, limit {limit}")
    reasons += _share(f"flows of {name} were lost on the way", figures.lost_share, bounds.lost)
    missing = f"the samples of {name} were dropped by itself or lost"
    reasons += _share(missing, figures.samples_missing_share, bounds.lost)
    reasons += _share(f"the flow sets of {name} could not be decoded", figures.undecoded_share, bounds.undecoded)
    reasons += _share(f"the flows of {name} end in the future", figures.future_share, bounds.future)
    skew = figures.clock_skew_seconds
    if skew is not None and abs(skew) > bounds.clock_skew_seconds:
        side = "ahead of" if skew > 0 else "behind"
        limit = format_duration(bounds.clock_skew_seconds)
        reasons.append(f"the clock of {name} is {format_duration(abs(skew))} {side} ours, limit {limit}")
    timeout = figures.active_timeout_seconds
    if timeout is not None and timeout > bounds.active_timeout_seconds:
        limit = format_duration(bounds.active_timeout_seconds)
        reasons.append(f"{name} reports flows after {format_duration(timeout)}, in lumps, limit {limit}")
    return tuple(reasons)


def unknown_sampling(figures: Sequence[ExporterFigures]) -> str:
    """What to add where flows and interface counters disagree; empty where all rates are known."""
    unknown = sorted(each.exporter for each in figures if each.heard and not each.sampling_known)
    return f"the sampling rate of {', '.join(unknown)} is not known" if unknown else ""


def _share(what: str, share: float | None, limit: float) -> list[str]:
    if share is None or share <= limit:
        return []
    return [f"{format_share(share)} of {what}, limit {format_share(limit)}"]
