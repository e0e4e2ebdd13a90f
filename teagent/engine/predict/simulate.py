"""The dry run: what each link would carry after a candidate, how sure that is, and what may go wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from teagent.engine.predict.bands import HIGH, LOW, VOLUME_ERROR, Outcomes, outcomes
from teagent.engine.predict.caveats import caveats
from teagent.engine.predict.scene import Scene, prepare
from teagent.engine.predict.shares import TIES_STICK, DemandColumns, Flags, Floats, Forecaster, Ints
from teagent.errors import NotFound, Refused
from teagent.model.announcement import PREPEND_HARD_MAX
from teagent.model.bgp import Prefix
from teagent.model.plan import Band, Candidate, DryRun, LinkForecast, Shift
from teagent.model.snapshot import Snapshot
from teagent.model.traffic import Source

SHIFTS_SHOWN = 20


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
    """All demands of the candidate's prefixes, one row each: where they are and with what chance they come where.

    `nobody_knows` (N, K): demands of unknown senders, which are taken to stay, but for which the link became shorter.
    """

    link_index: Ints
    source_index: Ints
    prefix_of: Ints
    prefixes: tuple[Prefix, ...]
    sources: tuple[Source, ...]
    movable: Flags
    bps: Floats
    shares: Floats
    nobody_knows: Flags
    unit: Ints
    correlation: float

    def leaving(self) -> Floats:
        result: Floats = np.clip(1.0 - self.shares[np.arange(len(self.bps)), self.link_index], 0.0, 1.0)
        return result


def dry_run(
    scene: Scene,
    candidate: Candidate,
    *,
    targets: Mapping[str, float] | None = None,
    forecaster: Forecaster = TIES_STICK,
) -> DryRun:
    """As `simulate`, on a prepared scene and without checking the candidate: for weighing many candidates."""
    moves = _moves(scene, candidate, forecaster)
    leaving = moves.leaving()
    moved = _moved(scene, moves, leaving)
    links = tuple(
        _forecast(scene, moves, leaving, column, (targets or {}).get(name))
        for column, name in enumerate(scene.links)
        if name not in scene.unknown
    )
    return DryRun(
        links=_nothing_lost(scene, moves, moved.expected, links),
        shifts=_shifts(scene, moves),
        moved=moved,
        assumption=forecaster.assumption,
        warnings=caveats(
            scene,
            candidate,
            movable=moves.movable,
            bps=moves.bps,
            leaving=leaving,
            link_index=moves.link_index,
            source_index=moves.source_index,
        ),
        sources=len(np.unique(moves.source_index[leaving > 0])),
    )


def mean_change(scene: Scene, candidate: Candidate, forecaster: Forecaster) -> Floats:
    """(K) bits per second that each link gains in the mean: a rough and quick look. Changes of several prefixes add."""
    change = np.zeros(len(scene.links))
    for prefix, vector in candidate.vectors:
        columns = scene.demands.get(prefix)
        if columns is None or not len(columns.bps):
            continue
        shares = forecaster.forecast_shares(columns, scene.vectors[prefix], dict(vector)).of_demands()
        bps = columns.bps * (1 + scene.hidden_expected[columns.link_index])
        change += bps @ shares
        change -= np.bincount(columns.link_index, weights=bps, minlength=len(scene.links))
    return change


def _moves(scene: Scene, candidate: Candidate, forecaster: Forecaster) -> Moves:
    parts, shares, unknown, correlation = [], [], [], 0.0
    prefixes = []
    for prefix, vector in candidate.vectors:
        columns = scene.demands.get(prefix)
        if columns is None or not len(columns.bps):
            continue
        parts.append(columns)
        prefixes.append(prefix)
        answer = forecaster.forecast_shares(columns, scene.vectors[prefix], dict(vector))
        shares.append(answer)
        unknown.append(_nobody_knows(columns, scene.vectors[prefix], dict(vector)))
        correlation = max(correlation, answer.correlation)
    if not parts:
        none = np.zeros(0, dtype=np.int64)
        return Moves(
            link_index=none,
            source_index=none,
            prefix_of=none,
            prefixes=(),
            sources=scene.matrix.sources,
            movable=np.zeros(0, dtype=bool),
            bps=np.zeros(0),
            shares=np.zeros((0, len(scene.links))),
            nobody_knows=np.zeros((0, len(scene.links)), dtype=bool),
            unit=none,
            correlation=0.0,
        )
    return Moves(
        link_index=np.concatenate([c.link_index for c in parts]),
        source_index=np.concatenate([c.source_index for c in parts]),
        prefix_of=np.repeat(np.arange(len(parts)), [len(c.bps) for c in parts]),
        prefixes=tuple(prefixes),
        sources=scene.matrix.sources,
        movable=np.concatenate([c.movable for c in parts]),
        bps=np.concatenate([c.bps for c in parts]),
        shares=np.concatenate([s.of_demands() for s in shares]),
        nobody_knows=np.concatenate(unknown),
        unit=np.concatenate([s.unit for s in shares]),
        correlation=correlation,
    )


def _nobody_knows(columns: DemandColumns, before: Mapping[str, int], after: Mapping[str, int]) -> Flags:
    shorter = np.zeros((len(columns.links), len(columns.links)), dtype=bool)
    for own, name in enumerate(columns.links):
        for k, other in enumerate(columns.links):
            if name in after and other in after:
                shorter[own, k] = after[name] - after[other] > before[name] - before[other]
    result: Flags = shorter[columns.link_index] & ~columns.movable[:, None]
    return result


def _forecast(scene: Scene, moves: Moves, leaving: Floats, column: int, target: float | None) -> LinkForecast:
    capacity, load = float(scene.capacity_bps[column]), float(scene.load_bps[column])
    own = moves.link_index == column
    chance = np.where(own, leaving, moves.shares[:, column])
    signed = np.where(own, -moves.bps, moves.bps)
    active = chance > 0
    chance, signed, unit, link_index = chance[active], signed[active], moves.unit[active], moves.link_index[active]
    band = _band(scene, moves, load, column, (chance, signed, unit, link_index))
    arriving = (~own & (moves.shares[:, column] > 0)) | moves.nobody_knows[:, column]
    worst = load
    if arriving.any():
        everything = float(np.sum((moves.bps * (1 + scene.hidden_high[moves.link_index]))[arriving]))
        worst = max(load * (1 + VOLUME_ERROR) + everything, band.high)
    else:
        # What is offered beyond the capacity is dropped before it reaches us: a link that only loses stays within it.
        ceiling = max(capacity, load)
        band = Band(low=min(band.low, ceiling), expected=min(band.expected, ceiling), high=min(band.high, ceiling))
    return LinkForecast(
        link=scene.links[column],
        capacity_bps=capacity,
        before_bps=load,
        after=band,
        worst_bps=worst,
        target_bps=capacity if target is None else target,
    )


Rows = tuple[Floats, Floats, Ints, Ints]
"""Chance, bps (negative where it leaves), unit and present link of the demands that may come or go."""


def _band(scene: Scene, moves: Moves, load: float, column: int | None, rows: Rows) -> Band:
    """The low end as if nothing were hidden on full links, the expected and the high end as stated in `scene`."""
    chance, signed, unit, link_index = rows

    def moved(hidden: Floats) -> Outcomes:
        scaled = signed * (1 + hidden[link_index])
        return outcomes(bps=scaled, probability=chance, unit=unit, correlation=moves.correlation)

    def base(hidden: Floats) -> float:
        return load * (1 + float(hidden[column])) if column is not None else load

    noise = VOLUME_ERROR * load
    seen = likely = most = moved(np.zeros(len(scene.links)))
    if scene.hidden_high[link_index].any():
        likely, most = moved(scene.hidden_expected), moved(scene.hidden_high)
    expected = max(0.0, base(scene.hidden_expected) + likely.median())
    low, high = load + seen.low(noise), base(scene.hidden_high) + most.high(noise)
    return Band(low=max(0.0, min(low, expected)), expected=expected, high=max(high, expected))


def _nothing_lost(
    scene: Scene, moves: Moves, moved_bps: float, links: tuple[LinkForecast, ...]
) -> tuple[LinkForecast, ...]:
    """Where senders may go to one of several links, the median of each can be that nobody comes. What is expected to
    leave arrives somewhere: what the medians lack of it is divided by the mean arrivals.
    """
    away = moves.shares.copy()
    away[np.arange(len(moves.bps)), moves.link_index] = 0.0
    offered = moves.bps * (1 + scene.hidden_expected[moves.link_index])
    mean = offered @ away
    receivers = np.flatnonzero(mean > 0)
    if len(receivers) < 2:
        return links
    medians = [
        outcomes(bps=offered, probability=away[:, k], unit=moves.unit, correlation=moves.correlation).median()
        for k in receivers
    ]
    lacking = max(0.0, moved_bps - sum(medians))
    more = {scene.links[int(k)]: lacking * float(mean[k] / mean.sum()) for k in receivers}
    return tuple(_plus(forecast, more.get(forecast.link, 0.0)) for forecast in links)


def _plus(forecast: LinkForecast, bps: float) -> LinkForecast:
    after = forecast.after
    expected = after.expected + bps
    return replace(forecast, after=Band(low=after.low, expected=expected, high=max(after.high, expected)))


def _moved(scene: Scene, moves: Moves, leaving: Floats) -> Band:
    return _band(scene, moves, 0.0, None, (leaving, moves.bps, moves.unit, moves.link_index))


def _shifts(scene: Scene, moves: Moves) -> tuple[Shift, ...]:
    """The moves with the most weight (chance times load); ties in the order of prefix, source, link."""
    away = moves.shares.copy()
    away[np.arange(len(moves.bps)), moves.link_index] = 0.0
    weight = away * moves.bps[:, None]
    rows, columns = np.nonzero(weight > 0)
    heaviest = np.argsort(-weight[rows, columns], kind="stable")[:SHIFTS_SHOWN]
    result = []
    for at in heaviest:
        row, column = int(rows[at]), int(columns[at])
        own = int(moves.link_index[row])
        chance, bps = float(away[row, column]), float(moves.bps[row])
        result.append(
            Shift(
                source=moves.sources[int(moves.source_index[row])],
                prefix=moves.prefixes[int(moves.prefix_of[row])],
                from_link=scene.links[own],
                to_link=scene.links[column],
                band=Band(
                    low=bps if chance >= HIGH else 0.0,
                    expected=bps * (1 + float(scene.hidden_expected[own])) if chance >= 0.5 else 0.0,
                    high=bps * (1 + float(scene.hidden_high[own])) if chance > LOW else 0.0,
                ),
            )
        )
    return tuple(result)
