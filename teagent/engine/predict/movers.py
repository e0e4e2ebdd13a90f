"""Who moves: the senders behind a dry run's figures, for the operator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from teagent.engine.predict.bands import HIGH, LOW
from teagent.engine.predict.crowd import Crowd, Crowds
from teagent.engine.predict.scene import Scene
from teagent.engine.predict.shares import Flags, Floats, Ints
from teagent.model.plan import Band, Shift
from teagent.model.traffic import Source

SHIFTS_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Movers:
    """`links`: places in the scene of those that something may leave, with whatever chance. What may move is what does
    so with more than LOW, as bands have it: `sources` counts its known senders, `heaviest` is the one with the largest
    `share` of it, None where there is none, `surely` the least chance of its demands. `unknown_bps` comes from senders
    that are not known; `seen`: is there any traffic at all?
    """

    seen: bool
    sources: int = 0
    links: tuple[int, ...] = ()
    heaviest: Source | None = None
    share: float = 0.0
    surely: float = 0.0
    unknown_bps: float = 0.0


def movers(scene: Scene, crowds: Crowds | None, leaving: Floats | None) -> Movers:
    """`leaving` (R): the chance of each group of `crowds` to move. None: no traffic was seen."""
    if crowds is None or leaving is None:
        return Movers(seen=False)
    unknown_bps = float(crowds.bps[~crowds.movable].sum())
    links = tuple(np.flatnonzero(np.bincount(crowds.link_index[leaving > 0])).tolist())
    moving = leaving > LOW
    if not moving.any():
        return Movers(seen=True, links=links, unknown_bps=unknown_bps)
    by_source = np.zeros(len(scene.matrix.sources))
    for crowd, part in crowds.parts():
        rows = np.flatnonzero(moving[part][crowd.group])
        np.add.at(by_source, crowd.columns.source_index[rows], crowd.columns.bps[rows])
    heaviest = int(np.argmax(by_source))
    chances = [
        float(leaving[part][crowd.group[row]])
        for crowd, part in crowds.parts()
        for row in np.flatnonzero(crowd.columns.source_index == heaviest)
        if moving[part][crowd.group[row]]
    ]
    return Movers(
        seen=True,
        sources=int(np.count_nonzero(by_source)),
        links=links,
        heaviest=scene.matrix.sources[heaviest],
        share=float(by_source[heaviest] / by_source.sum()),
        surely=min(chances),
        unknown_bps=unknown_bps,
    )


def shifts(scene: Scene, crowds: Crowds, away: Floats) -> tuple[Shift, ...]:
    """The moves with the most weight (chance times load); ties in the order of prefix, link, source.

    `away` (R, K): the chance of each group to go to each link.
    """
    found: list[tuple[Crowd, int, int, float]] = []
    weights: list[Floats] = []
    for crowd, part in crowds.parts():
        rows, columns, weight = _heaviest(crowd, away[part])
        weights.append(weight)
        chances = away[part][crowd.group[rows], columns]
        found += zip([crowd] * len(rows), rows.tolist(), columns.tolist(), chances.tolist(), strict=True)
    order = np.argsort(-np.concatenate(weights), kind="stable")[:SHIFTS_SHOWN]
    return tuple(_shift(scene, *found[at]) for at in order)


def _heaviest(crowd: Crowd, away: Floats) -> tuple[Ints, Ints, Floats]:
    """Demand, link and weight of the heaviest moves of one prefix."""
    while True:
        rows = crowd.named
        weight = away[crowd.group[rows]] * crowd.columns.bps[rows, None]
        at, columns = np.nonzero(weight > 0)
        chosen = np.argsort(-weight[at, columns], kind="stable")[:SHIFTS_SHOWN]
        at, columns = at[chosen], columns[chosen]
        least = weight[at[-1], columns[-1]] if len(at) == SHIFTS_SHOWN else 0.0
        unseen: Flags = crowd.rest * away.max(axis=1, initial=0.0) > least
        if not unseen.any():
            return rows[at], columns, weight[at, columns]
        crowd.name_more(np.flatnonzero(unseen))


def _shift(scene: Scene, crowd: Crowd, row: int, column: int, chance: float) -> Shift:
    columns, own = crowd.columns, int(crowd.columns.link_index[row])
    bps = float(columns.bps[row])
    return Shift(
        source=columns.sources[int(columns.source_index[row])],
        prefix=columns.prefix,
        from_link=scene.links[own],
        to_link=scene.links[column],
        band=Band(
            low=bps if chance >= HIGH else 0.0,
            expected=bps * (1 + float(scene.hidden_expected[own])) if chance >= 0.5 else 0.0,
            high=bps * (1 + float(scene.hidden_high[own])) if chance > LOW else 0.0,
        ),
    )
