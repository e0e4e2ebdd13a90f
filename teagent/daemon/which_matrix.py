"""Which traffic matrix is meant by `--window` and `--since`."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from teagent.errors import NotFound, Refused
from teagent.model.link import NoData
from teagent.model.traffic import MatrixSpan, TrafficMatrix
from teagent.model.units import format_duration

if TYPE_CHECKING:
    from teagent.daemon.app import App

FARTHEST_SECONDS = {MatrixSpan.SHORT: 3600.0, MatrixSpan.WINDOW: 31 * 86400.0}


def span_of(app: App, window_seconds: float | None) -> MatrixSpan:
    """Raises NotFound where no window is so long."""
    known = {app.ingest.window_seconds(span): span for span in (MatrixSpan.SHORT, MatrixSpan.WINDOW)}
    if window_seconds is None:
        return MatrixSpan.WINDOW
    if window_seconds not in known:
        raise NotFound("window of", format_duration(window_seconds), known=[format_duration(each) for each in known])
    return known[window_seconds]


async def matrix_of(
    app: App, now: datetime, *, window_seconds: float | None, since_seconds: float | None
) -> TrafficMatrix | NoData:
    """The last one, or the mean of those since then. Raises NotFound, and Refused for too long a time."""
    span = span_of(app, window_seconds)
    if since_seconds is None:
        return app.ingest.latest(now, span=span)
    farthest = FARTHEST_SECONDS[span]
    if since_seconds > farthest:
        which = format_duration(app.ingest.window_seconds(span))
        raise Refused(
            f"matrices of {which} are summed up over {format_duration(farthest)} at the most",
            hint="ask for less, or for the longer window",
        )
    return await app.ingest.over(now, since=now - timedelta(seconds=since_seconds), span=span)
