"""Text for terminals: tables, sparklines, times. Pure, and the same in a pipe."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from teagent.model.units import format_bps, format_duration, parse_time

GAP = "  "
BARS = "▁▂▃▄▅▆▇█"
NO_READING = "·"


def clean(text: object, *, keep_indent: bool = False) -> str:
    """Without what could steer a terminal or hide a character: routers and peers name things as they like."""
    shown = []
    for character in str(text):
        category = unicodedata.category(character)
        if character in "\t\n\r" or category in {"Zl", "Zp", "Zs"}:
            shown.append(" ")
        elif category not in {"Cc", "Cf", "Cs", "Co", "Cn"}:
            shown.append(character)
    joined = "".join(shown)
    return joined.rstrip() if keep_indent else joined.strip()


def width(text: str) -> int:
    """Columns on a terminal: East Asian wide characters take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in {"W", "F"} else 1 for c in text
    )


@dataclass(frozen=True, slots=True)
class Column:
    """`right` for numbers; `wide` columns are only shown with -o wide and stand at the right end."""

    header: str
    right: bool = False
    wide: bool = False


def table(columns: Sequence[Column], rows: Iterable[Sequence[object]], *, wide: bool = False) -> str:
    """No borders, two spaces between columns, nothing cut. An absent cell is `-`."""
    shown = [index for index, column in enumerate(columns) if wide or not column.wide]
    cells = [[columns[index].header for index in shown]]
    cells += [["-" if row[i] is None else clean(row[i]) or "-" for i in shown] for row in rows]
    widths = [max(width(line[place]) for line in cells) for place in range(len(shown))]
    lines = []
    for line in cells:
        parts = []
        for place, cell in enumerate(line):
            pad = " " * (widths[place] - width(cell))
            parts.append(pad + cell if columns[shown[place]].right else cell + pad)
        lines.append(GAP.join(parts).rstrip())
    return "\n".join(lines)


def fields(rows: Iterable[tuple[str, object]], *, indent: str = "  ") -> str:
    """Name and value, one a line, values aligned; rows whose value is None are left out."""
    kept = [(name, clean(value)) for name, value in rows if value is not None]
    longest = max((len(name) for name, _ in kept), default=0)
    return "\n".join(f"{indent}{name.ljust(longest)}{GAP}{value}".rstrip() for name, value in kept)


def rate(bps: float | None) -> str | None:
    """Load: `9.31G`."""
    return None if bps is None else format_bps(bps)


def size(bps: float | None) -> str | None:
    """Capacity and commit, which are round numbers: `10G`, `2.5G`."""
    if bps is None:
        return None
    text = format_bps(bps)
    number, unit = (text[:-1], text[-1]) if text[-1].isalpha() else (text, "")
    return (number.rstrip("0").rstrip(".") if "." in number else number) + unit


def percent(share: float | None) -> str | None:
    return None if share is None else f"{share * 100:.0f}%"


def age(at: str | None, now: str) -> str | None:
    """Relative, for tables: `4m`. A time in the future (clocks differ) is `0s`."""
    if at is None:
        return None
    return format_duration(max(0.0, seconds_between(at, now)))


def seconds_between(at: str, now: str) -> float:
    return (parse_time(now) - parse_time(at)).total_seconds()


def plural(count: int, one: str, many: str | None = None) -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def sparkline(points: Sequence[tuple[datetime, float]], *, columns: int = 60) -> str:
    """Shares from 0 to 1 over time as bars of fixed scale, each the highest of its column; a gap is `·`, not zero."""
    if not points:
        return ""
    first, last = points[0][0], points[-1][0]
    span = (last - first).total_seconds()
    columns = max(1, min(columns, len(points)))
    peaks: list[float | None] = [None] * columns
    for at, share in points:
        place = min(columns - 1, int((at - first).total_seconds() / span * columns)) if span > 0 else 0
        peaks[place] = max(share, peaks[place] or 0.0)
    return "".join(
        NO_READING if peak is None else BARS[min(len(BARS) - 1, max(0, int(peak * len(BARS))))] for peak in peaks
    )
