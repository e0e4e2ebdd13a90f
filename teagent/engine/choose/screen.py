"""Where there are too many candidates for a dry run of each: a quick look by mean loads, and a beam over prefixes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor

import numpy as np

from teagent.engine.choose.candidates import Vector
from teagent.engine.predict.looks import Look
from teagent.engine.predict.scene import Scene
from teagent.engine.predict.shares import Floats
from teagent.model.bgp import Prefix, prefix_key
from teagent.model.plan import Candidate
from teagent.model.policy import Policy

KEPT = 48
"""So many get a dry run."""
BEAM = 24
EXTENSIONS = 96

Part = tuple[Prefix, Vector]


@dataclass(frozen=True, slots=True, kw_only=True)
class Yardstick:
    """What the quick look measures with. `aims_bps` (link -> bps), `grain_bps`: a step of relief."""

    scene: Scene
    policy: Policy
    triggered: tuple[str, ...]
    aims_bps: Mapping[str, float]
    grain_bps: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Rough:
    parts: tuple[Part, ...]
    change_bps: Floats
    key: tuple[float, ...]


def screen(yardstick: Yardstick, options: Mapping[Prefix, Mapping[Vector, Look]], depth: int) -> list[Candidate]:
    """The candidates of up to `depth` prefixes that look best, and what they are made of, in a fixed order.

    The look is by mean loads, on which the effects of prefixes simply add: it finds what is worth a dry run, and
    decides nothing.
    """
    singles = [
        _single(yardstick, (prefix, vector), look)
        for prefix, found in options.items()
        for vector, look in found.items()
    ]
    singles.sort(key=_order)
    everything, edge = list(singles), singles[:BEAM]
    for _ in range(depth - 1):
        grown: dict[tuple[Part, ...], _Rough] = {}
        for one in edge:
            for extra in singles[:EXTENSIONS]:
                if extra.parts[0][0] not in dict(one.parts):
                    both = _both(yardstick, one, extra)
                    grown.setdefault(both.parts, both)
        edge = sorted(grown.values(), key=_order)[:BEAM]
        everything += edge
    best = sorted(everything, key=_order)[:KEPT]
    wanted = {one.parts for one in best}
    wanted |= {tuple(p for p in one.parts if p != left) for one in best if len(one.parts) > 1 for left in one.parts}
    return [Candidate(vectors=parts) for parts in sorted(wanted, key=_by_name)]


def _order(rough: _Rough) -> tuple[object, ...]:
    return (*rough.key, _by_name(rough.parts))


def _by_name(parts: tuple[Part, ...]) -> tuple[object, ...]:
    return tuple((prefix_key(prefix), vector) for prefix, vector in parts)


def _single(yardstick: Yardstick, part: Part, look: Look) -> _Rough:
    return _Rough(parts=(part,), change_bps=look.change, key=_key(yardstick, (part,), look.change))


def _both(yardstick: Yardstick, one: _Rough, extra: _Rough) -> _Rough:
    parts = tuple(sorted((*one.parts, *extra.parts), key=lambda part: prefix_key(part[0])))
    change = one.change_bps + extra.change_bps
    return _Rough(parts=parts, change_bps=change, key=_key(yardstick, parts, change))


def _key(yardstick: Yardstick, parts: tuple[Part, ...], change: Floats) -> tuple[float, ...]:
    """Overload where it lands, what is left above target, added cost, load moved, changes, prepends."""
    scene, kept = yardstick.scene, 1 - yardstick.policy.limits.headroom
    over = excess = cost = 0.0
    for column, name in enumerate(scene.links):
        if name in scene.unknown:
            continue
        before = float(scene.load_bps[column]) * (1 + float(scene.hidden_expected[column]))
        after = before + float(change[column])
        link = yardstick.scene.snapshot.network.links[name]
        if name in yardstick.triggered:
            excess += max(0.0, after - yardstick.aims_bps[name])
        elif change[column] > 0:
            over += max(0.0, after - kept * link.capacity_bps)
            commit = link.commit_bps or 0.0
            cost += (link.price_per_mbps or 0.0) * max(0.0, max(after, commit) - max(before, commit)) / 1e6
    live = scene.vectors
    changes = sum(live[prefix].get(link) != n for prefix, vector in parts for link, n in vector)
    return (
        over,
        floor(excess / yardstick.grain_bps),
        round(cost, 6),
        round(float(np.maximum(change, 0).sum())),
        changes,
        sum(n for _, vector in parts for _, n in vector),
    )
