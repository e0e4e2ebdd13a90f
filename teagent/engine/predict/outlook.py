"""Who moves, who is uncertain and why, and who cannot move at all: a dry run by its senders."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from teagent.engine.predict.scene import Scene
from teagent.engine.predict.shares import Flags, Floats, Forecaster, Ints
from teagent.model.bgp import Asn
from teagent.model.plan import Candidate, Doubt, DryRun, FixedTraffic, Outlook, SourceOutlook
from teagent.model.traffic import Source

if TYPE_CHECKING:  # loaded where a graph is configured, for its libraries take 20 MiB
    from teagent.engine.predict.propagation import Routes
    from teagent.engine.predict.topology import Topology

SHOWN = 10
"""Senders in each list: the heaviest."""
SURE = 0.9
"""From this chance on for one link there is nothing uncertain about a sender."""
NOTICEABLE = 0.001
"""Shares below this are not mentioned."""


def with_outlook(
    scene: Scene,
    candidate: Candidate,
    dry_run: DryRun,
    *,
    forecaster: Forecaster,
    topology: Topology | None = None,
) -> DryRun:
    """The dry run of that candidate, told by its senders. `topology` tells ties from what is not known."""
    return replace(dry_run, outlook=outlook(scene, candidate, forecaster=forecaster, topology=topology))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Towards:
    """The demands towards one changed prefix, and `shares` (N, K) of where they will be. `fixed` (N): by the AS graph
    their sender has no way but the link that it is on. `shaken` (N): of an unknown sender, and another link has become
    shorter for it. `routes` are those of the AS graph, for the vectors after and before.
    """

    link_index: Ints
    source_index: Ints
    bps: Floats
    shares: Floats
    fixed: Flags
    shaken: Flags
    routes: Routes | None


def outlook(scene: Scene, candidate: Candidate, *, forecaster: Forecaster, topology: Topology | None = None) -> Outlook:
    towards = list(_towards(scene, candidate, forecaster, topology))
    if not towards:
        return Outlook()
    moved, doubt = np.zeros(len(scene.matrix.sources)), np.zeros(len(scene.matrix.sources))
    for part in towards:
        likeliest = part.shares.max(axis=1)
        leaving = np.clip(1 - part.shares[np.arange(len(part.bps)), part.link_index], 0.0, 1.0)
        in_doubt = np.where(likeliest < SURE, 1 - likeliest, np.where(part.shaken, 1.0, 0.0))
        np.add.at(moved, part.source_index, part.bps * leaving)
        np.add.at(doubt, part.source_index, part.bps * in_doubt)

    movers, uncertain = _heaviest(moved), _heaviest(doubt)
    now, then = _of_senders(scene, towards, {*movers, *uncertain})

    def sender(index: int, *doubts: Doubt) -> SourceOutlook:
        total = float(now[index].sum())
        return SourceOutlook(
            source=scene.matrix.sources[index],
            bps=total,
            moved_bps=float(moved[index]),
            doubt_bps=float(doubt[index]),
            before=_shares(scene.links, now[index] / total),
            after=_shares(scene.links, then[index] / total),
            doubts=doubts,
        )

    return Outlook(
        movers=tuple(sender(index) for index in movers),
        uncertain=tuple(sender(index, *_doubts(scene, towards, forecaster, index)) for index in uncertain),
        fixed=_fixed(scene, towards),
    )


def _of_senders(
    scene: Scene, towards: Sequence[_Towards], shown: Collection[int]
) -> tuple[dict[int, Floats], dict[int, Floats]]:
    """What each of the senders that are shown sends by each link, (K): now, and then."""
    now, then = ({index: np.zeros(len(scene.links)) for index in shown} for _ in range(2))
    wanted = np.zeros(len(scene.matrix.sources), dtype=bool)
    wanted[list(shown)] = True
    for part in towards:
        for row in np.flatnonzero(wanted[part.source_index]).tolist():
            index = int(part.source_index[row])
            now[index][part.link_index[row]] += part.bps[row]
            then[index] += part.bps[row] * part.shares[row]
    return now, then


def _towards(
    scene: Scene, candidate: Candidate, forecaster: Forecaster, topology: Topology | None
) -> Iterator[_Towards]:
    # Tens of thousands, of which nobody asks without a graph.
    sources = () if topology is None else scene.matrix.sources
    asns = np.array([source.asn for source in sources], dtype=np.int64)
    for prefix, vector in candidate.vectors:
        columns, before, after = scene.demands.get(prefix), scene.vectors[prefix], dict(vector)
        if columns is None or not len(columns.bps) or dict(before) == after:
            continue
        shares = forecaster.forecast_shares(columns, before, after).of_demands()
        fixed = np.zeros(len(columns.bps), dtype=bool)
        if topology is not None:
            fixed = topology.only_way(after, asns, scene.links)[columns.source_index] == columns.link_index
            shares[fixed] = np.eye(len(scene.links))[columns.link_index[fixed]]
        shorter = np.array([_gets_shorter(name, before, after) for name in scene.links], dtype=bool)
        yield _Towards(
            link_index=columns.link_index,
            source_index=columns.source_index,
            bps=columns.bps,
            shares=shares,
            fixed=fixed,
            shaken=~columns.movable & shorter[columns.link_index],
            routes=None if topology is None else topology.propagator.propagate([after, before]),
        )


def _gets_shorter(own: str, before: Mapping[str, int], after: Mapping[str, int]) -> bool:
    """Is any other link shorter now, against this one?"""
    if own not in before or own not in after:
        return own in before
    return any(after[own] - after[name] > before[own] - before[name] for name in after if name in before)


def _heaviest(weight: Floats) -> list[int]:
    """The first few, heaviest first, of those that have any; of equals the one with the smaller name."""
    order = np.argsort(-weight, kind="stable")[:SHOWN]
    return [int(index) for index in order if weight[index] >= 1]


def _shares(links: tuple[str, ...], shares: Floats) -> tuple[tuple[str, float], ...]:
    return tuple((name, float(share)) for name, share in zip(links, shares, strict=True) if share >= NOTICEABLE)


def _fixed(scene: Scene, towards: list[_Towards]) -> tuple[FixedTraffic, ...]:
    result = []
    if not any(part.fixed.any() for part in towards):
        return ()
    for column, name in enumerate(scene.links):
        bps = np.zeros(len(scene.matrix.sources))
        for part in towards:
            here = part.fixed & (part.link_index == column)
            np.add.at(bps, part.source_index[here], part.bps[here])
        if bps.any():
            largest = tuple(scene.matrix.sources[index] for index in _heaviest(bps))
            result.append(FixedTraffic(link=name, bps=float(bps.sum()), sources=int((bps > 0).sum()), largest=largest))
    return tuple(result)


def _doubts(scene: Scene, towards: list[_Towards], forecaster: Forecaster, index: int) -> Iterator[Doubt]:
    """Why it is uncertain where this sender goes, by what it sends most of."""
    source = scene.matrix.sources[index]
    mine = [(float(part.bps[part.source_index == index].sum()), part) for part in towards]
    part = max(mine, key=lambda one: one[0])[1]
    if not (source.asn or source.prefix):
        yield Doubt(reason="unknown_source", message="nobody knows who sends it: taken to stay")
        return
    yield from _by_graph(scene, part, index, source)
    seen = forecaster.seen_under(source)
    if seen < 2:
        yield Doubt(reason="no_evidence", message="it was never seen under another announcement")
    else:
        yield Doubt(reason="evidence", message=f"seen under {seen} announcements, it does not always do the same")


def _by_graph(scene: Scene, part: _Towards, index: int, source: Source) -> Iterator[Doubt]:
    if part.routes is None:
        yield Doubt(reason="no_graph", message="without an AS graph nobody knows which links are equally good to it")
        return
    best = _equally_good(part.routes, 0, source)
    if best is None:
        yield Doubt(reason="not_in_graph", message="the AS graph does not know it")
        return
    used = {scene.links[int(k)] for k in part.link_index[part.source_index == index]}
    expected = _equally_good(part.routes, 1, source) or ()
    if len(best) > 1:
        yield Doubt(reason="tie", message=f"{' and '.join(best)} are equally good to it")
    if not used & set(expected):
        yield Doubt(
            reason="graph_disagrees",
            message=f"it comes over {' and '.join(sorted(used))}, the AS graph has it come over "
            f"{' or '.join(expected) or 'no link'}",
        )


def _equally_good(routes: Routes, row: int, source: Source) -> tuple[str, ...] | None:
    """The links that are equally good to a sender; None where the graph does not know it."""
    if source.asn not in routes.graph:
        return None
    return routes.links_of(int(routes.ingress[row, routes.graph.node(Asn(source.asn))]))
