"""From a window of traffic to what the ingress model learns of it.

Only what one announcement vector alone brought about teaches anything: prefixes whose vector has settled before the
window began, on links whose flows are trusted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from teagent.engine.predict.ingress import SENDERS_MAX, Observation
from teagent.engine.predict.shares import Floats, Ints
from teagent.model.bgp import Prefix, prefix_key
from teagent.model.traffic import TrafficMatrix

Vector = Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """What was seen of the senders towards `prefixes`, all of which were announced alike. `vector_before` is of the
    first of them: among equals the older path wins, so the order counts.
    """

    prefixes: tuple[Prefix, ...]
    observation: Observation

    def mains(self) -> dict[int, str]:
        """Sender -> the link over which most of it came."""
        share = self.observation.share
        names = [self.observation.links[k] for k in share.argmax(axis=1)] if len(share) else []
        return dict(zip(self.observation.asn.tolist(), names, strict=True))


def evidence(
    matrix: TrafficMatrix,
    vectors: Mapping[Prefix, Vector],
    *,
    links: tuple[str, ...],
    doubted: Collection[str] = (),
    before: Mapping[Prefix, Mapping[int, str]] | None = None,
    previous: Mapping[Prefix, Vector] | None = None,
) -> Iterator[Seen]:
    """One for each distinct vector, those of the first prefixes first. `vectors` are those of prefixes that have
    settled; one that is announced on a `doubted` link is left out. `before` says of a prefix by which link each sender
    came before its present vector, `previous` what that vector was.
    """
    alike: dict[tuple[tuple[str, int], ...], list[Prefix]] = {}
    for prefix in sorted(vectors, key=prefix_key):
        if not set(vectors[prefix]) & set(doubted):
            alike.setdefault(tuple(sorted(vectors[prefix].items())), []).append(prefix)
    for vector, prefixes in alike.items():
        asn, bps = _traffic(matrix, frozenset(prefixes), links, dict(vector))
        if not len(asn):
            continue
        came: dict[int, str] = {}
        for prefix in prefixes:
            came |= (before or {}).get(prefix, {})
        place = {name: k for k, name in enumerate(links)}
        yield Seen(
            prefixes=tuple(prefixes),
            observation=Observation(
                at=matrix.at,
                links=links,
                vector=dict(vector),
                asn=asn,
                share=bps / bps.sum(axis=1)[:, None],
                before=np.array([place.get(came.get(number, ""), -1) for number in asn.tolist()], dtype=np.int64),
                bps=bps.sum(axis=1),
                vector_before=(previous or {}).get(prefixes[0]),
            ),
        )


def _traffic(
    matrix: TrafficMatrix, prefixes: Collection[Prefix], links: tuple[str, ...], vector: Vector
) -> tuple[Ints, Floats]:
    """AS numbers (N, ascending), and what each sends over each link (N, K); the heaviest SENDERS_MAX."""
    wanted = np.array([prefix in prefixes for prefix in matrix.prefixes], dtype=bool)
    place = np.array([links.index(k) if k in links and k in vector else -1 for k in matrix.links], dtype=np.int64)
    number = np.array([source.asn for source in matrix.sources], dtype=np.int64)
    if not len(matrix):
        return np.zeros(0, dtype=np.int64), np.zeros((0, len(links)))
    rows = np.flatnonzero(
        wanted[matrix.prefix_index]
        & (place[matrix.link_index] >= 0)
        & (number[matrix.source_index] > 0)
        & (matrix.bps > 0)
    )
    asn, row = np.unique(number[matrix.source_index[rows]], return_inverse=True)
    bps = np.zeros((len(asn), len(links)))
    np.add.at(bps, (row.reshape(-1), place[matrix.link_index[rows]]), matrix.bps[rows])
    heaviest = np.sort(np.argsort(-bps.sum(axis=1), kind="stable")[:SENDERS_MAX])
    return asn[heaviest], bps[heaviest]
