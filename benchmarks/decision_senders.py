"""What the learned model knows of the senders of `decision_world.py` after two announcements: for `decide.py`.

Each AS is 2 hops from the link that most of its traffic comes by and 2 to 5 from the others, at random, so that hardly
two are alike: more than on the Internet, where whole groups see our links at the same distances. It buys from one of
3,000 upstreams. Nobody has moved yet.
"""

from __future__ import annotations

from datetime import timedelta

import numpy as np
from decision_world import NOW

from teagent.engine.predict.ingress import IngressModel, Observation, empty
from teagent.engine.predict.ingress_learning import learn
from teagent.engine.predict.senders import Distances
from teagent.model.traffic import TrafficMatrix

NEAREST, FURTHEST = 2, 5
UPSTREAMS = 3000


def taught(traffic: TrafficMatrix, rng: np.random.Generator) -> IngressModel:
    """From the traffic of the matrix, under no prepends and under one on the first link."""
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
    before = np.full(len(asn), -1)
    for number in range(2):
        observation = Observation(
            at=NOW - timedelta(hours=2 - number),
            links=traffic.links,
            vector=dict.fromkeys(traffic.links, 0) | {traffic.links[0]: number},
            asn=asn,
            share=bps / np.maximum(total, 1e-9)[:, None],
            before=before,
            bps=total,
        )
        model, before = learn(model, observation), main
    return model
