"""What the learned model knows of the senders of `decision_world.py` after some announcements: for `decide.py`.

Each AS is 2 hops from the link that most of its traffic comes by and 2 to 5 from the others, at random, so that hardly
two are alike: more than on the Internet, where whole groups see our links at the same distances. It buys from one of
3,000 upstreams. Four in five follow the least of hops and prepends and stay where that is equal, the others never move.
After six, both links that are too full were seen with one and with two prepends; after the first one nothing was
foretold yet, and the graph has a say beside the learned model.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
from decision_world import NOW

from teagent.engine.predict.ingress import Floats, IngressModel, Ints, Observation, empty
from teagent.engine.predict.ingress_learning import learn
from teagent.engine.predict.senders import Distances
from teagent.model.traffic import TrafficMatrix

NEAREST, FURTHEST = 2, 5
UPSTREAMS = 3000
FREE = 0.8
"""Share of senders that prepends can move."""
MATURE, YOUNG = 6, 1
"""So many announcements were seen."""


def taught(traffic: TrafficMatrix, rng: np.random.Generator, announcements: int) -> IngressModel:
    """From the traffic of the matrix, which is what comes without prepends; at most MATURE announcements."""
    sender = np.array([source.asn for source in traffic.sources], dtype=np.int64)[traffic.source_index]
    asn, row = np.unique(sender, return_inverse=True)
    bps = np.zeros((len(asn), len(traffic.links)))
    np.add.at(bps, (row.reshape(-1), traffic.link_index), traffic.bps)
    asn, bps = asn[asn > 0], bps[asn > 0]
    main, total = bps.argmax(axis=1), bps.sum(axis=1)
    hops = rng.integers(NEAREST, FURTHEST + 1, bps.shape)
    hops[np.arange(len(asn)), main] = NEAREST
    model = empty(
        traffic.links,
        Distances(
            links=traffic.links,
            asn=asn,
            hops=hops,
            start=np.arange(len(asn) + 1),
            upstream=rng.integers(1, UPSTREAMS + 1, len(asn)),
        ),
    )
    share, free = bps / np.maximum(total, 1e-9)[:, None], rng.random(len(asn)) < FREE
    before = np.full(len(asn), -1)
    for number, prepends in enumerate(_vectors(len(traffic.links))[:announcements]):
        came = _moved(share, np.where(free, _taken(hops + prepends, main), main), main)
        observation = Observation(
            at=NOW - timedelta(hours=24 - number),
            links=traffic.links,
            vector=dict(zip(traffic.links, prepends.tolist(), strict=True)),
            asn=asn,
            share=came,
            before=before,
            bps=total,
        )
        model, before = learn(model, observation), came.argmax(axis=1)
    return model


def _vectors(links: int) -> Ints:
    """(V, K) none; one and two prepends on each link that is too full; none again, as it is announced now."""
    vectors = np.zeros((MATURE, links), dtype=np.int64)
    for number, link in enumerate((0, min(2, links - 1))):
        vectors[1 + 2 * number, link], vectors[2 + 2 * number, link] = 1, 2
    return vectors


def _taken(cost: Ints, main: Ints) -> Ints:
    """(n) the least of `cost` (n, K), equals by where a sender is."""
    doubled = 2 * cost
    doubled[np.arange(len(main)), main] -= 1
    result: Ints = doubled.argmin(axis=1)
    return result


def _moved(share: Floats, onto: Ints, main: Ints) -> Floats:
    """(n, K) what came by `main` (n) comes `onto` (n) another link."""
    rows, result = np.arange(len(main)), share.copy()
    came = result[rows, main]
    result[rows, main] -= came
    result[rows, onto] += came
    return result
