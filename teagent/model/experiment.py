"""What could be tried out to learn from it: one ordered pair of links for one prefix."""

from __future__ import annotations

from dataclasses import dataclass

from teagent.model.bgp import Asn, Prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What one sender is expected to teach: `bits` of information, from 0 to the logarithm of the number of links."""

    asn: Asn
    bps: float
    bits: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """First all are led to `first` (the vector `alone`), then `second` is made as good (`both`): who stays keeps the
    older of equals, or has the shorter way; who moves does not. The other links are prepended all the while.

    `bits` is the information that is expected of a sender, by traffic; `senders` how many of `bps` towards the prefix
    are known. `seen` says that `both` has been seen already. `step` is what comes next: 1, 2, or 0 for nothing.
    """

    prefix: Prefix
    first: str
    second: str
    alone: tuple[tuple[str, int], ...]
    both: tuple[tuple[str, int], ...]
    bits: float
    bps: float
    senders: int
    lessons: tuple[Lesson, ...]
    seen: bool
    step: int

    @property
    def name(self) -> str:
        """Kept with the proposal: the order is part of the experiment."""
        return f"{self.first} then {self.second}, step {self.step} of 2"
