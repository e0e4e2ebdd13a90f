"""What is assumed of a sender before anything was learned about it.

A sender that comes in over link l could also come over m. To it, m's path is d longer than l's before our own prepends
count (d < 0: shorter). Nobody tells us d. That it was seen on l under prepends v says only d >= v[l] - v[m], because at
equal length the older path stays. What else is believed of d is stated here, in one place, as weights:

- three in four paths between big transits are equally long, the rest are near it;
- some senders never leave l, whatever is prepended: they are single-homed behind it, or prefer it by local-pref.
"""

from __future__ import annotations

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


def destinations(at_least: npt.NDArray[np.int64], advantage: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Where senders go: (U, M) probabilities of each of M other links; what a row lacks to 1 is that it stays.

    For sender u and link m, `at_least` (U, M) is the bound that observation put on d, and `advantage` (M) =
    v'[l] - v'[m] how much shorter than l the new prepends make m. The sender leaves for the link with the least
    d - advantage if that is below 0; at 0 it stays, and links that tie below 0 share in proportion to their chances.
    """
    table = np.where(at_least[:, :, None] <= _DIFFERENCES, _WEIGHTS, 0.0)  # (U, M, differences)
    plausible = table.sum(axis=2)
    chance = np.divide(table, plausible[:, :, None], out=np.zeros_like(table), where=plausible[:, :, None] > 0)
    goes = (1 - NEVER_LEAVES) * plausible.prod(axis=1)
    goes = goes / (goes + NEVER_LEAVES)
    result = np.zeros(at_least.shape)
    links = np.arange(len(advantage))
    longer = np.concatenate((np.cumsum(chance[:, :, ::-1], axis=2)[:, :, ::-1], np.zeros((*at_least.shape, 1))), axis=2)
    for cost in range(-_REACH - max(int(advantage.max(initial=0)), 0), 0):
        place = cost + advantage + _REACH  # of the d that costs this much, among the differences
        inside = (place >= 0) & (place <= 2 * _REACH)
        here = np.where(inside, chance[:, links, np.clip(place, 0, 2 * _REACH)], 0.0)
        from_here = longer[:, links, np.clip(place, 0, 2 * _REACH + 1)]
        beyond = np.maximum(from_here - here, 0.0)
        least_is_here = np.maximum(from_here.prod(axis=1) - beyond.prod(axis=1), 0.0)
        hazard = np.divide(here, from_here, out=np.zeros_like(here), where=from_here > 0)
        total = hazard.sum(axis=1)
        part = np.divide(hazard, total[:, None], out=np.zeros_like(hazard), where=total[:, None] > 0)
        result += (goes * least_is_here)[:, None] * part
    return result
