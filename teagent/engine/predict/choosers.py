"""Who chooses: each sender for itself, or networks above it for all behind them.

Who buys from one upstream alone has nothing to choose: it comes in where its upstream does. Where senders behind one
upstream part all the same, they, or parts of it, have rules of their own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from teagent.engine.predict.pooling import Ties

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

ASSUMED = 0.4
"""How far senders choose for themselves, while little was seen."""
ASSUMED_PARTED = 2.0
"""So many groups, all of which part, that counts for."""


def own_choice(ties: Ties, homes: Sequence[Ints], slots: int) -> float:
    """How far senders choose for themselves, 0 to 1: how often two that buy from the same upstream alone part, against
    two at the same distances that buy from different ones (1 less Krippendorff's alpha; "Content Analysis", 1980).

    `homes`, for each of some vectors: (N) the slot, of `slots`, that each sender was seen on, -1 for nowhere. What is
    seen under several vectors is much the same, so it counts as their mean.
    """
    upstreams = np.bincount(ties.member, minlength=ties.patterns.shape[1])
    single = upstreams[ties.member] == 1
    sender, upstream = ties.member[single], ties.upstream_of[single]
    parted = [_parted(ties.pattern_of[sender], upstream, home[sender], slots) for home in homes]
    within, between = np.mean(parted, axis=0) if parted else (0.0, 0.0)
    return float(min((within + ASSUMED * ASSUMED_PARTED) / (between + ASSUMED_PARTED), 1.0))


def _parted(pattern_of: Ints, upstream_of: Ints, home: Ints, slots: int) -> tuple[float, float]:
    """Over groups of one pattern and upstream: how often two of a group part, and how often two of different groups
    of its pattern, summed.
    """
    seen = home >= 0
    if not seen.any():
        return 0.0, 0.0
    groups, group_of = np.unique(np.stack([pattern_of, upstream_of])[:, seen], axis=1, return_inverse=True)
    pattern = np.unique(groups[0], return_inverse=True)[1].reshape(-1)
    count = np.zeros((groups.shape[1], slots))
    np.add.at(count, (group_of.reshape(-1), home[seen]), 1)
    members = count.sum(axis=1)
    share = count / members[:, None]
    beside = np.bincount(pattern)
    total = np.zeros((len(beside), slots))
    np.add.at(total, pattern, share)
    alike = (total**2).sum(axis=1) - np.bincount(pattern, weights=(share**2).sum(axis=1))
    between = 1 - alike / np.maximum(beside * (beside - 1), 1)
    within = 1 - (count * (count - 1)).sum(axis=1) / np.maximum(members * (members - 1), 1)
    compared = (members > 1) & (beside[pattern] > 1)
    return float(within[compared].sum()), float(between[pattern[compared]].sum())
