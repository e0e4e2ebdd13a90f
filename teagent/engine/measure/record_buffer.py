"""Records of one family out of many batches, so that numpy works on many at once."""

from __future__ import annotations

from typing import Final

import numpy as np

from teagent.model.traffic import Column, FlowBatch

BLOCK: Final = 1 << 15
"""Records that are looked at together: their columns stay in the second-level cache."""


class RecordBuffer:
    """Holds what the matrix wants of each record, in the machine's byte order. `octets` are those of layer 2 before
    sampling: with `overhead_octets` a packet where the exporter has not counted these, times the sampling rate.
    """

    def __init__(self, family: int, overhead_octets: float) -> None:
        self._overhead = overhead_octets
        self.used = 0
        self.unknown_sampling = 0  # of the records in use
        self.link = np.empty(BLOCK, dtype=np.int32)
        self.same_if = np.empty(BLOCK, dtype=bool)
        self.src = _addresses(family)
        self.dst = _addresses(family)
        self.asn = np.empty(BLOCK, dtype=np.uint64)
        self.octets = np.empty(BLOCK)

    @property
    def free(self) -> int:
        return BLOCK - self.used

    def clear(self) -> None:
        self.used = self.unknown_sampling = 0

    def take(self, batch: FlowBatch, link: Column, start: int) -> int:
        """Copies records of `batch` from `start` on, whose links are in `link`. Returns how many."""
        n = min(self.free, len(batch) - start)
        here, there = slice(self.used, self.used + n), slice(start, start + n)
        self.link[here] = link[there]
        in_if = batch.in_if[there]
        np.equal(in_if, batch.out_if[there], out=self.same_if[here])
        if batch.in_physical_if is not None:  # else there is no link without an ifIndex
            self.same_if[here] &= in_if != 0
        self.src[here] = batch.src[there]
        self.dst[here] = batch.dst[there]
        self.asn[here] = batch.src_asn[there]
        octets = self.octets[here]
        np.multiply(batch.packets[there], 0.0 if batch.layer2 else self._overhead, out=octets)
        octets += batch.octets[there]
        self._sample(octets, batch.sampling_rate[there])
        self.used += n
        return n

    def _sample(self, octets: Column, rate: Column) -> None:
        """A record of unknown sampling counts as if it were unsampled, and is counted."""
        if rate.strides == (0,):  # one rate for all of them
            if np.isnan(rate[0]):
                self.unknown_sampling += len(rate)
            elif rate[0] != 1.0:
                octets *= rate[0]
            return
        unknown = np.isnan(rate)
        self.unknown_sampling += int(np.count_nonzero(unknown))
        octets *= np.where(unknown, 1.0, rate)


def _addresses(family: int) -> Column:
    """Of IPv6 all high halves stand together: they are mostly looked at alone."""
    return np.empty(BLOCK, dtype=np.uint32) if family == 4 else np.empty((BLOCK, 2), dtype=np.uint64, order="F")
