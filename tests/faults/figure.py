"""What a fault injection is asked for, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`scale` 1 is the figure of the promise; a short form takes a small part of it."""

    seed: int = 1
    scale: float = 1.0

    def count(self, whole: int, *, least: int = 1) -> int:
        return max(least, round(whole * self.scale))


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """`limit` None: told for people, nothing depends on it; otherwise `value` may be that at most.

    `timed`: how long it took depends on the machine, so that a test looks at everything else.
    """

    what: str
    value: float
    limit: float | None = None
    timed: bool = False

    @property
    def met(self) -> bool:
        return self.limit is None or self.value <= self.limit


Fault: TypeAlias = Callable[[Options], Iterator[Figure]]


def rss_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")))


def quantile(values: list[float], share: float) -> float:
    """The smallest value that `share` of all are not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, int(share * len(ordered) + 0.999999) - 1))]
