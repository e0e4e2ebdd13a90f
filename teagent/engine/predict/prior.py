"""What is assumed of a sender before anything was learned about it.

A sender that comes in over link l could also come over m. To it, m's path is d longer than l's before our own prepends
count (d < 0: shorter). Nobody tells us d. That it was seen on l under prepends v says only d >= v[l] - v[m], because at
equal length the older path stays. What else is believed of d is stated here, in one place, as weights:

- three in four paths between big transits are equally long, the rest are near it;
- some senders never leave l, whatever is prepended: they are single-homed behind it, or prefer it by local-pref.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod

WEIGHT_OF_DIFFERENCE = {0: 0.76, 1: 0.08, 2: 0.025, 3: 0.01, 4: 0.003, 5: 0.001, 6: 0.001}
"""Weight of |d|; positive and negative alike. All together 1."""

NEVER_LEAVES = 0.15
"""Share of traffic that stays on its link whatever we prepend."""

CORRELATION = 0.2
"""How alike two senders decide: they share upstreams, so a thousand of them average out less than dice would."""

_REACH = max(WEIGHT_OF_DIFFERENCE)


@lru_cache(maxsize=65536)
def destinations(at_least: tuple[int, ...], advantage: tuple[int, ...]) -> tuple[float, ...]:
    """Where a sender goes: the probability of each other link; what lacks to 1 is that it stays.

    For the i-th other link m, `at_least[i]` is the bound that observation put on d, and `advantage[i]` = v'[l] - v'[m]
    how much shorter than l the new prepends make m. The sender leaves for the link with the least d - advantage if
    that is below 0; at 0 it stays, and links that tie below 0 share in proportion to their chances.
    """
    weights = [_conditioned(bound) for bound in at_least]
    plausible = prod(total for _, total in weights)
    leaves = (1 - NEVER_LEAVES) * plausible
    if leaves <= 0:
        return (0.0,) * len(at_least)
    leaves /= leaves + NEVER_LEAVES
    costs = [
        {d - shorter: weight / total for d, weight in table.items()}
        for (table, total), shorter in zip(weights, advantage, strict=True)
    ]
    result = [0.0] * len(costs)
    for level in sorted({cost for table in costs for cost in table if cost < 0}):
        at = [table.get(level, 0.0) for table in costs]
        from_here = [sum(w for cost, w in table.items() if cost >= level) for table in costs]
        least_is_here = prod(from_here) - prod(f - a for f, a in zip(from_here, at, strict=True))
        hazards = [a / f if f > 0 else 0.0 for a, f in zip(at, from_here, strict=True)]
        total = sum(hazards)
        if total > 0:
            for i, hazard in enumerate(hazards):
                result[i] += leaves * least_is_here * hazard / total
    return tuple(result)


def _conditioned(bound: int) -> tuple[dict[int, float], float]:
    """The weights of d >= bound, and their sum (0 when observation has left nothing of the assumption)."""
    table = {d: WEIGHT_OF_DIFFERENCE[abs(d)] for d in range(max(bound, -_REACH), _REACH + 1)}
    return table, sum(table.values())
