"""Who chooses: each sender for itself, or networks above it for all behind them.

Who buys from one upstream alone has nothing to choose: it comes in where its upstream does. Where senders behind one
upstream part all the same, they, or parts of it, have rules of their own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.integer]

ASSUMED = 0.4
"""How far senders choose for themselves, while little was seen."""
ASSUMED_PARTED = 2.0
"""So many groups, all of which part, that counts for."""


def own_choice(distances: Ints, member: Ints, upstream: Ints, homes: Sequence[Ints]) -> float:
    """How far senders choose for themselves, 0 to 1: how often two that buy from the same upstream alone part, against
    two at the same distances that buy from different ones (1 less Krippendorff's alpha; "Content Analysis", 1980).

    Of N senders: `distances` (N, K) from each of K links, of which those that are equal are compared; `member` and
    `upstream` (M), pairs of a sender's place and who it buys from; `homes`, for each of some vectors (N), the link that
    each was seen on, -1 for nowhere. What is seen under several vectors is much the same: it counts as their mean.
    """
    single = np.bincount(member, minlength=len(distances))[member] == 1
    sender = member[single]
    _, alike = np.unique(distances[sender], axis=0, return_inverse=True)
    parted = [_parted(alike.reshape(-1), upstream[single], home[sender], distances.shape[1]) for home in homes]
    within, between = np.mean(parted, axis=0) if parted else (0.0, 0.0)
    return float(min((within + ASSUMED * ASSUMED_PARTED) / (between + ASSUMED_PARTED), 1.0))


def _parted(alike: Ints, upstream: Ints, home: Ints, links: int) -> tuple[float, float]:
    """Over groups of those that are `alike` behind one upstream: how often two of a group part, and how often two of it
    and of another group that is alike, summed.
    """
    seen = home >= 0
    if not seen.any():
        return 0.0, 0.0
    groups, group_of = np.unique(np.stack([alike, upstream])[:, seen], axis=1, return_inverse=True)
    count = np.zeros((groups.shape[1], links))
    np.add.at(count, (group_of.reshape(-1), home[seen]), 1)
    members = count.sum(axis=1)
    share = count / members[:, None]
    kind = groups[0]
    beside = np.bincount(kind)
    total = np.zeros((len(beside), links))
    np.add.at(total, kind, share)
    same = (total**2).sum(axis=1) - np.bincount(kind, weights=(share**2).sum(axis=1))
    between = 1 - same / np.maximum(beside * (beside - 1), 1)
    within = 1 - (count * (count - 1)).sum(axis=1) / np.maximum(members * (members - 1), 1)
    compared = (members > 1) & (beside[kind] > 1)
    return float(within[compared].sum()), float(between[kind[compared]].sum())
