"""When things may be tried out: a time of day, every day, in UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

DAY_MINUTES = 24 * 60
FORM = re.compile(r"^([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])$")


@dataclass(frozen=True, slots=True, kw_only=True)
class DailyWindow:
    """From `begin` on and before `end`, minutes of the day; over midnight where `end` is not after `begin`."""

    begin: int
    end: int

    def holds(self, at: datetime) -> bool:
        minute = at.astimezone(UTC).hour * 60 + at.astimezone(UTC).minute
        return (minute - self.begin) % DAY_MINUTES < (self.end - self.begin) % DAY_MINUTES

    def __str__(self) -> str:
        return "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in (self.begin, self.end))

    @classmethod
    def parse(cls, text: str) -> DailyWindow:
        """`02:00-04:30`. Raises ValueError; also for a window of nothing."""
        found = FORM.match(text)
        if found is None:
            raise ValueError(f"'{text}' is not a time of day, from and to, for example 02:00-04:30")
        begin, end = (int(found[k]) * 60 + int(found[k + 1]) for k in (1, 3))
        if begin == end:
            raise ValueError(f"'{text}' begins when it ends")
        return cls(begin=begin, end=end)
