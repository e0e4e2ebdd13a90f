"""Which announcements would teach most: pairs of links, in both orders (AnyOpt, SIGCOMM 2021, section 4).

With two links alone in competition each sender shows which of them it prefers; from all pairs follows what it does
under any announcement. The order counts, because among equals many keep the older path. What an answer is worth is how
uncertain it is now: a sender whose choice is known teaches nothing, one that may do either teaches a bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import permutations

import numpy as np

from teagent.engine.predict.ingress import Floats, IngressModel, Ints
from teagent.engine.predict.ingress_shares import Chances
from teagent.engine.predict.scene import Scene
from teagent.engine.predict.shares import DemandColumns
from teagent.model.bgp import Asn
from teagent.model.experiment import Experiment, Lesson
from teagent.model.network import OwnPrefix

LESSONS = 5


def experiments(scene: Scene, model: IngressModel, own: OwnPrefix, *, prepend: int) -> tuple[Experiment, ...]:
    """All ordered pairs of the links that carry the prefix, what teaches most first. `prepend` keeps links out of the
    way. None for a prefix without traffic of known senders, or on fewer than two links of the model.
    """
    live = scene.vectors.get(own.prefix, {})
    columns = scene.demands.get(own.prefix)
    links = [name for name in sorted(live) if name in model.links]
    if columns is None or len(links) < 2 or prepend < 1:
        return ()
    chances = Chances(model)
    found = [_experiment(chances, columns, live, pair, prepend) for pair in permutations(links, 2)]
    return tuple(sorted((one for one in found if one is not None), key=lambda one: (-one.bits, one.first, one.second)))


def _experiment(
    chances: Chances, columns: DemandColumns, live: Mapping[str, int], pair: tuple[str, str], prepend: int
) -> Experiment | None:
    model, (first, second) = chances.model, pair
    alone = {name: 0 if name == first else prepend for name in live}
    both = {name: 0 if name in pair else prepend for name in live}
    place = np.array([model.links.index(name) if name in model.links else -1 for name in columns.links])
    asn = np.array([source.asn for source in columns.sources], dtype=np.int64)[columns.source_index]
    rows = np.flatnonzero(columns.movable & (asn > 0) & (place[columns.link_index] >= 0) & (columns.bps > 0))
    if not len(rows):
        return None
    asn, now, bps = asn[rows], place[columns.link_index[rows]], columns.bps[rows]
    there = _chances(chances, asn, now, live, alone)[:, model.links.index(first)]
    start = np.full(len(rows), model.links.index(first))
    answers = _chances(chances, asn, start, alone, both)
    bits = there * _entropy(answers)
    return Experiment(
        prefix=columns.prefix,
        first=first,
        second=second,
        alone=tuple(sorted(alone.items())),
        both=tuple(sorted(both.items())),
        bits=float(bits @ bps / bps.sum()),
        bps=float(bps.sum()),
        senders=len(np.unique(asn)),
        lessons=tuple(_lessons(asn, bps, bits)),
        seen=any(question.vector == model.vector(both) for question in model.open),
        step=_step(live, alone, both),
    )


def _chances(chances: Chances, asn: Ints, link: Ints, before: Mapping[str, int], after: Mapping[str, int]) -> Floats:
    """(N, links of the model) for senders that come in over `link` (N)."""
    cases, vector = chances.cases(asn, link), chances.model.vector
    result: Floats = chances.of(cases, vector(before), vector(after))[cases.of]
    return result


def _step(live: Mapping[str, int], alone: Mapping[str, int], both: Mapping[str, int]) -> int:
    """`both` out of anything but `alone` would not be this experiment, for its order would be another."""
    if dict(live) == both:
        return 0
    return 2 if dict(live) == alone else 1


def _entropy(chances: Floats) -> Floats:
    """(N) bits of each row."""
    logarithm = np.log2(np.where(chances > 0, chances, 1.0))
    result: Floats = -(chances * logarithm).sum(axis=1)
    return result


def _lessons(asn: Ints, bps: Floats, bits: Floats) -> Iterator[Lesson]:
    """The senders that teach most, by what they send."""
    for row in np.argsort(-bits * bps, kind="stable")[:LESSONS]:
        if bits[row] > 0:
            yield Lesson(asn=Asn(int(asn[row])), bps=float(bps[row]), bits=float(bits[row]))
