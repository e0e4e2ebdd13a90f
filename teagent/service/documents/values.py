"""Single values as JSON: times, rates, shares, readings that are absent."""

from __future__ import annotations

import math
from datetime import datetime
from typing import TypeAlias

from teagent.model.bgp import Asn
from teagent.model.link import NoData
from teagent.model.plan import Band
from teagent.model.traffic import Source
from teagent.model.units import format_time

Document: TypeAlias = dict[str, object]


def time_or_none(at: datetime | None) -> str | None:
    return None if at is None else format_time(at)


def whole(number: float | None) -> int | None:
    """Rates in whole bits per second; NaN and infinity, which JSON does not know, are None."""
    return None if number is None or not math.isfinite(number) else round(float(number))


def share(part_bps: float, whole_bps: float) -> float | None:
    """To four places: a hundredth of a percent."""
    return round(float(part_bps) / whole_bps, 4) if whole_bps > 0 else None


def decimal(number: float | None, places: int = 3) -> float | None:
    return None if number is None or not math.isfinite(number) else round(float(number), places)


def no_data(absent: NoData) -> Document:
    """A reading that is absent, wherever a reading is expected."""
    return {"no_data": {"since": format_time(absent.since), "reason": absent.reason}}


def band(value: Band) -> Document:
    """90 % of outcomes are expected from low to high."""
    return {
        "low_bps": whole(value.low),
        "expected_bps": whole(value.expected),
        "high_bps": whole(value.high),
    }


def source(value: Source) -> Document:
    """Who sends; `name` is what tables show, and one of the other two is set unless it is "rest"."""
    return {"name": str(value), "asn": value.asn or None, "prefix": value.prefix or None}


def as_path(asn: Asn, prepend: int | None) -> list[int] | None:
    """The path as the neighbor sees it; None where the prefix is not announced to it."""
    return None if prepend is None else [int(asn)] * (prepend + 1)
