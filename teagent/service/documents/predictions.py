"""Dry runs as JSON."""

from __future__ import annotations

from teagent.model.plan import DryRun, FixedTraffic, SourceOutlook
from teagent.service.documents.values import Document, band, decimal, source, whole


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
