"""The dry run: what each link would carry after a candidate, how sure that is, and what may go wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from teagent.engine.predict.bands import HIGH, LOW, MEDIAN, VOLUME_ERROR, Going, hardly_any, outcomes
from teagent.engine.predict.caveats import caveats
from teagent.engine.predict.crowd import Crowds
from teagent.engine.predict.movers import movers, shifts
from teagent.engine.predict.scene import Scene, prepare
from teagent.engine.predict.shares import (
    TIES_STICK,
    DemandColumns,
    Flags,
    Floats,
    Forecaster,
    Ints,
    Shares,
    shorter,
)
from teagent.engine.predict.widen import widened, wider
from teagent.errors import NotFound, Refused
from teagent.model.announcement import PREPEND_HARD_MAX
from teagent.model.plan import Band, Candidate, DryRun, LinkForecast
from teagent.model.snapshot import Snapshot


def simulate(
    snapshot: Snapshot,
    candidate: Candidate,
    *,
    targets: Mapping[str, float] | None = None,
    forecaster: Forecaster = TIES_STICK,
) -> DryRun:
    """What each link would carry with the candidate's vectors in place of the live ones.

    `targets` (link -> bps) is what the asker aims for; a link that is not in it has its capacity as target. Links
    without a reading are left out of the result, with a warning. Raises NotFound for a prefix or link that is not
    ours, Refused where there is no traffic matrix or the vector names other links than those that carry the prefix.
    """
    check(snapshot, candidate)
    return dry_run(prepare(snapshot), candidate, targets=targets, forecaster=forecaster)


def check(snapshot: Snapshot, candidate: Candidate) -> None:
    """Raises as `simulate` does for a candidate that cannot be simulated on this snapshot."""
    for prefix, vector in candidate.vectors:
        live = snapshot.live.vector(prefix)
        if not live:
            known = [str(p) for p in snapshot.live.prefixes()]
            raise NotFound("announced prefix", str(prefix), known=known)
        for link, prepend in vector:
            if link not in snapshot.network.links:
                raise NotFound("link", link, known=list(snapshot.network.links))
            if not 0 <= prepend <= PREPEND_HARD_MAX:
                raise Refused(f"{prefix} on {link}: prepend {prepend} is not in 0 to {PREPEND_HARD_MAX}")
        if {link for link, _ in vector} != set(live):
            raise Refused(
                f"{prefix} is carried by {', '.join(sorted(live))}, the change names "
                f"{', '.join(sorted(link for link, _ in vector)) or 'no link'}",
                hint="a change states the prepend of every link that carries the prefix",
            )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moves:
    """All demands of the candidate's prefixes in R groups: with what chance they come where.

    `away` (R, K): to which other link, afterwards; `leaving` (R): the chance to go anywhere.
    `nobody_knows` (R, K): demands of unknown senders, which are taken to stay, but for which the link became shorter.
    """

    crowds: Crowds
    away: Floats
    leaving: Floats
    nobody_knows: Flags
    correlation: float


def dry_run(
    scene: Scene,
    candidate: Candidate,
    *,
    targets: Mapping[str, float] | None = None,
    forecaster: Forecaster = TIES_STICK,
    roughly: bool = False,
) -> DryRun:
    """As `simulate`, on a prepared scene and without checking the candidate: for weighing many candidates, which may
    be done `roughly` (see `Forecaster.forecast_shares`).
    """
    moves = _moves(scene, candidate, forecaster, roughly=roughly)
    foreseen = _foresee(scene, moves) if moves is not None else _nothing_moves(scene)
    worst = [None] * len(scene.links) if moves is None else _worst(scene, moves, foreseen)
    links = tuple(
        _forecast(scene, column, foreseen.links[column], worst[column], (targets or {}).get(name))
        for column, name in enumerate(scene.links)
        if name not in scene.unknown
    )
    moving = movers(scene, None if moves is None else moves.crowds, None if moves is None else moves.leaving)
    predicted = DryRun(
        links=links,
        shifts=() if moves is None else shifts(scene, moves.crowds, moves.away),
        moved=foreseen.moved,
        assumption=forecaster.assumption,
        warnings=caveats(scene, candidate, moving),
        sources=moving.sources,
    )
    return widened(predicted, scene.snapshot.widening)


def _moves(scene: Scene, candidate: Candidate, forecaster: Forecaster, *, roughly: bool) -> Moves | None:
    """None where no traffic was seen."""
    parts, unknown = [], []
    for prefix, vector in candidate.vectors:
        columns = scene.demands.get(prefix)
        if columns is not None and len(columns.bps):
            before, after = scene.vectors[prefix], dict(vector)
            shares = forecaster.forecast_shares(columns, before, after, roughly=roughly)
            parts.append((columns, shares))
            unknown.append(shorter(scene.links, before, [after])[0])
    if not parts:
        return None
    crowds = scene.assembled.crowds(parts)
    expected = np.concatenate([shares.expected for _, shares in parts])
    own = np.arange(len(expected)), crowds.link_index
    away = expected.copy()
    away[own] = 0.0
    return Moves(
        crowds=crowds,
        away=away,
        leaving=np.clip(1.0 - expected[own], 0.0, 1.0),
        nobody_knows=_by_group(parts, unknown, crowds),
        correlation=max(shares.correlation for _, shares in parts),
    )


def _by_group(parts: Sequence[tuple[DemandColumns, Shares]], open_to: Sequence[Flags], crowds: Crowds) -> Flags:
    part = np.repeat(np.arange(len(parts)), [len(shares.expected) for _, shares in parts])
    result: Flags = np.stack(open_to)[part, crowds.link_index] & ~crowds.movable[:, None]
    return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreseen:
    """A band for each of the K links, and one for all that moves."""

    links: tuple[Band, ...]
    moved: Band


def _nothing_moves(scene: Scene) -> Foreseen:
    links = tuple(
        Band(
            low=load * (1 - VOLUME_ERROR),
            expected=load * (1 + float(scene.hidden_expected[column])),
            high=load * (1 + float(scene.hidden_high[column]) + VOLUME_ERROR),
        )
        for column, load in enumerate(scene.load_bps.tolist())
    )
    return Foreseen(links=links, moved=Band(low=0.0, expected=0.0, high=0.0))


def _foresee(scene: Scene, moves: Moves) -> Foreseen:
    """The low ends as if nothing were hidden on full links, the expected and the high ends as stated in `scene`."""
    own, links = moves.crowds.link_index, len(scene.links)
    load = np.append(np.nan_to_num(scene.load_bps), 0.0)
    fell, median, rose, offered = _quantiles(scene, moves, VOLUME_ERROR * load)
    low = load + fell
    high = load * (1 + np.append(scene.hidden_high, 0.0)) + rose
    expected = np.maximum(0.0, load * (1 + np.append(scene.hidden_expected, 0.0)) + median)
    bands = [
        Band(low=max(0.0, min(a, b)), expected=b, high=max(b, c))
        for a, b, c in zip(low.tolist(), expected.tolist(), high.tolist(), strict=True)
    ]
    arriving = (moves.crowds.bps * (1 + scene.hidden_expected[own])) @ moves.away
    more = _nothing_lost(arriving, offered, bands[links].expected)
    return Foreseen(links=tuple(map(_plus, bands[:links], more.tolist())), moved=bands[links])


def _quantiles(scene: Scene, moves: Moves, noise: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """(K + 1) low, median and high of what each link gains, and of all that moves; and (K) the median of what comes to
    each link without what leaves it. `noise` (K + 1) widens the ends.
    """
    links, own = len(scene.links), moves.crowds.link_index
    left = np.flatnonzero(np.bincount(own[moves.leaving > 0]))
    ends, every = links + 1, links + 1 + len(left)
    going = _cases(moves, left)
    if (scene.hidden_high[own] * moves.leaving).any():
        # Of each kind of what is hidden there are the cases that are asked for, one kind after the other.
        parts = going.only(going.case < ends), going, going.only(going.case < ends)
        hidden = np.zeros(links), scene.hidden_expected, scene.hidden_high
        going = Going(
            cases=2 * ends + every,
            case=np.concatenate(
                [part.case + first for part, first in zip(parts, (0, ends, ends + every), strict=True)]
            ),
            group=np.concatenate([part.group for part in parts]),
            probability=np.concatenate([part.probability for part in parts]),
            scale=np.concatenate([p.scale * (1 + more[own[p.group]]) for p, more in zip(parts, hidden, strict=True)]),
        )
        rows = np.arange(going.cases)
    else:
        rows = np.concatenate((np.arange(ends), np.arange(every), np.arange(ends)))
    share = np.repeat([LOW, MEDIAN, HIGH], (ends, every, ends))
    at_ends = np.concatenate((noise, np.zeros(every), noise))
    found = outcomes(moves.crowds, going, moves.correlation).only(rows).quantiles(share, at_ends)
    low, median, high = np.split(found, (ends, ends + every))
    offered = median[:links].copy()
    offered[left] = median[ends:]
    return low, median[:ends], high, offered


def _cases(moves: Moves, left: Ints) -> Going:
    """A case for each of K links, what comes and what leaves; one for all that moves; and one for each link that
    anything leaves (`left`), without that.
    """
    own, links = moves.crowds.link_index, moves.away.shape[1]
    comes, onto = np.nonzero(moves.away > 0)
    leaves = np.flatnonzero(moves.leaving > 0)
    without = np.full(links, -1)
    without[left] = links + 1 + np.arange(len(left))
    again = np.flatnonzero(without[onto] >= 0)
    coming = moves.away[comes, onto]
    leaving = moves.leaving[leaves]
    counts = len(comes), len(leaves), len(leaves), len(again)
    return Going(
        cases=links + 1 + len(left),
        case=np.concatenate((onto, own[leaves], np.full(len(leaves), links), without[onto[again]])),
        group=np.concatenate((comes, leaves, leaves, comes[again])),
        probability=np.concatenate((coming, leaving, leaving, coming[again])),
        scale=np.repeat([1.0, -1.0, 1.0, 1.0], counts),
    )


def _nothing_lost(arriving: Floats, medians: Floats, moved_bps: float) -> Floats:
    """(K) what is expected beyond the medians. Where senders may go to one of several links, the median of each can be
    that nobody comes. What is expected to leave arrives somewhere: what the medians lack of it is divided by the mean
    arrivals.
    """
    receivers = arriving > 0
    if np.count_nonzero(receivers) < 2:
        return np.zeros(len(arriving))
    lacking = max(0.0, moved_bps - float(medians[receivers].sum()))
    result: Floats = lacking * np.where(receivers, arriving, 0.0) / arriving[receivers].sum()
    return result


def _plus(band: Band, bps: float) -> Band:
    expected = band.expected + bps
    return Band(low=band.low, expected=expected, high=max(band.high, expected))


def _worst(scene: Scene, moves: Moves, foreseen: Foreseen) -> list[float | None]:
    """(K) the load if all that moves, up to its high end, landed there; None for a link that does not gain.

    Senders that nobody knows are in no chance and no band: those that might come are added whole. More than all that
    may come does not come.
    """
    most = moves.crowds.bps * (1 + scene.hidden_high[moves.crowds.link_index])
    may_land, strangers = most @ ((moves.away > 0) | moves.nobody_knows), most @ moves.nobody_knows
    lands = np.minimum(may_land, wider(foreseen.moved, scene.snapshot.widening).high + strangers)
    worst = scene.load_bps * (1 + VOLUME_ERROR) + lands
    gains = (may_land > 0) & _gains(scene, moves, foreseen, strangers)
    return [bps if gain else None for bps, gain in zip(worst.tolist(), gains.tolist(), strict=True)]


def _gains(scene: Scene, moves: Moves, foreseen: Foreseen, strangers: Floats) -> Flags:
    """(K) would it carry more than if nothing were changed: in the mean, in the median, or at the high end?

    A model that learned gives every sender some chance on every link: where hardly anything comes, that is no gain.
    """
    own, times = moves.crowds.link_index, scene.snapshot.widening
    likely = moves.crowds.bps * (1 + scene.hidden_expected[own])
    arriving, leaving = likely @ moves.away, likely * moves.leaving
    pairs = [
        (wider(now, times), wider(then, times))
        for now, then in zip(_nothing_moves(scene).links, foreseen.links, strict=True)
    ]
    more = np.array([max(then.expected - now.expected, then.high - now.high) for now, then in pairs])
    more = np.fmax(more, arriving - np.bincount(own, weights=leaving, minlength=len(scene.links))) + strangers
    moved = max(foreseen.moved.high, float(leaving.sum()))
    result: Flags = (more > 0) & (np.fmax(more, arriving) > hardly_any(moved, scene.capacity_bps))
    return result


def _forecast(scene: Scene, column: int, band: Band, worst_bps: float | None, target: float | None) -> LinkForecast:
    capacity, load = float(scene.capacity_bps[column]), float(scene.load_bps[column])
    if worst_bps is None:
        # What is offered beyond the capacity is dropped before it reaches us: a link that only loses stays within it.
        worst_bps, ceiling = load, max(capacity, load)
        band = Band(low=min(band.low, ceiling), expected=min(band.expected, ceiling), high=min(band.high, ceiling))
    else:
        worst_bps = max(worst_bps, band.high)
    return LinkForecast(
        link=scene.links[column],
        capacity_bps=capacity,
        before_bps=load,
        after=band,
        worst_bps=worst_bps,
        target_bps=capacity if target is None else target,
    )
