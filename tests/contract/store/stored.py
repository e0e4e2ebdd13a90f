"""What is put into a store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from teagent.model.bgp import parse_prefix
from teagent.model.link import Utilisation
from teagent.model.plan import Band, Considered, Decision, Reason, Score, TriggerStatus
from teagent.model.scorecard import Scorecard, ScoredLink, ScoredSource, ScoreKind
from teagent.model.traffic import Demand, Source, TrafficMatrix, build_matrix
from teagent.ports import StoredEvent
from tests.fakes.proposals import NOW, PREFIX, example_proposal

MIDNIGHT = datetime(2026, 1, 12, tzinfo=UTC)


def reading(second: float, in_bps: float, *, link: str = "transit-a", seconds: float = 30) -> Utilisation:
    """Load over the `seconds` that end `second` seconds after midnight; out is a tenth of in."""
    at = MIDNIGHT + timedelta(seconds=second)
    return Utilisation(link=link, at=at, in_bps=in_bps, out_bps=in_bps / 10, seconds=seconds)


def at(second: float) -> datetime:
    return MIDNIGHT + timedelta(seconds=second)


def decision(policy: str = "transit-balance", *, when: datetime = NOW, message: str = "no trigger fires") -> Decision:
    proposal = example_proposal()
    considered = Considered(
        plan=proposal.plan,
        dry_run=proposal.dry_run,
        score=Score(excess_bps=0, shortfall_risk_bps=0.5, cost_per_month=-12.25, moved_bps=1e9, changes=1, prepends=3),
        verdict=proposal.verdict,
    )
    return Decision(
        policy=policy,
        at=when,
        snapshot_digest="51be07",
        triggers=(
            TriggerStatus(
                link="transit-a", firing=True, above_since=when, in_utilisation=0.93, message="93% above 80% for 15m"
            ),
            TriggerStatus(link="transit-b", firing=False, above_since=None, in_utilisation=None, message="no data"),
        ),
        chosen=considered,
        considered=(considered,),
        candidates=7,
        reasons=(Reason(rule="cooldown", ok=False, message="changed 4m ago", value=240.0, limit="1h"),),
        message=message,
    )


def event(subject: str = "transit-a", message: str = "link is above target", when: datetime = NOW) -> StoredEvent:
    return StoredEvent(
        at=when,
        kind="trigger",
        actor="daemon",
        subject=subject,
        message=message,
        fields={"in_utilisation": 0.93, "n": 1},
    )


def matrix(when: datetime) -> TrafficMatrix:
    v4, v6 = parse_prefix("198.51.100.0/24"), parse_prefix("2001:db8::/32")
    return build_matrix(
        [
            Demand(source=Source(asn=64496), prefix=v4, link="transit-a", bps=1 / 3),
            Demand(source=Source(prefix="192.0.2.0/24"), prefix=v6, link="transit-b", bps=2e9),
            Demand(source=Source(), prefix=v4, link="transit-b", bps=0.0),
        ],
        at=when,
        seconds=300,
        coverage={"transit-a": 0.97, "transit-b": None, "ix-1": 0.0},
        unattributed_bps={"transit-a": 12.5},
    )


def scorecard(second: float, *, subject: str = "p-7f3c") -> Scorecard:
    band = Band(low=1.0, expected=2.0, high=3.5)
    return Scorecard(
        kind=ScoreKind.CHANGE if subject else ScoreKind.NO_CHANGE,
        subject=subject,
        prefixes=(PREFIX,),
        predicted_at=at(second - 600),
        since=at(second - 300),
        until=at(second),
        bps=1e9,
        top1=0.875,
        moved_bps=0.0,
        top1_moved=None,
        error_points=1.25,
        misprojected=0.0125,
        coverage=1.0,
        links=(
            ScoredLink(
                link="a",
                predicted=band,
                realised_bps=None,
                within_band=None,
                predicted_share=0.5,
                realised_share=0.25,
            ),
        ),
        sources=(
            ScoredSource(source=Source(asn=64496), bps=1e8, predicted_link="a", realised_link="b", missed_bps=5e7),
        ),
        assumption="as it was",
    )
