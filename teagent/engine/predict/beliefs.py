"""What is believed of the senders of now: of one, or of those that send most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from teagent.engine.predict.belief import Belief, believe
from teagent.engine.predict.ingress import IngressModel
from teagent.model.bgp import Asn, Prefix
from teagent.model.traffic import TrafficMatrix


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """What one AS sends towards a prefix, over all links, and the link by which most of it comes."""

    bps: float
    link: str


def sending(matrix: TrafficMatrix, prefix: Prefix) -> dict[Asn, Sending]:
    """Of all whose AS is known, the heaviest first."""
    if prefix not in matrix.prefixes or not len(matrix):
        return {}
    number = np.array([source.asn for source in matrix.sources], dtype=np.int64)[matrix.source_index]
    rows = np.flatnonzero((matrix.prefix_index == matrix.prefixes.index(prefix)) & (number > 0) & (matrix.bps > 0))
    asns, row = np.unique(number[rows], return_inverse=True)
    bps = np.zeros((len(asns), len(matrix.links)))
    np.add.at(bps, (row.reshape(-1), matrix.link_index[rows]), matrix.bps[rows])
    total, main = bps.sum(axis=1), bps.argmax(axis=1)
    return {
        Asn(int(asns[k])): Sending(bps=float(total[k]), link=matrix.links[int(main[k])])
        for k in np.argsort(-total, kind="stable")
    }


def beliefs_of(
    model: IngressModel, vector: Mapping[str, int], seen: Mapping[Asn, Sending], *, asn: Asn | None, top: int
) -> tuple[tuple[Belief, float], ...]:
    """Of `asn`, or of the `top` heaviest that are `seen`; each with what it sends now."""
    wanted = [asn] if asn is not None else list(seen)[:top]
    result = []
    for one in wanted:
        now = seen.get(one)
        link = now.link if now is not None and now.link in model.links else None
        result.append((believe(model, one, vector, link=link), 0.0 if now is None else now.bps))
    return tuple(result)
