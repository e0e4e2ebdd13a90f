"""How far each link turns out to be, for everybody: what the AS graph has wrong next to us.

A transit that prepends for us, an AS between us that no table shows, or a session that the graph does not know, puts a
link a hop further away or nearer than the graph says, for all senders alike. Each of them might as well have a rule of
its own that comes to the same; together they leave little doubt. So such shifts are looked for before anything is
learned of rules: each is as likely as that senders came in where they did, with rules as they are assumed to be. Often
several are: what is believed of a sender is then a mean over them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
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

WITNESS = 0.13
"""So much counts each independent sender that chooses for itself: of what the graph has wrong further away than next to
us many of them share the same. Where large networks choose for all behind them, it counts as much less.
"""

NEGLIGIBLE = 4.0
"""Shifts that are less likely than the likeliest by more, as a logarithm, are left out."""


def likely(
    hops: Ints, places: Ints, links: int, explains: Floats, counts: Floats
) -> tuple[tuple[Shift, ...], tuple[float, ...]]:
    """By how many hops each of K `links` is further than `hops` say, for everybody; negative where it is nearer: some
    such shifts, the likeliest first, and their chances, which sum to 1.

    `hops` (N, S) of senders over the links at `places` (N, S), FAR and more where there is no path; `explains` (N, H):
    how well each habit goes with what was seen of each, in any unit of its own row; each counts for `counts` (N)
    independent senders. The likeliest is climbed to link by link; beside it stand those that are one step away. Of
    shifts that put links as far from each other, only the one is looked at that leaves most of them where they are.
    """
    known = kinds(places.shape[1])
    fits = np.log(np.maximum(explains @ _assumed(places.shape[1]).T, np.float32(1e-30)))
    row, weight = np.arange(len(hops)), WITNESS * counts
    worth: dict[Shift, float] = {}

    def ask(shift: Shift) -> None:
        there = patterns_of(known.patterns, pattern(shifted(hops, np.array(shift)[places]), int(FAR)))
        worth[shift] = float(weight @ fits[row, there]) - UNLIKELY * sum(map(abs, shift))

    best: Shift | None = None
    likeliest = (0,) * links
    ask(likeliest)
    while best != likeliest:
        best = likeliest
        for shift in _steps(best):
            if shift not in worth:
                ask(shift)
        likeliest = max(worth, key=worth.__getitem__)
    kept = sorted((s for s in worth if worth[s] >= worth[best] - NEGLIGIBLE), key=lambda s: -worth[s])
    chance = np.exp([worth[s] - worth[best] for s in kept])
    return tuple(kept), tuple((chance / chance.sum()).tolist())


def _steps(shift: Shift) -> Iterator[Shift]:
    """One link a hop further or nearer; what is the same for all links is taken off again."""
    for k, step in itertools.product(range(len(shift)), (-1, 1)):
        moved = (*shift[:k], shift[k] + step, *shift[k + 1 :])
        middle = sorted(moved)[len(moved) // 2]
        if max(abs(by - middle) for by in moved) <= FURTHEST:
            yield tuple(by - middle for by in moved)


def shifted(hops: Ints, by: Ints) -> Ints:
    """`hops` that are `by` more, as far as there are any."""
    result: Ints = np.where(hops < FAR, hops + by, hops)
    return result


@lru_cache(maxsize=3)
def _assumed(slots: int) -> Floats:
    """(P, H) how common each habit of each pattern is taken to be, before anything was seen."""
    known = kinds(slots)
    return known.of_habits(known.of_ways(known.assumed)).astype(np.float32)
