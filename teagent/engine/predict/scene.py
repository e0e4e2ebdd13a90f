"""A snapshot prepared for many dry runs: loads per link and, per prefix, the demands as columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby
from operator import attrgetter

import numpy as np

from teagent.engine.predict.crowd import Assembled
from teagent.engine.predict.demands import Demands
from teagent.engine.predict.shares import Floats
from teagent.errors import Refused
from teagent.model.bgp import Prefix
from teagent.model.link import NoData, Utilisation
from teagent.model.snapshot import Snapshot
from teagent.model.traffic import TrafficMatrix

SATURATED = 0.95
"""From this share of capacity on a link may be offered more than it carries."""
HIDDEN_EXPECTED = 0.25
HIDDEN_HIGH = 0.60
"""What a saturated link is assumed to be offered beyond what it carries: share of its load, expected and at most."""
SATURATION_WINDOW = timedelta(minutes=5)
SMOOTHED = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scene:
    """`load_bps` (K) is NaN where a link has no data; such links are in `unknown` with the reason.

    `hidden_expected`, `hidden_high` (K): what is offered beyond the load, as shares of it (0 unless saturated).
    `explained_bps` (K): what the matrix accounts for, after it was scaled down to the load where it held more.
    `vectors`: the live prepends of every announced prefix.
    """

    snapshot: Snapshot
    matrix: TrafficMatrix
    links: tuple[str, ...]
    capacity_bps: Floats
    load_bps: Floats
    hidden_expected: Floats
    hidden_high: Floats
    explained_bps: Floats
    vectors: Mapping[Prefix, Mapping[str, int]]
    unknown: Mapping[str, NoData]
    demands: Demands
    assembled: Assembled = field(default_factory=Assembled)

    def traffic_bps(self, prefix: Prefix, link: str) -> float:
        return self.demands.total_bps(prefix, self.links.index(link)) if link in self.links else 0.0


def prepare(snapshot: Snapshot) -> Scene:
    """Raises Refused when the snapshot has no traffic matrix: without one nothing can be predicted."""
    matrix = snapshot.matrix
    if isinstance(matrix, NoData):
        raise Refused(
            f"there is no traffic matrix: {matrix.reason}",
            hint="teagent exporter shows what flows arrive",
            what="matrix",
        )
    links = tuple(snapshot.network.links)
    readings = {name: snapshot.latest.get(name) for name in links}
    load = np.array([_load_bps(snapshot, name) for name in links])
    capacity = np.array([snapshot.network.links[name].capacity_bps for name in links])
    unknown = {
        name: reading if isinstance(reading, NoData) else NoData(since=snapshot.taken_at, reason="never read")
        for name, reading in readings.items()
        if not isinstance(reading, Utilisation)
    }
    saturated = np.array([_saturated(snapshot, name, bps) for name, bps in zip(links, load, strict=True)], dtype=bool)
    bps, explained = _scaled(matrix, links, load)
    vectors = {
        prefix: {each.link: each.prepend for each in announcements}
        for prefix, announcements in groupby(snapshot.live, key=attrgetter("prefix"))
    }
    return Scene(
        snapshot=snapshot,
        matrix=matrix,
        links=links,
        capacity_bps=capacity,
        load_bps=load,
        hidden_expected=np.where(saturated, HIDDEN_EXPECTED, 0.0),
        hidden_high=np.where(saturated, HIDDEN_HIGH, 0.0),
        explained_bps=explained,
        vectors=vectors,
        unknown=unknown,
        demands=Demands(matrix, links, bps, vectors),
    )


def _load_bps(snapshot: Snapshot, link: str) -> float:
    """The mean of the last minute: where polls are seconds apart, one reading jitters with the agent's own cache.

    It does not look back behind the matrix's window: the load and who makes it up are to speak of the same time.
    """
    latest = snapshot.latest.get(link)
    if not isinstance(latest, Utilisation):
        return float("nan")
    window = SMOOTHED
    if isinstance(snapshot.matrix, TrafficMatrix):
        begins = snapshot.matrix.at - timedelta(seconds=snapshot.matrix.seconds)
        window = max(min(SMOOTHED, latest.at - begins), timedelta(seconds=latest.seconds))
    return _mean_bps(snapshot, latest, window)


def _saturated(snapshot: Snapshot, link: str, load_bps: float) -> bool:
    """By the load now, or by the mean of the last minutes: a full link flickers around its capacity."""
    latest = snapshot.latest.get(link)
    if not isinstance(latest, Utilisation):
        return False
    recent = _mean_bps(snapshot, latest, SATURATION_WINDOW)
    return max(load_bps, recent) >= SATURATED * snapshot.network.links[link].capacity_bps


def _mean_bps(snapshot: Snapshot, latest: Utilisation, window: timedelta) -> float:
    """Over the readings that ended less than `window` before the latest, weighted by the time that each covers."""
    recent = {u.at: u for u in snapshot.history.get(latest.link, ()) if timedelta(0) <= latest.at - u.at < window}
    recent[latest.at] = latest
    seconds = sum(u.seconds for u in recent.values())
    return sum(u.in_bps * u.seconds for u in recent.values()) / seconds if seconds > 0 else latest.in_bps


def _scaled(matrix: TrafficMatrix, links: tuple[str, ...], load: Floats) -> tuple[Floats, Floats]:
    """Demands never sum to more than the link carries now; where they sum to less, the difference just stays."""
    total = np.bincount(matrix.link_index.astype(np.int64), weights=matrix.bps, minlength=len(matrix.links))
    total = total + np.array([matrix.unattributed_bps.get(name, 0.0) for name in matrix.links])
    now = np.array([load[links.index(name)] if name in links else np.nan for name in matrix.links])
    over = (total > 0) & (total > now)
    factor = np.where(over, np.divide(now, total, out=np.ones_like(total), where=total > 0), 1.0)
    explained_by_name = dict(zip(matrix.links, total * factor, strict=True))
    explained = np.array([explained_by_name.get(name, 0.0) for name in links])
    scaled: Floats = matrix.bps * factor[matrix.link_index] if len(matrix) else np.zeros(0)
    return scaled, explained
