"""A quick look at what many vectors of one prefix would do: means and rough widths, which over prefixes add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from teagent.engine.predict.movement import Movement
from teagent.engine.predict.scene import Scene
from teagent.engine.predict.shares import Flags, Floats, Forecaster, Ints, Vector, shorter
from teagent.model.bgp import Prefix


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Looks:
    """Of V vectors, in bits per second: for each of the K links, and in one column more for all that moves.

    `change`: what comes, less what leaves, in the mean; `rise`: the same if as much is hidden on full links as may be.
    `landing`: all that may come, at that, and `strangers` (V, K): what of it is from senders that nobody knows.
    `swing`: how far senders that decide alike carry the rise with them, as a standard deviation; `variance`: of it,
    from senders that decide each for themselves. (V, K + 1) each.
    `leaving` (V, K): what leaves in the mean, of what is seen; `surely`: what of it will more likely go than stay.
    """

    change: Floats
    rise: Floats
    landing: Floats
    strangers: Floats
    swing: Floats
    variance: Floats
    leaving: Floats
    surely: Floats

    def only(self, vectors: Ints | Flags) -> Looks:
        return Looks(**{each.name: getattr(self, each.name)[vectors] for each in fields(self)})

    @classmethod
    def joined(cls, looks: Sequence[Looks]) -> Looks:
        return cls(**{each.name: np.concatenate([getattr(one, each.name) for one in looks]) for each in fields(cls)})


def look(scene: Scene, prefix: Prefix, vectors: Sequence[Vector], forecaster: Forecaster) -> Looks:
    """At least one vector is given."""
    columns, before = scene.demands[prefix], scene.vectors[prefix]
    return _with_strangers(scene, prefix, vectors, _looks(scene, forecaster.movement(columns, before, vectors)))


def _looks(scene: Scene, movement: Movement) -> Looks:
    likely, most = 1 + scene.hidden_expected, 1 + scene.hidden_high
    links = len(scene.links)
    return Looks(
        change=_gained(movement.mean, likely),
        rise=_gained(movement.mean, most),
        landing=_arriving(movement.may, most),
        strangers=np.zeros((len(movement.mean), links)),
        swing=1.13 * np.sqrt(movement.correlation) * np.abs(_gained(movement.slope, most)),
        variance=_both_ways(movement.doubt, most**2),
        leaving=np.einsum("vkk->vk", movement.mean).copy(),
        surely=movement.surely,
    )


def _with_strangers(scene: Scene, prefix: Prefix, vectors: Sequence[Vector], looks: Looks) -> Looks:
    """Nobody knows who sends it, so it is taken to stay; but it may come where the path to us has become shorter."""
    columns = scene.demands[prefix]
    unknown = ~columns.movable
    if not unknown.any():
        return looks
    bps = np.bincount(columns.link_index[unknown], weights=columns.bps[unknown], minlength=len(scene.links))
    strangers = (bps * (1 + scene.hidden_high)) @ shorter(scene.links, scene.vectors[prefix], vectors)
    landing = looks.landing.copy()
    landing[:, :-1] += strangers
    return replace(looks, landing=landing, strangers=strangers)


def _gained(moved: Floats, weight: Floats) -> Floats:
    """(V, K + 1) what comes to each link less what leaves it, and all that leaves. `moved` (V, K, K) as in `Movement`,
    by the `weight` (K) of the link that it leaves.
    """
    come, gone = _come_and_gone(moved, weight)
    return np.concatenate((come - gone, gone.sum(axis=1, keepdims=True)), axis=1)


def _come_and_gone(moved: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """(V, K) each."""
    gone = np.einsum("vkk,k->vk", moved, weight)
    return np.einsum("vjk,j->vk", moved, weight) - gone, gone


def _arriving(moved: Floats, weight: Floats) -> Floats:
    """(V, K + 1) what comes to each link, and all that leaves."""
    come, gone = _come_and_gone(moved, weight)
    return np.concatenate((come, gone.sum(axis=1, keepdims=True)), axis=1)


def _both_ways(moved: Floats, weight: Floats) -> Floats:
    """(V, K + 1) what comes to each link and what leaves it, and all that leaves."""
    come, gone = _come_and_gone(moved, weight)
    return np.concatenate((come + gone, gone.sum(axis=1, keepdims=True)), axis=1)
