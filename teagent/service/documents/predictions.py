"""Dry runs, scorecards and beliefs as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from teagent.engine.predict.scoring import means
from teagent.model.bgp import Prefix
from teagent.model.experiment import Experiment
from teagent.model.maintenance import DailyWindow
from teagent.model.plan import DryRun, FixedTraffic, SourceOutlook
from teagent.model.scorecard import Scorecard, ScoreKind
from teagent.model.units import format_time
from teagent.service.documents.values import Document, band, decimal, source, whole

if TYPE_CHECKING:  # its libraries take 20 MiB, and it is only shown
    from teagent.engine.predict.belief import Belief


def dry_run_document(dry_run: DryRun) -> Document:
    """Predicted loads, for each link, as single shifts and by sender, the largest first."""
    shifts = sorted(dry_run.shifts, key=lambda shift: -shift.band.expected)
    return {
        "links": [
            {
                "link": row.link,
                "capacity_bps": whole(row.capacity_bps),
                "before_bps": whole(row.before_bps),
                "after": band(row.after),
                "worst_bps": whole(row.worst_bps),
                "target_bps": whole(row.target_bps),
            }
            for row in dry_run.links
        ],
        "shifts": [
            {
                "source": source(shift.source),
                "prefix": str(shift.prefix),
                "from_link": shift.from_link,
                "to_link": shift.to_link,
                "bps": band(shift.band),
            }
            for shift in shifts
        ],
        "sources": dry_run.sources,
        "moved": band(dry_run.moved),
        "movers": [_sender(row) for row in dry_run.outlook.movers],
        "uncertain": [_sender(row) for row in dry_run.outlook.uncertain],
        "cannot_move": [_fixed(row) for row in dry_run.outlook.fixed],
        "assumption": dry_run.assumption,
        "warnings": list(dry_run.warnings),
    }


def _sender(row: SourceOutlook) -> Document:
    before, after = dict(row.before), dict(row.after)
    return {
        "source": source(row.source),
        "bps": whole(row.bps),
        "moved_bps": whole(row.moved_bps),
        "doubt_bps": whole(row.doubt_bps),
        "links": [
            {"link": link, "before": decimal(before.get(link, 0.0), 4), "after": decimal(after.get(link, 0.0), 4)}
            for link in sorted({*before, *after})
        ],
        "doubts": [{"reason": doubt.reason, "message": doubt.message} for doubt in row.doubts],
    }


def _fixed(row: FixedTraffic) -> Document:
    return {
        "link": row.link,
        "bps": whole(row.bps),
        "sources": row.sources,
        "largest": [source(each) for each in row.largest],
    }


def scorecard_document(card: Scorecard) -> Document:
    return {
        "kind": card.kind.value,
        "proposal": card.subject or None,
        "prefixes": [str(prefix) for prefix in card.prefixes],
        "predicted_at": format_time(card.predicted_at),
        "since": format_time(card.since),
        "until": format_time(card.until),
        "bps": whole(card.bps),
        "top1": decimal(card.top1, 4),
        "moved_bps": whole(card.moved_bps),
        "top1_moved": decimal(card.top1_moved, 4),
        "error_points": decimal(card.error_points, 2),
        "misprojected": decimal(card.misprojected, 4),
        "coverage": decimal(card.coverage, 4),
        "links": [
            {
                "link": row.link,
                "predicted": band(row.predicted),
                "realised_bps": whole(row.realised_bps),
                "within_band": row.within_band,
                "predicted_share": decimal(row.predicted_share, 4),
                "realised_share": decimal(row.realised_share, 4),
            }
            for row in card.links
        ],
        "missed": [
            {
                "source": source(row.source),
                "bps": whole(row.bps),
                "predicted_link": row.predicted_link,
                "realised_link": row.realised_link,
                "missed_bps": whole(row.missed_bps),
            }
            for row in card.sources
        ],
        "assumption": card.assumption,
    }


def scorecards_document(cards: Sequence[Scorecard], *, at: datetime, since: datetime, widening: float) -> Document:
    """The answer to `teagent scorecard`: means by kind, and each card, oldest first."""
    return {
        "at": format_time(at),
        "since": format_time(since),
        "widening": decimal(widening, 2),
        "kinds": [_kind(kind, [card for card in cards if card.kind is kind]) for kind in ScoreKind],
        "scorecards": [scorecard_document(card) for card in cards],
    }


def _kind(kind: ScoreKind, cards: Sequence[Scorecard]) -> Document:
    found = means(cards)
    return {"kind": kind.value, "count": len(cards)} | {name: decimal(value, 4) for name, value in found.items()}


def ingress_document(
    beliefs: Sequence[tuple[Belief, float]], *, at: datetime, prefix: Prefix, vector: Mapping[str, int]
) -> Document:
    """The answer to `teagent ingress`: what is believed of senders towards one prefix as it is announced now."""
    return {
        "at": format_time(at),
        "prefix": str(prefix),
        "vector": dict(sorted(vector.items())),
        "senders": [
            {
                "asn": int(belief.asn),
                "bps": whole(bps),
                "seen_on": belief.seen_on,
                "tier": belief.tier.value,
                "vectors": belief.vectors,
                "upstreams": [int(asn) for asn in belief.upstreams],
                "sticky": decimal(belief.sticky, 4),
                "links": [
                    {
                        "link": row.link,
                        "probability": decimal(row.probability, 4),
                        "hops": row.hops,
                        "ignores_prepends": decimal(row.ignores_prepends, 4),
                        "never": decimal(row.never, 4),
                        "only": decimal(row.only, 4),
                    }
                    for row in belief.links
                ],
                "why": list(belief.why),
            }
            for belief, bps in beliefs
        ],
    }


def experiments_document(
    found: Sequence[Experiment], *, at: datetime, window: DailyWindow, proposal: str | None
) -> Document:
    """The answer to `teagent experiment plan`; `proposal` is the id of the one that was just made."""
    return {
        "at": format_time(at),
        "window": str(window),
        "open": window.holds(at),
        "proposal": proposal,
        "experiments": [
            {
                "prefix": str(one.prefix),
                "first": one.first,
                "second": one.second,
                "alone": dict(one.alone),
                "both": dict(one.both),
                "bits": decimal(one.bits, 4),
                "bps": whole(one.bps),
                "senders": one.senders,
                "lessons": [
                    {"asn": int(lesson.asn), "bps": whole(lesson.bps), "bits": decimal(lesson.bits, 4)}
                    for lesson in one.lessons
                ],
                "seen": one.seen,
                "step": one.step,
            }
            for one in found
        ],
    }
