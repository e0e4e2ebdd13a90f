"""Models that know nothing of a sender but where it is: the learned one is measured against them, and falls back."""

from __future__ import annotations

from collections.abc import Sequence
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


def simple_chances(hops: Ints, link: Ints, before: Vector, afters: Sequence[Vector]) -> tuple[Floats, Floats, Floats]:
    """Each (V, K, R), for senders with `hops` (K, R) that come in over `link` (R): chances by each of `Simple`."""
    here = np.zeros(hops.shape)
    here[link, np.arange(len(link))] = 1.0
    costs = np.array([_cost(vector) for vector in (before, *afters)])
    ties = _least(hops + costs[:, :, None], here)
    moved = (ties[:1] != ties[1:]).any(axis=1, keepdims=True)
    return np.where(moved, ties[1:], here), ties[1:], np.repeat(here[None], len(afters), axis=0)


def _cost(vector: Vector) -> Ints:
    """(K) a link that does not announce is worse than one without a path in the graph, which may be wrong."""
    prepends = np.array(vector)
    return np.where(prepends >= WITHHELD, 4 * int(FAR), prepends)


def _least(cost: Ints, here: Floats) -> Floats:
    """(V, K, R)"""
    least = cost == cost.min(axis=1, keepdims=True)
    shared = least / least.sum(axis=1, keepdims=True)
    at_home = (least & (here > 0)).any(axis=1, keepdims=True)
    result: Floats = np.where(at_home, here, shared)
    return result
