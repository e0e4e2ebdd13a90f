"""Export sequence numbers: what got lost on the way."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np

from teagent.model.traffic import Column

MODULUS: Final = 1 << 32
RESTART: Final = 1 << 20  # a jump over more than this is an exporter that began anew
MOST_STREAMS: Final = 16
SURE: Final = 4  # messages after which one coincidence does not change the mind
LATE: Final = 4096  # units by which a message may come late
IN_ORDER: Final = 16  # messages one after the other that all come late: they do not, the exporter began anew


class SequenceTracker:
    """Of one stream of one observation domain. NetFlow v5 and IPFIX number records, NetFlow v9 numbers datagrams.

    A message should begin at the count of all before it. Some exporters write the count that includes it (softflowd
    in IPFIX): which of the two it is shows in messages of unlike size.
    """

    def __init__(self) -> None:
        self._before: tuple[int, int | None] | None = None  # sequence and units of the last message
        self._inclusive = 0  # above 0 where the count includes the message itself
        self._missing = 0
        self._late: tuple[int, int] | None = None  # sequence and units of a message that came late just now
        self._late_in_order = 0

    def lost(self, sequence: int, units: int | None) -> int:
        """Units missing before a message numbered `sequence` that carries `units` of them (None: not known, and the
        next one is taken as it comes). Negative when a message that was counted as lost comes late.
        """
        gap = self._gap(sequence, units)
        behind = gap >= MODULUS - LATE and self._missing > 0
        if behind and units is not None and not self._began_anew(sequence, units):
            found = min(units, self._missing)
            self._missing -= found
            return -found
        if gap > RESTART:
            gap = 0
        self._missing += gap
        self._before = (sequence, units)
        self._late = None
        return gap

    def _began_anew(self, sequence: int, units: int) -> bool:
        """Whether messages that seem to come late are those of an exporter that began anew at a number just below."""
        follows = self._late is not None and (sequence - self._late[0]) % MODULUS in {units, self._late[1]}
        self._late_in_order = self._late_in_order + 1 if follows else 1
        self._late = (sequence, units)
        return self._late_in_order > IN_ORDER

    def lost_in_a_row(self, sequences: Column, units: Column) -> int:
        """The same for many messages. Mostly each begins where the one before it ended, and there is little to do."""
        due = (sequences[:-1].astype(np.int64) + units[:-1]) & MODULUS - 1
        breaks = ((sequences[1:] != due).nonzero()[0] + 1).tolist()
        alike = bool((units == units[0]).all())
        lost = 0
        for begin, end in pairwise((0, *breaks, len(sequences))):
            first = (int(sequences[begin]), int(units[begin]))
            lost += self.lost(*first)
            if self._goes_on_from(first) and (alike or self._inclusive == -SURE):
                self._before = (int(sequences[end - 1]), int(units[end - 1]))
                continue
            rest = slice(begin + 1, end)
            lost += sum(map(self.lost, sequences[rest].tolist(), units[rest].tolist()))
        return lost

    def lost_in_a_run(self, sequence: int, messages: int) -> int:
        """The same for so many messages of one unit each, numbered one after the other from `sequence` on."""
        if self._before == ((sequence - 1) % MODULUS, 1):
            self._before, self._late = ((sequence + messages - 1) % MODULUS, 1), None
            return 0
        lost = 0
        for number in range(sequence, sequence + messages):
            first = (number % MODULUS, 1)
            lost += self.lost(*first)
            if self._goes_on_from(first):
                self._before = ((sequence + messages - 1) % MODULUS, 1)
                break
        return lost

    def _goes_on_from(self, message: tuple[int, int]) -> bool:
        """Whether the last message was this one, and came in its turn; not once more, and late."""
        return self._before == message and self._late is None

    def _gap(self, sequence: int, units: int | None) -> int:
        if self._before is None:
            return 0
        last, last_units = self._before
        exclusive = None if last_units is None else (sequence - last - last_units) % MODULUS
        inclusive = None if units is None else (sequence - last - units) % MODULUS
        if inclusive == 0 and exclusive:
            self._inclusive = min(self._inclusive + 1, SURE)
        elif exclusive == 0 and inclusive:
            self._inclusive = max(self._inclusive - 1, -SURE)
        return (inclusive if self._inclusive > 0 else exclusive) or 0


class Sequences:
    """Of one observation domain, by the source port that they come from: two exporting processes on one router number
    their own (softflowd), and share address and domain.
    """

    def __init__(self) -> None:
        self._trackers: dict[int, SequenceTracker] = {}

    def lost(self, stream: int, sequence: int, units: int | None) -> int:
        return self._of(stream).lost(sequence, units)

    def lost_in_a_row(self, stream: int, sequences: Column, units: Column) -> int:
        """The same for many messages of one stream, at least one."""
        return self._of(stream).lost_in_a_row(sequences, units)

    def lost_in_a_run(self, stream: int, sequence: int, messages: int) -> int:
        """The same for messages of one unit each that are numbered one after the other."""
        return self._of(stream).lost_in_a_run(sequence, messages)

    def _of(self, stream: int) -> SequenceTracker:
        tracker = self._trackers.get(stream)
        if tracker is None:
            if len(self._trackers) >= MOST_STREAMS:
                del self._trackers[next(iter(self._trackers))]
            tracker = self._trackers[stream] = SequenceTracker()
        return tracker
