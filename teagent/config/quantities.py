"""Quantities as the files write them: exact, so that what is written loads to the same value."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import Decimal

from teagent.model.units import RATE_FACTOR, parse_duration_seconds, parse_rate_bps, parse_share


def decimal_text(number: float) -> str:
    """Without an exponent; reads back as the same float."""
    text = format(Decimal(repr(number)), "f")
    return text if "." in text else f"{text}.0"


def rate_text(bps: float) -> str:
    """`10Gbps`: the largest unit in which the figure is short and exact."""
    units = [(f"{unit}bps", factor) for unit, factor in reversed(RATE_FACTOR.items())]
    return _shortest(bps, units, parse=parse_rate_bps, places=3)


def duration_text(seconds: float) -> str:
    return _shortest(seconds, [("d", 86400), ("h", 3600), ("m", 60), ("s", 1)], parse=parse_duration_seconds, places=0)


def _shortest(value: float, units: list[tuple[str, int]], *, parse: Callable[[str], float], places: int) -> str:
    for unit, factor in units:
        number = round(value / factor, places)
        text = f"{_trimmed(number)}{unit}"
        if number >= 1 and parse(text) == value:
            return text
    return f"{_trimmed(value)}{units[-1][0]}"


def _trimmed(number: float) -> str:
    text = format(Decimal(repr(number)), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def share_text(share: float) -> str:
    """`80%`: of the figures that read back as this very share, the shortest."""
    near = share * 100
    for digits in range(17):
        text = f"{near:.{digits}f}%"
        if parse_share(text) == share:
            return f"{_trimmed(float(text[:-1]))}%"
    for number in (near, math.nextafter(near, math.inf), math.nextafter(near, 0)):
        if number / 100 == share:
            return f"{_trimmed(number)}%"
    raise ValueError(f"{share!r} is not a share that a file can hold")
