"""How well the model foretold lately, and with that how wide bands are.

Each new vector is foretold before its first answers teach anything. Bands widen by how alike senders are taken to err:
alone, their errors average out, together they add up. That is set so that nine of ten of the loads of late would have
been within their bands.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from teagent.engine.predict.bands import FACTORS, Z90
from teagent.engine.predict.normal import density_and_share, quantiles

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

GRAPH_AT_FIRST = 0.1
"""How much the graph's word counts beside what was learned, until a first vector was scored."""

CORRELATION = 0.4
"""How alike senders err before anything was scored; counts as much as ASSUMED_MISSES misses."""
ASSUMED_MISSES = 4.0
CORRELATIONS = np.geomspace(0.002, 0.8, 40)
REMEMBERED = 60
"""So many misses are remembered; with each further vector older ones count for MISS_FADES of what they did."""
MISS_FADES = 0.85
COVERED = 0.90
CERTAIN = 1e-9
FACTOR_DEVIATION = float(np.sqrt(np.mean(FACTORS**2)))
FLOOR = 0.005
"""Standard deviation of a load that is foretold for certain, as a share of all: rules change, flows are sampled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """Of one link under one vector, as shares of the total load: how far it was from what was foretold; the standard
    deviation that was foretold, if senders err alone; and how far one standard deviation of what they have in common
    (the factor of `bands`) would carry them all together; `age` in vectors.
    """

    distance: float
    alone: float
    together: float
    age: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """`misses`: oldest first."""

    misses: tuple[Miss, ...] = ()

    @property
    def graph(self) -> float:
        """How much the graph's word counts beside what was learned, 0 to 1 (`ingress_units.by_graph`)."""
        return 0.0 if self.misses else GRAPH_AT_FIRST

    def correlation(self) -> float:
        """How alike different senders err, 0 to 1: what `Shares.correlation` wants."""
        if not self.misses:
            return CORRELATION
        weight = MISS_FADES ** np.array([miss.age for miss in self.misses], dtype=np.float64)
        distance, alone, together = np.array([(m.distance, m.alone, m.together) for m in self.misses]).T
        deviation = np.sqrt(alone**2 + np.outer(CORRELATIONS, together**2) + FLOOR**2)
        held = (distance <= Z90 * deviation) @ weight / weight.sum()
        enough = np.flatnonzero(held >= COVERED)
        seen = CORRELATIONS[enough[0] if len(enough) else -1]
        sure = weight.sum() / (weight.sum() + ASSUMED_MISSES)
        return float(np.exp(sure * np.log(seen) + (1 - sure) * np.log(CORRELATION)))

    def with_outcome(self, misses: tuple[Miss, ...]) -> Scores:
        """With the `misses` of the links under one further vector."""
        older = tuple(replace(miss, age=miss.age + 1) for miss in self.misses)
        return Scores(misses=(*older, *misses)[-REMEMBERED:])


def misses_of(bps: Floats, chances: Floats, share: Floats, link: Ints) -> tuple[Miss, ...]:
    """For each of K links: senders with `bps` (R) over `link` (R), -1 for none, that were given `chances` (R, K) and
    came as `share` (R, K).

    As the dry run has it, what senders have in common makes them move: they come to a link as they leave it.
    """
    part, chances = bps / bps.sum(), chances.astype(np.float64)  # CERTAIN is less than float32 tells apart
    alone = np.sqrt(part**2 @ np.clip(chances * (1 - chances), 0, None))
    density, _ = density_and_share(quantiles(np.clip(chances, CERTAIN, 1 - CERTAIN)))
    follows = np.where(link[:, None] == np.arange(chances.shape[1]), -density, density)
    together = np.abs(FACTOR_DEVIATION * (part @ follows))
    return tuple(
        Miss(distance=distance, alone=by_itself, together=moved)
        for distance, by_itself, moved in zip(
            np.abs(part @ (share - chances)).tolist(), alone.tolist(), together.tolist(), strict=True
        )
    )
