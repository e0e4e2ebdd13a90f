"""How far each link turns out to be, for everybody: what the AS graph has wrong next to us.

A transit that prepends for us, an AS between us that no table shows, or a session that the graph does not know, puts a
link a hop further away or nearer than the graph says, for all senders alike. Each of them might as well have a rule of
its own that comes to the same; together they leave little doubt. So that shift is looked for before anything is learned
of rules: the one under which it is likeliest that senders came in where they did, with rules as they are assumed to be.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from teagent.engine.predict.habit_rates import kinds, pattern, patterns_of
from teagent.engine.predict.propagation import FAR

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]
Shift = tuple[int, ...]

FURTHEST = 2
"""Hops by which a link is taken to be further or nearer at most."""

UNLIKELY = 2.0
"""What each hop of it costs, as a logarithm of its likelihood."""

WITNESS = 0.05
"""So much counts each independent sender: of what the graph has wrong further away than next to us, and of what large
networks choose, many of them share the same.
"""


def further(hops: Ints, places: Ints, links: int, explains: Floats, counts: Floats) -> Shift:
    """By how many hops each of K `links` is further than `hops` say, for everybody; negative where it is nearer.

    `hops` (N, S) of senders over the links at `places` (N, S), FAR and more where there is no path; `explains` (N, H):
    how well each habit goes with what was seen of each, in any unit of its own row; each counts for `counts` (N)
    independent senders. The shift is climbed to link by link, which finds the best one where links differ by little.
    """
    known = kinds(places.shape[1])
    fits = np.log(np.maximum(explains @ _assumed(places.shape[1]).T, np.float32(1e-30)))
    row, weight = np.arange(len(hops)), WITNESS * counts

    def worth(shift: Shift) -> float:
        there = patterns_of(known.patterns, pattern(shifted(hops, np.array(shift)[places]), int(FAR)))
        return float(weight @ fits[row, there]) - UNLIKELY * sum(map(abs, shift))

    best = (0,) * links
    most = worth(best)
    while True:
        steps = (
            (*best[:k], best[k] + step, *best[k + 1 :])
            for k in range(links)
            for step in (-1, 1)
            if abs(best[k] + step) <= FURTHEST
        )
        value, step = max((worth(shift), shift) for shift in steps)
        if value <= most:
            return best
        most, best = value, step


def shifted(hops: Ints, by: Ints) -> Ints:
    """`hops` that are `by` more, as far as there are any."""
    result: Ints = np.where(hops < FAR, hops + by, hops)
    return result


@lru_cache(maxsize=3)
def _assumed(slots: int) -> Floats:
    """(P, H) how common each habit of each pattern is taken to be, before anything was seen."""
    known = kinds(slots)
    return known.of_habits(known.of_ways(known.assumed)).astype(np.float32)
