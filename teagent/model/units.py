"""Reading and writing of quantities with units: rates, durations, shares, sizes.

Readers raise ValueError with a message that shows a right example; writers never lose the sign or the unit.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

RATE = re.compile(r"^(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[kMGT]?)bps$")
DURATION_PART = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>ms|s|m|h|d|w)")
SHARE = re.compile(r"^(?P<number>\d+(?:\.\d+)?)\s*%$")
RATE_FACTOR = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def parse_rate_bps(text: str) -> float:
    """`10Gbps` -> 1e10 bits per second."""
    match = RATE.match(text)
    if match is None:
        raise ValueError(f"'{text}' is not a rate, for example 10Gbps")
    return float(match["number"]) * RATE_FACTOR[match["unit"]]


def parse_duration_seconds(text: str) -> float:
    """`1h30m` -> 5400 seconds."""
    position, seconds = 0, 0.0
    for match in DURATION_PART.finditer(text):
        if match.start() != position:
            break
        seconds += float(match["number"]) * SECONDS[match["unit"]]
        position = match.end()
    if position != len(text) or not text:
        raise ValueError(f"'{text}' is not a duration, for example 30s, 15m or 1h30m")
    return seconds


def parse_share(text: str) -> float:
    """`80%` -> 0.8; divided, not multiplied by 0.01, so that 95% is 0.95 exactly."""
    match = SHARE.match(text)
    if match is None:
        raise ValueError(f"'{text}' is not a share, for example 80%")
    return float(match["number"]) / 100


def format_bps(bps: float | None, *, digits: int = 3) -> str:
    """9.31e9 -> `9.31G`; None -> `-`."""
    if bps is None:
        return "-"
    size = abs(bps)
    for factor, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        # 999.6M rounds to 1000M, which reads worse than 1.00G
        if size >= factor * (1 - 0.5 * 10 ** (-digits)):
            return f"{_significant(bps / factor, digits)}{unit}"
    return _significant(bps, digits) if bps else "0"


def _significant(number: float, digits: int) -> str:
    whole = len(str(int(abs(number)))) if abs(number) >= 1 else 1
    return f"{number:.{max(0, digits - whole)}f}"


def format_share(share: float | None) -> str:
    """0.934 -> `93%`; None -> `-`."""
    return "-" if share is None else f"{share * 100:.0f}%"


def format_duration(seconds: float) -> str:
    """5400 -> `1h30m`; at most two units, the smaller one dropped when it is zero."""
    if seconds < 1:
        return "0s" if seconds < 0.0005 else f"{seconds * 1000:.0f}ms"
    left = round(seconds)
    parts: list[str] = []
    for size, unit in ((604800, "w"), (86400, "d"), (3600, "h"), (60, "m"), (1, "s")):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
        elif parts:
            break
        if len(parts) == 2:
            break
    return "".join(parts)


def format_age(at: datetime, now: datetime) -> str:
    return format_duration(max(0.0, (now - at).total_seconds()))


def format_time(at: datetime) -> str:
    """RFC 3339 in UTC, whole seconds, as all our JSON and text shows time."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_time(text: str) -> datetime:
    """The inverse of `format_time`; accepts any RFC 3339 offset. Raises ValueError."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"'{text}' has no time zone, for example 2026-01-12T19:40:30Z")
    return at.astimezone(UTC)


def seconds(value: float) -> timedelta:
    return timedelta(seconds=value)
