"""What is assumed of a sender before anything was learned about it.

A sender that comes in over link l could also come over m. To it, m's path is d longer than l's before our own prepends
count (d < 0: shorter). Nobody tells us d. That it was seen on l under prepends v says only d >= v[l] - v[m], because at
equal length the older path stays. What else is believed of d is stated here, in one place, as weights:

- three in four paths between big transits are equally long, the rest are near it;
- some senders never leave l, whatever is prepended: they are single-homed behind it, or prefer it by local-pref.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

WEIGHT_OF_DIFFERENCE = {0: 0.76, 1: 0.08, 2: 0.025, 3: 0.01, 4: 0.003, 5: 0.001, 6: 0.001}
"""Weight of |d|; positive and negative alike. All together 1."""

NEVER_LEAVES = 0.15
"""Share of traffic that stays on its link whatever we prepend."""

CORRELATION = 0.2
"""How alike two senders decide: they share upstreams, so a thousand of them average out less than dice would."""

_REACH = max(WEIGHT_OF_DIFFERENCE)
_DIFFERENCES = np.arange(-_REACH, _REACH + 1)
_WEIGHTS = np.array([WEIGHT_OF_DIFFERENCE[abs(d)] for d in range(-_REACH, _REACH + 1)])


BLOCK = 4096
"""So many senders are looked at together: what is in work at once stays in the processor's cache."""


def destinations(at_least: npt.NDArray[np.int64], advantage: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Where senders go: (U, M) probabilities of each of M other links; what a row lacks to 1 is that it stays.

    For sender u and link m, `at_least` (U, M) is the bound that observation put on d, and `advantage` (M, or U and M) =
    v'[l] - v'[m] how much shorter than l the new prepends make m. The sender leaves for the link with the least
    d - advantage if that is below 0; at 0 it stays, and links that tie below 0 share in proportion to their chances.
    A link with `NO_WAY` as both is none that it could go to.
    """
    advantage = np.broadcast_to(advantage, at_least.shape)
    outlook = _outlook(max(int(advantage.max(initial=0)), 0))
    bound = np.clip(at_least, -_REACH, _REACH + 1) + _REACH
    gain = np.clip(advantage, -_REACH, None) + _REACH
    # Few senders are unlike all others: each kind is reckoned once.
    number = (bound * outlook.from_here.shape[1] + gain) @ MULTIPLIER ** np.arange(1, bound.shape[1] + 1)
    _, first, which = np.unique(number, return_index=True, return_inverse=True)
    which = which.reshape(-1)
    if (bound[first][which] == bound).all() and (gain[first][which] == gain).all():
        return _destinations(outlook, bound[first], gain[first])[which]
    return _destinations(outlook, bound, gain)


def _destinations(
    outlook: _Outlook, bound: npt.NDArray[np.int64], gain: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """By places in `outlook`."""
    goes = (1 - NEVER_LEAVES) * outlook.plausible[bound].prod(axis=1)
    goes = goes / (goes + NEVER_LEAVES)
    costs = outlook.hazard.shape[2]
    from_here, beyond, hazards = (
        table.reshape(-1, costs) for table in (outlook.from_here, outlook.beyond, outlook.hazard)
    )
    place = np.ascontiguousarray((bound * outlook.hazard.shape[1] + gain).T)
    result = np.empty(bound.shape)
    for begin in range(0, len(result), BLOCK):
        part = place[:, begin : begin + BLOCK]
        least, more, total = np.ones((part.shape[1], costs)), np.ones((part.shape[1], costs)), 0.0
        # One link after the other: along the middle axis of (U, M, costs) each of these is slow.
        hazard = [hazards.take(link, axis=0) for link in part]
        for link, here in zip(part, hazard, strict=True):
            least *= from_here.take(link, axis=0)
            more *= beyond.take(link, axis=0)
            total = total + here
        least -= more
        each = np.divide(np.maximum(least, 0.0), total, out=np.zeros_like(least), where=total > 0)
        each *= goes[begin : begin + BLOCK, None]
        for m, here in enumerate(hazard):
            result[begin : begin + BLOCK, m] = np.einsum("uc,uc->u", here, each)
    return result


NO_WAY = -100

MULTIPLIER = np.int64(0x1E3779B97F4A7C15)
"""Odd, and near to 2^61 divided by the golden ratio (Knuth, volume 3, 6.4): its powers spread what is multiplied."""


@dataclass(frozen=True, slots=True, eq=False)
class _Outlook:
    """Of one other link, by bound on d (first axis, from -`_REACH` to one beyond) and by advantage (second, from
    -`_REACH`): for each cost d - advantage below 0, the chance that it is not less than that (`from_here`), that it is
    more (`beyond`), and that it is just that if it is not less (`hazard`). `plausible`: what is left of all weight.
    """

    plausible: npt.NDArray[np.float64]
    from_here: npt.NDArray[np.float64]
    beyond: npt.NDArray[np.float64]
    hazard: npt.NDArray[np.float64]


@cache
def _outlook(most: int) -> _Outlook:
    """For advantages up to `most`."""
    bounds = np.arange(-_REACH, _REACH + 2)
    table = np.where(bounds[:, None] <= _DIFFERENCES, _WEIGHTS, 0.0)
    plausible = table.sum(axis=1)
    chance = np.divide(table, plausible[:, None], out=np.zeros_like(table), where=plausible[:, None] > 0)
    longer = np.concatenate((np.cumsum(chance[:, ::-1], axis=1)[:, ::-1], np.zeros((len(bounds), 1))), axis=1)
    # The place of the d that costs so much, among the differences.
    place = np.arange(-_REACH - most, 0)[None, :] + np.arange(-_REACH, most + 1)[:, None] + _REACH
    inside = (place >= 0) & (place <= 2 * _REACH)
    here = np.where(inside, chance[:, np.clip(place, 0, 2 * _REACH)], 0.0)
    from_here = longer[:, np.clip(place, 0, 2 * _REACH + 1)]
    hazard = np.divide(here, from_here, out=np.zeros_like(here), where=from_here > 0)
    return _Outlook(plausible, from_here, np.maximum(from_here - here, 0.0), hazard)
