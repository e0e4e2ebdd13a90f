"""Who sends by a link, as far as its flows tell."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from teagent.model.bgp import Asn
from teagent.model.traffic import TrafficMatrix


class SenderShares(NamedTuple):
    """Of what comes in by a link: what is told to be of an AS, and what is told to be of its neighbor's own."""

    named: float
    neighbor: float


def sender_shares(matrix: TrafficMatrix, link: str, neighbor: Asn) -> SenderShares | None:
    """None where nothing comes in by it."""
    if link not in matrix.links:  # the matrix is from before a reload
        return None
    here = matrix.link_index == matrix.links.index(link)
    bps = matrix.bps[here]
    total = float(bps.sum())
    if total <= 0:
        return None
    asn = np.array([source.asn for source in matrix.sources], np.int64)[matrix.source_index[here]]
    return SenderShares(float(bps[asn > 0].sum()) / total, float(bps[asn == int(neighbor)].sum()) / total)
