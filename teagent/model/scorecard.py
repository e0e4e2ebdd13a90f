"""A prediction beside what happened."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from teagent.model.bgp import Prefix
from teagent.model.plan import Band
from teagent.model.traffic import Source

MISPROJECTED_MAX = 0.05
"""From this share on a prediction was wrong enough to be said aloud."""


class ScoreKind(StrEnum):
    """Of a change that was applied; of a proposal that nobody approved, when the same change happened later; of the
    prediction that nothing changes while nothing is changed.
    """

    CHANGE = "change"
    SHADOW = "shadow"
    NO_CHANGE = "no_change"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredLink:
    """Loads of the whole link in bits per second; `realised_bps` None where it had no data. The shares are those of
    the traffic that the prediction is about, `predicted_share` with the volumes that came.
    """

    link: str
    predicted: Band
    realised_bps: float | None
    within_band: bool | None
    predicted_share: float
    realised_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredSource:
    """One sender: the link that was the likeliest for it, and the one that most of it came by; of `bps`, so much came
    elsewhere than predicted.
    """

    source: Source
    bps: float
    predicted_link: str
    realised_link: str
    missed_bps: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scorecard:
    """`subject` is the proposal, empty for no change. `bps` is the traffic of known senders that was compared, over
    (`since`, `until`].

    `top1`: share of it that came by the link that was the likeliest for its sender; `top1_moved` the same of what came
    by another link than before (`moved_bps`), None where nothing did. `error_points`: of the links' shares, the largest
    error, in points of a percent. `misprojected`: share of the traffic that came by another link than expected, link by
    link, whoever sent it. `coverage`: of the links with data, those within their bands, None where there are none.
    `assumption` is what the prediction rested on; `sources` are those of which most was missed.
    """

    kind: ScoreKind
    subject: str
    prefixes: tuple[Prefix, ...]
    predicted_at: datetime
    since: datetime
    until: datetime
    bps: float
    top1: float
    moved_bps: float
    top1_moved: float | None
    error_points: float
    misprojected: float
    coverage: float | None
    links: tuple[ScoredLink, ...]
    sources: tuple[ScoredSource, ...]
    assumption: str
