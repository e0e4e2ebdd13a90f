"""What `ingress_world.py` compares with what came: the bands that a dry run gives for a hidden world's traffic."""

from __future__ import annotations

from ipaddress import ip_address

import numpy as np
from decision_world import NOW, WINDOW_SECONDS, snapshot
from hidden_world import Floats, Ints

from teagent.engine.predict.ingress import IngressModel
from teagent.engine.predict.ingress_forecast import Learned
from teagent.engine.predict.scene import prepare
from teagent.engine.predict.simulate import dry_run
from teagent.model.bgp import Asn, parse_prefix
from teagent.model.link import Link, LinkKind
from teagent.model.network import Network, OwnPrefix
from teagent.model.plan import Candidate
from teagent.model.traffic import Source, TrafficMatrix

PREFIX = parse_prefix("192.0.2.0/24")
TOTAL_BPS = 10e9
CAPACITY_BPS = 5 * TOTAL_BPS
"""Nothing is ever full: what is hidden on full links is no matter here."""


class DryRuns:
    """Of one model, for traffic that is announced as `vector` now: `part` (P), shares of the total, of the senders
    `asn` (P) over `link` (P).
    """

    def __init__(self, model: IngressModel, vector: tuple[int, ...], asn: Ints, link: Ints, part: Floats) -> None:
        self._links, self._forecaster = model.links, Learned(model)
        home = dict(zip(self._links, vector, strict=True))
        links = {name: _link(name, number) for number, name in enumerate(self._links, start=1)}
        network = Network(asn=Asn(64500), links=links, prefixes=(OwnPrefix(prefix=PREFIX, home=home),))
        loads = np.bincount(link, weights=part * TOTAL_BPS, minlength=len(links))
        senders, sender = np.unique(asn, return_inverse=True)
        matrix = TrafficMatrix(
            at=NOW,
            seconds=WINDOW_SECONDS,
            links=self._links,
            prefixes=(PREFIX,),
            sources=tuple(Source(asn=number) for number in senders.tolist()),
            link_index=link,
            prefix_index=np.zeros(len(link), dtype=np.int64),
            source_index=sender.reshape(-1),
            bps=part * TOTAL_BPS,
            coverage=dict.fromkeys(links, 1.0),
            unattributed_bps={},
        )
        self._scene = prepare(snapshot(network, dict(zip(links, loads.tolist(), strict=True)), matrix))

    def band(self, vector: tuple[int, ...]) -> tuple[Floats, Floats, Floats]:
        """(low, expected, high), each (K): shares of the total load."""
        candidate = Candidate(vectors=((PREFIX, tuple(zip(self._links, vector, strict=True))),))
        found = dry_run(self._scene, candidate, forecaster=self._forecaster)
        ends = np.array([(f.after.low, f.after.expected, f.after.high) for f in found.links]) / TOTAL_BPS
        low, expected, high = ends.T
        return low, expected, high


def _link(name: str, number: int) -> Link:
    return Link(
        name=name,
        id=number,
        kind=LinkKind.TRANSIT,
        router="edge",
        interface=f"eth{number}",
        neighbor=ip_address(f"198.51.100.{number}"),
        peer_asn=Asn(64500 + number),
        capacity_bps=CAPACITY_BPS,
    )
