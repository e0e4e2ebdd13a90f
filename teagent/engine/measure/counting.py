"""Records of one family attributed and summed up: the seam between MatrixBuilder, which keeps the sums, and whoever can
do that (teagent.engine.measure.counting_compiled). What numpy does is the reference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from teagent.engine.measure.attribution import NOWHERE, Attribution
from teagent.engine.measure.demand_rows import DemandTable, Keys, Octets
from teagent.engine.measure.record_buffer import Records


class Counted(NamedTuple):
    """What became of records: `demand` inbound to a prefix of ours, of which those with `keys` and `octets` are still
    to be put off; `others` inbound to none, with their octets by link; `reached` all whose input was a link.
    """

    demand: int
    others: int
    reached: int
    unattributed: npt.NDArray[np.float64]
    keys: Keys
    octets: Octets


Count: TypeAlias = Callable[[Records, Attribution, DemandTable], Counted]
"""Adds records to the rows of the table, which is that of their family."""


def count(records: Records, attribution: Attribution, table: DemandTable) -> Counted:
    family = table.form.family
    link, same_if, src, dst, asn, octets, _ = records
    here = link != NOWHERE
    prefix, demand, inbound = attribution.classify(family, src=src, dst=dst, same_if=same_if)
    demand &= here
    inbound &= here
    other = np.flatnonzero(inbound > demand)
    chosen = np.flatnonzero(demand)
    keys = table.form.keys(src=src, asn=asn, which=chosen)
    cells = link.take(chosen) * _width(attribution, family) + prefix.take(chosen)
    keys |= cells.astype(np.uint64) << np.uint64(table.form.bits)
    unattributed = np.bincount(link.take(other), weights=octets.take(other), minlength=len(attribution.links))
    return Counted(
        len(chosen),
        len(other),
        int(np.count_nonzero(here)),
        unattributed.astype(np.float64, copy=False),
        *table.add_at_home(keys, octets.take(chosen)),
    )


def _width(attribution: Attribution, family: int) -> np.int32 | np.int64:
    """Cells of one link, as a number of the smallest type that has room for those of all links."""
    width = len(attribution.tables[family].prefixes)
    return np.int32(width) if width * len(attribution.links) < 1 << 31 else np.int64(width)
