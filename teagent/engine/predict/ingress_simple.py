"""Models that know nothing of a sender but where it is: the learned one is measured against them, and falls back."""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from teagent.engine.predict.habits import WITHHELD
from teagent.engine.predict.ingress import Floats, Ints, Vector
from teagent.engine.predict.propagation import FAR


class Simple(IntEnum):
    """STAY: who is not moved by TIES stays. TIES: the least of hops and prepends, equals by where a sender is. NOTHING:
    everybody stays.
    """

    STAY = 0
    TIES = 1
    NOTHING = 2


def simple_chances(hops: Ints, link: Ints, before: Vector, after: Vector) -> Floats:
    """(3, R, K) for senders with `hops` (R, K) that come in over `link` (R): chances by each of `Simple`."""
    here = np.eye(hops.shape[1])[link]
    ties_before, ties_after = (_least(hops + _cost(v), here) for v in (before, after))
    moved = np.any(ties_before != ties_after, axis=1)
    return np.stack([np.where(moved[:, None], ties_after, here), ties_after, here])


def _cost(vector: Vector) -> Ints:
    """(K) a link that does not announce is worse than one without a path in the graph, which may be wrong."""
    prepends = np.array(vector)
    return np.where(prepends >= WITHHELD, 4 * int(FAR), prepends)


def _least(cost: Ints, here: Floats) -> Floats:
    least = cost == cost.min(axis=1, keepdims=True)
    shared = least / least.sum(axis=1, keepdims=True)
    result: Floats = np.where((least & (here > 0)).any(axis=1)[:, None], here, shared)
    return result
