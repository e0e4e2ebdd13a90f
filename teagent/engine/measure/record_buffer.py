"""What the matrix wants of flow records, and a buffer for those of small batches: numpy works on many at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from teagent.model.traffic import Column, FlowBatch

BLOCK: Final = 1 << 15
"""Records that are looked at together: their columns stay in the second-level cache."""
MANY: Final = BLOCK // 4
"""Records of a batch that are worth being looked at by themselves, without the way through a buffer."""


class Records(NamedTuple):
    """Columns in the machine's byte order. `octets` are those of layer 2 before sampling: with the frame's overhead
    for each packet where the exporter has not counted these, times the sampling rate. `unknown_sampling` counts the
    records whose rate is not known: they count as if they were not sampled.
    """

    link: Column
    same_if: Column
    src: Column
    dst: Column
    asn: Column
    octets: Column
    unknown_sampling: int


def records_of(batch: FlowBatch, link: Column, here: slice, overhead_octets: float) -> Records:
    """Of the records of `batch` that are `here`; `link` has the link of each record of the batch."""
    in_if = batch.in_if[here]
    same_if: Column = in_if == batch.out_if[here]
    if batch.in_physical_if is not None:  # else there is no link without an ifIndex
        same_if &= in_if != 0
    octets: Column = batch.octets[here].astype(np.float64)
    if not batch.layer2:
        octets += np.multiply(batch.packets[here], overhead_octets, dtype=np.float64)
    unknown_sampling = _sample(octets, batch.sampling_rate[here])
    native: Any = np.uint32 if batch.family == 4 else np.uint64
    src, dst = (column[here].astype(native, copy=False) for column in (batch.src, batch.dst))
    return Records(link[here], same_if, src, dst, batch.src_asn[here], octets, unknown_sampling)


def _sample(octets: Column, rate: Column) -> int:
    """How many are of unknown sampling."""
    if rate.strides == (0,):  # one rate for all of them
        if np.isnan(rate[0]):
            return len(rate)
        if rate[0] != 1.0:
            octets *= rate[0]
        return 0
    unknown = np.isnan(rate)
    octets *= np.where(unknown, 1.0, rate)
    return int(np.count_nonzero(unknown))


def parts(total: int) -> Iterator[slice]:
    """So many records in parts of about one size, none of more than a BLOCK."""
    step = -(-total // max(1, -(-total // BLOCK)))
    return (slice(begin, min(begin + step, total)) for begin in range(0, total, max(1, step)))


class RecordBuffer:
    """Records of one family out of many batches."""

    def __init__(self, family: int) -> None:
        self._used = 0
        self._unknown_sampling = 0
        self._columns: tuple[Column, ...] = (
            np.empty(BLOCK, dtype=np.int32),
            np.empty(BLOCK, dtype=bool),
            _addresses(family),
            _addresses(family),
            np.empty(BLOCK, dtype=np.uint64),
            np.empty(BLOCK),
        )

    @property
    def free(self) -> int:
        return BLOCK - self._used

    def put(self, records: Records) -> None:
        """Copies them; there must be room."""
        *columns, unknown_sampling = records
        end = self._used + len(records.octets)
        for own, column in zip(self._columns, columns, strict=True):
            own[self._used : end] = column
        self._used = end
        self._unknown_sampling += unknown_sampling

    def take(self) -> Records | None:
        """What is in it, valid until the next `put`, before which it is empty again; None where there is nothing."""
        used, unknown_sampling = self._used, self._unknown_sampling
        self._used = self._unknown_sampling = 0
        if not used:
            return None
        link, same_if, src, dst, asn, octets = (column[:used] for column in self._columns)
        return Records(link, same_if, src, dst, asn, octets, unknown_sampling)


def _addresses(family: int) -> Column:
    """Of IPv6 all high halves stand together: they are mostly looked at alone."""
    return np.empty(BLOCK, dtype=np.uint32) if family == 4 else np.empty((BLOCK, 2), dtype=np.uint64, order="F")
