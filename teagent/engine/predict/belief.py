"""What is believed of one sender, from which evidence, and why: for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from teagent.engine.predict.ingress import Floats, IngressModel, Ints
from teagent.engine.predict.ingress_shares import Chances, main_slots
from teagent.engine.predict.propagation import FAR
from teagent.model.bgp import Asn

WORTH_SAYING = 0.5
"""What is less likely than this is not given as a reason."""


class Tier(StrEnum):
    """The narrowest group that the belief rests on."""

    OWN = "own"
    UPSTREAM = "upstream"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkBelief:
    """`probability` that the sender comes in here; `hops` of its path before our prepends, None where there is none or
    nobody knows. `ignores_prepends`, `never`, `only`: how likely it is that prepends on this link do not count for the
    sender, that it does not take this link, or no other.
    """

    link: str
    probability: float
    hops: int | None
    ignores_prepends: float
    never: float
    only: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """Of one sender under one vector. `seen_on` is where it comes in under that vector as far as was seen; `vectors`
    how many vectors it was seen under; `upstreams` from whom the graph says it buys, those that the model knows others
    of. `why` says it in words.
    """

    asn: Asn
    links: tuple[LinkBelief, ...]
    seen_on: str | None
    tier: Tier
    vectors: int
    upstreams: tuple[Asn, ...]
    sticky: float
    why: tuple[str, ...]


def believe(model: IngressModel, asn: Asn, vector: Mapping[str, int], *, link: str | None = None) -> Belief:
    """What the model says of `asn` under `vector` (link -> prepends). `link` is where it comes in now, if that is known
    otherwise than from what was learned under this vector. Raises ValueError for a link that is not among the model's.
    """
    if link is not None and link not in model.links:
        raise ValueError(f"{link} is not among the links {', '.join(model.links)}")
    row = int(model.rows(np.array([asn]))[0])
    prepends = model.vector(vector)
    main = int(main_slots(model, prepends)[row]) if row >= 0 else -1
    seen = int(model.slots[row, main]) if main >= 0 else -1
    on = model.links.index(link) if link is not None else seen
    chances = Chances(model)
    if on >= 0:
        share = chances.of(chances.cases(np.array([asn]), np.array([on])), prepends, prepends)[0]
    else:
        share = chances.without_place(asn, prepends)
    weights, slots = chances.weights_of(asn)
    parts = [_of_link(model, asn, k, float(share[k]), weights, slots) for k in range(len(model.links))]
    answered = int(model.seen[row]) + sum(int(q.seen[row] > 0) for q in model.open) if row >= 0 else 0
    upstreams = _shared_upstreams(model, row)
    tier = Tier.OWN if answered > 1 else Tier.UPSTREAM if upstreams else Tier.ALL
    result = Belief(
        asn=asn,
        links=tuple(parts),
        seen_on=model.links[on] if on >= 0 else None,
        tier=tier,
        vectors=answered,
        upstreams=upstreams,
        sticky=float(weights @ model.habits.rules.sticky),
        why=(),
    )
    return _with_reasons(result, _strange(model, asn), _turned_out(model))


def _strange(model: IngressModel, asn: Asn) -> str:
    """Why the AS graph says nothing of its ways to us; empty where it does, and where there is no graph."""
    if not len(model.distances.asn):
        return ""
    if not model.distances.knows(asn):
        return "the AS graph does not know it: all links are taken to be equally far"
    return "" if (model.distances.hops_of(np.array([asn])) < FAR).any() else "in the AS graph it has no way to us"


def _turned_out(model: IngressModel) -> tuple[str, ...]:
    """Which links are not as far as the AS graph says."""
    moved = zip(model.links, model.distances.further, strict=False)
    return tuple(
        f"for most senders {name} turned out to be {abs(by)} AS{'es' * (abs(by) > 1)} "
        f"{'further' if by > 0 else 'nearer'} than the AS graph says"
        for name, by in moved
        if by
    )


def _of_link(model: IngressModel, asn: Asn, k: int, share: float, weights: Floats, slots: Ints) -> LinkBelief:
    hops = int(model.distances.hops_of(np.array([asn]))[0, k]) if model.distances.knows(asn) else int(FAR)
    turned_out = model.distances.further[k] if model.distances.further else 0
    at = np.flatnonzero(slots == k)
    takes = model.habits.takes
    if len(at):
        slot = int(at[0])
        never = float(weights @ ~takes[:, slot])
        only = float(weights @ (takes[:, slot] & (takes.sum(axis=1) == 1)))
        ignores = float(weights @ ((model.habits.rules.ignores >> slot & 1 > 0) & takes[:, slot]))
    else:
        never, only, ignores = 1.0, 0.0, 0.0
    return LinkBelief(
        link=model.links[k],
        probability=share,
        hops=hops - turned_out if hops < FAR else None,
        ignores_prepends=ignores,
        never=never,
        only=only,
    )


def _shared_upstreams(model: IngressModel, row: int) -> tuple[Asn, ...]:
    """Those that other senders buy from too."""
    if row < 0:
        return ()
    ties = model.ties
    groups = np.unique(ties.upstream_of[ties.member == row])
    shared = groups[np.bincount(ties.upstream_of)[groups] > 1] if len(groups) else groups
    _, upstream = model.distances.upstreams_of(model.asn[row : row + 1])
    mine = ties.upstream_of[ties.member == row]
    return tuple(Asn(int(a)) for a, group in zip(upstream, mine, strict=True) if group in shared)


def _with_reasons(belief: Belief, strange: str, turned_out: tuple[str, ...]) -> Belief:
    why = []
    little = "little" if belief.vectors else "nothing"
    match belief.tier:
        case Tier.OWN:
            why.append(f"seen under {belief.vectors} vectors of prepends")
        case Tier.UPSTREAM:
            names = ", ".join(f"AS{asn}" for asn in belief.upstreams)
            why.append(f"{little} was seen of it: believed to choose as others behind {names}")
        case Tier.ALL:
            why.append(f"{little} was seen of it: believed to choose as senders at its distances do in general")
    nearest = [part.link for part in belief.links if part.hops is not None and part.hops == _least(belief)]
    if nearest:
        what = "is" if len(nearest) == 1 else "are"
        why.append(f"in the AS graph {', '.join(nearest)} {what} nearest, {_least(belief)} ASes away")
        why.extend(turned_out)
    elif strange:
        why.append(strange)
    for part in belief.links:
        if part.only > WORTH_SAYING:
            why.append(f"takes {part.link} whatever the prepends")
        elif part.never > WORTH_SAYING:
            why.append(f"does not take {part.link} whatever the prepends")
        elif part.ignores_prepends > WORTH_SAYING:
            why.append(f"does not count prepends on {part.link}")
    if belief.sticky > WORTH_SAYING:
        why.append("stays where it is among equally good links")
    return replace(belief, why=tuple(why))


def _least(belief: Belief) -> int:
    return min((part.hops for part in belief.links if part.hops is not None), default=0)
