"""Export sequence numbers: what got lost on the way."""

from __future__ import annotations

from typing import Final

MODULUS: Final = 1 << 32
RESTART: Final = 1 << 20  # a jump over more than this is an exporter that began anew
MOST_STREAMS: Final = 16


class SequenceTracker:
    """Of one stream of one observation domain. NetFlow v5 and IPFIX number records, NetFlow v9 numbers datagrams."""

    def __init__(self) -> None:
        self._expected: int | None = None
        self._missing = 0

    def lost(self, sequence: int, units: int | None) -> int:
        """Units missing before a message that begins at `sequence` and carries `units` of them (None: not known, and
        the next message is taken as it comes). Negative when a message that was counted as lost comes late.
        """
        gap = 0 if self._expected is None else (sequence - self._expected) % MODULUS
        if gap > MODULUS - RESTART and units is not None and self._missing:
            found = min(units, self._missing)
            self._missing -= found
            return -found
        if gap > RESTART:
            gap = 0
        self._missing += gap
        self._expected = None if units is None else (sequence + units) % MODULUS
        return gap


class Sequences:
    """Of one observation domain, by the source port that they come from: two exporting processes on one router number
    their own (softflowd), and share address and domain.
    """

    def __init__(self) -> None:
        self._trackers: dict[int, SequenceTracker] = {}

    def lost(self, stream: int, sequence: int, units: int | None) -> int:
        tracker = self._trackers.get(stream)
        if tracker is None:
            if len(self._trackers) >= MOST_STREAMS:
                del self._trackers[next(iter(self._trackers))]
            tracker = self._trackers[stream] = SequenceTracker()
        return tracker.lost(sequence, units)
