"""The data sources of an sFlow agent: which of their samples are missing, and how many the agent has dropped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from operator import itemgetter
from typing import Final, NamedTuple

import numpy as np

from teagent.model.traffic import Column
from teagent.wire.flow.sequence import MODULUS, RESTART
from teagent.wire.flow.sflow_sample import SampleHeaders
from teagent.wire.flow.sflow_walk import Numbers

MOST_SOURCES: Final = 1024  # data sources of one agent
ALL_BITS: Final = (1 << 64) - 1
LATE: Final = 1024  # samples by which one may come after a later one
PLACE_BITS, SOURCE_BITS = 18, 40  # of a number to be sorted; above them 6 are left for its agent
MOST_SORTED_AGENTS: Final = 1 << 64 - PLACE_BITS - SOURCE_BITS


@dataclass(slots=True, eq=False)
class DataSource:
    """What its last sample said."""

    sequence: int
    drops: int
    missing: int = 0


@dataclass(slots=True, eq=False)
class Tally:
    """Samples that are missing by their sequence numbers, and those that agents dropped."""

    lost: int = 0
    dropped: int = 0


class InTurn(NamedTuple):
    """Samples by agent and data source, otherwise as they came. `same` says of each but the first whether it is the
    next one of the data source of the one before it, and nothing was dropped between them.
    """

    source: Column
    sequence: Column
    drops: Column
    same: Column
    distinct: int  # data sources

    def part(self, begin: int, end: int) -> InTurn:
        source, sequence, drops = (column[begin:end] for column in (self.source, self.sequence, self.drops))
        return InTurn(source, sequence, drops, self.same[begin : max(begin, end - 1)], self.distinct)


def in_turn(headers: SampleHeaders, agent: Numbers) -> InTurn:
    """`agent` is the number of the agent of each sample."""
    source = headers.source
    if len(source) < 1 << PLACE_BITS and not (source >> np.uint64(SOURCE_BITS)).any():
        # Numbers that are all different are sorted fastest, and need no stable order.
        keys = agent.astype(np.uint64) << np.uint64(PLACE_BITS + SOURCE_BITS)
        keys |= source << np.uint64(PLACE_BITS)
        keys |= np.arange(len(source), dtype=np.uint64)
        keys.sort()
        order = (keys & np.uint64((1 << PLACE_BITS) - 1)).astype(np.int64)
        keys >>= np.uint64(PLACE_BITS)
        same = keys[1:] == keys[:-1]
        source = keys & np.uint64((1 << SOURCE_BITS) - 1)
    else:
        order = np.lexsort((source, agent))
        source, agent = source.take(order), agent.take(order)
        same = (source[1:] == source[:-1]) & (agent[1:] == agent[:-1])
    distinct = len(source) - int(np.count_nonzero(same))
    sequence, drops = headers.sequence.take(order).astype(np.int64), headers.drops.take(order)
    same &= sequence[1:] == sequence[:-1] + 1
    same &= drops[1:] == drops[:-1]
    return InTurn(source, sequence, drops, same, distinct)


def follow_runs(sources: Mapping[int, DataSources], runs: Sequence[Sequence[int]]) -> None:
    """Runs of samples of several agents, as sflow_pass.SourceRun has them, by agent and data source, otherwise as they
    came. Mostly each goes on where its data source was.
    """
    for position, (agent, source, sequence, drops, samples) in enumerate(runs):
        last = sources[agent].known.get(source & ALL_BITS)
        if last is None or last.sequence + 1 != sequence or last.drops != drops:
            for its, its_source, *run in sorted(runs[position:], key=itemgetter(0, 1)):
                sources[its].follow_run(its_source & ALL_BITS, *run)
            return
        last.sequence += samples


class DataSources:
    """Of one agent, by their number: of many those that were told last. What is missing is added to `tally`."""

    def __init__(self, tally: Tally) -> None:
        self.known: dict[int, DataSource] = {}
        self._tally = tally

    def __len__(self) -> int:
        return len(self.known)

    def follow(self, source: int, sequence: int, drops: int) -> None:
        """Counts the samples that are missing before this one of its data source, and those that the agent dropped."""
        last = self.known.get(source)
        if last is None:
            if len(self.known) >= MOST_SOURCES:
                del self.known[next(iter(self.known))]
            self.known[source] = DataSource(sequence, drops)
            return
        if sequence == last.sequence + 1 and drops == last.drops:
            last.sequence = sequence
            return
        gap = (sequence - last.sequence - 1) % MODULUS
        if gap >= MODULUS - LATE and last.missing:
            last.missing -= 1
            self._tally.lost -= 1
            return
        if gap <= RESTART:
            last.missing += gap
            self._tally.lost += gap
            more = (drops - last.drops) % MODULUS
            self._tally.dropped += more if more <= RESTART else 0
        last.sequence, last.drops = sequence, drops

    def follow_many(self, told: InTurn) -> None:
        """`follow` for samples in their order. Mostly each is the next one of its data source."""
        source, sequence, drops, same, _ = told
        if not len(source):
            return
        first = [0, *(np.flatnonzero(~same) + 1).tolist()]
        for begin, end in pairwise([*first, len(source)]):
            self.follow_run(int(source[begin]), int(sequence[begin]), int(drops[begin]), end - begin)

    def follow_run(self, source: int, sequence: int, drops: int, samples: int) -> None:
        """`follow` for samples that are numbered one after the other, the first one `sequence`."""
        for number in range(sequence, sequence + samples):
            self.follow(source, number, drops)
            last = self.known[source]
            if (last.sequence, last.drops) == (number, drops):
                last.sequence = sequence + samples - 1
                return
