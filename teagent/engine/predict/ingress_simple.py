"""Models that know nothing of a sender but where it is: the learned one is measured against them, and falls back."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

import numpy as np

from teagent.engine.predict.habits import WITHHELD
from teagent.engine.predict.ingress import Flags, Floats, Ints, Vector
from teagent.engine.predict.pooling import Weights
from teagent.engine.predict.propagation import FAR


class Simple(IntEnum):
    """STAY: who is not moved by TIES stays. TIES: the least of hops and prepends, equals by where a sender is. NOTHING:
    everybody stays.
    """

    STAY = 0
    TIES = 1
    NOTHING = 2


def simple_chances(weights: Floats, hops: Ints, link: Ints | int, before: Vector, afters: Sequence[Vector]) -> Weights:
    """(V, K, R) for senders with `hops` (K, R) that come in over `link` (R, or one for all): their chances by all of
    `Simple` together, each by its weight (3).
    """
    here = np.zeros(hops.shape, dtype=bool)
    here[link, np.arange(hops.shape[1])] = True
    prepends = np.array((before, *afters), dtype=np.int32)
    # A link that does not announce is worse than one without a path in the graph, which may be wrong.
    costs = np.where(prepends >= WITHHELD, np.int32(4 * int(FAR)), prepends)
    was, *taken = _taken(hops.astype(np.int32) + costs[:, :, None], here)
    then = np.array(taken)
    goes = np.float32(weights[Simple.STAY]) * (then != was).any(axis=1) + np.float32(weights[Simple.TIES])
    goes *= ~(then & here).any(axis=1)
    result: Weights = then * (goes / then.sum(axis=1, dtype=np.float32))[:, None]
    result += here * (np.float32(weights.sum()) - goes)[:, None]
    return result


def _taken(cost: Ints, here: Flags) -> Flags:
    """(V, K, R) the links of the least cost; only the one where a sender is, if that is among them."""
    least = cost == cost.min(axis=1, keepdims=True)
    stays = (least & here).any(axis=1, keepdims=True)
    result: Flags = np.where(stays, here, least)
    return result
