"""All inputs of a decision, in one value that can be replayed a year later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from teagent.model.announcement import AnnouncementSet
from teagent.model.bgp import Prefix
from teagent.model.link import NoData, Reading, Utilisation
from teagent.model.network import Network
from teagent.model.traffic import TrafficMatrix


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """A prefix that is owned by a live proposal, or that was changed not long ago.

    `moves`: each time that it was changed or taken back lately, as far as it counts for any limit.
    """

    owner: str | None  # live proposal's id
    changed_at: datetime | None
    moves: tuple[datetime, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """`latest[link]` is the newest reading; `history[link]` the readings that triggers look back on, oldest first.

    `counter_doubts[link]` says why its readings are not to be trusted, `flow_doubts[link]` why its flows, and
    `coverage_limits` between which shares of what its interface counts these have to be. Bands are `widening` times as
    wide as the model has them, for it was wrong lately.
    """

    taken_at: datetime
    network: Network
    live: AnnouncementSet
    latest: Mapping[str, Reading]
    history: Mapping[str, tuple[Utilisation, ...]]
    matrix: TrafficMatrix | NoData
    busy: Mapping[Prefix, Busy]
    frozen: bool
    distrust: tuple[str, ...]  # reasons not to decide on this telemetry; empty when it is trusted
    digest: str
    flow_doubts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    counter_doubts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    coverage_limits: tuple[float, float] = (0.5, 1.5)
    widening: float = 1.0
